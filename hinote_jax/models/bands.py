"""Evaluates a function of many query points in bands, to bound its memory."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from hinote_jax import grids
from hinote_jax.typing import Array


def over_points(
  function: Callable[[grids.Coords], Array],
  coords: grids.Coords,
  most: int,
) -> jax.Array:
  """Returns function(coords), evaluated for at most `most` points at once.

  The answer at a point must not depend on the other points.

  Args:
    function: batched coordinates -> [b H W c].
    coords: batched, `grids.Axes` of [b H] and [b W], or [b H W 2].
    most: query points of one band, of all examples together; a band of `Axes`
      has one row at least.
  """
  if isinstance(coords, grids.Axes):
    return _over_rows(function, coords, most)
  b, height, width, _ = coords.shape
  flat = coords.reshape(b, height * width, 1, 2)
  result = _in_bands(function, flat, max(1, most // b))
  return result.reshape(b, height, width, -1)


def _over_rows(function, coords, most):
  b, width = coords.x.shape

  def rows(y):
    return function(grids.Axes(y, coords.x))

  return _in_bands(rows, coords.y, max(1, most // (b * width)))


def _in_bands(function, values, size):
  """Maps a function over bands of axis 1, all as long as one another."""
  b, n = values.shape[:2]
  count = -(-n // size)
  if count == 1:
    return function(values)
  size = -(-n // count)
  padding = [(0, 0)] * values.ndim
  padding[1] = (0, count * size - n)
  padded = jnp.pad(values, padding, mode="edge")
  split = padded.reshape(b, count, size, *values.shape[2:]).swapaxes(0, 1)
  result = jax.lax.map(function, split).swapaxes(0, 1)
  return result.reshape(b, count * size, *result.shape[3:])[:, :n]
