"""Freed memory is kept by the process, where glibc can be asked."""

import platform
import subprocess
import sys

import pytest

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
