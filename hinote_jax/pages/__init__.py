"""Pages: results in, one HTML file out that shows them without a network.

The one place that imports bokeh, which draws in the browser and brings its own
scripts into the file. `pip install hinote_jax[plots]`; `is_available` says
whether that was done.
"""

import importlib.util

from hinote_jax import plots

NEEDED = "pip install 'hinote_jax[plots]'"


def is_available() -> bool:
  """Returns whether bokeh is installed, and matplotlib for its colours."""
  return plots.is_available() and importlib.util.find_spec("bokeh") is not None
