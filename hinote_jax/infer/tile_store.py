"""The tiles of a result in a Zarr store, on the disk once they are written.

Either the store is the result itself, or one array that a format is then made
from, row by row. A chunk is a tile, so that several processes may write at
once; a digest of its files tells whether a tile is still what was written.
"""

from collections.abc import Iterator
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.io import files, inputs, stores, xarray_files


class TileStore:
  """Tiles that are written in any order, each as often as one likes.

  Attributes:
    array: [count H W c] float32 of zarr, NaN where missing; None where the
      store is the result.
  """

  def __init__(
    self, path: pathlib.Path, header: fields.Header, *, is_result: bool
  ):
    """Opens the store that `create` has made with these arguments."""
    self._regions = self.array = None
    if is_result:
      self._regions = xarray_files.open_regions(path, header.names)
    else:
      self.array = inputs.require("zarr", "io").open_array(path, mode="r+")

  @staticmethod
  def create(
    path: pathlib.Path,
    header: fields.Header,
    tile: tuple[int, int],
    *,
    is_result: bool,
  ) -> None:
    """Makes the store, its chunks as large as a tile; less of a whole field."""
    chunks = None if tile == header.shape else tile
    if is_result:
      xarray_files.create(path, header, chunks=chunks)
      return
    channels = len(header.variables)
    chunks = chunks or stores.chunks(header.shape, channels, 4)
    inputs.require("zarr", "io").create_array(
      path,
      shape=(header.count, *header.shape, channels),
      chunks=(1, *chunks, channels),
      dtype=np.float32,
      fill_value=np.nan,
      compressors=None,
    )

  def write(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> str:
    """Writes a tile [r k c] of field i.

    Returns:
      its digest.

    Raises:
      OSError: it cannot be written.
      ValueError: a value does not fit the type of its variable.
    """
    if self._regions is not None:
      self._regions.write(i, rows, columns, values)
    elif self.array is not None:
      self.array[i, rows, columns] = values
    return self.digest(i, rows, columns)

  def digest(self, i: int, rows: slice, columns: slice) -> str:
    """Returns the SHA-256 of the files of a tile, which are on the disk then.

    Raises:
      OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in self._chunks(i, rows, columns):
      # A chunk of nothing but the fill value has no file.
      if chunk.exists():
        # On some systems only what is open for writing can be flushed.
        with open(chunk, "rb+") as file:
          os.fsync(file.fileno())
          contents = file.read()
        digest.update(f"{chunk.name} {len(contents)}\n".encode() + contents)
    return digest.hexdigest()

  def erase(self, i: int, rows: slice, columns: slice) -> None:
    """Removes the files of a tile.

    The rest of a chunk that is written in part would be read from its file.
    """
    for chunk in self._chunks(i, rows, columns):
      files.remove(chunk)

  def _chunks(self, i, rows, columns) -> Iterator[pathlib.Path]:
    if self._regions is None:
      yield from stores.chunk_files(self.array, (i, rows, columns, slice(0, 1)))
      return
    header = self._regions.header
    at = map(int, np.unravel_index(i, header.lead_shape))
    index = {lead.name: k for lead, k in zip(header.leads, at, strict=True)}
    index |= {header.y.name: rows, header.x.name: columns}
    for slot in self._regions.slots:
      yield from stores.chunk_files(
        slot.array, tuple(index[dim] for dim in slot.dims)
      )


class Rows:
  """Plain tiles as a format reads them, turned where that is asked.

  Attributes:
    shape: (count, H, W, c).
  """

  def __init__(self, array: Any, is_turned: tuple[bool, bool]):
    """Wraps an array [count H W c]; says which of (y, x) to reverse."""
    self.shape = array.shape
    self._array, self._is_turned = array, is_turned

  def __getitem__(self, index: tuple[int, slice]) -> np.ndarray:
    i, rows = index
    start, stop, _ = rows.indices(self.shape[1])
    if self._is_turned[0]:
      start, stop = self.shape[1] - stop, self.shape[1] - start
    values = self._array[i, start:stop]
    axes = tuple(axis for axis in (0, 1) if self._is_turned[axis])
    return np.flip(values, axes)
