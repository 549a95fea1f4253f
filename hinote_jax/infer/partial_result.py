"""A result in the making: a folder with which a run that was killed goes on.

  lock           held by the process that is at work
  manifest.json  what is being made, as text, and a name of this attempt
  store/         fields.zarr, a chunk a tile, and layout.json: its rows and
                 columns
  done/i/y.x     this tile of field i is on the disk: its digest
  result.*       the file, whole
  finished.json  the digest of the file, once it is whole, and its types
  stop           empty: nobody is to write any more

A tile that is written again is the same, so that several processes may write.
What has not its digest any more is made again. Nothing is seen under the name
of the result before the end.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import json
import os
import pathlib
import re
from typing import Any
import uuid

import numpy as np

from hinote_jax import fields
from hinote_jax.infer import tile_store
from hinote_jax.io import files, formats, inputs

_MANIFEST, _LOCK, _STOP = "manifest.json", "lock", "stop"
# What may be left without a manifest: a thread may still write a new store
# while its folder is removed.
_OURS = re.compile(rf"{_MANIFEST}|{_LOCK}|{_STOP}|store\.[0-9a-f]{{32}}$")


class OtherTiles(ValueError):
  """The tiles that are there are of another size."""


class GivenUp(OSError):
  """The attempt that a tile belongs to is over."""


class PartialResult:
  """The folder in which one result is made.

  Attributes:
    path: of the result.
    folder: beside it.
    is_result: whether the store is the result itself.
    attempt: that the tiles belong to; `begin` finds it.
    is_finished: whether the file is whole, here or in its place; `begin` and
      `finish` find out.
  """

  def __init__(
    self, path: pathlib.Path, header: fields.Header, *, is_result: bool
  ):
    """Names the folder; nothing is made yet.

    Args:
      path: of the result.
      header: of the tiles.
      is_result: write them as the result has them, a Zarr store; else plainly.
    """
    self.path, self.is_result = path, is_result
    self.attempt, self.is_finished = "", False
    self.folder = path.with_name(f"{path.name}.partial")
    self._header, self._is_new_parent = header, False
    self._store: tile_store.TileStore | None = None
    self._tiles = self.folder / "store" / "fields.zarr"
    self._layout = self.folder / "store" / "layout.json"
    self._done, self._stop = self.folder / "done", self.folder / _STOP
    self._finished = self.folder / "finished.json"
    result = self.folder / f"result{formats.suffix(path)}"
    # Where the whole file is before it takes its place.
    self._result = self._tiles if is_result else result

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
    if _MANIFEST not in names and not all(map(_OURS.match, names)):
      raise FileExistsError(
        f"{self.folder} is in the way and holds no {_MANIFEST}: move it"
      )
    taken = f"{self.path} is being made by another process: wait for it"
    with contextlib.ExitStack() as stack:
      try:
        stack.enter_context(files.locked(self.folder / _LOCK, taken))
      except FileExistsError:
        raise
      except OSError as error:
        raise self._unwritable(error) from error
      yield

  def _make(self) -> None:
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

  def begin(self, manifest: Mapping[str, str]) -> str | None:
    """Goes on with what is there if it is of the same manifest, else afresh.

    Returns:
      None to go on; else what was wrong with what was there, which is gone, or
      nothing where there was nothing.
    """
    attempt, known = self._manifest()
    self.is_finished = self._is_whole()
    if known == manifest and (self.is_finished or self._is_mended()):
      if not self.is_finished:
        files.remove(self._finished)
      files.remove(self._stop)
      self.attempt = attempt
      return None
    self.clear()
    self.attempt = uuid.uuid4().hex
    text = json.dumps([self.attempt, dict(manifest)], indent=2) + "\n"
    with self._writing():
      files.write_text(self.folder / _MANIFEST, text)
    if known is None:
      return ""
    both = sorted({*known, *manifest})
    changed = [key for key in both if known.get(key) != manifest.get(key)]
    return f"is of other {', '.join(changed)}" if changed else "is damaged"

  def is_of(self, manifest: Mapping[str, str]) -> bool:
    """Says whether the file is whole and of this manifest."""
    return self._manifest()[1] == manifest and self._is_whole()

  def _manifest(self) -> tuple[str, Mapping[str, Any] | None]:
    """Returns the attempt and the items, None where there are none."""
    try:
      attempt, items = json.loads((self.folder / _MANIFEST).read_text())
    except FileNotFoundError:
      return "", None
    except (ValueError, TypeError):
      return "", {"manifest": "damaged"}
    return attempt, items

  def _is_whole(self, *places: pathlib.Path) -> bool:
    """Says whether the file is as it was when it was finished."""
    if not self._finished.exists():
      return False
    text = self._finished.read_text(errors="replace")
    places = places or (self._result, self.path)
    return any(path.exists() and self._seal(path) == text for path in places)

  def _seal(self, path: pathlib.Path) -> str:
    """Returns what a whole file is known by: plain tiles serve other types."""
    types = (
      f"{v.dtype} {v.scale} {v.offset} {v.fill}" for v in self._header.variables
    )
    return "\n".join([files.digest(path), *types])

  def _is_mended(self) -> bool:
    """Writes again all of a store but its tiles; says whether that can be."""
    try:
      self._create(self._tile_shape())
    except FileNotFoundError:
      return not self.has_tiles
    except (ValueError, TypeError, ArithmeticError):
      return False
    return True

  def give_up(self) -> None:
    """Keeps all processes from writing on."""
    # On a full disk there may be no room for it; nothing else is written then.
    with contextlib.suppress(OSError):
      self._stop.touch()

  def require_going(self) -> None:
    """Raises GivenUp if nobody waits for the tiles any more."""
    if self._stop.exists() or self._manifest()[0] != self.attempt:
      raise GivenUp(f"nobody waits for {self.path} any more")

  def clear(self) -> None:
    """Removes all but the folder and its lock."""
    self._store, self.is_finished = None, False
    self.give_up()
    ours = (_LOCK, _MANIFEST, _STOP)
    for entry in self.folder.iterdir():
      if entry.name not in ours:
        files.remove(entry)
    # Last: without them the folder would be taken for something else's.
    for name in ours[1:]:
      files.remove(self.folder / name)

  def remove(self) -> None:
    """Removes the folder."""
    if self.folder.is_dir():
      self.clear()
      files.remove(self.folder)
    if self._is_new_parent:
      # It stays where something else is in it by now.
      with contextlib.suppress(OSError):
        self.folder.parent.rmdir()

  def _opened(self, tile: tuple[int, int]) -> tile_store.TileStore:
    """Returns the store, which is made if it is not there."""
    if not self._layout.exists():
      with self._writing():
        self._create(tile)
    return self._open()

  def _open(self) -> tile_store.TileStore:
    return tile_store.TileStore(
      self._tiles, self._header, is_result=self.is_result
    )

  def _create(self, tile):
    """Makes a store without tiles, around those that are there."""
    new, store = self.folder / f"store.{uuid.uuid4().hex}", self._tiles.parent
    new.mkdir()
    (new / self._layout.name).write_text(json.dumps(tile))
    path, is_result = new / self._tiles.name, self.is_result
    tile_store.TileStore.create(path, self._header, tile, is_result=is_result)
    try:
      new.rename(store)
    except OSError:
      # There is one: another process was quicker, or a run was killed.
      for path in files.below(new):
        os.replace(path, store / path.relative_to(new))
      files.remove(new)

  def _tile_shape(self) -> tuple[int, int]:
    height, width = json.loads(self._layout.read_text())
    return height, width

  @property
  def tiles(self) -> int:
    """How many tiles a field has; 0 as long as nobody knows."""
    if not self._layout.exists():
      return 0
    both = zip(self._header.shape, self._tile_shape(), strict=True)
    y, x = (-(-n // size) for n, size in both)
    return y * x

  def put(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> bool:
    """Writes a tile of field i, and then its digest; once.

    The first one says how large tiles are; those at the far ends may be less.

    Returns:
      whether it was not there.

    Raises:
      GivenUp: nobody waits for it.
      OSError: it cannot be written.
      OtherTiles: it is none of the tiles that are there.
      ValueError: a value does not fit the type of its variable.
    """
    if self.has(i, rows, columns):
      return False
    self.require_going()
    store = self._store = self._store or self._opened(
      (rows.stop - rows.start, columns.stop - columns.start)
    )
    if self._tile(rows.start, columns.start) != (rows, columns):
      raise self._other_tiles()
    record = self._record(i, rows, columns)
    with self._writing():
      digest = store.write(i, rows, columns, values)
      record.parent.mkdir(parents=True, exist_ok=True)
      record.write_text(digest)
    return True

  def _tile(self, y: int, x: int) -> tuple[slice, slice] | None:
    """Returns the rows and columns of the tile that begins there."""
    (height, width), (h, w) = self._tile_shape(), self._header.shape
    if y % height or x % width:
      return None
    return slice(y, min(y + height, h)), slice(x, min(x + width, w))

  def _record(self, i, rows, columns) -> pathlib.Path:
    return self._done / str(i) / f"{rows.start}.{columns.start}"

  def has(self, i: int, rows: slice, columns: slice) -> bool:
    """Says whether a tile of field i is there."""
    return self._record(i, rows, columns).exists()

  def drop_damaged(self) -> int:
    """Forgets the tiles that are not as they were written.

    Returns:
      how many.
    """
    count = 0
    records = list(self._done.glob("*/*"))
    store = self._open() if records else None
    for record in records:
      i = int(record.parent.name)
      tile = self._tile(*map(int, record.name.split(".")))
      assert store is not None
      with contextlib.suppress(OSError):
        # A file that cannot be read is no better than a changed one.
        if tile and store.digest(i, *tile).encode() == record.read_bytes():
          continue
      if tile:
        store.erase(i, *tile)
      record.unlink()
      count += 1
    return count

  def _other_tiles(self) -> OtherTiles:
    return OtherTiles(
      f"the tiles in {self.folder}, of {self._tile_shape()} points, are "
      "not those of this machine: they were made on one of another kind"
    )

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    try:
      yield
    except OSError as error:
      raise self._unwritable(error) from error

  def _unwritable(self, error: OSError) -> OSError:
    return OSError(f"cannot write in {self.folder} ({inputs.line(error)})")

  def require_done(self, i: int) -> None:
    """Raises OtherTiles unless all of field i is there."""
    if not self.is_done(i):
      raise self._other_tiles()

  def is_done(self, i: int) -> bool:
    """Says whether all of field i is there."""
    return self.count(i) == self.tiles > 0

  def count(self, i: int) -> int:
    """Returns how many tiles of field i are there."""
    return len(list((self._done / str(i)).glob("*")))

  @property
  def has_tiles(self) -> bool:
    """Whether any tile is there."""
    return any(names for _, _, names in os.walk(self._done))

  def finish(self, save: Callable[[pathlib.Path, Any], None]) -> None:
    """Puts the file in its place; what it was made of is removed.

    Args:
      save: save(path, array) makes it of the tiles, [count H W c], where they
        are not it.

    Raises:
      OSError: it cannot be written.
      ValueError: the format cannot hold a value.
    """
    if not self.is_finished:
      if self.is_result:
        # A write that was killed leaves its own file.
        for stray in self._result.rglob("*.partial"):
          stray.unlink()
      else:
        for stray in self.folder.glob("result*"):
          files.remove(stray)
        save(self._result, self._open().array)
      with self._writing():
        files.write_text(self._finished, self._seal(self._result))
    self.is_finished = True
    # Killed after they were exchanged, what is here is what was there.
    if self._result.exists() and not self._is_whole(self.path):
      files.replace(self._result, self.path)
    self._store = None
    for entry in (self._done, self._tiles.parent):
      files.remove(entry)
