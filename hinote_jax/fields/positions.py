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
