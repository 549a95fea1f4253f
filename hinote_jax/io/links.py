"""What a file shows of other files: a stranger's file may name any of them.

HDF5 has links to other files, datasets whose numbers lie in other files, and
virtual datasets made of them; NetCDF-4 is HDF5; a Zarr store is a folder, in
which anything may be a link to elsewhere. Such variables are passed over, and
refused where they are asked for, unless the links are to be followed.
"""

from collections.abc import Iterator, Mapping, Sequence
import os
import pathlib
from typing import Any

from hinote_jax.io import inputs

# Signature and version of a global heap of HDF5, and how far it is looked for.
_HEAP, _SCANNED = b"GCOL\x01\x00\x00\x00", 64 << 20


def shown(path: pathlib.Path) -> dict[str, str]:
  """Returns the variables that show other files, each with the file it names.

  Args:
    path: of a file or a Zarr store; of a file that is no HDF5 there are none.

  Raises:
    ValueError: the metadata of a store lie elsewhere.
  """
  if path.is_dir():
    return _of_store(path)
  h5py = inputs.require("h5py", "io")
  if not h5py.is_hdf5(path):
    return {}
  _require_sound_heaps(path)
  with h5py.File(path, "r") as file:
    return {name: other for name, _, other in walk(file) if other}


def require_own(
  path: pathlib.Path,
  variables: Sequence[str] | None,
  others: Mapping[str, str],
) -> None:
  """Refuses variables that show other files.

  Args:
    path: of the file.
    variables: that are asked for; None: all that are not shown.
    others: as of `shown`.

  Raises:
    ValueError: one of them does.
  """
  for name in variables or ():
    if name in others:
      raise ValueError(
        f"{path}: {name!r} shows another file, {others[name]}: "
        "--follow-links reads it, if you trust where the file is from"
      )


def walk(
  group: Any,
  *,
  follow_links: bool = False,
  prefix: str = "",
  seen: frozenset[tuple[int, ...]] = frozenset(),
) -> Iterator[tuple[str, Any, str]]:
  """Yields path, dataset and the other file that it shows, of a HDF5 group.

  Dead links and named types are passed over, and groups that hold themselves.
  Where links are not followed, one to another file has no dataset.

  Args:
    group: of h5py.
    follow_links: whether other files are read, so that none is "other".
    prefix: of the paths.
    seen: the groups that this one lies in.
  """
  h5py = inputs.require("h5py", "io")
  info = h5py.h5o.get_info(group.id)
  own = (info.fileno, info.addr)
  if own in seen:
    return
  for name in group:
    link, path = group.get(name, getlink=True), prefix + name
    if isinstance(link, h5py.ExternalLink) and not follow_links:
      yield path, None, f"{link.path} in {link.filename}"
      continue
    try:
      item = group[name]
    except (KeyError, OSError, RuntimeError):
      continue  # a dead link, or damage beside the field
    if isinstance(item, h5py.Group):
      options = {"prefix": f"{path}/", "seen": seen | {own}}
      yield from walk(item, follow_links=follow_links, **options)
    elif isinstance(item, h5py.Dataset):
      yield path, item, "" if follow_links else _source(item)


def _require_sound_heaps(path: pathlib.Path) -> None:
  """Refuses a global heap of HDF5 in which the library would never end.

  It goes from object to object by their sizes, and stands still at free space
  of size 0. Section III.E of the format's specification, version 3.
  """
  with path.open("rb") as stream:
    head = stream.read(_SCANNED)
  at = head.find(_HEAP)
  while at >= 0:
    end = at + int.from_bytes(head[at + 8 : at + 16], "little")
    place = at + 16
    while place + 16 <= min(end, len(head)):
      index = int.from_bytes(head[place : place + 2], "little")
      size = int.from_bytes(head[place + 8 : place + 16], "little")
      if index == 0 and size == 0:
        raise ValueError(f"cannot read {path} (a heap at byte {at} is damaged)")
      place += size if index == 0 else 16 + -(-size // 8) * 8
    at = head.find(_HEAP, at + 1)


def _source(dataset: Any) -> str:
  """Returns the other file that the numbers of a dataset lie in, or ""."""
  if dataset.external:
    return dataset.external[0][0]
  if dataset.is_virtual:
    files = {source.file_name for source in dataset.virtual_sources()}
    return ", ".join(sorted(files - {".", dataset.file.filename}))
  return ""


def _of_store(path: pathlib.Path) -> dict[str, str]:
  root, others = path.resolve(), {}
  for folder, names, files in os.walk(root):
    for name in (*names, *files):
      one = pathlib.Path(folder, name)
      if not one.is_symlink() or one.resolve().is_relative_to(root):
        continue
      top, *rest = one.relative_to(root).parts
      if not rest and not one.is_dir():
        raise ValueError(
          f"{path}: its {name} is a link to {one.resolve()}, out of the store"
        )
      others[top] = str(one.resolve())
  return others
