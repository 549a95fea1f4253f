"""Tests of pixel losses: closed forms and limits."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from hinote_jax import losses

_SHAPE = (2, 3, 4, 2)


def _loss(name, pred, highres, **kwargs):
  loss = losses.build(name, **kwargs)
  return loss.apply({}, pred, highres, None, None)


def _fields():
  keys = jax.random.split(jax.random.key(0))
  return tuple(jax.random.normal(key, _SHAPE) for key in keys)


def test_l1_and_l2_are_powers_of_the_error():
  pred, highres = _fields()
  error = np.abs(np.float64(pred) - np.float64(highres))
  np.testing.assert_allclose(_loss("l1", pred, highres), error, atol=1e-6)
  np.testing.assert_allclose(_loss("l2", pred, highres), error**2, atol=5e-6)


def test_charbonnier_is_l1_far_from_zero():
  pred, highres = _fields()
  error = np.abs(pred - highres)
  got = _loss("charbonnier", pred, highres, epsilon=1e-4)
  # sqrt(e^2 + eps^2) - eps lies between e - eps and e.
  assert np.all(got <= error + 1e-6) and np.all(got >= error - 1.01e-4)


def test_charbonnier_is_quadratic_near_zero():
  error = jnp.full(_SHAPE, 1e-2)
  got = _loss("charbonnier", error, jnp.zeros(_SHAPE), epsilon=1.0)
  # e^2 / (2 eps); the subtraction leaves float32's 6e-8.
  np.testing.assert_allclose(got, 0.5e-4, atol=2e-7)


@pytest.mark.parametrize("name", ["l1", "l2", "charbonnier"])
def test_perfect_fit_has_no_loss_and_no_gradient(name):
  _, highres = _fields()
  value, grad = jax.value_and_grad(
    lambda pred: _loss(name, pred, highres).sum()
  )(highres)
  assert abs(value) < 1e-6
  np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize("name", ["l1", "l2", "charbonnier"])
def test_shapes_that_broadcast_are_refused(name):
  pred, highres = _fields()
  # By jaxtyping under test, by chex without it.
  with pytest.raises((AssertionError, jaxtyping.TypeCheckError)):
    _loss(name, pred, highres[:1])


def test_build_of_an_unknown_name_says_the_nearest():
  with pytest.raises(ValueError, match="did you mean 'charbonnier'"):
    losses.build("charbonier")
