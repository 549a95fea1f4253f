"""Functions of many points in bands of them, to bound memory and spare it.

On a CPU a band that fits the cache is faster too: what is between two products
is not written to memory and read again.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import grids
from hinote_jax.core.typing import Array


def points_at_once(asked: int | None) -> int:
  """Returns how many points to handle at once.

  Args:
    asked: what was asked for; None is 1024 on a CPU, whose cache they fit, and
      65536 elsewhere.
  """
  if asked is not None:
    return asked
  return 1024 if jax.default_backend() == "cpu" else 65536


def split(
  x: Float[Array, "b n c"], limit: int
) -> tuple[Float[Array, "m b s c"], Float[Array, "m 1 s 1"]]:
  """Cuts points into bands as long as one another.

  The last is filled up with the last point.

  Args:
    x: points of each example.
    limit: points of a band, of all examples together.

  Returns:
    The bands, and 1 where a point is one, 0 where it fills the band.
  """
  b, n, _ = x.shape
  parts = _cut(x, max(1, limit // b))
  count, _, size, _ = parts.shape
  inside = jnp.arange(count * size) < n
  return parts, inside.astype(jnp.float32).reshape(count, 1, size, 1)


def pointwise(
  function: Callable[[Array], Array], x: Float[Array, "b H W c"], limit: int
) -> Float[Array, "b H W d"]:
  """Returns function(x), evaluated for at most `limit` points at once.

  Each band is formed again in the backward pass: that is cheaper than to store
  and read what lies between.

  Args:
    function: [b s c] -> [b s d]; a point's answer depends on no other point.
    x: the points.
    limit: see `split`.
  """
  b, height, width, c = x.shape
  points = x.reshape(b, height * width, c)
  result = _in_bands(function, points, max(1, limit // b))
  return result.reshape(b, height, width, -1)


def over_points(
  function: Callable[[grids.Coords], Array],
  coords: grids.Coords,
  limit: int,
) -> Array:
  """Returns function(coords), evaluated for at most `limit` points at once.

  The answer at a point must not depend on the other points.

  Args:
    function: batched coordinates -> [b H W c].
    coords: batched, `grids.Axes` of [b H] and [b W], or [b H W 2].
    limit: query points of one band, of all examples together; a band of `Axes`
      has one row at least.
  """
  if isinstance(coords, grids.Axes):
    return _over_rows(function, coords, limit)
  b, height, width, _ = coords.shape
  flat = coords.reshape(b, height * width, 1, 2)
  result = _in_bands(function, flat, max(1, limit // b))
  return result.reshape(b, height, width, -1)


def parts(
  function: Callable[[Any], Array], values: Any, points: int
) -> Float[Array, "b n *t"]:
  """Returns function(values), evaluated for few parts at once.

  Args:
    function: a tree of [b s ..] -> [b s ..]; a part's answer depends on no
      other part.
    values: a tree of parts, [b n ..]; b may be 1 of some.
    points: of one part.
  """
  b = jax.tree.leaves(values)[0].shape[0]
  limit = points_at_once(None)
  return _in_bands(function, values, max(1, limit // (b * points)))


def _over_rows(function, coords, limit):
  b, width = coords.x.shape

  def rows(y):
    return function(grids.Axes(y, coords.x))

  return _in_bands(rows, coords.y, max(1, limit // (b * width)))


def _in_bands(function, values, size):
  """Maps a function over bands of axis 1, all as long as one another."""
  b, n = jax.tree.leaves(values)[0].shape[:2]
  if n <= size:
    return function(values)
  parts = jax.tree.map(lambda leaf: _cut(leaf, size), values)
  result = jax.lax.map(jax.checkpoint(function), parts).swapaxes(0, 1)
  return result.reshape(b, -1, *result.shape[3:])[:, :n]


def _cut(values, size):
  """Cuts axis 1 into bands of at most `size`, [b n ..] -> [m b s ..]."""
  b, n = values.shape[:2]
  count = -(-n // size)
  size = -(-n // count)
  padding = [(0, 0)] * values.ndim
  padding[1] = (0, count * size - n)
  padded = jnp.pad(values, padding, mode="edge")
  return padded.reshape(b, count, size, *values.shape[2:]).swapaxes(0, 1)
