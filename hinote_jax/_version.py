"""The version, in one place that setuptools reads without importing jax."""

__version__ = "0.2.0"
