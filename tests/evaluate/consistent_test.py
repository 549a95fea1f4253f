"""Predictors beside their projections: one answer for both."""

import numpy as np

from hinote_jax import degradations
from hinote_jax.evaluate import consistent

_WALLS = (False, False)


def test_what_is_projected_is_the_answer_itself_computed_once():
  calls = []

  def repeated(lowres, *, shape, extras=None):
    calls.append(extras)
    times = (n // 4 for n in shape)
    return np.kron(lowres[..., 0], np.ones(tuple(times)))[..., None] + 1

  degradation = degradations.parse("area")
  both = consistent.with_consistent({"up": repeated}, degradation, _WALLS)
  assert list(both) == ["up", "up, consistent"]
  first, second = np.random.default_rng(0).normal(size=(2, 4, 4, 1))
  for lowres, side in ((first, 8), (first, 12), (second, 12), (first, 12)):
    plain = both["up"](lowres, shape=(side, side))
    np.testing.assert_array_equal(plain, repeated(lowres, shape=(side, side)))
    projected = both["up, consistent"](lowres, shape=(side, side))
    # What the mean over a cell has too much is taken off all of it.
    np.testing.assert_allclose(projected, plain - 1, atol=1e-5)
    np.testing.assert_array_equal(plain, both["up"](lowres, shape=(side, side)))
  assert len(calls) == 8  # four by the test itself
  for extras in ({}, {"static": 1}):  # told something else it answers anew
    both["up"](first, shape=(12, 12), extras=extras)
    both["up, consistent"](first, shape=(12, 12), extras=extras)
  assert calls[8:] == [{}, {"static": 1}]
