"""Grids that are computed window by window, and who carries them out."""
