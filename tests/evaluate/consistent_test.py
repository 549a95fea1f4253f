"""Predictors beside their projections: one answer for both."""

import numpy as np

from hinote_jax import degradations
from hinote_jax.evaluate import consistent

_WALLS = (False, False)


def test_what_is_projected_is_the_answer_itself_computed_once():
  calls = []

  def repeated(lowres, *, shape):
    calls.append(shape)
    return np.repeat(np.repeat(lowres, shape[0] // 4, 0), shape[1] // 4, 1) + 1

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
