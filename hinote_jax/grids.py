"""Query points and cells, for users; the code is `hinote_jax.core.grids`."""

from hinote_jax.core.grids import Axes, axes, cell_centers, cell_size

__all__ = ["Axes", "axes", "cell_centers", "cell_size"]
