"""Figures: arrays in, `matplotlib.figure.Figure` out.

The one place that imports matplotlib; nothing here touches pyplot, so drawing
changes no state of the caller and is safe in a thread. `pip install
hinote_jax[plots]`; `is_available` says whether that was done.
"""

import importlib.util


def is_available() -> bool:
  """Returns whether matplotlib is installed, so that figures can be drawn."""
  return importlib.util.find_spec("matplotlib") is not None
