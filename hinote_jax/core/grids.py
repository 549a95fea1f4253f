"""Cell centres, cell sizes and the maps between index, coordinate and scale.

A field of n cells along an axis covers the extent [-1, 1]; cell i is centred at
(2 i + 1) / n - 1. Every coordinate of the package comes from this file. Order
is (y, x), rows first.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np

from hinote_jax.core.typing import Array

T = TypeVar("T")


def pair(values: Iterable[T]) -> tuple[T, T]:
  """Returns two values, one of y and one of x, as a tuple."""
  y, x = values
  return y, x


class Axes(NamedTuple):
  """A regular window of query points, one coordinate vector per axis.

  Attributes:
    y: row coordinates in [-1, 1], [b H] or [H].
    x: column coordinates in [-1, 1], [b W] or [W].

  Examples:
    >>> Axes(axis_centers(2), axis_centers(4)).x.tolist()
    [-0.75, -0.25, 0.25, 0.75]
  """

  y: Array
  x: Array


class Line(NamedTuple):
  """Evenly spaced query points along one axis, in cells of the input.

  Point j lies at index `first + step * j`, where cell i is centred at i.

  Attributes:
    first: index of the first point, fractional.
    step: input cells from a point to the next, above 0; 1 / scale.
    count: number of points.
  """

  first: float | int
  step: float | int
  count: int  # pyright: ignore[reportIncompatibleMethodOverride]

  def index(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
    """Returns where the points lie, [count] float64, in input cells."""
    return self.first + self.step * np.arange(self.count)

  def coords(self, n: int) -> np.ndarray:
    """Returns the points as coordinates of an axis of n cells, float32."""
    return np.asarray(to_coord(self.index(), n), np.float32)

  def is_whole(self, n: int) -> bool:
    """Says whether the points divide the extent of n cells among them."""
    return abs(self.step * self.count - n) < 1e-6 * n


def cell_line(n: int, count: int) -> Line:
  """Returns the centres of `count` cells over the extent of n cells."""
  return Line(0.5 * n / count - 0.5, n / count, count)


def node_line(n: int, count: int) -> Line:
  """Returns `count` points from the first to the last of n cell centres."""
  return Line(0.0, (n - 1) / (count - 1) if count > 1 else 1.0, count)


Coords = Axes | Array


class Placement(NamedTuple):
  """Where an array that holds a window of a grid lies on it.

  Attributes:
    start: (y, x), the cell of the grid that is first in the array.
    shape: (h, w) of the whole grid.
  """

  start: Array | tuple[int, int]
  shape: tuple[int, int]

  @classmethod
  def whole(cls, values: Array) -> "Placement":
    """Returns the place of an array [b h w c] that is the whole grid."""
    return cls((0, 0), pair(values.shape[1:3]))

  def local(
    self, index: Array, axis: int, is_periodic: bool, length: int
  ) -> Array:
    """Returns where cells of the grid are in the array, along an axis.

    Args:
      index: of the cells.
      axis: 0 for y, 1 for x.
      is_periodic: the axis closes on itself.
      length: of the array along it. Where it goes around more than once, the
        middle is taken: convolutions spoil the ends.
    """
    index, n = index - self.start[axis], self.shape[axis]
    if not is_periodic:
      return index
    margin = max(0, (length - n) // 2)
    return (index - margin) % n + margin


def axis_centers(n: int) -> np.ndarray:
  """Returns the n cell centres of one axis, [n] float32 in (-1, 1)."""
  if n < 1:
    raise ValueError(f"an axis needs at least one cell, got {n}")
  return ((2.0 * np.arange(n) + 1.0) / n - 1.0).astype(np.float32)


def axes(shape: tuple[int, int]) -> Axes:
  """Returns the cell centres of an H x W grid as `Axes` of [H] and [W].

  Examples:
    >>> axes((2, 1)).y.tolist()
    [-0.5, 0.5]
  """
  height, width = shape
  return Axes(axis_centers(height), axis_centers(width))


def cell_centers(shape: tuple[int, int]) -> np.ndarray:
  """Returns the cell centres of an H x W grid, [H W 2] in (y, x) order.

  Examples:
    >>> cell_centers((2, 2))[0].tolist()  # (y, x) of the first row
    [[-0.5, -0.5], [-0.5, 0.5]]
  """
  return np.asarray(dense(axes(shape)))


def cell_size(
  shape: tuple[float | int, float | int] | np.ndarray,
) -> np.ndarray:
  """Returns the size of one cell of an H x W grid, [2] = (2/H, 2/W).

  Of the grids of a batch, [b 2], it is [b 2].

  H and W may be fractional: a window that covers 97.3 fine cells has cells of
  size 2/97.3 of its extent.

  Examples:
    >>> cell_size((4, 8)).tolist()
    [0.5, 0.25]
  """
  return (2.0 / np.asarray(shape, np.float64)).astype(np.float32)


def dense(coords: Coords) -> Array:
  """Returns query points as an array [(b) H W 2]; arrays pass unchanged."""
  if not isinstance(coords, Axes):
    return coords
  xp = np if isinstance(coords.y, np.ndarray) else jnp
  height, width = coords.y.shape[-1], coords.x.shape[-1]
  shape = coords.y.shape[:-1] + (height, width)
  y = xp.broadcast_to(coords.y[..., :, None], shape)
  x = xp.broadcast_to(coords.x[..., None, :], shape)
  return xp.stack([y, x], axis=-1)


def batched(coords: Coords, batch: int) -> Coords:
  """Gives query points a leading batch axis where they have none."""
  if isinstance(coords, Axes):
    return Axes(*(_with_batch(v, 1, batch) for v in coords))
  return _with_batch(coords, 3, batch)


def _with_batch(values: Array, rank: int, batch: int) -> Array:
  if values.ndim == rank:
    return jnp.broadcast_to(values, (batch, *values.shape))
  if values.ndim != rank + 1 or values.shape[0] not in (1, batch):
    raise ValueError(
      f"query points of shape {values.shape} do not fit a batch of {batch}"
    )
  return jnp.broadcast_to(values, (batch, *values.shape[1:]))


def query_shape(coords: Coords) -> tuple[int, int]:
  """Returns (H, W), the shape in which the query points are arranged."""
  if isinstance(coords, Axes):
    return coords.y.shape[-1], coords.x.shape[-1]
  return coords.shape[-3], coords.shape[-2]


def to_index(coord: Array, n: int) -> Array:
  """Returns the fractional cell index of a coordinate: centre i maps to i."""
  return ((coord + 1.0) * n - 1.0) / 2.0


def to_coord(index: Array, n: float | int) -> Array:
  """Returns the coordinate of a fractional cell index, `to_index` undone."""
  return (2.0 * index + 1.0) / n - 1.0


def _require_scale(scale: float | int) -> None:
  if not np.isfinite(scale) or scale < 1:
    raise ValueError(
      f"scale must be a finite number of at least 1, got {scale}"
    )


def scaled_shape(shape: tuple[int, int], scale: float | int) -> tuple[int, int]:
  """Returns the shape `scale` times finer, each side rounded to a cell.

  Raises:
    ValueError: `scale` is below 1 or not finite.
  """
  _require_scale(scale)
  return pair(int(np.floor(n * scale + 0.5)) for n in shape)


def coarse_shape(shape: tuple[int, int], scale: float | int) -> tuple[int, int]:
  """Returns the shape `scale` times coarser, each side rounded, at least 1."""
  _require_scale(scale)
  return pair(max(1, int(np.floor(n / scale + 0.5))) for n in shape)


def scale_of(cell: Array, shape: tuple[int, int]) -> Array:
  """Returns how many query cells fit in one cell of the input, (y, x), [.. 2].

  Args:
    cell: size of a query cell, [.. 2].
    shape: (h, w) of the input field.
  """
  return (2.0 / np.asarray(shape, np.float32)) / cell


def window(
  start: Any,
  count: int,
  extent_start: Any,
  extent: Any,
) -> np.ndarray:
  """Returns coordinates of fine cells relative to a window of the fine grid.

  Args:
    start: index of the first fine cell asked for.
    count: how many contiguous fine cells.
    extent_start: fine index at which the window begins (its left cell edge).
    extent: length of the window in fine cells, fractional allowed.

  Returns:
    [count] float32; a cell centred within the window lies in (-1, 1). Numbers
    of each window of a batch, [b 1], give [b count].
  """
  centers = start + np.arange(count) + 0.5 - extent_start
  return (2.0 * centers / extent - 1.0).astype(np.float32)
