"""How the C library of the host treats the memory that programs give back."""

import contextlib
import ctypes
import math
import os
import platform
import sys
import threading

# Of mallopt, glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LOOK_EVERY = 0.0005  # seconds


class _Heap(ctypes.Structure):
  """What glibc's mallinfo2 returns."""

  _fields_ = [
    (name, ctypes.c_size_t)
    for name in (
      "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks "
      "keepcost"
    ).split()
  ]


def _is_glibc() -> bool:
  return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def keep_freed() -> bool:
  """Asks the C library to keep freed memory for the next allocation.

  XLA on a CPU allocates its temporaries anew at every call. Handed back to the
  system each time, they cost a page fault every 4 KiB: a fifth of a small
  training step. The memory of the process stays at its peak instead.

  Returns:
    Whether there is a C library, glibc, that can be asked.
  """
  if not _is_glibc():
    return False
  mallopt = ctypes.CDLL(None).mallopt
  settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
  return all(mallopt(name, value) for name, value in settings.items())


def total() -> float:
  """Returns the bytes of memory of the machine, infinite if unknown."""
  try:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  except (AttributeError, OSError, ValueError):
    return math.inf


def peak() -> int | None:
  """Returns the most bytes this process has had, None if unknown."""
  try:
    import resource
  except ImportError:  # of Windows
    return None
  # In KiB on Linux, in bytes on macOS.
  unit = 1 if sys.platform == "darwin" else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_use() -> int | None:
  """Returns the bytes in use by this process, None if unknown.

  Less than what it resides in where freed memory is kept.
  """
  if not _is_glibc() or not hasattr(ctypes.CDLL(None), "mallinfo2"):
    return None
  ask = ctypes.CDLL(None).mallinfo2
  ask.restype = _Heap
  heap = ask()
  return heap.uordblks + heap.hblkhd


@contextlib.contextmanager
def growth():
  """Yields a list of the bytes more in use than at first, looked at all along.

  Example:
    with host_memory.growth() as more:
      work()
    most = max(more)  # 0 where the C library does not say
  """
  more, is_over = [0], threading.Event()
  is_known, first = in_use() is not None, in_use() or 0

  def look():
    while not is_over.wait(_LOOK_EVERY):
      more.append((in_use() or 0) - first)

  looking = threading.Thread(target=look)
  if is_known:
    looking.start()
  try:
    yield more
  finally:
    is_over.set()
    if is_known:
      looking.join()
