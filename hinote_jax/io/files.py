"""Files and folders that appear whole or not at all."""

from collections.abc import Iterator
import contextlib
import hashlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def whole(path: str | os.PathLike, suffix: str = "") -> Iterator[pathlib.Path]:
  """Yields a path beside `path` to write to; it takes its place at the end.

  After an error `path` is as it was, and nothing is left beside it. The folder
  that it lies in must exist.

  Args:
    path: of a file, or of a folder that stands for one.
    suffix: of `path`, where the other one must have it too: libraries that
      tell a format go by it.
  """
  path = pathlib.Path(path)
  stem = path.name.removesuffix(suffix)
  partial = path.with_name(f"{stem}.{os.getpid()}.tmp{suffix}")
  try:
    yield partial
    replace(partial, path)
  finally:
    remove(partial)


def replace(partial: pathlib.Path, path: pathlib.Path) -> None:
  """Puts a file or folder in the place of another, which may be missing."""
  if not path.is_dir() and not (path.exists() and partial.is_dir()):
    os.replace(partial, path)
    return
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


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a text in UTF-8, whole or not at all."""
  with whole(path) as partial:
    partial.write_text(text, encoding="utf-8")


def below(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files of a folder and of all folders in it, in order."""
  return sorted(path for path in folder.rglob("*") if not path.is_dir())


def identity(path: pathlib.Path) -> str:
  """Returns what tells a file or folder from others, wherever it lies.

  A digest of sizes and times; contents are not read.
  """
  digest = hashlib.sha256()
  for file in below(path) if path.is_dir() else [path]:
    stat, name = file.stat(), file.relative_to(path).as_posix()
    digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
  return digest.hexdigest()
