"""The other processes of a run: none is lost without a word.

Left to JAX, a run that loses a process ends after minutes, by an abort and a
page of frames, or not at all. Here each keeps the connection to process 0 over
which they met. The system closes it when a process dies, and a machine that
has gone falls silent; who sees it says so in a sentence, and all end with
`meeting.EXIT`.
"""

from collections.abc import Iterator
import contextlib
import math
import selectors
import socket
import sys
import threading
import time
import traceback

from hinote_jax.train import last_step, meeting, preemption, relay

_BEAT, _SILENCE = 2.0, 20.0  # seconds between signs of life, and without one
_GRACE = 10.0  # seconds to end like another that has ended before its time
_HOUR = 3600  # what JAX waits: who is lost is known here
_joined = []  # the others of this run, where there are any


@contextlib.contextmanager
def joined(where: meeting.Place, wait: float = meeting.WAIT) -> Iterator[None]:
  """Has all processes meet and JAX know of them, before a device is used.

  Where this one ends by an error, or by a signal that the others do not end by,
  they hear of it, and where another was lost that is what is said instead.

  Args:
    where: which process this is.
    wait: seconds for all to come.

  Raises:
    Missing: not all have.
    ValueError: two say that they are the same one, or count otherwise.
    OSError: the port of the coordinator is taken.
  """
  import jax

  meet = meeting.call if where.rank else meeting.gather
  peers = Peers(where, meet(where, wait))
  # Signals are ours to hear of, and the last step ours to agree on.
  jax.config.update("jax_enable_preemption_service", False)
  jax.distributed.initialize(
    relay.begin(where.address) if where.rank else where.address,
    where.count,
    where.rank,
    local_device_ids=where.devices,
    initialization_timeout=max(int(wait), 1),
    heartbeat_timeout_seconds=_HOUR,
    shutdown_timeout_seconds=_HOUR,
  )
  _joined[:] = [peers]
  try:
    yield
  except preemption.Stopped as stopped:
    peers.end(0 if stopped.done else stopped.code)
    raise
  except (ValueError, OSError, ArithmeticError, ImportError):
    peers.settle(1.0)
    peers.end(2)
    raise
  except Exception:
    peers.settle(_SILENCE + 2 * _BEAT)
    traceback.print_exc()
    peers.end(1)
    preemption.leave(1)
  finally:
    _joined.clear()
  peers.end(0)


def barrier(name: str) -> None:
  """Waits until all processes have come to it; of one process, not at all."""
  from jax._src import distributed

  if distributed.global_state.client is not None:
    distributed.global_state.client.wait_at_barrier(name, _HOUR * 1000)


def agreed(step: int, number: int) -> int:
  """Says whether all processes end after a step: see `last_step`.

  Args:
    step: that this process has begun last, counted from 1.
    number: of a signal that asks this process to end, or 0.

  Returns:
    The number of the signal that one of them was asked by, or 0.
  """
  return _joined[0].last_step.agreed(step, number) if _joined else number


class Peers:
  """The other processes of a run, watched by a thread.

  Attributes:
    last_step: what they agree on.
  """

  def __init__(self, where: meeting.Place, lines: dict[int, meeting.Line]):
    """Begins to watch.

    Args:
      where: which process this is.
      lines: to the others of process 0; of another to process 0.
    """
    self._where, self._lines = where, lines
    self._fault, self._limit = "", math.inf  # of one that ended too early
    self.last_step = last_step.LastStep(where.rank, where.count, self._say)
    self._thread = threading.Thread(
      target=self._watch, name="peers", daemon=True
    )
    self._thread.start()

  def end(self, code: int) -> None:
    """Says that this process ends by itself, and how."""
    host = socket.gethostname()
    self._say("end", self._where.rank, host, code)

  def settle(self, seconds: float) -> None:
    """Waits, after an error, whether a lost process was the reason.

    It does not return where one was: this process ends, too.
    """
    self._thread.join(seconds)

  def _say(self, *words: object, apart_from: int = -1) -> None:
    for line in list(self._lines.values()):
      if line.rank != apart_from:
        line.say(*words)

  def _watch(self) -> None:
    heard = dict.fromkeys(self._lines, time.monotonic())
    with selectors.DefaultSelector() as selector:
      for line in self._lines.values():
        selector.register(line.socket, selectors.EVENT_READ, line)
      asked = beaten = time.monotonic()
      while self._lines or self._fault:
        ready = [key.data for key, _ in selector.select(_BEAT)]
        now = time.monotonic()
        if now - asked > 2 * _BEAT:  # it was this process that stood still
          heard = dict.fromkeys(heard, now)
        asked = now
        for line in ready:
          heard[line.rank] = now
          if self._has_gone(line):
            selector.unregister(line.socket)
            del self._lines[line.rank]
        if now - beaten >= _BEAT:
          beaten = now
          self._say("beat")
        for line in self._lines.values():
          if now - heard[line.rank] > _SILENCE and not line.has_ended:
            self._lose(line.rank, line.host)
        if now > self._limit:
          self._leave(self._fault)

  def _has_gone(self, line: meeting.Line) -> bool:
    """Hears what another process says; whether it is no longer there."""
    words = line.heard()
    if words is None and not line.has_ended:
      self._lose(line.rank, line.host)
    for what, *rest in words or ():
      if what == "beat":
        continue
      if what not in ("end", "lost"):
        self.last_step.hear(line.rank, what, *rest)
        continue
      rank, host = int(rest[0]), rest[1]
      if what == "lost":
        self._lose(rank, host)
      if rank == line.rank:
        line.has_ended = True
        self.last_step.end(rank)
      if rest[2] != "0" and not self._fault:
        self._fault = (
          f"process {rank} of {self._where.count} ({host}) ended with exit "
          f"code {rest[2]}: see why in its own output"
        )
        self._limit = time.monotonic() + _GRACE
        self._say(what, *rest, apart_from=line.rank)
    return words is None

  def _lose(self, rank: int, host: str) -> None:
    self._say("lost", rank, host, apart_from=rank)
    self._leave(
      f"process {rank} of {self._where.count} ({host}) was lost: the same "
      "command on all of them goes on from the last checkpoint"
    )

  def _leave(self, text: str) -> None:
    with contextlib.suppress(OSError):  # where nobody reads it any more
      print(f"\nhinote_jax: {text}", file=sys.stderr)
    preemption.leave(meeting.EXIT)
