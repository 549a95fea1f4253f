"""A result on its way: a folder beside it, with which a killed run goes on.

  manifest.json  what is being made, as text, and a name of this attempt
  store/         the regions, fields.zarr, and the size of a tile, layout.json
  done/i/y.x     empty: this tile of field i is on the disk
  done/i/all     empty: all of them are
  lock           held by the process that is at work
  result.*       the file, whole
  finished.json  what tells it from another file, once it is whole
  stop           empty: nobody is to write any more

A region that is written again is the same, so that several processes may
write. Nothing of it is seen under the name of the result before the end.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any
import uuid

import numpy as np

from hinote_jax.fields import field as fields
from hinote_jax.infer import regions
from hinote_jax.io import files, formats, inputs

_MANIFEST = "manifest.json"
_LOCK = "lock"
_FIELDS = "fields.zarr"
_ALL = "all"
# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class OtherTiles(ValueError):
  """The regions that are there are of other tiles."""


class GivenUp(OSError):
  """The attempt that a region belongs to is over."""


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


class Staging:
  """The folder of one result.

  Attributes:
    path: of the result.
    folder: beside it.
    is_final: whether the regions are those of the result itself.
    attempt: that the regions belong to; `begin` finds it.
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
    self.path, self.is_final, self.attempt = path, is_final, ""
    self.folder = path.with_name(f"{path.name}.partial")
    self._header, self._store, self._is_new_parent = header, None, False
    self._done, self._stop = self.folder / "done", self.folder / "stop"
    self._finished = self.folder / "finished.json"
    self._kind = regions.Final if is_final else regions.Plain
    self._result = self.folder / f"result{formats.suffix(path)}"

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Makes the folder and keeps other processes from it.

    Raises:
      FileExistsError: another process makes the same file, or the folder is of
        something else.
      OSError: it cannot be written.
    """
    self._make()
    names = [entry.name for entry in self.folder.iterdir()]
    ours = (_LOCK, _MANIFEST)
    if _MANIFEST not in names and not all(n.startswith(ours) for n in names):
      raise FileExistsError(
        f"{self.folder} is in the way and holds no {_MANIFEST}: move it"
      )
    with self._writing():
      lock = open(self.folder / _LOCK, "w")
    with lock:
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

  def _make(self):
    parent = self.folder.parent
    self._is_new_parent = not parent.exists()
    try:
      parent.mkdir(exist_ok=True)
      self.folder.mkdir(exist_ok=True)
    except OSError as error:
      raise OSError(
        f"cannot write beside {self.path} ({error.strerror}): give OUT another "
        "place"
      ) from error

  def begin(self, manifest: Mapping[str, str]) -> list[str] | None:
    """Goes on with what is there if it is of the same manifest, else afresh.

    Returns:
      the items in which what was there differs, it is gone then; none where
      there was nothing; or None to go on.
    """
    attempt, found = self._manifest()
    is_lost = self._finished.exists() and not self.is_finished
    if found == manifest and not is_lost:
      files.remove(self._stop)
      self.attempt = attempt
      return None
    self.clear()
    self.attempt = uuid.uuid4().hex
    text = json.dumps([self.attempt, dict(manifest)], indent=2) + "\n"
    with self._writing():
      files.write_text(self.folder / _MANIFEST, text)
    if found is None:
      return []
    both = sorted({*found, *manifest})
    changed = [key for key in both if found.get(key) != manifest.get(key)]
    return changed or ["finished file"]

  def is_of(self, manifest: Mapping[str, str]) -> bool:
    """Says whether the file is whole and of this manifest."""
    return self.is_finished and self._manifest()[1] == manifest

  def _manifest(self) -> tuple[str, Mapping[str, Any] | None]:
    """Returns the attempt and the items, None where there are none."""
    try:
      attempt, items = json.loads((self.folder / _MANIFEST).read_text())
    except FileNotFoundError:
      return "", None
    except (ValueError, TypeError):
      return "", {"manifest": "damaged"}
    return attempt, items

  def give_up(self) -> None:
    """Keeps all processes from writing on."""
    # On a full disk there may be no room for it; nothing else is written then.
    with contextlib.suppress(OSError):
      self._stop.touch()

  def require_going(self) -> None:
    """Raises GivenUp if nobody waits for the regions any more."""
    if self._stop.exists() or self._manifest()[0] != self.attempt:
      raise GivenUp(f"nobody waits for {self.path} any more")

  def clear(self) -> None:
    """Removes all but the folder and its lock."""
    self._store = None
    self.give_up()
    # In this order: what a process that is killed leaves is as it says.
    for entry in (self._finished, self._done):
      files.remove(entry)
    if (store := self.folder / "store").exists():
      store.rename(self.folder / f"store.{uuid.uuid4().hex}")
    for entry in self.folder.iterdir():
      if entry.name not in (_LOCK, _MANIFEST):
        files.remove(entry)
    files.remove(self.folder / _MANIFEST)

  def remove(self) -> None:
    """Removes the folder."""
    if self.folder.is_dir():
      self.clear()
      shutil.rmtree(self.folder)
    if self._is_new_parent:
      # It stays where something else is in it by now.
      with contextlib.suppress(OSError):
        self.folder.parent.rmdir()

  def open(self, tile: tuple[int, int]) -> None:
    """Opens the regions, which are made if they are not there.

    Args:
      tile: (rows, columns) of a tile; those at the far end may have fewer.
    """
    folder = self.folder / "store"
    if not folder.exists():
      with self._writing():
        self._create(folder, tile)
    self._store = self._kind(folder / _FIELDS, self._header)

  def _create(self, folder, tile):
    new = self.folder / f"store.{uuid.uuid4().hex}"
    new.mkdir()
    (new / "layout.json").write_text(json.dumps(list(tile)))
    self._kind.create(new / _FIELDS, self._header, tile)
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
  ) -> bool:
    """Writes a tile of field i, and then that it is there; once.

    Returns:
      whether it was not there.

    Raises:
      GivenUp: nobody waits for it.
      OSError: it cannot be written.
      OtherTiles: it is none of the tiles of which there are regions.
      ValueError: a value does not fit the type of its variable.
    """
    if self.has(i, rows, columns):
      return False
    self.require_going()
    for part, size, n in zip(
      (rows, columns), self._layout(), self._header.shape, strict=True
    ):
      if part.start % size or part.stop != min(part.start + size, n):
        raise self._other_tiles()
    folder = self._done / str(i)
    with self._writing():
      self._store.write(i, rows, columns, values)
      folder.mkdir(parents=True, exist_ok=True)
      (folder / f"{rows.start}.{columns.start}").touch()
    return True

  def has(self, i: int, rows: slice, columns: slice) -> bool:
    """Says whether a tile of field i is there."""
    folder = self._done / str(i)
    marker = folder / f"{rows.start}.{columns.start}"
    return marker.exists() or (folder / _ALL).exists()

  def _other_tiles(self) -> OtherTiles:
    return OtherTiles(
      f"the regions in {self.folder}, of {self._layout()} points, are not of "
      "the tiles of this machine: they were made on one of another kind"
    )

  @contextlib.contextmanager
  def _writing(self):
    try:
      yield
    except OSError as error:
      raise OSError(
        f"cannot write in {self.folder} ({inputs.line(error)})"
      ) from error

  def complete(self, i: int) -> None:
    """Notes that all of field i is there, in place of its tiles.

    Raises:
      OtherTiles: it is not.
    """
    if self.count(i) != self.tiles:
      raise self._other_tiles()
    folder = self._done / str(i)
    with self._writing():
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
    return any(names for _, _, names in os.walk(self._done))

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
      return self.folder / "store" / _FIELDS
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
        store = self._kind(self.folder / "store" / _FIELDS, self._header)
        save(self._result, store.array)
      with self._writing():
        files.write_text(self._finished, json.dumps(identity(self._whole)))
    if self._whole.exists():
      files.replace(self._whole, self.path)
    self._store = None
    for entry in (self.folder / "store", self._done):
      files.remove(entry)
