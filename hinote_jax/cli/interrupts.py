"""Ctrl-C ends a command within a second, whatever a library is doing."""

from collections.abc import Callable
import os
import signal
import sys
import threading

from hinote_jax.train import preemption

_SECONDS = 0.8  # for what is being written to be put in order


def prompt(command: Callable[[], int]) -> int:
  """Runs a command, which a signal ends soon.

  Python hears of a signal only between two of its own steps, and a compiler or
  a sum over a large field is one step. A thread hears of it at once; it ends
  the process where the command does not do so itself.

  Args:
    command: returns an exit code, that of a signal being 128 and its number.

  Returns:
    the exit code.
  """
  read_end, write_end = os.pipe()
  os.set_blocking(write_end, False)
  before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
  numbers: list[int] = []

  def watch():
    while number := os.read(read_end, 1):
      if number[0] in (signal.SIGINT, signal.SIGTERM):
        numbers.append(number[0])
        threading.Event().wait(_SECONDS)
        text = "\nhinote_jax: stopped; the same command goes on"
        print(text, file=sys.stderr)
        preemption.leave(128 + number[0])

  threading.Thread(target=watch, daemon=True).start()
  code = command()
  if numbers or code >= 128:
    # What libraries do at the end may take long.
    preemption.leave(128 + numbers[0] if numbers else code)
  signal.set_wakeup_fd(before)
  os.close(write_end)
  return code
