"""Values on one even grid, averaged over the cells of any other.

The mean over a box is a difference of the integral of the values,

    F(y, x) = integral from the first corner to (y, x),

which is exact for values that are constant within their cells. A box narrower
than a cell is widened to one: that is linear interpolation.
"""

import dataclasses
import functools
import itertools
import logging

import numpy as np
from scipy import ndimage

from hinote_jax.data import reprojection
from hinote_jax.fields import axes, positions

_BLOCK = 1 << 24  # numbers of an intermediate result at once
_COARSER = 0.75  # cells of a raster that a cell asked for has at least


@dataclasses.dataclass(frozen=True, eq=False)
class Raster:
  """Channels on a grid.

  Attributes:
    name: for messages.
    values: [h w c], finite.
    y: where the rows lie.
    x: where the columns lie.
  """

  name: str
  values: np.ndarray
  y: axes.Axis
  x: axes.Axis

  def on(self, y: axes.Axis, x: axes.Axis) -> np.ndarray:
    """Returns the means over the cells of another grid, [H W c] float32.

    Cells are even in their own coordinates: a degree of latitude weighs the
    same everywhere, as it does in the degradations. On its own grid, which need
    not be even, they are the values.

    Raises:
      ValueError: the other grid is in other units, or reaches beyond this; or
        this is uneven and the other is not the same.
    """
    grids = (self.y, self.x), (y, x)
    places = reprojection.between(self.name, *grids)
    if places is not None:
      parts = self.name, self._integral, *grids, places
      values, spans = reprojection.Reprojected(*parts).means()
      for axis, span in zip(grids[0], spans, strict=True):
        if span < _COARSER:
          step = abs(axis.step)
          _say_coarse(self.name, axis.name, step, float(span) * step)
      return np.clip(values, *self._range)
    if all(itertools.starmap(_is_one, zip(*grids, strict=True))):
      return np.asarray(self.values, np.float32)
    low_y, high_y = self._edges(self.y, y)
    low_x, high_x = self._edges(self.x, x)
    integral, channels = self._integral, self.values.shape[-1]
    out = np.empty((len(y), len(x), channels), np.float32)
    step = max(1, _BLOCK // max(1, integral.shape[1] * channels))
    for start in range(0, len(y), step):
      rows = slice(start, start + step)
      band = _mean(integral, low_y[rows], high_y[rows], self.y, axis=0)
      out[rows] = _mean(band, low_x, high_x, self.x, axis=1)
    # A mean lies within the range, which differences of sums miss by rounding.
    return np.clip(out, *self._range)

  @functools.cached_property
  def _range(self) -> tuple[np.ndarray, np.ndarray]:
    low, high = self.values.min((0, 1)), self.values.max((0, 1))
    return low.astype(np.float32), high.astype(np.float32)

  @functools.cached_property
  def _integral(self) -> np.ndarray:
    sums = np.cumsum(np.cumsum(self.values, 0, dtype=np.float64), 1)
    return np.pad(sums, ((1, 0), (1, 0), (0, 0)))

  def _edges(self, own: axes.Axis, other: axes.Axis):
    """Returns both edges of the other's cells, in cells of this axis."""
    steps = np.diff(own.values)
    if np.any(np.abs(steps - own.step) > 0.01 * abs(own.step)):
      raise ValueError(
        f"{self.name}: the steps of its {own.name} are uneven, and means are "
        "taken over cells of even grids: it can be told on its own grid alone"
      )
    bounds = (np.sort(other.bounds(), axis=-1) - own.values[0]) / own.step
    bounds = np.sort(bounds, axis=-1) + 0.5
    n, is_closed = len(own), reprojection.is_closed(own)
    if own.is_longitude and not is_closed:
      turn = positions.TURN / abs(own.step)
      bounds = bounds - np.rint((bounds.mean() - n / 2) / turn) * turn
    centre, width = bounds.mean(-1), bounds[:, 1] - bounds[:, 0]
    if np.median(width) < _COARSER:
      _say_coarse(self.name, own.name, abs(own.step), abs(other.step))
    half = np.maximum(width, 1.0) / 2
    if is_closed:
      return centre - half, centre + half
    if centre.min() < -0.01 or centre.max() > n + 0.01:
      raise ValueError(
        f"{self.name} covers {own.name} from {own.values[0]:g} to "
        f"{own.values[-1]:g} and the fields reach from {other.values[0]:g} to "
        f"{other.values[-1]:g}: give one that covers them"
      )
    return np.clip(centre - half, 0, n), np.clip(centre + half, 0, n)


def _is_one(axis: axes.Axis, other: axes.Axis) -> bool:
  return len(axis) == len(other) and axis.differs_at(other) is None


@functools.cache  # once for each pair of sizes
def _say_coarse(name, axis, own, asked) -> None:
  if name == "climatology":  # of the training part: no other is to be had
    return
  logging.getLogger(__name__).warning(
    "%s has cells of %g along %s and is asked for at %g: it is interpolated, "
    "and tells nothing finer than its own",
    name,
    own,
    axis,
    asked,
  )


def filled(name: str, values: np.ndarray) -> tuple[np.ndarray, float]:
  """Returns values without holes, each that of the nearest cell, and the share.

  Raises:
    ValueError: a channel has no values.
  """
  is_missing = ~np.isfinite(values)
  if not is_missing.any():
    return values, 0.0
  out = values.copy()
  for c in range(values.shape[-1]):
    if is_missing[..., c].all():
      raise ValueError(f"{name} is missing everywhere")
    y, x = ndimage.distance_transform_edt(  # pyright: ignore[reportGeneralTypeIssues]
      is_missing[..., c], return_distances=False, return_indices=True
    )
    out[..., c] = values[y, x, c]
  return out, float(is_missing.mean())


def _mean(integral, low, high, own: axes.Axis, axis: int) -> np.ndarray:
  """Returns the means between edges along an axis of the integral."""
  values = _at(integral, high, own, axis) - _at(integral, low, own, axis)
  shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
  return values / np.maximum(high - low, 1e-12).reshape(shape)


def _at(integral, position, own: axes.Axis, axis: int) -> np.ndarray:
  """Returns the integral up to positions along an axis, linear in between."""
  n = integral.shape[axis] - 1
  is_closed = reprojection.is_closed(own)
  turns = np.floor(position / n) if is_closed else np.zeros(len(position))
  position = position - turns * n
  below = np.clip(np.floor(position).astype(int), 0, n - 1)
  shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
  part = (position - below).reshape(shape)
  first = np.take(integral, below, axis)
  values = first + part * (np.take(integral, below + 1, axis) - first)
  whole = np.take(integral, [n], axis)
  return values + turns.reshape(shape) * whole
