"""Which cells an interpolation reads at a position, and what each weighs.

A kernel K of radius r reads an axis of n cells at the fractional index u as
sum_i K((u - i) / stretch) x_i, its weights normalised to sum to one. `stretch`
above 1 widens the kernel: that is antialiased reduction. Cells beyond an end
are folded back by the boundary rule, so constants are kept exactly; only "zero"
lets them fade.

NumPy positions give NumPy weights (constants, the data pipeline); traced
positions give traced weights, hence windows anywhere in one compilation.
"""

import jax
import numpy as np

from hinote_jax.core import kernels, naming
from hinote_jax.core.typing import Array

# What stands beyond an end; the last two are not folds of the axis.
FOLDS = ("edge", "mirror", "reflect", "wrap")
BOUNDARIES = (*FOLDS, "drop", "zero")

KERNELS = kernels.KERNELS
# These ask how long an output cell is: they cannot be read at points.
OF_CELLS = ("area", "area_torch", "nearest_torch")
METHODS = ("nearest", *OF_CELLS, *KERNELS)
# An overlap of cells below this is a rounding error.
_TOUCH = 1e-6


def at(
  u: Array, *, method: str, stretch: float | np.ndarray = 1.0
) -> tuple[Array, Array]:
  """Returns which cells a method reads at each position, and their weights.

  Args:
    u: positions in input index, [..].
    method: one of `METHODS`. "area" averages the output cell; "area_torch"
      averages alike all input cells that it touches; "nearest_torch" reads the
      cell that its lower edge lies in.
    stretch: width of the kernel in input cells; above 1 it antialiases. For
      `OF_CELLS` it is the length of the output cell. Where it is an array,
      [..], the widest kernel has t taps and the last of the others weigh 0.

  Returns:
    index [.. t], which may lie outside the axis (see `bounded`), and weight
    [.. t], which sums to 1 over t.
  """
  naming.look_up("method", method, dict.fromkeys(METHODS))
  xp, half = kernels.namespace(u), 0.5 * stretch
  if method in ("nearest", "nearest_torch"):
    u = u - half + 0.5 if method == "nearest_torch" else u + 0.5
    # Ties go up; float32 coordinates may put one a little below.
    index = xp.floor(u + 1e-4).astype(np.int32)[..., None]
    return index, xp.ones_like(u)[..., None]
  is_area = method in OF_CELLS
  radius = half + 0.5 if is_area else KERNELS[method].radius * stretch
  count = int(np.ceil(2.0 * np.max(radius))) + 1
  first = xp.ceil(u - radius)
  index = first[..., None] + np.arange(count, dtype=np.float32)
  offset = u[..., None] - index
  if np.ndim(stretch):
    half, stretch = half[..., None], stretch[..., None]  # pyright: ignore
  if is_area:
    upper = xp.minimum(offset + half, 0.5)
    weight = xp.maximum(upper - xp.maximum(offset - half, -0.5), 0.0)
    if method == "area_torch":
      weight = xp.where(weight > _TOUCH, 1.0, 0.0)
  else:
    weight = KERNELS[method].values(offset / stretch)
  return index.astype(np.int32), weight / _total(weight)


def _total(weight: Array) -> Array:
  """Returns the sum of weights [.. t] over the taps, [.. 1]."""
  if isinstance(weight, jax.Array):
    return weight.sum(-1, keepdims=True)
  # Term by term: taps that weigh 0 and follow leave the last digit as it is.
  return np.cumsum(weight, axis=-1)[..., -1:]


def fold(index: Array, n: int, boundary: str) -> Array:
  """Brings indices outside an axis of n cells back into it.

  Args:
    index: integers, any shape.
    n: number of cells.
    boundary: one of `FOLDS`. "edge" repeats the end cell, "mirror" reflects
      about the outer cell edge (half-sample symmetric), "reflect" about the
      centre of the end cell (whole-sample symmetric), "wrap" is periodic.
  """
  naming.look_up("boundary", boundary, dict.fromkeys(FOLDS))
  xp = kernels.namespace(index)
  if boundary == "edge":
    return xp.clip(index, 0, n - 1)
  if boundary == "wrap":
    return index % n
  if boundary == "mirror":
    index = index % (2 * n)
    return xp.where(index < n, index, 2 * n - 1 - index)
  period = max(2 * n - 2, 1)
  index = index % period
  return xp.where(index < n, index, period - index)


def bounded(
  index: Array, weight: Array, n: int, boundary: str
) -> tuple[Array, Array]:
  """Brings taps outside an axis of n cells back into it.

  Args:
    index: of `at`, [.. t].
    weight: of `at`, [.. t].
    n: number of cells.
    boundary: one of `BOUNDARIES`: a rule of `fold`; or "drop", which leaves
      taps outside out and lets the others sum to 1, for positions within the
      axis; or "zero", which takes cells outside as 0.
  """
  naming.look_up("boundary", boundary, dict.fromkeys(BOUNDARIES))
  if boundary in FOLDS:
    return fold(index, n, boundary), weight
  xp = kernels.namespace(index)
  weight = xp.where((index >= 0) & (index < n), weight, 0.0)
  if boundary == "drop":
    weight = weight / _total(weight)
  return fold(index, n, "edge"), weight


def read(
  u: Array, n: int, *, method: str, stretch: float = 1.0, boundary: str
) -> tuple[Array, Array]:
  """Returns which cells of an axis of n are read at each position, [.. t].

  As `at`, bounded; a point on the outer edge of the axis is within it.
  """
  index, weight = at(u, method=method, stretch=stretch)
  if method != "nearest" or boundary != "zero":
    return bounded(index, weight, n, boundary)
  # Here a tie that went up would have left the axis.
  is_within = (u >= -0.5) & (u <= n - 0.5)
  weight = kernels.namespace(u).where(is_within[..., None], weight, 0.0)
  return fold(index, n, "edge"), weight


def radius(method: str, stretch: float = 1.0) -> float:
  """Returns how far, in input cells, a method reads from a point."""
  known = KERNELS.get(method)
  return known.radius * stretch if known else 0.5 * stretch + 0.5
