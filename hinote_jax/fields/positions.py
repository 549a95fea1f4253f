"""Positions along an axis as a file gives them, put right.

Longitudes that jump by 360 degrees are unrolled, poles that rounding has moved
are put in their place, and steps that are not even are found.
"""

import numpy as np

POLE = 90.0
TURN = 360.0
# Positions may be off by this much of a step: what float32 does to degrees.
ROUNDING = 1e-3


def checked(
  values: np.ndarray,
  dtype: np.dtype,
  *,
  is_latitude: bool,
  is_longitude: bool,
  where: str,
) -> tuple[np.ndarray, bool]:
  """Returns positions put right, [n] float64, and whether they are even.

  Args:
    values: positions, float64.
    dtype: of them in the file.
    is_latitude: whether poles are at -90 and 90.
    is_longitude: whether 360 degrees are a turn.
    where: the file and the axis, for messages.

  Raises:
    ValueError: they are no row of finite numbers, or lie beyond a pole.
  """
  if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
    raise ValueError(
      f"{where} of shape {values.shape} must be one row of finite positions"
    )
  # What the type of the file cannot tell apart is no unevenness.
  is_float = dtype.kind == "f" and dtype.itemsize < 8
  largest = np.abs(values).max().astype(dtype)
  grain = float(np.spacing(largest)) if is_float else 0.0
  steps = np.diff(values)
  is_faulty = fault(steps, grain) is not None
  if is_faulty and is_longitude and fault(turned(steps), grain) is None:
    turns = np.cumsum(np.rint((turned(steps) - steps) / TURN))
    values = values + TURN * np.concatenate([[0.0], turns])
    steps, is_faulty = np.diff(values), False
  near = ROUNDING * (float(np.abs(steps).mean()) if len(steps) else 1.0)
  if not is_latitude:
    return values, not is_faulty
  if (beyond := np.abs(values) > POLE + near).any():
    i = int(np.argmax(beyond))
    raise ValueError(f"{where} {values[i]:g} at index {i} lies beyond the pole")
  return with_poles(values, near), not is_faulty


def by_bounds(
  values: np.ndarray, bounds: np.ndarray, is_longitude: bool
) -> tuple[str | None, float | None, np.ndarray]:
  """Returns what the bounds of cells say that their positions do not.

  Args:
    values: positions, [n] float64.
    bounds: of the cells, [n 2]; where they are not as many, or the cells are
      uneven or do not tile an axis, they say nothing.
    is_longitude: whether 360 degrees are a turn.

  Returns:
    "nodes" where the outer cells are half as wide, "cells" where all are even,
    None where nothing is said; where in its cell a position lies, None for the
    middle of a whole cell, or a node; and the middles or nodes.
  """
  nothing = None, None, values
  if bounds.shape != (len(values), 2) or len(values) < 3:
    return nothing
  jumps = np.zeros(len(values))
  if is_longitude:
    bounds = bounds - TURN * np.rint((bounds - values[:, None]) / TURN)
    jumps[1:] = TURN * np.cumsum(np.rint(np.diff(values) / TURN))
  bounds, unrolled = bounds - jumps[:, None], values - jumps
  low, high = bounds.T
  if np.sum(high - low) * (unrolled[-1] - unrolled[0]) < 0:
    low, high = high, low
  size = high - low
  step = np.median(size[1:-1])
  near = 0.01 * abs(step)
  is_tiled = np.all(np.abs(high[:-1] - low[1:]) <= near)
  if not near > 0 or not is_tiled or np.abs(size[1:-1] - step).max() > near:
    return nothing
  ends, part = size[[0, -1]] / step, (unrolled - low) / size
  label = float(np.round(part.mean(), 6)) if np.ptp(part) <= 0.02 else None
  is_middle = label is not None and abs(label - 0.5) <= 0.01
  if np.all(np.abs(ends - 1.0) <= 0.01):
    if label is None or is_middle:
      return "cells", None, values
    return "cells", label, 0.5 * (low + high) + jumps
  nodes = np.concatenate([low[:1], 0.5 * (low + high)[1:-1], high[-1:]])
  if np.any(np.abs(ends - 0.5) > 0.01):
    return nothing
  if np.abs(nodes - unrolled).max() <= near:
    return "nodes", None, values
  return ("nodes", 0.5, nodes + jumps) if is_middle else nothing


def edges(
  values: np.ndarray,
  extent: tuple[float, float],
  step: float,
  *,
  is_latitude: bool,
) -> np.ndarray:
  """Returns the bounds of cells, [n 2], half way between positions.

  Args:
    values: positions, [n].
    extent: the first and the last edge.
    step: from one position to the next.
    is_latitude: whether nothing lies beyond 90 degrees.
  """
  middles = 0.5 * (values[:-1] + values[1:])
  ends = np.concatenate([extent[:1], middles, extent[1:]])
  if is_latitude:
    ends = with_poles(ends, ROUNDING * abs(step))
  return np.stack([ends[:-1], ends[1:]], axis=-1)


def wrapped(values: np.ndarray, turn: float, step: float) -> np.ndarray:
  """Returns longitudes within a whole turn from `turn` on."""
  near = ROUNDING * abs(step)
  return values - TURN * np.floor((values - turn + near) / TURN)


def turned(steps: np.ndarray) -> np.ndarray:
  """Returns steps of longitude the short way around."""
  return (steps + TURN / 2) % TURN - TURN / 2


def fault(steps: np.ndarray, grain: float = 0.0) -> tuple[int, str] | None:
  """Returns after which index steps are unsorted or uneven, and which."""
  if not len(steps):
    return None
  typical = np.median(steps)
  is_against = steps * typical <= 0
  if is_against.any():
    return int(np.argmax(is_against)), "unsorted"
  off = np.abs(steps - typical)
  is_off = off > 0.01 * abs(typical) + grain
  return (int(np.argmax(off)), "uneven") if is_off.any() else None


def with_poles(values: np.ndarray, near: float) -> np.ndarray:
  """Returns latitudes of which those near a pole, or beyond, lie on it."""
  is_at = np.abs(values) >= POLE - near
  return np.where(is_at, np.copysign(POLE, values), values)
