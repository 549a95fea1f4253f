"""Faithful results: degraded, a fine field gives its input back.

Among the fields x' with D x' = y, D the degradation and y the input, the one
nearest to the prediction x is

    x' = x + D^T z,   z = (D D^T)^-1 (y - D x).

D is one matrix an axis, D = A_y kron A_x, hence D D^T = G_y kron G_x with the
Gram matrices G = A A^T, which are bands as wide as a kernel; of a kernel in two
dimensions D is a sum of such products. Both D x and D^T z are sums over tiles:
x is never held. z is coarse.

    residual = projection.residual()
    for rows, columns, tile in tiles:
      residual.add(rows, columns, tile)
    z = residual.solve(lowres)
    for rows, columns, tile in tiles:
      tile += projection.correction(rows, columns, z)

What D all but removes comes back amplified, the rounding of the input with it.
Hence z is found by conjugate residuals that stop once the input is met to a
tolerance. What stands for (D D^T)^-1 in them is made by `inverses`: where D is
a convolution and a decimation at whole scales, the closed form itself, met in a
step or a few; else (G_y + e)^-1 kron (G_x + e)^-1, for a sum that of its
largest product: a few steps without a blur, some fifteen where cells of the
input are missing, up to hundreds for a blur of a coarse cell. A wider one is
refused where it cannot be undone.
"""

import functools
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.degradations import matrices, pipeline
from hinote_jax.infer import inverses, krylov

_STEPS = 1000
# Of the largest residual: for an input without a range.
_ROUNDING = 1e-7
# Of the largest entry of a Gram matrix: rounding of its float64.
_NOTHING = 1e-15


def starts(
  y: grids.Line,
  x: grids.Line,
  coarse_shape: tuple[int, int],
  periodic: Periodic,
  nodes: Periodic = (False, False),
) -> tuple[float, float]:
  """Returns the fine cell edges (y, x) at which the coarse grid begins.

  0 where both begin at one edge; on a periodic axis they need not.

  Args:
    y: rows of the result.
    x: columns of the result.
    coarse_shape: (h, w) of the input.
    periodic: whether the (y, x) axis closes on itself.
    nodes: whether it has nodes at both ends, as poles are.

  Raises:
    ValueError: the points of an axis do not cover its whole extent.
  """
  edges = []
  both = zip("yx", (y, x), coarse_shape, periodic, nodes, strict=True)
  for axis, line, n, is_periodic, has_nodes in both:
    # The coarse edge, -0.5, as an edge of fine cells.
    start = 0.5 - (0.5 + line.first) / line.step
    is_met = line.is_whole(n) and (abs(start) < 1e-6 or is_periodic)
    if has_nodes:
      last = line.first + line.step * (line.count - 1)
      start, is_met = 0.0, abs(line.first) + abs(last - (n - 1)) < 1e-6
    if not is_met:
      raise ValueError(
        "--consistent needs a result over the whole extent of cells: along "
        f"{axis} the {line.count} points, from {line.first:g} in steps of "
        f"{line.step:g}, do not divide the {n} cells of the input; ask for "
        "all of it, by a scale or a shape, or leave --consistent out"
      )
    edges.append(float(start) if abs(start) >= 1e-6 else 0.0)
  return grids.pair(edges)


