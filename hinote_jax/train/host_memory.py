"""How the C library of the host treats the memory that programs give back."""

import ctypes
import math
import os
import platform
import sys

# Of mallopt, glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed() -> bool:
  """Asks the C library to keep freed memory for the next allocation.

  XLA on a CPU allocates its temporaries anew at every call. Handed back to the
  system each time, they cost a page fault every 4 KiB: a fifth of a small
  training step. The memory of the process stays at its peak instead.

  Returns:
    Whether there is a C library, glibc, that can be asked.
  """
  if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
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
