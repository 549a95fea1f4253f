"""How processes meet and lose each other, over sockets of one process."""

from concurrent import futures
import signal
import socket
import threading

import jax
import pytest

from hinote_jax.train import meeting, peers, preemption


def _free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def _place(port, rank, count):
  return meeting.Place(f"localhost:{port}", count, rank)


def _meet(wait, *ranks, count):
  """Has processes of these ranks meet; returns their lines or errors."""
  port = _free_port()

  def one(rank, count):
    go = meeting.call if rank else meeting.gather
    try:
      return go(_place(port, rank, count), wait)
    except (meeting.Missing, ValueError) as error:
      return error

  with futures.ThreadPoolExecutor() as pool:
    counts = count if isinstance(count, tuple) else (count,) * len(ranks)
    return list(pool.map(one, ranks, counts))


def test_all_meet_at_process_0():
  first, *others = _meet(10.0, 0, 2, 1, count=3)
  assert sorted(first) == [1, 2]
  for rank, line in zip((2, 1), others, strict=True):
    assert list(line) == [0]
    assert line[0].say("beat")
    assert first[rank].heard() == [["beat"]]


def test_who_is_missing_is_named_by_all_that_came():
  first, other = _meet(1.0, 0, 1, count=4)
  assert isinstance(first, meeting.Missing) and first.code == 75
  text = "processes 2, 3 of 4 did not come to localhost:"
  assert str(first).startswith(text) and "within 1 s" in str(first)
  assert str(other) == str(first)


def test_process_0_that_does_not_come_is_named():
  (error,) = _meet(0.3, 1, count=2)
  assert isinstance(error, meeting.Missing)
  assert str(error).startswith("process 0 of 2 did not come to localhost:")


def test_two_of_one_number_are_refused():
  first, *others = _meet(5.0, 0, 1, 1, count=3)
  for error in (first, *others):
    assert isinstance(error, ValueError)
    assert "both are process 1 of 3: give each its own" in str(error)


def test_other_counts_are_refused():
  errors = _meet(5.0, 0, 1, count=(2, 3))
  for error in errors:
    assert isinstance(error, ValueError)
    assert "is one of 3 processes, and process 0 of 2" in str(error)


def test_what_else_there_is_on_a_network_is_left_alone():
  port = _free_port()
  with futures.ThreadPoolExecutor() as pool:
    first = pool.submit(meeting.gather, _place(port, 0, 2), 10.0)
    while True:
      try:
        stranger = socket.create_connection(("localhost", port))
        break
      except OSError:
        continue
    stranger.sendall(b"GET / HTTP/1.1\n")
    stranger.close()
    other = pool.submit(meeting.call, _place(port, 1, 2), 10.0)
    assert list(first.result()) == [1] and list(other.result()) == [0]


# The thread ends by an exception where a process would end.
pytestmark = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)


class _Watched:
  """Process 0 of three, with what it says and how it leaves."""

  def __init__(self, monkeypatch):
    self.left, self.code = threading.Event(), None
    monkeypatch.setattr(peers.preemption, "leave", self._leave)
    monkeypatch.setattr(peers, "_BEAT", 0.05)
    monkeypatch.setattr(peers, "_SILENCE", 0.5)
    monkeypatch.setattr(peers, "_GRACE", 0.1)
    lines, self.others = {}, {}
    for rank in (1, 2):
      ours, theirs = socket.socketpair()
      lines[rank] = meeting.Line(ours, rank, f"host{rank}")
      self.others[rank] = meeting.Line(theirs, 0)
    self.peers = peers.Peers(meeting.Place("here:1", 3, 0), lines)

  def heard(self, rank):
    """Returns what another has heard that is no sign of life."""
    lines = self.others[rank].heard()
    return [words for words in lines if words != ["beat"]]

  def _leave(self, code):
    self.code = code
    self.left.set()
    raise SystemExit

  def end_others(self):
    for rank, line in self.others.items():
      line.say("end", rank, f"host{rank}", 0)
      line.socket.close()
    self.peers.settle(5)

  def beat(self, *ranks, times=4):
    for _ in range(times):
      for rank in ranks:
        self.others[rank].say("beat")
      if self.left.wait(0.15):
        break


@pytest.fixture
def watched(monkeypatch):
  process = _Watched(monkeypatch)
  yield process
  process.end_others()  # its thread would end pytest, after `monkeypatch`


def test_one_that_dies_is_named_to_all(watched, capfd):
  watched.others[2].socket.close()
  assert watched.left.wait(5)
  assert watched.code == meeting.EXIT == 75
  said = capfd.readouterr().err
  assert said == (
    "\nhinote_jax: process 2 of 3 (host2) was lost: the same command on all of "
    "them goes on from the last checkpoint\n"
  )
  assert watched.heard(1) == [["lost", "2", "host2"]]


def test_one_that_falls_silent_is_lost(watched, capfd):
  watched.beat(1, times=10)
  assert watched.left.is_set()
  assert "process 2 of 3 (host2) was lost" in capfd.readouterr().err


def test_one_that_ends_well_is_not_lost(watched):
  watched.end_others()
  assert not watched.left.is_set()


@pytest.mark.parametrize("code", [2, 130])
def test_one_that_ends_too_early_takes_the_others_with_it(watched, capfd, code):
  watched.others[2].say("end", 2, "host2", code)
  watched.beat(1)
  assert watched.code == 75
  said = capfd.readouterr().err
  assert f"process 2 of 3 (host2) ended with exit code {code}: see why" in said
  assert watched.heard(1) == [["end", "2", "host2", str(code)]]


def test_it_does_so_after_its_end_too(watched):
  for rank, line in watched.others.items():
    line.say("end", rank, f"host{rank}", 2 * (rank == 2))
    line.socket.close()
  assert watched.left.wait(5)
  assert watched.code == 75


@pytest.mark.parametrize(
  "done, code", [("at step 4 of 6, which is saved", "0"), ("", "130")]
)
def test_others_hear_of_a_signal_that_they_do_not_end_by(
  watched, monkeypatch, done, code
):
  monkeypatch.setattr(meeting, "gather", lambda *_: {})
  monkeypatch.setattr(peers, "Peers", lambda *_: watched.peers)
  monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: None)
  with pytest.raises(preemption.Stopped):
    with peers.joined(meeting.Place("here:1", 3, 0)):
      raise preemption.Stopped(signal.SIGINT, done)
  for rank in watched.others:
    assert watched.heard(rank) == [["end", "0", socket.gethostname(), code]]


def test_place_is_said_by_arguments_or_the_environment(monkeypatch):
  for name in ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID"):
    monkeypatch.delenv(f"JAX_{name}", raising=False)
  assert meeting.place("a:1", 2, 1) == meeting.Place("a:1", 2, 1)
  monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "b:2")
  monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
  with pytest.raises(ValueError, match="2 of three .* --process=I"):
    meeting.place()
  assert meeting.place(rank=3) == meeting.Place("b:2", 4, 3)
  with pytest.raises(ValueError, match="process 4 of 4: they count from 0"):
    meeting.place(rank=4)
  monkeypatch.setenv("JAX_PROCESS_ID", "one")
  with pytest.raises(ValueError, match="whole numbers, got '4' and 'one'"):
    meeting.place()
  with pytest.raises(ValueError, match="HOST:PORT, got 'there'"):
    meeting.place("there", 2, 1)
