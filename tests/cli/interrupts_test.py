import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

# A sum that no signal interrupts, and that lets other threads work.
_BUSY = """
import hashlib, signal, sys
from hinote_jax.cli import interrupts
# Whatever started the tests: a shell's background has no Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
def command():
  try:
    print("begun", flush=True)
    {}
  except KeyboardInterrupt:
    return 130
interrupts.prompt(command)
"""
_NATIVE = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
_PYTHON = "[None for _ in iter(int, 1)]"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("work", [_NATIVE, _PYTHON])
def test_ctrl_c_ends_a_command_within_a_second(work):
  process = subprocess.Popen(
    [sys.executable, "-c", _BUSY.format(work)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert process.stdout is not None
  try:
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)  # until the work has begun
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=10)
  finally:
    process.kill()
  assert time.monotonic() - asked < 2.0  # one on a machine that is not busy
  assert process.returncode == 130
  assert "Traceback" not in text
  assert ("stopped; the same command goes on" in text) == (work == _NATIVE)
