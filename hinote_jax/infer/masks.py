"""Missing values: filled before the network, put back on the finer grid.

A missing value is NaN, channel by channel. `fill` extends the known cells
smoothly over the missing ones; `restore` says which fine cells are missing.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from hinote_jax.core import grids, taps
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.infer import krylov

# Where the filling stops, of the range of the known values; the distance to
# the harmonic field was up to five times that on 721 x 1440 cells.
_TOLERANCE = 5e-7
_STEPS = 200
# Cells along a side of the blocks that become one cell of a coarser level, and
# how many cells the coarsest level may have.
_BLOCK = 3
_COARSEST = 400


class _Level(NamedTuple):
  """One level of the hierarchy: its equations and the way to the next one.

  Attributes:
    matrix: the equations, [n n].
    damping: the weight of a Jacobi step in each cell, [n 1].
    prolong: from the next level, [n m].
    restrict: to the next level, [m n].
  """

  matrix: sparse.csr_array
  damping: np.ndarray
  prolong: sparse.csr_array
  restrict: sparse.csr_array


def fill(
  values: Float[Array, "h w c"],
  periodic: Periodic,
  names: Sequence[str] = (),
) -> Float[np.ndarray, "h w c"]:
  """Replaces missing cells by a smooth extension of the known ones.

  The extension is harmonic: each filled cell is the mean of its neighbours
  (Laplace's equation on the cells, whatever their shape in metres). It joins
  the known cells without a jump and has no extremes of its own; no gradient
  leaves through a wall. It is met to 1e-5 of the range of the known values.

  Args:
    values: NaN where missing, in each channel for itself.
    periodic: whether the (y, x) axis closes on itself.
    names: of the channels, for messages.

  Returns:
    A copy in the same type; known cells are as they were, bit by bit.

  Raises:
    ValueError: a channel has no known value, or an infinite one.
  """
  out = np.array(values)
  missing = np.isnan(out)
  for i in range(out.shape[-1]):
    name = f"{i} ({names[i]!r})" if names else f"{i}"
    if missing[..., i].all():
      raise ValueError(
        f"channel {name} of the field is missing everywhere: there is nothing "
        "to fill it from; leave it out"
      )
    if np.isinf(out[..., i]).any():
      raise ValueError(
        f"channel {name} of the field has infinite values: mark them as "
        "missing, NaN, or mend them"
      )
  left = [i for i in range(out.shape[-1]) if missing[..., i].any()]
  while left:
    mask = missing[..., left[0]]
    alike = [i for i in left if np.array_equal(missing[..., i], mask)]
    left = [i for i in left if i not in alike]
    channels = out[..., alike]
    channels[mask] = _harmonic(channels, mask, periodic)
    out[..., alike] = channels
  return out


def restore(
  mask: Bool[Array, "h w c"],
  y: grids.Line,
  x: grids.Line,
  periodic: Periodic,
  *,
  rows: slice = slice(None),
  columns: slice = slice(None),
) -> Bool[np.ndarray, "r s c"]:
  """Says which points of a finer grid are missing.

  A fine cell is missing where the coarse cell that its centre lies in is
  missing; a centre on the edge between two belongs to the one after it, and
  points beyond a wall to the last one before it.

  Args:
    mask: True where the input is missing.
    y: the rows of the result.
    x: the columns of the result.
    periodic: whether the (y, x) axis closes on itself.
    rows: the window of the rows to return.
    columns: the window of the columns to return.
  """
  mask = np.asarray(mask)
  iy, ix = (
    _nearest(line, n, is_periodic)[part]
    for line, n, is_periodic, part in zip(
      (y, x), mask.shape[:2], periodic, (rows, columns), strict=True
    )
  )
  return mask[iy][:, ix]


def _nearest(line: grids.Line, n: int, is_periodic: bool) -> np.ndarray:
  boundary = "wrap" if is_periodic else "edge"
  index, _ = taps.read(line.index(), n, method="nearest", boundary=boundary)
  return np.asarray(index[..., 0])


def _harmonic(values, missing, periodic):
  """Returns the extension [n c] to the n missing cells, in order of rows.

  Args:
    values: channels that are missing in the same cells, [h w c].
    missing: those cells, [h w].
    periodic: whether the (y, x) axis closes on itself.
  """
  known = values[~missing]
  low, high = known.min(0), known.max(0)
  # Against the first known value, so that constants are met exactly.
  origin = known[0].astype(np.float64)
  shifted = np.where(missing[..., None], 0.0, values - origin)
  matrix, coast = _equations(missing, periodic)
  target = coast @ shifted.reshape(missing.size, -1)
  levels, coarsest = _levels(matrix, np.argwhere(missing))
  limit = _TOLERANCE * (high.astype(np.float64) - low)

  def is_met(_, guess):
    # A preconditioned residual is near the error itself.
    return np.abs(guess).max(0) <= limit

  x, met = krylov.conjugate_residuals(
    matrix.__matmul__,
    lambda v: _cycle(levels, coarsest, v),
    target,
    is_met,
    steps=_STEPS,
  )
  assert met.all(), f"no harmonic extension in {_STEPS} steps"
  return np.clip((x + origin).astype(values.dtype), low, high)


def _equations(missing, periodic):
  """Returns Laplace's equation as two matrices: matrix @ x = coast @ known.

  Returns:
    matrix: [n n], the neighbours of each missing cell less those that are
      missing themselves; symmetric and positive.
    coast: [n h*w], the neighbours that are known.
  """
  cells = np.arange(missing.size).reshape(missing.shape)
  pairs = []
  for axis, is_periodic in enumerate(periodic):
    n = missing.shape[axis]
    count = n if is_periodic and n > 1 else n - 1
    one = np.take(cells, np.arange(count), axis).ravel()
    other = np.take(cells, (np.arange(count) + 1) % n, axis).ravel()
    pairs += [(one, other), (other, one)]
  at, beside = (np.concatenate(v) for v in zip(*pairs, strict=True))
  missing = missing.ravel()
  at, beside = at[missing[at]], beside[missing[at]]
  number = np.cumsum(missing) - 1
  n, is_inner = int(missing.sum()), missing[beside]

  def gather(chosen, columns, width):
    places = (number[at[chosen]], columns[chosen])
    ones = np.ones(np.count_nonzero(chosen))
    return sparse.csr_array((ones, places), shape=(n, width))

  degree = np.bincount(number[at], minlength=n).astype(np.float64)
  inner = gather(is_inner, number[beside], n)
  coast = gather(~is_inner, beside, missing.size)
  return (sparse.diags_array(degree) - inner).tocsr(), coast


def _levels(matrix, place):
  """Returns a hierarchy of equations by smoothed aggregation, finest first.

  Blocks of 3 x 3 cells, those of them that are missing, become one unknown;
  Vanek, Mandel, Brezina, Computing 56 (1996), 179.

  Args:
    matrix: [n n].
    place: row and column of each unknown, [n 2].

  Returns:
    the levels, and the factors of the coarsest equations.
  """
  levels = []
  while matrix.shape[0] > _COARSEST:
    n, diagonal = matrix.shape[0], matrix.diagonal()
    largest = np.max(abs(matrix).sum(1) / diagonal)
    damping = 4.0 / (3.0 * largest * diagonal)
    blocks, width = place // _BLOCK, place[:, 1].max() + 1
    names, member = np.unique(
      blocks[:, 0] * width + blocks[:, 1], return_inverse=True
    )
    steps = sparse.csr_array(
      (np.ones(n), member, np.arange(n + 1)), shape=(n, len(names))
    )
    smooth = sparse.diags_array(damping) @ (matrix @ steps)
    prolong = (steps - smooth).tocsr()
    restrict = prolong.T.tocsr()
    levels.append(_Level(matrix, damping[:, None], prolong, restrict))
    matrix = (restrict @ (matrix @ prolong)).tocsr()
    place = np.stack([names // width, names % width], axis=1)
  return levels, linalg.splu(matrix.tocsc())


def _cycle(levels, coarsest, target):
  """Returns one symmetric V-cycle from 0: about the solution for `target`."""
  if not levels:
    return coarsest.solve(target)
  level, *rest = levels
  x = level.damping * target
  left = level.restrict @ (target - level.matrix @ x)
  x = x + level.prolong @ _cycle(rest, coarsest, left)
  return x + level.damping * (target - level.matrix @ x)


def require_none(values: np.ndarray) -> None:
  """Refuses a field with missing values.

  Raises:
    ValueError: a value is not finite.
  """
  is_bad = ~np.isfinite(values)
  if is_bad.any():
    first = tuple(int(i) for i in np.argwhere(is_bad)[0])
    raise ValueError(
      f"{is_bad.sum()} of {values.size} values of the field are not finite, "
      f"the first at index {first}: fill them before"
    )
