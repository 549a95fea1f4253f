"""How the processes of a run meet, before JAX knows of them.

Each connects to process 0 at the coordinator's own port and says who it is.
Once all are there the port is JAX's, and the connections stay.
"""

from collections.abc import Iterable
import os
import socket
import threading
import time
from typing import NamedTuple

EXIT = 75  # EX_TEMPFAIL: the same command goes on, so a scheduler may requeue
WAIT = 300.0  # seconds for all to come
_SECONDS = 10.0  # for a line to be sent or to come, once it has begun
_GREETING = "hinote_jax"


class Missing(Exception):
  """A process did not come, or others came than were meant to."""

  code = EXIT


class Place(NamedTuple):
  """Which process of a run this is.

  Attributes:
    address: host and port of process 0.
    count: of the processes.
    rank: of this one.
    devices: which of the machine's are its own; None for all.
  """

  address: str
  count: int
  rank: int
  devices: tuple[int, ...] | None = None


def place(
  address: str | None = None,
  count: int | None = None,
  rank: int | None = None,
  wait: float = WAIT,
) -> Place:
  """Returns which process this is, by arguments or as its surroundings say.

  Those are JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, and
  otherwise Cloud TPU, Slurm, Open MPI or Kubernetes.

  Args:
    address: host and port of process 0.
    count: of the processes.
    rank: of this one.
    wait: seconds for a name to be known.

  Raises:
    ValueError: there is nothing, or not all, that says so.
  """
  names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
  given = [
    os.environ.get(name) if value is None else value
    for name, value in zip(names, (address, count, rank), strict=True)
  ]
  known, devices = [value for value in given if value not in (None, "")], None
  if not known:
    from jax._src import clusters

    detect = clusters.ClusterEnv.auto_detect_unset_distributed_params
    *known, devices = detect(None, None, None, None, None, int(wait))
    known = [value for value in known if value is not None]
  if len(known) < len(names):
    raise ValueError(
      f"--distributed: {len(known)} of three are said; this is no TPU pod, "
      "Slurm, Open MPI or Kubernetes, so give --coordinator=HOST:PORT, "
      f"--processes=N and --process=I, or set {', '.join(names)}"
    )
  where = str(known[0])
  try:
    total, own = int(known[1]), int(known[2])
  except ValueError as error:
    raise ValueError(
      f"{names[1]} and {names[2]} are whole numbers, got {known[1]!r} and "
      f"{known[2]!r}"
    ) from error
  if not 0 <= own < total:
    raise ValueError(f"process {own} of {total}: they count from 0")
  if not where.rpartition(":")[2].isdigit():
    raise ValueError(f"--coordinator is HOST:PORT, got {where!r}")
  return Place(where, total, own, tuple(devices) if devices else None)


def _words(ranks: Iterable[int], count: int) -> str:
  ranks = sorted(ranks)
  shown = ", ".join(map(str, ranks[:8])) + (", ..." if ranks[8:] else "")
  return f"process{'es' * (len(ranks) > 1)} {shown} of {count}"


class Line:
  """A connection to another process, over which lines of text go."""

  def __init__(self, connection: socket.socket, rank: int, host: str = ""):
    self.socket, self.rank, self.host = connection, rank, host
    self.has_ended, self._rest = False, b""
    self._saying = threading.Lock()  # a line of one thread, then of another
    connection.settimeout(_SECONDS)

  def say(self, *words: object) -> bool:
    """Sends a line; says whether the other end is still there."""
    text = " ".join(map(str, words)).encode() + b"\n"
    try:
      with self._saying:
        self.socket.sendall(text)
    except OSError:
      return False
    return True

  def heard(self) -> list[list[str]] | None:
    """Returns the words of the lines that have come; None at the end."""
    try:
      data = self.socket.recv(4096)
    except OSError:
      data = b""
    *lines, self._rest = (self._rest + data).split(b"\n")
    if not data:
      return None
    return [line.decode(errors="replace").split() for line in lines]

  @property
  def is_open(self) -> bool:
    """Whether the other end has not closed it."""
    self.socket.setblocking(False)
    try:
      return bool(self.socket.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
      return True
    except OSError:
      return False
    finally:
      self.socket.settimeout(_SECONDS)


def gather(where: Place, wait: float) -> dict[int, Line]:
  """Waits as process 0 for all others; returns their lines by rank."""
  port, came = int(where.address.rpartition(":")[2]), {}
  has_both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if has_both else socket.AF_INET
  limit = time.monotonic() + wait

  def missing():
    return set(range(1, where.count)) - came.keys()

  with socket.create_server(
    ("", port), family=family, dualstack_ipv6=has_both, backlog=where.count
  ) as server:
    while missing():
      server.settimeout(max(limit - time.monotonic(), 0.01))
      try:
        line = Line(server.accept()[0], 0)
      except TimeoutError:
        text = (
          f"{_words(missing(), where.count)} did not come to {where.address} "
          f"within {wait:g} s (--wait): see why in their own output"
        )
        for line in came.values():
          line.say("missing", text)
        raise Missing(text) from None
      if fault := _welcomed(line, where, came):
        for other in (line, *came.values()):
          other.say("wrong", fault)
        raise ValueError(fault)
      came = {rank: line for rank, line in came.items() if line.is_open}
      for line in came.values():
        line.say("waiting", *sorted(missing()))
  # Only now, when the port is free for JAX.
  for line in came.values():
    line.say("go", socket.gethostname())
  return came


def _welcomed(line: Line, where: Place, came: dict[int, Line]) -> str:
  """Takes a line among those that came; returns what is wrong with it."""
  words = next(iter(line.heard() or [[]]), [])
  if (
    len(words) != 4
    or words[0] != _GREETING
    or not "".join(words[1:3]).isdigit()
  ):
    return ""  # whatever else there is on a network
  rank, count, line.host = int(words[1]), int(words[2]), words[3]
  if count != where.count:
    return (
      f"process {rank} on {line.host} is one of {count} processes, and process "
      f"0 of {where.count}: give all the same count"
    )
  other = came.get(rank)
  if rank == 0 or other is not None and other.is_open:
    host = other.host if other else socket.gethostname()
    return (
      f"{host} and {line.host} both are process {rank} of {count}: give each "
      "its own number"
    )
  line.rank = rank
  came[rank] = line
  return ""


def call(where: Place, wait: float) -> dict[int, Line]:
  """Goes to process 0 and waits there for the others; returns its line."""
  host, _, port = where.address.rpartition(":")
  limit, absent = time.monotonic() + wait, {0}
  while (left := limit - time.monotonic()) > 0:
    try:
      ends = host.strip("[]"), int(port)
      line = Line(socket.create_connection(ends, min(left, 5.0)), 0)
    except OSError:
      time.sleep(0.1)
      continue
    name = socket.gethostname()
    line.say(_GREETING, where.rank, where.count, name)
    # Process 0 may have come later, and then waits longer.
    line.socket.settimeout(left + _SECONDS)
    while (lines := line.heard()) is not None:
      for first, *words in lines:
        if first == "go":
          line.host = words[0]
          return {0: line}
        if first == "missing":
          raise Missing(" ".join(words))
        if first == "wrong":
          raise ValueError(" ".join(words))
        if first == "waiting":
          absent = {int(word) for word in words}
    time.sleep(0.1)
  raise Missing(
    f"{_words(absent, where.count)} did not come to {where.address} within "
    f"{wait:g} s (--wait): see why in their own output"
  )
