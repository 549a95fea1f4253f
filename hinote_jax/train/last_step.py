"""The step after which all processes of a run end, where one is asked to.

No process may take fewer steps than another: one that takes one more waits
within it for ever. So process 0 has all say how far they are, by which they
take no other step before they hear from it, and then says the last one.
"""

from collections.abc import Callable
import math
import threading


class LastStep:
  """What a process knows of the step that the run ends at.

  The loop asks it after each step; a thread that reads what other processes
  say gives it their words. Those are

  * `stop NUMBER`, to process 0: a signal of this number asks for the end;
  * `halt`, of process 0: say how far you are, and go no further;
  * `at STEP`, to process 0;
  * `until STEP NUMBER`, of process 0: end after that one, by that signal.
  """

  def __init__(self, rank: int, count: int, say: Callable[..., object]):
    """The run is not asked to end yet.

    Args:
      rank: of this process.
      count: of all.
      say: sends words: those of process 0 to all others, of others to it.
    """
    self._rank, self._count, self._say = rank, count, say
    self._condition = threading.Condition()
    self._done, self._is_held = 0, False
    self._last, self._number = None, 0
    self._done_by = {}  # rank to steps, of process 0

  def agreed(self, step: int, number: int) -> int:
    """Says whether all end after a step; waits where that is being agreed on.

    Args:
      step: that this process has begun last, counted from 1.
      number: of a signal that asks this process to end, or 0.

    Returns:
      The number of the signal that any process was asked by, or 0.
    """
    with self._condition:
      if number and self._last is None and not self._is_held:
        self._ask(number)
      self._condition.wait_for(lambda: not self._is_held)
      self._done = step
      is_last = self._last is not None and step >= self._last
      return self._number if is_last else 0

  def hear(self, rank: int, what: str, *words: str) -> None:
    """Takes what another process says."""
    with self._condition:
      if what == "stop" and not self._is_held and self._last is None:
        self._ask(int(words[0]))
      elif what == "halt":
        self._is_held = True
        self._say("at", self._done)
      elif what == "at":
        self._count_in(rank, int(words[0]))
      elif what == "until":
        self._settle(float(words[0]), int(words[1]))

  def end(self, rank: int) -> None:
    """Counts a process among those that have taken all steps of the run."""
    with self._condition:
      if not self._rank:
        self._count_in(rank, math.inf)
      elif self._last is None:  # process 0 will not answer any more
        self._settle(math.inf, 0)

  def _ask(self, number):
    self._is_held = True
    if self._rank:
      self._say("stop", number)
    else:
      self._number = number
      self._say("halt")
      self._count_in(0, self._done)

  def _count_in(self, rank, done):
    self._done_by[rank] = done
    if self._is_held and len(self._done_by) == self._count:
      last = max(self._done_by.values()) + 1
      self._say("until", last, self._number)
      self._settle(last, self._number)

  def _settle(self, last, number):
    self._last, self._number, self._is_held = last, number, False
    self._condition.notify_all()
