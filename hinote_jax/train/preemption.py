"""Signals that ask a run to end: Ctrl-C, and what schedulers send.

What they stop ends with `Stopped`, whose exit code is 128 and the number of
the signal, as shells have it: 130 of SIGINT, 143 of SIGTERM, 129 of SIGHUP.
"""

from collections.abc import Callable, Iterator
import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

Agreement = Callable[[int, int], int]

_NAMES = ("SIGINT", "SIGHUP", "SIGTERM")  # Windows has no SIGHUP
_AGAIN = 0.01  # seconds after which a signal that was passed over comes again


class Stopped(KeyboardInterrupt):
  """A signal ended what was going on.

  Attributes:
    code: for the shell.
    done: what all processes of the run have finished before they end; empty
      where this one alone was stopped, wherever it was.
  """

  def __init__(self, number: int, done: str = ""):
    """Says which signal it was, and what is `done`."""
    name = signal.Signals(number).name
    super().__init__(
      f"stopped by {name}{done and f' {done}'}; the same command goes on"
    )
    self.code, self.done = 128 + number, done


def leave(code: int) -> NoReturn:
  """Ends the process at once, and no library at its own end.

  One that was stopped in the middle of its work may crash then.
  """
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError):  # whoever read it has gone
      stream.flush()
  os._exit(code)


@contextlib.contextmanager
def _handled(handle) -> Iterator[None]:
  """Gives signals to a function for a while; in the main thread alone."""
  numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
  # Under nohup, say, a signal is not to be heard.
  numbers = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
  if threading.current_thread() is not threading.main_thread():
    numbers = []
  before = {number: signal.signal(number, handle) for number in numbers}
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def _send_later(number: int) -> None:
  """Sends this process a signal in a little while."""
  timer = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
  timer.daemon = True
  timer.start()


@contextlib.contextmanager
def raised() -> Iterator[None]:
  """Has signals raise `Stopped` wherever the program is.

  What is raised in a callback of the garbage collector or in a finaliser,
  Python prints and passes over: there the signal is sent again, a little later.
  """

  is_passing = False

  def stop(number, _):
    if is_passing:  # what is raised below would be passed over as well
      _send_later(number)
    else:
      raise Stopped(number)

  def send_again(unraisable):
    nonlocal is_passing
    if not isinstance(unraisable.exc_value, Stopped):
      before(unraisable)
      return
    is_passing = True
    _send_later(unraisable.exc_value.code - 128)
    is_passing = False

  before, sys.unraisablehook = sys.unraisablehook, send_again
  try:
    with _handled(stop):
      yield
  finally:
    sys.unraisablehook = before


class Request:
  """Whether a signal has asked the run to end after a step.

  Attributes:
    number: of the signal; 0 before there is one.
  """

  def __init__(self, agreed: Agreement):
    """Nothing is asked yet.

    Args:
      agreed: see `requested`.
    """
    self.number, self._agreed = 0, agreed

  def is_due(self, step: int) -> bool:
    """Says whether to end after a step; all processes of a run agree."""
    number = self._agreed(step, self.number)
    self.number = self.number or number
    return number > 0

  def handle(self, number: int, _: object) -> None:
    """Takes a signal; the second one does not wait."""
    if self.number:
      raise Stopped(number)
    self.number = number


@contextlib.contextmanager
def requested(
  agreed: Agreement = lambda _, number: number,
) -> Iterator[Request]:
  """Has signals ask instead: the step that is under way is finished first.

  Args:
    agreed: from a step, and the number of a signal that has come here or 0, to
      that by which the run ends after this step, or 0; `peers.agreed` where
      other processes take part.

  Raises:
    Stopped: it was asked for and not heeded.
  """
  request = Request(agreed)
  with _handled(request.handle):
    yield request
  if request.number:
    raise Stopped(request.number)
