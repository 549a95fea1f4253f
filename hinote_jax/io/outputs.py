"""Files and folders that appear whole or not at all, under their own suffix."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def whole(path: pathlib.Path, suffix: str) -> Iterator[pathlib.Path]:
  """Yields a path beside `path` to write to; it takes its place at the end.

  After an error `path` is as it was, and nothing is left beside it.

  Args:
    path: of the file, or of the folder that a Zarr store is.
    suffix: of `path`, which the other one has too: libraries go by it.
  """
  stem = path.name.removesuffix(suffix)
  partial = path.with_name(f"{stem}.{os.getpid()}.tmp{suffix}")
  try:
    yield partial
    if path.is_dir() or (path.exists() and partial.is_dir()):
      _swap(partial, path)
    else:
      os.replace(partial, path)
  finally:
    remove(partial)


def _swap(partial: pathlib.Path, path: pathlib.Path) -> None:
  # A folder that holds something cannot be replaced at once.
  old = path.with_name(f"{path.name}.{os.getpid()}.old")
  os.replace(path, old)
  os.replace(partial, path)
  remove(old)


def remove(path: pathlib.Path) -> None:
  """Removes a file or a folder, if there is one."""
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)
