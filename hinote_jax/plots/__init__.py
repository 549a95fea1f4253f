"""Figures: arrays in, `matplotlib.figure.Figure` out.

The one place that imports matplotlib; nothing here touches pyplot, so drawing
changes no state of the caller and is safe in a thread. `pip install
hinote_jax[plots]`.
"""

from hinote_jax.plots.style import save

__all__ = ["save"]
