"""Files and folders that appear whole or not at all.

What is renamed lies on the disk before its name does, so that neither a killed
process nor a power cut shows half of it. What a killed process leaves beside a
name is removed by the next one that writes there.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import errno
import hashlib
import os
import pathlib
import re
import shutil
import time

import filelock

# Of the system call renameat2, linux/fs.h and linux/fcntl.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_TRIES = 20  # to empty a folder
# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
# A name, our mark and the process that writes there, and the name's suffix.
_STRAY = re.compile(r"(.+)\.hinote-(\d+)\.(tmp|old)(?:\.\w+)*")


@contextlib.contextmanager
def locked(path: str | os.PathLike, taken: str) -> Iterator[None]:
  """Holds a lock file, which stays; the system lets go when a process ends.

  Where the file system has no locks, nothing is held.

  Args:
    path: of the file.
    taken: what to say where another process holds it.

  Raises:
    FileExistsError: one does.
    OSError: it cannot be written.
  """
  lock = filelock.FileLock(path)
  try:
    lock.acquire(blocking=False)
  except filelock.Timeout as error:
    raise FileExistsError(taken) from error
  except OSError as error:
    if error.errno not in _NO_LOCKS:
      raise
  try:
    yield
  finally:
    lock.release()


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
  tidy(path.parent, stem, path.name)
  partial = aside(path, "tmp", suffix)
  try:
    yield partial
    replace(partial, path)
  finally:
    remove(partial)


def aside(path: pathlib.Path, ending: str, suffix: str = "") -> pathlib.Path:
  """Returns a name beside another that is this process's own; see `tidy`.

  Args:
    path: the other.
    ending: "tmp" for what is to go, "old" for what is to be put back.
    suffix: of `path`, to end in.
  """
  stem = path.name.removesuffix(suffix)
  return path.with_name(f"{stem}.hinote-{os.getpid()}.{ending}{suffix}")


def replace(partial: pathlib.Path, path: pathlib.Path) -> None:
  """Puts a file or folder in the place of another, which may be missing.

  By one rename where the system has one for it, as Linux: under the name there
  is always one or the other, whole.
  """
  _flush(partial)
  if not path.is_dir() and not (path.exists() and partial.is_dir()):
    os.replace(partial, path)
  elif not _exchange(partial, path):
    # A folder that holds something cannot be replaced at once.
    old = aside(path, "old")
    os.replace(path, old)
    os.replace(partial, path)
    remove(old)
  _flush_entry(path.parent)
  remove(partial)


def tidy(folder: pathlib.Path, *names: str) -> None:
  """Removes what killed processes have left where `whole` writes.

  Args:
    folder: where it is looked for; may be missing.
    *names: of what is written there; none for all of a folder of our own.
  """
  for stray in folder.glob("*.*"):
    match = _STRAY.fullmatch(stray.name)
    if not match or names and match[1] not in names or _is_alive(int(match[2])):
      continue
    place = folder / match[1]
    if match[3] == "old" and not place.exists():
      os.replace(stray, place)  # killed between two renames
    else:
      remove(stray)


def _is_alive(process: int) -> bool:
  """Whether another process of this machine has that number."""
  if process == os.getpid() or os.name != "posix":
    return False
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass
  return True


def _flush(path: pathlib.Path) -> None:
  """Has the system put a file, or a folder and all in it, on the disk."""
  for entry in path.rglob("*") if path.is_dir() else ():
    _flush_entry(entry)
  _flush_entry(path)


def _flush_entry(path: pathlib.Path) -> None:
  if os.name != "posix":
    return  # elsewhere only what is open for writing can be flushed
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno != errno.EINVAL:  # no such thing on this file system
      raise
  finally:
    os.close(descriptor)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
  """Exchanges two names at once; says whether the system could."""
  call = getattr(ctypes.CDLL(None), "renameat2", None)  # of Linux alone
  if call is None:
    return False
  names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
  return call(*names, _RENAME_EXCHANGE) == 0


def remove(path: pathlib.Path) -> None:
  """Removes a file or a folder, if there is one."""
  if not path.is_dir():
    path.unlink(missing_ok=True)
    return
  for later in reversed(range(_TRIES)):
    try:
      return shutil.rmtree(path)
    except OSError as error:
      if error.errno != errno.ENOTEMPTY or not later:
        raise
    time.sleep(0.1)  # a thread of a library still writes what it was given


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


def digest(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file, or of the names and files of a folder."""
  if path.is_dir():
    parts = [f"{p.relative_to(path)} {digest(p)}" for p in below(path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
