"""Tests of the frequency-aware loss prior against double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import losses
from hinote_jax.core import grids, resize, spectral
from hinote_jax.losses import frequency_prior

_KEYS = jax.random.split(jax.random.key(0), 3)
_PRED, _HIGHRES = (jax.random.normal(key, (2, 9, 10, 2)) for key in _KEYS[:2])
_LOWRES = jax.random.normal(_KEYS[2], (2, 4, 5, 2))
_COORDS = grids.axes((9, 10))
_CASES = [(True, True), (True, False), (False, True), (False, False)]


def _apply(pred, highres=_HIGHRES, *, variables=None, **kwargs):
  loss = losses.build("frequency_prior", **kwargs)
  return loss.apply(variables or {}, pred, highres, _LOWRES, _COORDS)


def _weight(error, alpha, gamma):
  """gamma exp(alpha minmax(error)) per image and channel, float64."""
  weight = np.empty_like(error)
  for b, c in np.ndindex(error.shape[0], error.shape[3]):
    e = error[b, ..., c]
    weight[b, ..., c] = gamma * np.exp(
      alpha * (e - e.min()) / (e.max() - e.min())
    )
  return weight


def _resized(name, periodic=(False, False)):
  """R of the input on the whole grid, float64."""
  if name == "spectral":
    y, x = (
      spectral.matrix(n, m, periodic=p)
      for n, m, p in zip((4, 5), (9, 10), periodic, strict=True)
    )
  else:
    y, x = (
      resize.matrix(n, m, method="cubic", boundary="wrap" if p else "edge")
      for n, m, p in zip((4, 5), (9, 10), periodic, strict=True)
    )
  return np.einsum("Hh,bhwc,Ww->bHWc", y, np.float64(_LOWRES), x)


def _reference(pred, *, static, dynamic, resized="spectral", frozen=None):
  """Returns the mean loss; `frozen` is the prediction the weights see."""
  pred, highres = np.float64(pred), np.float64(_HIGHRES)
  frozen = pred if frozen is None else np.float64(frozen)
  weight = np.ones_like(highres)
  if static:
    weight *= _weight(np.abs(highres - _resized(resized)), 1.0, 0.5)
  if dynamic:
    weight *= _weight(np.abs(highres - frozen), 1.0, 1.0)
  return weight * np.abs(pred - highres)


@pytest.mark.parametrize("static, dynamic", _CASES)
@pytest.mark.parametrize("resized", ["spectral", "bicubic"])
def test_prior_equals_double_precision(static, dynamic, resized):
  options = dict(static=static, dynamic=dynamic)
  got = _apply(_PRED, resize=resized, **options)
  want = _reference(_PRED, resized=resized, **options)
  np.testing.assert_allclose(got, want, rtol=5e-5, atol=5e-6)  # float32


def test_prior_without_weights_is_l1_or_l2():
  none = dict(static=False, dynamic=False)
  l1 = losses.build("l1").apply({}, _PRED, _HIGHRES, _LOWRES, _COORDS)
  np.testing.assert_allclose(_apply(_PRED, **none), l1, rtol=1e-6)
  np.testing.assert_allclose(_apply(_PRED, **none, power=2.0), l1**2, rtol=1e-5)


@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
def test_spectral_r_is_the_resize_of_the_whole_grid(periodic):
  loss = losses.build("frequency_prior", periodic=periodic).bind({})
  want = spectral.resize(_LOWRES, (9, 10), periodic=periodic)
  got = loss.resized(_LOWRES, _COORDS)
  np.testing.assert_allclose(got, want, atol=2e-5)  # float32 coordinates
  np.testing.assert_allclose(got, _resized("spectral", periodic), atol=2e-5)


@pytest.mark.parametrize("static, dynamic", _CASES)
def test_gradient_is_that_of_frozen_weights(static, dynamic):
  options = dict(static=static, dynamic=dynamic)
  grad = jax.grad(lambda pred: _apply(pred, **options).mean())(_PRED)
  direction = np.random.default_rng(0).normal(size=_PRED.shape)
  # Central differences of the float64 loss; steps do not cross the kink at
  # pred = highres, whose smallest distance here is 2e-4.
  step = 1e-6
  ahead, behind = (
    _reference(
      np.float64(_PRED) + s * step * direction, frozen=_PRED, **options
    ).mean()
    for s in (1, -1)
  )
  want = (ahead - behind) / (2 * step)
  assert np.sum(np.float64(grad) * direction) == pytest.approx(want, rel=1e-4)


def test_weights_pass_no_gradient_to_the_prediction():
  loss = losses.build("frequency_prior").bind({})
  grad = jax.grad(
    lambda pred: loss.weights(pred, _HIGHRES, _LOWRES, _COORDS).sum()
  )(_PRED)
  np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize("learned", [False, True])
def test_perfect_fit_has_finite_loss_and_no_gradient(learned):
  loss = losses.build("frequency_prior", learned=learned)
  variables = loss.init(_KEYS[0], _PRED, _HIGHRES, _LOWRES, _COORDS)

  def mean(variables, pred):
    return loss.apply(variables, pred, _HIGHRES, _LOWRES, _COORDS).mean()

  value, grads = jax.value_and_grad(mean, argnums=(0, 1))(variables, _HIGHRES)
  assert value == 0.0
  for leaf in jax.tree.leaves(grads):
    np.testing.assert_array_equal(leaf, 0.0)


def test_constant_error_has_the_least_weight():
  # An error that is everywhere the same singles out no place.
  highres = jnp.round(_HIGHRES * 64) / 64  # so that adding 1/2 is exact
  got = _apply(highres + 0.5, highres, static=False)
  np.testing.assert_array_equal(got, 0.5)
  nearly = 0.5 + 1e-8 * np.abs(np.float64(_PRED))
  scaled = frequency_prior.minmax(jnp.asarray(nearly, jnp.float32))
  assert scaled.max() < 0.3  # float32 rounding is not blown up to 1


def test_minmax_spans_zero_to_one_in_each_image_and_channel():
  scaled = frequency_prior.minmax(jnp.abs(_PRED) * jnp.asarray([1.0, 1e3]))
  np.testing.assert_array_equal(scaled.min((1, 2)), 0.0)
  np.testing.assert_allclose(scaled.max((1, 2)), 1.0, rtol=1e-6)


def test_weight_range_is_that_of_the_paper():
  # w_s in [0.5, 0.5 e], w_d in [1, e], each attained.
  def weights(**kwargs):
    loss = losses.build("frequency_prior", **kwargs).bind({})
    return loss.weights(_PRED, _HIGHRES, _LOWRES, _COORDS)

  for kwargs, low in ((dict(dynamic=False), 0.5), (dict(static=False), 1.0)):
    got = weights(**kwargs)
    np.testing.assert_allclose(got.min((1, 2)), low, rtol=1e-5)
    np.testing.assert_allclose(got.max((1, 2)), low * np.e, rtol=1e-5)


def _learned():
  loss = losses.build("frequency_prior", learned=True)
  variables = loss.init(_KEYS[0], _PRED, _HIGHRES, _LOWRES, _COORDS)
  return loss, variables


def test_learned_starts_at_the_fixed_values():
  _, variables = _learned()
  got = {k: float(np.exp(v)) for k, v in variables["params"].items()}
  initial = frequency_prior.INITIAL
  want = {"log_" + k: initial[k] for k in frequency_prior.LEARNED}
  assert got == pytest.approx(want)


def test_learned_weights_have_mean_one_in_each_image():
  loss, variables = _learned()
  moved = jax.tree.map(lambda v: v + 0.7, variables)
  weights = loss.bind(moved).weights(_PRED, _HIGHRES, _LOWRES, _COORDS)
  np.testing.assert_allclose(weights.mean((1, 2)), 1.0, rtol=1e-5)
  # And they are the fixed weights up to that mean.
  alpha = np.exp(0.7)
  want = _weight(np.abs(np.float64(_HIGHRES - _PRED)), alpha, 1.0)
  want *= _weight(np.abs(np.float64(_HIGHRES) - _resized("spectral")), alpha, 1)
  want /= want.mean((1, 2), keepdims=True)
  np.testing.assert_allclose(weights, want, rtol=2e-4)


def test_learned_gradients_reach_alpha():
  loss, variables = _learned()

  def mean(variables):
    return loss.apply(variables, _PRED, _HIGHRES, _LOWRES, _COORDS).mean()

  grads = {k: float(v) for k, v in jax.grad(mean)(variables)["params"].items()}
  for name in ("log_alpha_s", "log_alpha_d"):
    step = 1e-2
    params = variables["params"]
    up, down = (
      float(mean({"params": {**params, name: params[name] + s}}))
      for s in (step, -step)
    )
    # Float32 differences of a loss of order one: 1e-5.
    assert grads[name] == pytest.approx((up - down) / (2 * step), abs=2e-4)
    assert abs(grads[name]) > 1e-3


def test_unknown_resize_raises():
  with pytest.raises(
    ValueError, match="unknown resize 'cubic'; did you mean 'bi"
  ):
    _apply(_PRED, resize="cubic")
