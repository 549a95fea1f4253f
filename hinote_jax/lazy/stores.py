"""Where lazy grids keep their values: in memory, or in a scratch file.

The file is read and written by windows, never mapped: mapped pages count as
memory of the process, and what is asked of a stream is that it uses little.
"""

import os
import tempfile

import numpy as np


class Store:
  """Values [b H W c] float32 that are read and written by windows."""

  def __init__(self, shape: tuple[int, int, int, int], *, is_scratch: bool):
    """Makes a store.

    Args:
      shape: (b, H, W, c).
      is_scratch: keep the values in a temporary file, gone with the store.

    Raises:
      OSError: the temporary folder is full or cannot be written.
    """
    self.shape = tuple(shape)
    self._array = self._file = None
    if is_scratch:
      # Unbuffered: a window is many short rows, far from one another.
      self._file = tempfile.TemporaryFile(prefix="hinote_jax.", buffering=0)
      size = 4 * int(np.prod(shape, dtype=np.int64))
      if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(self._file.fileno(), 0, size)
      else:
        self._file.truncate(size)
    else:
      self._array = np.empty(shape, np.float32)

  @classmethod
  def of(cls, values: np.ndarray) -> "Store":
    """Returns the store of an array, which it keeps."""
    store = cls.__new__(cls)
    store.shape, store._file = values.shape, None
    store._array = np.asarray(values, np.float32)
    return store

  @property
  def bytes_in_memory(self) -> int:
    """What the values take of the process's memory."""
    return 0 if self._array is None else self._array.nbytes

  def write(self, y: int, x: int, values: np.ndarray) -> None:
    """Writes a window [b h w c] that begins at row y and column x."""
    _, height, width, _ = values.shape
    if self._array is not None:
      self._array[:, y : y + height, x : x + width] = values
      return
    assert self._file is not None
    for b, rows in enumerate(np.ascontiguousarray(values, np.float32)):
      for i, row in enumerate(rows):
        self._file.seek(self._offset(b, y + i, x))
        if self._file.write(row.tobytes()) != row.nbytes:
          raise OSError(f"cannot write to the scratch file {tempfile.tempdir}")

  def read(self, start: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Returns a window [b h w c]; beyond the ends it goes around.

    Args:
      start: first row and column, any integers.
      shape: (h, w), any size.
    """
    b, height, width, c = self.shape
    if self._array is not None:
      inside = all(
        0 <= a and a + n <= m
        for a, n, m in zip(start, shape, (height, width), strict=True)
      )
      if inside:
        rows, columns = (
          slice(a, a + n) for a, n in zip(start, shape, strict=True)
        )
        return self._array[:, rows, columns]
    out = np.empty((b, *shape, c), np.float32)
    for to_y, from_y, rows in _runs(start[0], shape[0], height):
      for to_x, from_x, columns in _runs(start[1], shape[1], width):
        piece = self._piece(from_y, rows, from_x, columns)
        out[:, to_y : to_y + rows, to_x : to_x + columns] = piece
    return out

  def _piece(self, y, rows, x, columns):
    if self._array is not None:
      return self._array[:, y : y + rows, x : x + columns]
    assert self._file is not None
    b, _, _, c = self.shape
    out = np.empty((b, rows, columns, c), np.float32)
    for k in range(b):
      for i in range(rows):
        self._file.seek(self._offset(k, y + i, x))
        self._file.readinto(memoryview(out[k, i]).cast("B"))
    return out

  def _offset(self, b, y, x):
    _, height, width, c = self.shape
    return 4 * c * ((b * height + y) * width + x)


def _runs(start: int, count: int, n: int):
  """Yields contiguous pieces of a window around an axis: to, from, length."""
  done = 0
  while done < count:
    at = (start + done) % n
    length = min(count - done, n - at)
    yield done, at, length
    done += length
