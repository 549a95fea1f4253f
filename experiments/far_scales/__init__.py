"""Scales far beyond those of training, on turbulence."""
