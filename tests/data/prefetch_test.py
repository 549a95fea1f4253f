"""Batches made ahead: their order, how many, and an error's step."""

import itertools
import threading
import time

import pytest

from hinote_jax.data import batches


def _threads():
  return [t for t in threading.enumerate() if t.name == "prefetch"]


def test_prefetch_gives_every_step_in_order():
  made = batches.prefetch(lambda step: {"step": step}, range(3, 9), depth=2)
  assert list(made) == [(step, {"step": step}) for step in range(3, 9)]
  assert not _threads()


def test_prefetch_runs_ahead_by_its_depth_only():
  made = []
  stream = batches.prefetch(lambda step: made.append(step), itertools.count())
  next(stream)
  # One consumed, two waiting, one in the hands of the thread.
  patience = time.monotonic() + 10.0
  while len(made) < 4 and time.monotonic() < patience:
    time.sleep(0.01)
  time.sleep(0.05)
  assert len(made) == 4
  stream.close()
  assert not _threads()


def test_prefetch_raises_the_error_at_its_step():
  def fail(step):
    if step == 2:
      raise ValueError("field 2 is broken")
    return {}

  seen = []
  with pytest.raises(ValueError, match="field 2 is broken"):
    for step, _ in batches.prefetch(fail, itertools.count()):
      seen.append(step)
  assert seen == [0, 1]
  assert not _threads()
