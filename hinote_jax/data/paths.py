"""Which files a path stands for, and a digest of what they hold."""

from collections.abc import Iterable, Sequence
import glob
import hashlib
import os
import pathlib

# Files up to this size together are hashed whole, larger ones at both ends.
_HASHED_WHOLE = 1 << 30
_HASHED_END = 1 << 20

Paths = str | os.PathLike | Sequence[str | os.PathLike]


def expand(path: Paths, suffixes: Sequence[str] = ()) -> list[pathlib.Path]:
  """Returns the files of a path, a pattern or a list of them, sorted.

  Args:
    path: a file or a store, a glob pattern (** for folders within folders), or
      several.
    suffixes: a folder stands for the files below it that end so; without any,
      it stands for itself.

  Raises:
    FileNotFoundError: there is none.
  """
  if not isinstance(path, str | os.PathLike):
    parts = [p for part in path for p in expand(part, suffixes)]
    return sorted(set(parts))
  if os.path.exists(path):
    files = list(_below(pathlib.Path(path), suffixes))
    if not files:
      raise FileNotFoundError(
        f"{path} holds no file that ends in {', '.join(suffixes)}: check the "
        "path"
      )
  else:
    files = [
      pathlib.Path(p) for p in glob.glob(os.fspath(path), recursive=True)
    ]
  if not files:
    raise FileNotFoundError(f"no file at {path}: check the path or the pattern")
  return sorted(set(files))


def _below(path, suffixes) -> Iterable[pathlib.Path]:
  if not path.is_dir() or not suffixes or path.name.endswith(tuple(suffixes)):
    yield path
    return
  for inner in sorted(path.iterdir()):
    is_fit = inner.name.lower().endswith(tuple(suffixes))
    if not inner.name.startswith(".") and (inner.is_dir() or is_fit):
      yield from _below(inner, suffixes)


def labels(paths: Sequence[pathlib.Path]) -> list[str]:
  """Returns what to call files: paths below their common folder, no suffix."""
  root = pathlib.Path(os.path.commonpath([p.parent for p in paths]))
  return [(p.parent.relative_to(root) / stem(p)).as_posix() for p in paths]


def stem(path: pathlib.Path) -> str:
  """Returns the name of a file without its suffix, .nii.gz being one."""
  return pathlib.Path(path.name.removesuffix(".gz")).stem


def title(paths: Sequence[pathlib.Path]) -> str:
  """Returns one name for files: what theirs begin with, or their folder's."""
  stems = [stem(path) for path in paths]
  if len(stems) == 1:
    return stems[0]
  shared = os.path.commonprefix(stems).rstrip("0123456789_-. ")
  return shared or paths[0].absolute().parent.name or stems[0]


def fingerprint(paths: Sequence[pathlib.Path], names: Iterable[str]) -> str:
  """Digest of names, sizes and contents; the same wherever the files lie.

  Where there is too much to read at every start, of a large file the ends and
  the time of its last change stand for the contents.

  Args:
    paths: files, or folders that are stores.
    names: what else the fields depend on: variables, options.
  """
  digest = hashlib.sha256("\0".join(names).encode())
  files = []
  for path in paths:
    inside = sorted(p for p in path.rglob("*") if p.is_file()) or [path]
    files += [(p, p.relative_to(path.parent), p.stat()) for p in inside]
  is_hashed_whole = sum(stat.st_size for *_, stat in files) <= _HASHED_WHOLE
  for file, name, stat in files:
    digest.update(f"\0{name.as_posix()}\0{stat.st_size}\0".encode())
    with open(file, "rb") as stream:
      if is_hashed_whole or stat.st_size <= 2 * _HASHED_END:
        while block := stream.read(_HASHED_END):
          digest.update(block)
      else:
        digest.update(stream.read(_HASHED_END))
        stream.seek(-_HASHED_END, os.SEEK_END)
        digest.update(stream.read())
        digest.update(f"\0{stat.st_mtime_ns}".encode())
  return digest.hexdigest()
