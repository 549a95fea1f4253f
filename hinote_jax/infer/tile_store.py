"""The tiles of a result in a Zarr store, on the disk once they are written.

Either the store is the result itself, or one array that a format is then made
from, row by row. A chunk is a tile, so that several processes may write at
once; a digest of its files tells whether a tile is still what was written.
"""

from collections.abc import Iterator
import hashlib
import itertools
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax.fields import field as fields
from hinote_jax.io import files, inputs, stores, xarray_files


class TileStore:
  """Tiles that are written in any order, each as often as one likes."""

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
    self._put(i, rows, columns, values)
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

  def _put(self, i, rows, columns, values) -> None:
    raise NotImplementedError

  def _chunks(self, i, rows, columns) -> Iterator[pathlib.Path]:
    raise NotImplementedError


class ResultTiles(TileStore):
  """Tiles of the Zarr store that is the result."""

  def __init__(self, path: pathlib.Path, header: fields.Header):
    """Opens the store that `create` has made with this header."""
    self._regions = xarray_files.open_regions(path, header.names)
    header = self._regions.header
    self._axes = header.y.name, header.x.name
    self._leads = {lead.name: lead.size for lead in header.leads}

  @staticmethod
  def create(
    path: pathlib.Path, header: fields.Header, tile: tuple[int, int]
  ) -> None:
    """Makes the store, its chunks as large as a tile."""
    chunks = None if tile == header.shape else tile
    xarray_files.create(path, header, chunks=chunks)

  def _put(self, i, rows, columns, values):
    self._regions.write(i, rows, columns, values)

  def _chunks(self, i, rows, columns):
    at = np.unravel_index(i, tuple(self._leads.values()))
    index = dict(zip(self._leads, map(int, at), strict=True))
    index |= dict(zip(self._axes, (rows, columns), strict=True))
    for slot in self._regions.slots:
      yield from _chunks(slot.array, [index[dim] for dim in slot.dims])


class PlainTiles(TileStore):
  """Tiles of one array [count H W c] of float32, NaN where missing.

  Attributes:
    array: of zarr.
  """

  def __init__(self, path: pathlib.Path, header: fields.Header):
    """Opens the array that `create` has made with this header."""
    del header  # one array knows its shape
    self.array = inputs.require("zarr", "io").open_array(path, mode="r+")

  @staticmethod
  def create(
    path: pathlib.Path, header: fields.Header, tile: tuple[int, int]
  ) -> None:
    """Makes the array, its chunks as large as a tile."""
    channels = len(header.variables)
    if tile == header.shape:
      tile = stores.chunks(header.shape, channels, 4)
    inputs.require("zarr", "io").create_array(
      path,
      shape=(header.count, *header.shape, channels),
      chunks=(1, *tile, channels),
      dtype=np.float32,
      fill_value=np.nan,
      compressors=None,
    )

  def _put(self, i, rows, columns, values):
    self.array[i, rows, columns] = values

  def _chunks(self, i, rows, columns):
    return _chunks(self.array, [i, rows, columns, slice(0, 1)])


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


def _chunks(array: Any, index: list[int | slice]) -> Iterator[pathlib.Path]:
  """Yields the files of the chunks of a region of a Zarr array."""
  root = pathlib.Path(array.store.root) / array.path
  spans = [
    range(at.start // n, -(-at.stop // n)) if isinstance(at, slice) else (at,)
    for at, n in zip(index, array.chunks, strict=True)
  ]
  for place in itertools.product(*spans):
    yield root / array.metadata.encode_chunk_key(place)
