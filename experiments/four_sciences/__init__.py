"""Turbulence, weather, radar and MRI, by one path."""
