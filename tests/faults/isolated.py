"""Trials in forked processes, each of which lives as long as it can.

A native library may end its process; then the trial under way is an abort, and
another process goes on with the next.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import multiprocessing
import os
import resource
from typing import Any

from tests.faults.outcome import Outcome

_CONTEXT = multiprocessing.get_context("fork")


def run(
  trial: Callable[[Any], Outcome],
  items: Sequence[Any],
  *,
  memory: int = 4 << 30,
  seconds: float = 120.0,
) -> Iterator[Outcome]:
  """Yields the outcomes of trials, in order.

  Args:
    trial: of one item; returns its outcome and raises nothing.
    items: have `kind` and `seed`.
    memory: bytes that a process may take beyond what it has.
    seconds: that a trial may take.
  """
  first = 0
  while first < len(items):
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(
      target=_work, args=(trial, items[first:], memory, theirs), daemon=True
    )
    process.start()
    theirs.close()
    verdict = None
    while first < len(items):
      try:
        if not ours.poll(seconds):
          verdict = "hang"
          break
        outcome = ours.recv()
      except EOFError:
        verdict = "abort"
        break
      first += 1
      yield outcome
    if verdict == "hang":
      process.kill()
    process.join()
    if verdict is not None:
      item = items[first]
      first += 1
      yield Outcome(item.kind, item.seed, verdict, f"exit {process.exitcode}")


def _work(trial, items, memory, pipe) -> None:
  used = 4096 * int(open("/proc/self/statm").read().split()[0])
  resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  # What libraries in C say of damage goes nowhere.
  with contextlib.suppress(OSError):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
  for item in items:
    pipe.send(trial(item))
  pipe.close()
