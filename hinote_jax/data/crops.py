"""Windows of fields, normalised while they are copied; few fields before."""

from collections.abc import Sequence
import functools

import numpy as np

from hinote_jax.data import normalise
from hinote_jax.degradations import pipeline

_KEPT = 1 << 27  # bytes of fields that are normalised once


class Crops:
  """Normalised windows of fields [t H W c], which may go around.

  Rows of a window are handled as one run of W c numbers: c numbers at a time
  would take several times longer.
  """

  def __init__(self, values: np.ndarray, normaliser: normalise.Normaliser):
    *_, self._height, self._width, self._channels = values.shape
    # As an array, for each view of a memory map costs microseconds.
    self._values = np.asarray(values)
    self._rows = self._values.reshape(len(values), self._height, -1)
    self._normaliser = normaliser
    self._statistics = {}

  def put(self, field: int, start: Sequence[int], out: np.ndarray) -> None:
    """Writes the window that begins at (y, x) = start to out [h w c]."""
    flat, c = out.reshape(len(out), -1), self._channels
    for to_y, from_y in _runs(start[0], out.shape[0], self._height):
      for to_x, from_x in _runs(start[1], out.shape[1], self._width):
        columns = slice(from_x.start * c, from_x.stop * c)
        part = flat[to_y, to_x.start * c : to_x.stop * c]
        if self._kept is not None:
          part[:] = self._kept[field, from_y, columns]
        else:
          self._write(self._rows[field, from_y, columns], part)

  def window(
    self, field: int, start: Sequence[int], shape: tuple[int, int]
  ) -> np.ndarray:
    """Returns the window of a shape that begins at (y, x) = start, [h w c]."""
    out = np.empty((*shape, self._channels), np.float32)
    self.put(field, start, out)
    return out

  def normalised(
    self, field: int, iy: np.ndarray, ix: np.ndarray
  ) -> np.ndarray:
    """Returns the rows iy and columns ix of a field, [m n c]."""
    if self._kept is not None:
      whole = self._kept[field].reshape(self._values.shape[1:])
      return pipeline.take(whole, iy, ix)
    cells = pipeline.take(self._values[field], iy, ix)
    flat = cells.reshape(len(cells), -1)
    out = np.empty(flat.shape, np.float32)
    self._write(flat, out)
    return out.reshape(cells.shape)

  @functools.cached_property
  def _kept(self) -> np.ndarray | None:
    """Returns all fields, normalised, [t H W*c], where they are small."""
    if 4 * self._rows.size > _KEPT:
      return None
    kept = np.empty(self._rows.shape, np.float32)
    for values, out in zip(self._rows, kept, strict=True):
      self._write(values, out)
    return kept

  def _write(self, values, out):
    mean, std = self._of(values.shape[1] // self._channels)
    np.subtract(values, mean, out=out)
    np.divide(out, std, out=out)

  def _of(self, width):
    """Returns mean and deviation of rows that are so wide."""
    if width not in self._statistics:
      self._statistics[width] = tuple(
        np.tile(np.asarray(values, np.float32), width)
        for values in (self._normaliser.mean, self._normaliser.std)
      )
    return self._statistics[width]


def _runs(start, count, n) -> list[tuple[slice, slice]]:
  """Returns contiguous runs of `count` cells from `start` on, around n cells.

  Each as where it goes and where it comes from.
  """
  start %= n
  runs, done = [], 0
  while done < count:
    length = min(count - done, n - start)
    runs.append((slice(done, done + length), slice(start, start + length)))
    done, start = done + length, 0
  return runs
