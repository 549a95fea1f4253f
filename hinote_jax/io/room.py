"""Whether there is room for what is asked for: in memory and on the disk.

A slip of the hand, or a damaged header, may ask for more cells than there are
atoms to hold them; it is refused before anything is begun.
"""

from collections.abc import Sequence
import math
import os
import pathlib
import shutil

from hinote_jax.io import files

_ITEMSIZE = 4  # of float32
# No compression that files have goes further than deflate does.
MOST_PACKED = 1032
# Codecs of one colour a tile go further; below some size nobody minds.
_WIDEST_CLAIM, _PLAIN_CLAIM = 100_000, 256 << 20


def memory() -> int:
  """Returns the bytes of memory that this process may take at most."""
  limits = [1 << 62]
  if hasattr(os, "sysconf"):
    limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
  control = pathlib.Path("/sys/fs/cgroup/memory.max")
  if control.is_file() and (text := control.read_text().strip()).isdecimal():
    limits.append(int(text))
  return min(limits)


def require_memory(where: object, what: str, shape: Sequence[int]) -> None:
  """Refuses an array of float32 that the memory of this machine cannot hold.

  Args:
    where: the file, for messages.
    what: the array is.
    shape: of it.

  Raises:
    ValueError: it does not fit.
  """
  size, limit = _size(shape), memory()
  if size > limit:
    raise ValueError(
      f"{where}: {what} of {_times(shape)} values would take {_text(size)} and "
      f"this machine has {_text(limit)} of memory: ask for less, or mend the "
      "file if it is not meant so"
    )


def require_packed(where: object, what: str, size: int, packed: int) -> None:
  """Refuses what claims to unpack to more than packing can have made small.

  Args:
    where: the file, for messages.
    what: is packed.
    size: in bytes, unpacked.
    packed: its bytes in the file.

  Raises:
    ValueError: it is more, or more than the memory of this machine.
  """
  if size > MOST_PACKED * packed + 1024:
    raise ValueError(
      f"cannot read {where} ({what} claims {_text(size)} and only "
      f"{packed} bytes of it are there)"
    )
  require_memory(where, what, (-(-size // _ITEMSIZE),))


def require_claimed(path: pathlib.Path, shape: Sequence[int]) -> None:
  """Refuses a picture far larger than its file can make plausible.

  Raises:
    ValueError: it is, or the memory of this machine cannot hold it.
  """
  require_memory(path, "a picture", shape)
  size = path.stat().st_size
  if _size(shape) > max(_PLAIN_CLAIM, _WIDEST_CLAIM * size):
    raise ValueError(
      f"cannot read {path} (it claims a picture of {_times(shape)} values and "
      f"has {_text(size)})"
    )


def require_disk(
  path: pathlib.Path,
  shape: Sequence[int],
  advice: str,
  *,
  is_packed: bool = False,
  held_in: pathlib.Path | None = None,
) -> None:
  """Refuses an array of float32 for which a disk has no room.

  Args:
    path: of its file.
    shape: of it.
    advice: what to do, for messages.
    is_packed: whether it is compressed as it is written.
    held_in: folder in which a part of it may lie already.

  Raises:
    OSError: there is no room.
  """
  folder = next(p for p in path.absolute().parents if p.is_dir())
  free = shutil.disk_usage(folder).free
  least = _size(shape) // (MOST_PACKED if is_packed else 1)
  if least <= free:
    return
  if held_in is not None and held_in.is_dir():
    least -= sum(file.stat().st_size for file in files.below(held_in))
  if least > free:
    raise OSError(
      f"{path} of {_times(shape)} values would take {_text(_size(shape))} and "
      f"the disk has {_text(free)} left: {advice}"
    )


def _size(shape: Sequence[int]) -> int:
  return _ITEMSIZE * math.prod(map(int, shape))


def _times(shape: Sequence[int]) -> str:
  return " x ".join(str(n) for n in shape)


def _text(size: int) -> str:
  """Returns a number of bytes in words, as 1.5 GB."""
  value, units = float(size), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
  while value >= 1000 and len(units) > 1:
    value, units = value / 1000, units[1:]
  return f"{value:.3g} {units[0]}"
