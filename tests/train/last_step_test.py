"""Processes agree on a last step: threads, and queues for their connections."""

from concurrent import futures
import queue
import threading

import hypothesis
from hypothesis import strategies
import pytest

from hinote_jax.train import last_step

STEPS, WAIT = 6, 20.0


class _Processes:
  """So many processes that take each step together, as collectives do."""

  def __init__(self, count, signals):
    """Takes the signals, by rank the step before which one comes and number."""
    self.count, self.signals = count, signals
    self.words = [queue.Queue() for _ in range(count)]
    self.together = threading.Barrier(count)
    self.each = [
      last_step.LastStep(rank, count, self._saying(rank))
      for rank in range(count)
    ]

  def _saying(self, rank):
    to = range(1, self.count) if rank == 0 else [0]

    def say(*words):
      for other in to:
        self.words[other].put((rank, *map(str, words)))

    return say

  def _listen(self, rank):
    while words := self.words[rank].get(timeout=WAIT):
      if words[1] == "end":
        self.each[rank].end(words[0])
      else:
        self.each[rank].hear(*words)

  def _loop(self, rank):
    """Returns the last step of a process and the signal that it ended by."""
    at, number = self.signals.get(rank, (STEPS + 1, 0))
    result = STEPS, 0
    for step in range(1, STEPS + 1):
      self.together.wait(WAIT)
      if ends_by := self.each[rank].agreed(step, number if step >= at else 0):
        result = step, ends_by
        break
    self._saying(rank)("end")
    return result

  def run(self):
    """Returns what the processes ended at and by."""
    with futures.ThreadPoolExecutor(2 * self.count) as pool:
      listening = [pool.submit(self._listen, r) for r in range(self.count)]
      try:
        return list(pool.map(self._loop, range(self.count), timeout=WAIT))
      finally:
        for words in self.words:
          words.put(())
        for thread in listening:
          thread.result(WAIT)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
  strategies.integers(1, 4).flatmap(
    lambda count: strategies.tuples(
      strategies.just(count),
      strategies.dictionaries(
        strategies.integers(0, count - 1),
        strategies.tuples(
          strategies.integers(1, STEPS), strategies.sampled_from([2, 15])
        ),
      ),
    )
  )
)
def test_all_end_after_one_step(case):
  count, signals = case
  ended = _Processes(count, signals).run()
  assert len(set(ended)) == 1
  step, number = ended[0]
  if not signals:
    assert (step, number) == (STEPS, 0)
    return
  asked = min(at for at, _ in signals.values())
  if asked < STEPS:  # another may have taken the next step already, never two
    assert number in [number for _, number in signals.values()]
    assert asked <= step <= asked + 1


@pytest.mark.parametrize("rank", [0, 1])
def test_who_is_ahead_says_which_step_is_the_last(rank):
  said = [[], []]
  each = [
    last_step.LastStep(r, 2, lambda *words, r=r: said[r].append(words))
    for r in range(2)
  ]
  for step in range(1, 8):
    assert each[1].agreed(step, 0) == 0
  with futures.ThreadPoolExecutor() as pool:
    asked = pool.submit(each[rank].agreed, 8 if rank else 1, 15)
    while not said[rank]:
      assert not asked.done()
    if rank:
      assert said[1] == [("stop", 15)]
      each[0].hear(1, "stop", "15")
    assert said[0] == [("halt",)]
    each[1].hear(0, "halt")
    assert said[1][-1] == ("at", 7)
    each[0].hear(1, "at", "7")
    assert said[0][-1] == ("until", 8, 15)
    each[1].hear(0, "until", "8", "15")
    assert asked.result(WAIT) == (15 if rank else 0)
  assert [each[0].agreed(step, 15) for step in range(2, 9)] == 6 * [0] + [15]


def test_of_one_process_it_is_the_step_that_was_begun():
  alone = last_step.LastStep(0, 1, lambda *_: None)
  assert [alone.agreed(1, 0), alone.agreed(2, 15)] == [0, 15]


def test_none_waits_for_one_that_has_taken_all_steps():
  first = last_step.LastStep(0, 3, lambda *_: None)
  other = last_step.LastStep(1, 3, lambda *_: None)
  first.end(1)
  with futures.ThreadPoolExecutor() as pool:
    waiting = [pool.submit(x.agreed, 6, 15) for x in (first, other)]
    first.hear(2, "at", "6")
    other.end(0)
    assert [x.result(WAIT) for x in waiting] == [0, 0]
  assert first.agreed(7, 15) == other.agreed(7, 15) == 0
