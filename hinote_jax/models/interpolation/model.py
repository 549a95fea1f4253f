"""Interpolations as models without parameters."""

import functools

from flax import linen as nn
import jax.numpy as jnp

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core import spectral as spectral_


class Interpolation(nn.Module):
  """Interpolates the input at the query points; nothing is learned.

  Attributes:
    method: a method of `resize`, or "spectral" for the trigonometric
      polynomial through the input's cells.
    periodic: which of (y, x) close on themselves.
    channels: accepted for uniformity; any number of channels works.
  """

  method: str
  periodic: tuple[bool, bool] = (False, False)
  channels: int | None = None

  @nn.compact
  def __call__(self, lowres, coords, cell):
    del cell  # interpolation reads points, not cells
    if self.method != "spectral":
      boundary = resize.boundaries(self.periodic, "edge")
      return lazy.interpolate(
        lowres, coords, method=self.method, boundary=boundary
      )
    if isinstance(coords, lazy.Queries):
      return _by_axes(lowres, coords, self.periodic)
    return spectral_.sample(lowres, coords, periodic=self.periodic)


def _by_axes(lowres, queries, periodic):
  """Returns the trigonometric polynomial at queries, an axis at a time.

  A point needs all cells of its row and column, not of the field.
  """
  (h, w), (height, _) = lowres.domain.shape, queries.counts
  rows, columns = (grids.Line(0, 1, n) for n in (h, w))
  (y, x), lines = queries.coords, queries.lines
  tall = lazy.LazyGrid(
    lazy.Domain((height, w)),
    (lazy.Reading(lowres, (rows, columns), (None, 0)),),
    lazy.bind(_evaluated, 0, h, periodic[0]),
    y,
    is_stored=True,
  )
  same_rows = grids.Line(0, 1, height)
  return lazy.LazyGrid(
    lazy.Domain(queries.counts),
    (lazy.Reading(tall, (same_rows, lines[1]), (0, None)),),
    lazy.bind(_evaluated, 1, w, periodic[1]),
    x,
  )


def _evaluated(axis: int, n: int, is_periodic: bool, coords, window, patch):
  """The trigonometric polynomial of whole lines along an axis of n cells."""
  u = grids.to_index(coords[window.indices(axis)], n)
  weights = spectral_.weights(u, n, periodic=is_periodic, count=n)
  spec = "Hh,bhwc->bHwc" if axis == 0 else "Ww,bhwc->bhWc"
  return jnp.einsum(spec, weights, patch.values, precision="highest")


nearest = functools.partial(Interpolation, method="nearest")
bilinear = functools.partial(Interpolation, method="linear")
bicubic = functools.partial(Interpolation, method="cubic")
lanczos = functools.partial(Interpolation, method="lanczos")
spectral = functools.partial(Interpolation, method="spectral")
