"""Freed memory is kept by the process, where glibc can be asked."""

import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from hinote_jax.train import host_memory

_PROGRAM = """
import resource
import numpy as np
from hinote_jax.train import host_memory
assert host_memory.keep_freed()
np.ones(1 << 24)  # 128 MiB, the peak
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
  np.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
  platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)
def test_memory_that_was_freed_faults_no_more():
  done = subprocess.run(
    [sys.executable, "-c", _PROGRAM],
    check=True,
    capture_output=True,
    text=True,
  )
  assert int(done.stdout) < 1000  # 32768 pages of 4 KiB an array otherwise


@pytest.mark.skipif(
  platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)
def test_growth_is_what_was_in_use_at_most_and_freed_since():
  with host_memory.growth() as more:
    block = np.ones(1 << 24)  # 128 MiB
    time.sleep(0.1)
    del block
    time.sleep(0.1)
  assert 1 << 27 <= max(more) < (1 << 27) + (1 << 22)
  assert more[-1] < 1 << 22