class Projection:
  """The nearest fine field whose degradation is a given coarse one.

  "uniform" reads single cells and so corrects single cells: the correction is
  as smooth as the degradation's kernel.
  """

  def __init__(
    self,
    degradation: pipeline.Degradation,
    fine_shape: tuple[int, int],
    coarse_shape: tuple[int, int],
    periodic: Periodic,
    *,
    start: tuple[float | int, float | int] = (0.0, 0.0),
    nodes: Periodic = (False, False),
    tolerance: float = 5e-6,
  ):
    """Makes the matrices and factors of both axes.

    Args:
      degradation: D; its noise is left out.
      fine_shape: (H, W), at least (h, w).
      coarse_shape: (h, w), over the same extent.
      periodic: whether the (y, x) axis closes on itself.
      start: fine cell edges (y, x) at which the coarse grid begins.
      nodes: of `matrices.whole`.
      tolerance: how far the degraded result may be from the input, as a
        fraction of the range of each channel.

    Raises:
      ValueError: the degradation is not linear, or the fine grid is the
        coarser one.
    """
    if not degradation.is_linear:
      raise ValueError(
        f"--consistent cannot undo {degradation}: it takes magnitudes and is "
        "not linear; name another degradation or leave --consistent out"
      )
    if any(m < n for m, n in zip(fine_shape, coarse_shape, strict=True)):
      raise ValueError(
        "--consistent needs a result at least as fine as the input: it has "
        f"{tuple(fine_shape)} cells, the input {tuple(coarse_shape)}"
      )
    self.degradation = degradation
    self.fine_shape = tuple(fine_shape)
    self.coarse_shape = tuple(coarse_shape)
    self.tolerance = tolerance
    terms = matrices.whole(
      degradation, fine_shape, coarse_shape, periodic, start=start, nodes=nodes
    )
    self._axes = [[matrix.tocsc() for matrix in axis] for axis in terms]
    # D D^T: all products of a term with one transposed.
    self._grams = [
      [_gram(a, b) for a in axis for b in axis] for axis in self._axes
    ]
    self._inverse = inverses.of(
      degradation,
      self._grams,
      fine_shape,
      coarse_shape,
      periodic,
      start=start,
      nodes=nodes,
    )

  @classmethod
  def of_lines(
    cls,
    degradation: pipeline.Degradation,
    y: grids.Line,
    x: grids.Line,
    coarse_shape: tuple[int, int],
    periodic: Periodic,
    **options: Any,
  ) -> "Projection":
    """Returns the projection of a result at the points (y, x).

    Raises:
      ValueError: the points are not cells over the whole extent (`starts`).
    """
    nodes = options.get("nodes", (False, False))
    options["start"] = starts(y, x, coarse_shape, periodic, nodes)
    fine_shape = y.count, x.count
    return cls(degradation, fine_shape, coarse_shape, periodic, **options)

  def residual(self) -> "Residual":
    """Returns an empty sum of the degradations of tiles."""
    return Residual(self)

  def degrade(
    self, rows: slice, columns: slice, values: Float[Array, "r s c"]
  ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Degrades a fine field that is 0 outside one tile.

    Args:
      rows: of the tile, in the fine grid.
      columns: of the tile.
      values: of the tile.

    Returns:
      rows and columns of the coarse cells where it is not 0; the values there,
      float64.
    """
    (iy, along_y), (ix, along_x) = self._tile(rows, columns)
    cells = iy[:, None], ix[None, :]
    return cells, _sum(along_y, along_x, np.asarray(values))

  def correction(
    self, rows: slice, columns: slice, z: Float[np.ndarray, "h w c"]
  ) -> Float[np.ndarray, "r s c"]:
    """Returns D^T z on one tile of the fine field, float64: add it there."""
    (iy, along_y), (ix, along_x) = self._tile(rows, columns)
    along_y, along_x = ([m.T for m in axis] for axis in (along_y, along_x))
    return _sum(along_y, along_x, z[np.ix_(iy, ix)])

  def __call__(
    self, highres: Float[Array, "H W c"], lowres: Float[Array, "h w c"]
  ) -> Float[np.ndarray, "H W c"]:
    """Returns the projection of a field that is held whole, in its type."""
    highres, whole = np.asarray(highres), slice(None)
    residual = self.residual()
    residual.add(whole, whole, highres)
    z = residual.solve(lowres)
    return (highres + self.correction(whole, whole, z)).astype(highres.dtype)

  def multipliers(
    self, target: Float[np.ndarray, "h w c"], limit: Float[np.ndarray, " c"]
  ) -> Float[np.ndarray, "h w c"]:
    """Returns z with D D^T z = target where target is not NaN, 0 elsewhere.

    Args:
      target: y - D x, float64; NaN imposes nothing.
      limit: largest error allowed, a channel.

    Raises:
      ValueError: it cannot be met.
    """
    known = ~np.isnan(target)
    target = np.where(known, target, 0.0)
    grams_y, grams_x = self._grams

    def apply(z):
      return np.where(known, _sum(grams_y, grams_x, z), 0.0)

    def precondition(z):
      return np.where(known, self._inverse(z), 0.0)

    def is_met(residual, _):
      return np.abs(residual).max((0, 1)) <= limit

    z, met = krylov.conjugate_residuals(
      apply, precondition, target, is_met, steps=_STEPS
    )
    error = np.abs(target - apply(z)).max((0, 1))
    # What the iteration carries along drifts where z is very large: what
    # counts is what is met in the end.
    if not met.all() or np.any(error > 2.0 * limit):
      i = int(np.argmax(error / np.maximum(limit, np.finfo(float).tiny)))
      raise ValueError(
        f"no field was found that {self.degradation} takes to the input: after "
        f"{_STEPS} steps channel {i} is {error[i]:.2g} off where "
        f"{limit[i]:.2g} was asked; this degradation removes waves that the "
        "input holds: name the one that made the input, or leave --consistent "
        "out"
      )
    return z

  def _tile(self, rows, columns):
    """Returns, an axis, the coarse cells that a tile touches and matrices."""
    axes = []
    for terms, part in zip(self._axes, (rows, columns), strict=True):
      cuts = [matrix[:, part] for matrix in terms]
      used = np.unique(np.concatenate([cut.indices for cut in cuts]))
      axes.append((used, [cut.tocsr()[used] for cut in cuts]))
    return axes


class Residual:
  """y - D x of a fine field x that comes in tiles, summed in float64."""

  def __init__(self, projection: Projection):
    """Begins an empty sum; see `Projection.residual`."""
    self._projection = projection
    self._degraded: np.ndarray | None = None
    self._cells = 0

  def add(
    self, rows: slice, columns: slice, values: Float[Array, "r s c"]
  ) -> None:
    """Adds one tile; the tiles cover the fine field once.

    Args:
      rows: of the tile, in the fine grid.
      columns: of the tile.
      values: what was predicted there, before missing cells are put back.
    """
    where, degraded = self._projection.degrade(rows, columns, values)
    if self._degraded is None:
      shape = (*self._projection.coarse_shape, values.shape[-1])
      self._degraded = np.zeros(shape)
    self._degraded[where] += degraded
    self._cells += values.shape[0] * values.shape[1]

  def solve(self, lowres: Float[Array, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """Returns z = (D D^T)^-1 (lowres - D x), float64, for `correction`.

    A cell of the input that is NaN imposes nothing: its row is dropped from D
    and z is 0 there. Known cells whose kernel reaches over a coast read what x
    holds beyond it.

    Raises:
      ValueError: the tiles did not cover the fine field, the shapes differ,
        values of the fine field are NaN, or the input cannot be met.
    """
    lowres = np.asarray(lowres, np.float64)
    total = int(np.prod(self._projection.fine_shape))
    if self._cells != total or self._degraded is None:
      raise ValueError(
        f"the tiles hold {self._cells} cells, the fine field has {total}: add "
        "each cell once before solving"
      )
    if lowres.shape != self._degraded.shape:
      raise ValueError(
        f"the input has the shape {lowres.shape}, the degraded result "
        f"{self._degraded.shape}"
      )
    if not np.isfinite(self._degraded).all():
      raise ValueError(
        "the fine field holds values that are not finite: make it consistent "
        "before its missing cells are put back"
      )
    target = lowres - self._degraded
    full = _largest(lowres) + _largest(-lowres)
    limit = np.maximum(
      self._projection.tolerance * full, _ROUNDING * _largest(np.abs(target))
    )
    return self._projection.multipliers(target, limit)


class Mean:
  """The mean of a field that comes in tiles, a channel, NaN left out."""

  def __init__(self):
    """Begins with no values."""
    self._sum: np.ndarray | float = 0.0
    self._count: np.ndarray | int = 0

  def add(self, values: Float[Array, "r s c"]) -> None:
    """Adds one tile, summed in float64."""
    values = np.asarray(values)
    self._sum = self._sum + np.nansum(values, axis=(0, 1), dtype=np.float64)
    self._count = self._count + np.sum(~np.isnan(values), axis=(0, 1))

  def value(self) -> Float[np.ndarray, " c"]:
    """Returns the mean of what was added, float64; NaN of no values."""
    count = np.maximum(self._count, 1)
    return np.where(np.asarray(self._count) > 0, self._sum / count, np.nan)

  def shift(self, lowres: Float[Array, "h w c"]) -> Float[np.ndarray, " c"]:
    """Returns what to add to the field to give it the mean of the input.

    Both are plain means over cells that are not missing; 0 for a channel in
    which one of them has none. In float32 the shifted mean is the input's to
    half a unit in the last place.
    """
    coarse = Mean()
    coarse.add(lowres)
    return np.nan_to_num(coarse.value() - self.value())


def _largest(values):
  """Returns the largest value of each channel, NaN left out; 0 of none."""
  largest = np.max(
    values, axis=(0, 1), initial=-np.inf, where=~np.isnan(values)
  )
  return np.where(np.isfinite(largest), largest, 0.0)


def _gram(a, b):
  """Returns a b^T without what is rounding: truncate leaves little else."""
  gram = (a @ b.T).tocsr()
  size = np.abs(gram.data)
  gram.data[size < _NOTHING * size.max(initial=0.0)] = 0.0
  gram.eliminate_zeros()
  return gram


def _sum(along_y, along_x, values):
  """Returns the sum over pairs of sparse matrices, one an axis, of [h w c]."""
  terms = [
    inverses.along(x.__matmul__, inverses.along(y.__matmul__, values))
    for y, x in zip(along_y, along_x, strict=True)
  ]
  return functools.reduce(np.add, terms)
