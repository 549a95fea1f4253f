import numpy as np
from scipy import stats

from hinote_jax.metrics import gradients


def _field(seed, shape=(12, 10, 2)):
  return np.random.default_rng(seed).normal(size=shape)


def test_of_the_truth_itself():
  truth = _field(0)
  scores = gradients.statistics(truth, truth)
  np.testing.assert_array_equal(scores["gradient_ratio"], [1.0, 1.0])
  np.testing.assert_array_equal(scores["gradient_distance"], [0.0, 0.0])


def test_a_weaker_field_is_as_much_smoother():
  truth = _field(1)
  weak = truth * np.array([0.25, 2.0]) + 7.0
  scores = gradients.statistics(weak, truth)
  np.testing.assert_allclose(scores["gradient_ratio"], [0.25, 2.0])
  np.testing.assert_allclose(scores["gradient_distance"], [0.75, 1.0])


def test_distance_is_wassersteins():
  pred, truth = _field(2), _field(3)
  scores = gradients.statistics(pred, truth)
  for c in range(2):
    own, true = (gradients.magnitude(f)[..., c].ravel() for f in (pred, truth))
    want = stats.wasserstein_distance(own, true) / true.mean()
    np.testing.assert_allclose(scores["gradient_distance"][c], want)


def test_where_gradients_are_does_not_matter():
  truth = _field(4, (9, 9, 1))
  scores = gradients.statistics(truth.transpose(1, 0, 2), truth)
  np.testing.assert_allclose(scores["gradient_ratio"], 1.0)
  np.testing.assert_allclose(scores["gradient_distance"], 0.0, atol=1e-12)


def test_mirrored_ramps_are_alike():
  ramp = np.arange(6.0)[:, None, None] + np.arange(5.0)[None, :, None]
  assert gradients.statistics(-ramp, ramp)["gradient_distance"] == 0.0


def test_holes_are_left_out():
  pred, truth = _field(5), _field(6)
  holed = truth.copy()
  holed[3, 4, 0] = np.nan
  scores = gradients.statistics(pred, holed)
  assert np.isfinite(scores["gradient_ratio"]).all()
  whole = gradients.statistics(pred, truth)
  assert scores["gradient_ratio"][1] == whole["gradient_ratio"][1]
  assert scores["gradient_ratio"][0] != whole["gradient_ratio"][0]


def test_of_nothing_known():
  scores = gradients.statistics(_field(7), np.full((12, 10, 2), np.nan))
  assert np.isnan(scores["gradient_ratio"]).all()
