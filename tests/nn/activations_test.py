"""Tests of pointwise functions against double precision."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from hinote_jax.nn import activations

_X = np.linspace(-12.0, 12.0, 100_001).astype(np.float32)


def _normal(x):
  return 0.5 * special.erfc(-x / np.sqrt(2.0))


def test_gelu_is_exact_to_one_in_ten_million():
  x = np.float64(_X)
  got = np.float64(jax.jit(activations.gelu)(_X))
  error = np.abs(got - x * _normal(x))
  assert np.all(error <= 1e-7 * np.maximum(1.0, np.abs(x)))


def test_slope_of_gelu_is_exact():
  x = np.float64(_X)
  want = _normal(x) + x * np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)
  got = jax.jit(jax.vmap(jax.grad(activations.gelu)))(_X)
  np.testing.assert_allclose(got, want, atol=2e-7)


def test_gelu_far_out():
  far = jnp.array([-1e30, -40.0, 40.0, 1e30], jnp.float32)
  np.testing.assert_array_equal(
    activations.gelu(far), np.float32([0.0, 0.0, 40.0, 1e30])
  )
  slope = jax.vmap(jax.grad(activations.gelu))(far)
  np.testing.assert_array_equal(slope, [0.0, 0.0, 1.0, 1.0])


def test_gelu_keeps_the_type():
  x = jnp.array([0.5, -1.0], jnp.bfloat16)
  got = activations.gelu(x)
  assert got.dtype == jnp.bfloat16
  np.testing.assert_allclose(
    np.float32(got), [0.345703125, -0.158203125], atol=2e-3
  )
