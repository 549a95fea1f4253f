"""Tests of the losses of the released code."""

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import losses
from hinote_jax.core import resize

_KEYS = jax.random.split(jax.random.key(0), 3)
_PRED, _HIGHRES = (jax.random.normal(key, (3, 8, 10, 2)) for key in _KEYS[:2])
_LOWRES = jax.random.normal(_KEYS[2], (3, 4, 5, 2))


def _mean(name, pred, highres=_HIGHRES, lowres=_LOWRES):
  loss = losses.build(name)
  return loss.apply({}, pred, highres, lowres, None).mean()


def test_sums_are_sums():
  error = np.float64(_PRED) - np.float64(_HIGHRES)
  l1, l2 = (_mean(name, _PRED) for name in ("published_l1", "published_l2"))
  np.testing.assert_allclose(l1, np.abs(error).sum(), rtol=1e-6)
  np.testing.assert_allclose(l2, np.square(error).sum(), rtol=1e-6)
  slope = jax.grad(lambda pred: _mean("published_l1", pred))(_PRED)
  np.testing.assert_array_equal(slope, np.sign(error))


def _bicubic():
  """The input at the size of the target, with PyTorch's cubic kernel."""
  y, x = (
    resize.matrix(n, m, method="cubic_torch", antialias=False)
    for n, m in ((4, 8), (5, 10))
  )
  return np.einsum("Hh,bhwc,Ww->bHWc", y, np.float64(_LOWRES), x)


def _prior(frozen):
  """Returns the loss in float64, as a function of the prediction."""
  target = np.float64(_HIGHRES) - _bicubic()

  def weight(error, gamma):
    # One minimum and one maximum of the whole batch.
    return gamma * np.exp((error - error.min()) / np.ptp(error))

  fixed = weight(np.abs(target), 0.5)
  fixed = fixed * weight(np.abs(target - np.float64(frozen)), 1.0)
  return lambda pred: (fixed * np.abs(target - pred)).mean()


def test_prior_is_the_formula():
  want = _prior(_PRED)(np.float64(_PRED))
  np.testing.assert_allclose(_mean("published_prior", _PRED), want, rtol=2e-6)


def test_prior_weights_are_fixed_in_the_gradient():
  slope = jax.grad(lambda pred: _mean("published_prior", pred))(_PRED)
  loss, pred = _prior(_PRED), np.float64(_PRED)
  step = np.random.default_rng(0).normal(size=pred.shape)
  want = (loss(pred + 1e-7 * step) - loss(pred - 1e-7 * step)) / 2e-7
  np.testing.assert_allclose((slope * step).sum(), want, rtol=1e-4)


def test_prior_wants_what_bicubic_interpolation_misses():
  missed = _HIGHRES - jnp.float32(_bicubic())
  assert _mean("published_prior", missed) < 1e-6
  assert _mean("published_prior", _HIGHRES) > 0.1


def test_prior_of_constant_errors_is_a_number():
  # The release has 0 / 0 here. Nothing stands out: gammas alone, 0.5 and 1.
  flat = jnp.ones((1, 8, 10, 1))
  lowres = jnp.ones((1, 4, 5, 1))

  def value(pred):
    return _mean("published_prior", pred, flat, lowres)

  for level in (0.0, 0.25):
    got, slope = jax.value_and_grad(value)(jnp.full((1, 8, 10, 1), level))
    np.testing.assert_allclose(got, 0.5 * level, atol=1e-6)
    assert np.all(np.isfinite(slope))
