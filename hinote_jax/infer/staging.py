"""A result on its way: a folder beside it, with which a killed run goes on.

  manifest.json  what is being made, as plain values
  store/         the regions, fields.zarr, and the size of a tile, layout.json
  done/i/y.x     empty: this tile of field i is on the disk
  done/i/all     empty: all of them are
  lock           held by the process that is at work
  result.*       the file, whole
  finished.json  what tells it from another file, once it is whole

A region that is written again is the same, so that several processes may
write. Nothing of it is seen under the name of the result before the end.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import shutil
from typing import Any
import uuid

import numpy as np

from hinote_jax import files
from hinote_jax.io import fields, formats, inputs, stores, xarray_files

_MANIFEST = "manifest.json"
_LOCK = "lock"
_ALL = "all"
# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class OtherTiles(ValueError):
  """The regions that are there are of other tiles."""


def identity(path: pathlib.Path) -> str:
  """Returns what tells a file or folder from others, wherever it lies.

  A digest of sizes and times; contents are not read.
  """
  found = sorted(path.rglob("*")) if path.is_dir() else [path]
  digest = hashlib.sha256()
  for file in found:
    if not file.is_dir():
      stat = file.stat()
      name = file.relative_to(path).as_posix()
      digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
  return digest.hexdigest()


class _Final:
  """Regions of the Zarr store that is the result."""

  def __init__(self, path: pathlib.Path, names: tuple[str, ...]):
    self._regions = xarray_files.open_regions(path, names)
    header = self._regions.header
    self._axes = header.y.name, header.x.name
    self._leads = {lead.name: lead.size for lead in header.leads}

  def write(self, i, rows, columns, values):
    self._regions.write(i, rows, columns, values)
    at = np.unravel_index(i, tuple(self._leads.values()))
    index = dict(zip(self._leads, map(int, at), strict=True))
    index |= dict(zip(self._axes, (rows, columns), strict=True))
    for slot in self._regions.slots:
      _flush(slot.array, [index[dim] for dim in slot.dims])


class _Plain:
  """Regions of one array [count H W c], in float32."""

  def __init__(self, path: pathlib.Path, mode: str = "r+"):
    self.array = inputs.require("zarr", "io").open_array(path, mode=mode)

  def write(self, i, rows, columns, values):
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


class Staging:
  """The folder of one result.

  Attributes:
    path: of the result.
    folder: beside it.
    is_final: whether the regions are those of the result itself.
  """

  def __init__(
    self, path: pathlib.Path, header: fields.Header, *, is_final: bool
  ):
    """Names the folder; nothing is made yet.

    Args:
      path: of the result.
      header: of the regions.
      is_final: write them as the result has them, a Zarr store; else plainly.
    """
    self.path, self.is_final = path, is_final
    self.folder = path.with_name(f"{path.name}.partial")
    self._header, self._store = header, None
    self._done = self.folder / "done"
    self._finished = self.folder / "finished.json"
    self._result = self.folder / f"result{formats.suffix(path)}"

  # At work.

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Makes the folder and keeps other processes from it.

    Raises:
      FileExistsError: another process makes the same file, or the folder is of
        something else.
      OSError: it cannot be written.
    """
    self.folder.mkdir(parents=True, exist_ok=True)
    names = [entry.name for entry in self.folder.iterdir()]
    ours = (_LOCK, _MANIFEST)
    if _MANIFEST not in names and not all(n.startswith(ours) for n in names):
      raise FileExistsError(
        f"{self.folder} is in the way and holds no {_MANIFEST}: move it"
      )
    with open(self.folder / _LOCK, "w") as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError as error:
        raise FileExistsError(
          f"{self.path} is being made by another process: wait for it"
        ) from error
      except OSError as error:
        if error.errno not in _NO_LOCKS:
          raise
      yield

  def begin(self, manifest: Mapping[str, str]) -> list[str] | None:
    """Goes on with what is there if it is of the same manifest, else afresh.

    Returns:
      the items in which what was there differs, it is gone then; none where
      there was nothing; or None to go on.
    """
    found = self._manifest()
    if found == manifest and (self.is_finished or not self._finished.exists()):
      return None
    self.clear()
    text = json.dumps(dict(manifest), indent=2) + "\n"
    files.write_text(self.folder / _MANIFEST, text)
    if found is None:
      return []
    both = sorted({*found, *manifest})
    changed = [key for key in both if found.get(key) != manifest.get(key)]
    return changed or ["finished file"]

  def _manifest(self) -> Mapping[str, Any] | None:
    try:
      return json.loads((self.folder / _MANIFEST).read_text())
    except FileNotFoundError:
      return None
    except json.JSONDecodeError:
      return {"manifest": "damaged"}

  def clear(self) -> None:
    """Removes all but the folder and its lock."""
    self._store = None
    # First what says that the rest is of use.
    for name in (_MANIFEST, "finished.json"):
      (self.folder / name).unlink(missing_ok=True)
    for entry in self.folder.iterdir():
      if entry.name != _LOCK:
        files.remove(entry)

  def remove(self) -> None:
    """Removes the folder."""
    if self.folder.is_dir():
      self.clear()
      shutil.rmtree(self.folder)

  # Regions.

  def open(self, tile: tuple[int, int]) -> None:
    """Opens the regions, which are made if they are not there.

    Args:
      tile: (rows, columns) of a tile; those at the far end may have fewer.

    Raises:
      OtherTiles: those that are there are of other tiles.
    """
    folder = self.folder / "store"
    if not folder.exists():
      self._create(folder, tile)
    if self._layout() != list(tile):
      raise OtherTiles(
        f"the regions in {self.folder} are of {self._layout()} points and "
        f"tiles of {list(tile)}: they were made on a machine of another kind"
      )
    path = folder / "fields.zarr"
    if self.is_final:
      self._store = _Final(path, self._header.names)
    else:
      self._store = _Plain(path)

  def _create(self, folder, tile):
    header = self._header
    chunks = channels = None
    channels = len(header.variables)
    is_whole = tuple(tile) == header.shape
    new = self.folder / f"store.{uuid.uuid4().hex}"
    new.mkdir()
    (new / "layout.json").write_text(json.dumps(list(tile)))
    if self.is_final:
      chunks = None if is_whole else tuple(tile)
      xarray_files.create(new / "fields.zarr", header, chunks=chunks)
    else:
      chunks = stores.chunks(header.shape, channels, 4) if is_whole else tile
      inputs.require("zarr", "io").create_array(
        new / "fields.zarr",
        shape=(header.count, *header.shape, channels),
        chunks=(1, *chunks, channels),
        dtype=np.float32,
        fill_value=np.nan,
        compressors=None,
      )
    try:
      new.rename(folder)
    except OSError:
      # Another process was quicker.
      files.remove(new)
      if not folder.exists():
        raise

  def _layout(self) -> list[int] | None:
    path = self.folder / "store" / "layout.json"
    return json.loads(path.read_text()) if path.exists() else None

  @property
  def is_open(self) -> bool:
    """Whether regions may be put."""
    return self._store is not None

  @property
  def tiles(self) -> int | None:
    """How many tiles a field has; None as long as nobody knows."""
    layout = self._layout()
    if layout is None:
      return None
    y, x = (-(-n // t) for n, t in zip(self._header.shape, layout, strict=True))
    return y * x

  def put(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> None:
    """Writes a tile of field i, and then that it is there; once.

    Raises:
      OSError: it cannot be written; or the run was given up meanwhile.
      ValueError: a value does not fit the type of its variable.
    """
    folder = self._done / str(i)
    marker = folder / f"{rows.start}.{columns.start}"
    if marker.exists():
      return
    if not (self.folder / _MANIFEST).exists():
      raise FileNotFoundError(f"{self.folder} is gone: the run was given up")
    self._store.write(i, rows, columns, values)
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()

  def complete(self, i: int) -> None:
    """Notes that all of field i is there, in place of its tiles."""
    folder = self._done / str(i)
    (folder / _ALL).touch()
    for entry in folder.iterdir():
      if entry.name != _ALL:
        entry.unlink(missing_ok=True)

  def is_done(self, i: int) -> bool:
    """Says whether all of field i is there."""
    return (self._done / str(i) / _ALL).exists()

  def count(self, i: int) -> int:
    """Returns how many tiles of field i are there."""
    folder = self._done / str(i)
    if (folder / _ALL).exists():
      return self.tiles
    return len(list(folder.iterdir())) if folder.exists() else 0

  @property
  def has_regions(self) -> bool:
    """Whether any tile is there."""
    return self._done.exists() and any(self._done.rglob("*.*"))

  # The end.

  @property
  def is_finished(self) -> bool:
    """Whether the file is whole, here or in its place."""
    if not self._finished.exists():
      return False
    found = json.loads(self._finished.read_text())
    both = (self._whole, self.path)
    return any(p.exists() and identity(p) == found for p in both)

  @property
  def _whole(self) -> pathlib.Path:
    """Where the whole file is before it takes its place."""
    if self.is_final:
      return self.folder / "store" / "fields.zarr"
    return self._result

  def finish(self, save: Callable[[pathlib.Path, Any], None]) -> None:
    """Puts the file in its place; what it was made of is removed.

    Args:
      save: save(path, array) makes it of the regions, [count H W c], where
        they are not it.

    Raises:
      OSError: it cannot be written.
      ValueError: the format cannot hold a value.
    """
    if not self.is_finished:
      if self.is_final:
        # A write that was killed leaves its own file.
        for stray in self._whole.rglob("*.partial"):
          stray.unlink()
      else:
        for stray in self.folder.glob("result*"):
          files.remove(stray)
        save(self._result, _Plain(self.folder / "store/fields.zarr", "r").array)
      files.write_text(self._finished, json.dumps(identity(self._whole)))
    if self._whole.exists():
      files.replace(self._whole, self.path)
    self._store = None
    for entry in (self.folder / "store", self._done):
      files.remove(entry)


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
