"""How far a model is trusted: weights by closed forms, kept with a digest."""

import json

import numpy as np
import pytest

from hinote_jax.evaluate import far
from tests import evaluations as ev


@pytest.mark.parametrize(
  ("errors", "want"),
  [
    # Independent errors: weights go as one over their variances.
    (
      [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
      [1 / 9, 4 / 9, 4 / 9],
    ),
    # The second is the first and more: it has no weight.
    ([[1.0, 0.0], [1.0, 1.0]], [1.0, 0.0]),
    # They cancel.
    ([[1.0, 0.0], [-1.0, 0.0]], [0.5, 0.5]),
    ([[0.0, 0.0], [1.0, 2.0]], [1.0, 0.0]),
    ([[0.0], [0.0]], [1.0, 0.0]),
  ],
)
def test_the_best_mean_has_the_least_error(errors, want):
  errors = np.asarray(errors)
  np.testing.assert_allclose(far.best(errors @ errors.T), want, atol=1e-4)


def test_no_mean_of_random_errors_is_better():
  random = np.random.default_rng(0)
  errors = random.normal(size=(4, 50)) + random.normal(size=50)
  weights = far.best(errors @ errors.T)
  assert weights.min() >= 0.0
  np.testing.assert_allclose(weights.sum(), 1.0)
  others = random.dirichlet(np.ones(4), 1000)
  least = np.square(others @ errors).sum(-1).min()
  assert np.square(weights @ errors).sum() <= least


def test_octaves_are_those_that_fields_say_something_of():
  assert far.scales(4.0, (512, 1024)) == [8.0, 16.0, 32.0]
  assert far.scales(4.0, (181, 360)) == [8.0, 16.0]
  assert far.scales(4.0, (40, 48)) == []


def test_each_variable_is_trusted_by_itself():
  dataset = ev.dataset()
  # The model knows the first variable and is far off in the second.
  blend = far.fit(
    {
      "model": ev.Truth(dataset.values, np.asarray([0.0, 9.0])),
      "bicubic": ev.Truth(dataset.values, 1.0),
    },
    dataset,
    range(len(dataset.values)),
    degradation=ev.Mean(),
    largest=1.0,
  )
  assert blend["methods"] == ["cubic"] and blend["scales"] == [1.0, 2.0]
  first, second = np.asarray(blend["weights"])
  np.testing.assert_array_equal(first, 0.0)
  np.testing.assert_allclose(second[:, 0], [0.0, 1.0], atol=1e-4)


def test_a_blend_is_of_one_checkpoint_and_not_used_when_damaged(tmp_path):
  blend = dict(methods=["cubic"], scales=[4.0, 8.0], weights=[[[0.0]], [[0.5]]])
  assert far.load(tmp_path, 7) is None
  far.save(tmp_path, 7, blend)
  assert far.load(tmp_path, 7) == blend
  assert far.load(tmp_path, 8) is None
  path = tmp_path / far.FILE
  path.write_text(path.read_text().replace("0.5", "0.6"))
  assert far.load(tmp_path, 7) is None
  path.write_text(json.dumps([1]))
  assert far.load(tmp_path, 7) is None
