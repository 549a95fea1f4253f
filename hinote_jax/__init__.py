"""Super-resolution of scientific fields by the HiNOTE neural operator.

Import the modules you need: `from hinote_jax import infer`. This file loads
none of them, so that importing the package costs nothing.
"""

from hinote_jax._version import __version__

__all__ = ["__version__"]
