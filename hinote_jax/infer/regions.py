"""The regions of a result in a Zarr store, on the disk once they are written.

Either the store is the result itself, or one array that a format is then made
from, row by row.
"""

import itertools
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax.fields import field as fields
from hinote_jax.io import inputs, stores, xarray_files


class Final:
  """Regions of the Zarr store that is the result."""

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
    chunks = None if tuple(tile) == header.shape else tuple(tile)
    xarray_files.create(path, header, chunks=chunks)

  def write(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> None:
    """Packs and writes a tile [r k c] of field i.

    Raises:
      OSError: it cannot be written.
      ValueError: a value does not fit the type of its variable.
    """
    self._regions.write(i, rows, columns, values)
    at = np.unravel_index(i, tuple(self._leads.values()))
    index = dict(zip(self._leads, map(int, at), strict=True))
    index |= dict(zip(self._axes, (rows, columns), strict=True))
    for slot in self._regions.slots:
      _flush(slot.array, [index[dim] for dim in slot.dims])


class Plain:
  """Regions of one array [count H W c] of float32, NaN where missing.

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
    if tuple(tile) == header.shape:
      tile = stores.chunks(header.shape, channels, 4)
    inputs.require("zarr", "io").create_array(
      path,
      shape=(header.count, *header.shape, channels),
      chunks=(1, *tile, channels),
      dtype=np.float32,
      fill_value=np.nan,
      compressors=None,
    )

  def write(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> None:
    """Writes a tile [r k c] of field i.

    Raises:
      OSError: it cannot be written.
    """
    index = [i, rows, columns, slice(0, self.array.shape[-1])]
    self.array[tuple(index)] = values
    _flush(self.array, index)


class Rows:
  """The plain regions as a format reads them, turned where that is asked.

  Attributes:
    shape: (count, H, W, c).
  """

  def __init__(self, array: Any, is_turned: tuple[bool, bool]):
    """Wraps an array [count H W c]; says which of (y, x) to reverse."""
    self.shape = array.shape
    self._array, self._turns = array, is_turned

  def __getitem__(self, index: tuple[int, slice]) -> np.ndarray:
    i, rows = index
    start, stop, _ = rows.indices(self.shape[1])
    if self._turns[0]:
      start, stop = self.shape[1] - stop, self.shape[1] - start
    values = self._array[i, start:stop]
    axes = [axis for axis in (0, 1) if self._turns[axis]]
    return np.flip(values, axes)


def _flush(array: Any, index: list[int | slice]) -> None:
  """Waits until the chunks of a region of a Zarr array are on the disk."""
  root = pathlib.Path(array.store.root) / array.path
  spans = [
    range(at.start // n, -(-at.stop // n)) if isinstance(at, slice) else (at,)
    for at, n in zip(index, array.chunks, strict=True)
  ]
  for place in itertools.product(*spans):
    chunk = root / array.metadata.encode_chunk_key(place)
    # A chunk of nothing but the fill value has no file.
    if chunk.exists():
      with open(chunk, "rb") as file:
        os.fsync(file.fileno())
