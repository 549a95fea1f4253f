"""Signals: heeded after the step, at once the second time, not under nohup."""

import gc
import os
import signal
import time

import pytest

from hinote_jax.train import preemption


def _send(number):
  os.kill(os.getpid(), number)


@pytest.mark.parametrize(
  "name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)]
)
def test_exit_codes_are_those_of_shells(name, code):
  number = getattr(signal, name)
  before = signal.getsignal(number)
  signal.signal(number, signal.SIG_DFL)
  try:
    with pytest.raises(preemption.Stopped, match=f"by {name}; the") as stopped:
      with preemption.raised():
        _send(number)
    assert signal.getsignal(number) is signal.SIG_DFL
  finally:
    signal.signal(number, before)
  assert stopped.value.code == code


def test_one_that_the_garbage_collector_passes_over_comes_again(capsys):
  sent = []

  def callback(phase, _):
    if not sent:
      sent.append(phase)
      _send(signal.SIGTERM)

  # What other tests left has finalisers of its own, some of which keep what is
  # raised in them to themselves: it goes first.
  gc.collect()
  gc.disable()  # it would come before the signal is awaited
  try:
    with pytest.raises(preemption.Stopped, match="by SIGTERM"):
      with preemption.raised():
        gc.callbacks.append(callback)
        gc.collect(0)
        assert sent, "passed over"
        time.sleep(5.0)
  finally:
    gc.enable()
    gc.callbacks.remove(callback)
  assert not capsys.readouterr().err


def test_one_that_comes_while_another_is_passed_over_comes_again(monkeypatch):
  later, sent = preemption._send_later, []

  def at_once_then_later(number):
    sent.append(number)
    later(number) if len(sent) > 1 else _send(number)

  monkeypatch.setattr(preemption, "_send_later", at_once_then_later)

  class Finalised:
    def __del__(self):
      _send(signal.SIGTERM)

  with pytest.raises(preemption.Stopped, match="by SIGTERM"):
    with preemption.raised():
      Finalised()
      time.sleep(5.0)
  assert sent == [signal.SIGTERM] * 2


def test_the_first_is_asked_and_the_second_does_not_wait():
  with pytest.raises(preemption.Stopped):
    with preemption.requested() as request:
      assert not request.is_due(1)
      _send(signal.SIGTERM)
      assert request.is_due(1)
      _send(signal.SIGTERM)


def test_one_that_was_not_heeded_is_raised_in_the_end():
  with pytest.raises(preemption.Stopped) as stopped:
    with preemption.requested():
      _send(signal.SIGTERM)
  assert not stopped.value.done  # other processes do not know of it


def test_what_is_ignored_stays_so():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with preemption.raised(), preemption.requested() as request:
      _send(signal.SIGHUP)
      assert not request.is_due(1)
  finally:
    signal.signal(signal.SIGHUP, before)
