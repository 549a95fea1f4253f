"""The physics of generated turbulence, measured."""
