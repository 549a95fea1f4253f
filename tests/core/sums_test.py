"""Compensated sums against float64, and against plain float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import sums


def test_many_parts_do_not_drift():
  rng = np.random.default_rng(0)
  x = rng.uniform(0.9, 1.1, (100_000, 3)).astype(np.float32)

  def part(row):
    return {"sum": row, "square": (row**2).sum()}

  got = jax.jit(lambda x: sums.over(part, x))(x)
  wide = x.astype(np.float64)
  # One rounding of the result, and of each square.
  np.testing.assert_allclose(got["sum"], wide.sum(0), rtol=1.2e-7)
  np.testing.assert_allclose(got["square"], (wide**2).sum(), rtol=2e-7)
  plain = jax.lax.scan(lambda t, row: (t + row, None), np.zeros(3, "f4"), x)
  error = np.abs(plain[0] / wide.sum(0) - 1).max()
  assert error > 1e-6  # what the compensation is for


@pytest.mark.parametrize("count", [1, 7])
def test_gradient_is_that_of_the_sum(count):
  rng = np.random.default_rng(1)
  x, w = (jnp.asarray(rng.normal(size=(count, 4))) for _ in range(2))

  def total(scale, x, w):
    return sums.over(lambda pair: jnp.tanh(scale * pair[0]) @ pair[1], (x, w))

  value, slope = jax.value_and_grad(total)(2.0, x, w)
  np.testing.assert_allclose(value, jnp.sum(jnp.tanh(2 * x) * w), rtol=1e-5)
  want = jnp.sum(w * x / jnp.cosh(2 * x) ** 2)
  np.testing.assert_allclose(slope, want, rtol=1e-4)
