"""Interpolations as models."""
