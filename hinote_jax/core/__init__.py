"""Grids, spectra, resampling: pure mathematics that all else stands on."""
