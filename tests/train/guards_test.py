"""Steps out of the ordinary: left out, counted, named, logged, taken again."""

import json
import types

import numpy as np
import pytest

from hinote_jax.data import batches
from hinote_jax.train import guards


class _Drawn:
  """Stands for the windows of a run."""

  def describe(self, step, rows):
    return [batches.Draw(step, "12 UTC", 2.0, (row, 0), (0, 0)) for row in rows]


_DATA = types.SimpleNamespace(train=_Drawn())


def _guard(**kwargs):
  return guards.Guard(_DATA, 2, **kwargs)


def _take(guard, step, loss, norm=1.0, saved=()):
  values = {"loss": loss, "mse": loss, "grad_norm": norm}
  return guard.take(step, values, lambda: list(saved))


def test_usual_losses_are_nothing():
  guard = _guard()
  assert all(_take(guard, n, 1.0 + 0.1 * (n % 3)) is None for n in range(1, 99))


def test_a_spike_is_named_with_what_was_drawn():
  guard = _guard()
  for step in range(1, 30):
    _take(guard, step, 2.0)
  event = _take(guard, 30, 10.5)
  assert (event["kind"], event["usual"], event["loss"]) == ("spike", 2.0, 10.5)
  assert [d["field"] for d in event["drawn"]] == [29, 29]
  assert [d["start"] for d in event["drawn"]] == [[0.0, 0.0], [1.0, 0.0]]
  json.dumps(event)
  assert _take(guard, 31, 10.0) is None  # five times the median, not more


def test_a_spike_needs_losses_to_be_one_of():
  guard = _guard()
  assert _take(guard, 1, 0.1) is None
  assert _take(guard, 2, 100.0) is None


@pytest.mark.parametrize("loss, norm", [(np.nan, 1.0), (1.0, np.inf)])
def test_steps_are_left_out_up_to_a_limit_in_a_row(loss, norm):
  guard = _guard(limit=2)
  for step in (1, 2):
    event = _take(guard, step, loss, norm)
    assert event["kind"] == "skipped"
    json.dumps(event, allow_nan=False)
  assert _take(guard, 3, 1.0) is None
  for step in (4, 5):
    _take(guard, step, loss, norm)
  assert guard.skipped == 4
  with pytest.raises(
    guards.NonFiniteLoss,
    match=r"at step 6; batch indices \[0, 1\]: field 5 \(12 UTC\) x2.000 at "
    r"\(0, 0\); field 5 .*; 3 steps in a row .* config.skip_limit is 2; "
    "last good checkpoint: step 4.*--mode=replay --step=6",
  ):
    _take(guard, 6, loss, norm, saved=(2, 4))


def test_no_step_may_be_left_out_at_a_limit_of_none():
  with pytest.raises(guards.NonFiniteLoss, match="checkpoint: none"):
    _take(_guard(limit=0), 1, np.nan)


def test_it_goes_on_as_if_never_stopped():
  whole, first = _guard(), _guard()
  losses = [1.0] * 20 + [np.nan, np.nan, 9.0, 1.0]
  want = [_take(whole, n, loss) for n, loss in enumerate(losses, 1)]
  got = [_take(first, n, loss) for n, loss in enumerate(losses[:21], 1)]
  second = _guard(known=json.loads(json.dumps(first.meta())))
  got += [_take(second, n, loss) for n, loss in enumerate(losses[21:], 22)]
  assert got == want
  assert second.meta() == whole.meta()
