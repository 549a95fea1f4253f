"""Consistency in closed form: what it equals, and how soon it is there."""

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.core import grids
from hinote_jax.infer import consistency, krylov
from tests.infer import smooth

_WALLS = (False, False)


def _both(text, scale, periodic, shape=(9, 10), **options):
  """Returns projections by the closed form and by iterations alone."""
  fine = grids.pair(scale * n for n in shape)
  degradation = degradations.parse(text)
  closed, iterated = (
    consistency.Projection(degradation, fine, shape, periodic, **options)
    for _ in range(2)
  )
  iterated._inverse = lambda z: z
  return closed, iterated


@pytest.fixture
def steps(monkeypatch):
  """Counts the steps of conjugate residuals."""
  counts = []
  solve = krylov.conjugate_residuals

  def counted(apply, *arguments, **options):
    counts.append(-2)  # the first guess, and the last look

    def one(z):
      counts[-1] += 1
      return apply(z)

    solved = solve(one, *arguments, **options)
    counts[-1] += 1
    return solved

  monkeypatch.setattr(krylov, "conjugate_residuals", counted)
  return counts


@pytest.mark.parametrize(
  "text, scale, periodic",
  [
    ("area", 3, _WALLS),
    ("uniform", 2, (True, False)),
    ("decimate(cubic)", 2, _WALLS),
    ("imresize", 2, (False, True)),
    ("pillow", 3, (True, True)),
    ("blur(0.5)|decimate(cubic, antialias)", 2, _WALLS),
    ("blur(0.5, 0.3, 30)|area", 2, (True, True)),
  ],
)
def test_the_closed_form_equals_the_iterations(text, scale, periodic, steps):
  closed, iterated = _both(text, scale, periodic, tolerance=1e-11)
  lowres = smooth.field((9, 10, 1)).astype(np.float64)
  highres = smooth.field((9 * scale, 10 * scale, 1), 1).astype(np.float64)
  want = iterated(highres, lowres)
  np.testing.assert_allclose(closed(highres, lowres), want, atol=1e-6)
  assert steps[1] <= 2 < steps[0] or steps[0] <= 2


@pytest.mark.parametrize("start", [(0.0, 3.0), (0.0, 0.5)])
def test_a_ring_that_begins_elsewhere_has_the_closed_form(start, steps):
  closed, _ = _both("blur(0.5)|imresize", 2, (False, True), start=start)
  closed(smooth.field((18, 20, 1), 1), smooth.field((9, 10, 1)))
  assert steps == [1]


@pytest.mark.parametrize(
  # By what was there before: 186, 74 and 76.
  "periodic, limit",
  [((True, True), 3), ((False, True), 30), ((False, False), 40)],
)
def test_a_wide_turned_blur_is_met_soon(periodic, limit, steps):
  text, shape = "blur(1.2, 0.6, 30)|area", (10, 12)
  closed, _ = _both(text, 2, periodic, shape)
  truth = smooth.field((20, 24, 1))
  lowres = degradations.parse(text).field(truth, shape, periodic=periodic)
  closed(truth + smooth.field((20, 24, 1), 1) - np.float32(280.0), lowres)
  assert steps[0] <= limit
