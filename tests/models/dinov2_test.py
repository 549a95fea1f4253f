"""DINOv2's attention: its written derivative beside XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.models.features import dinov2


@pytest.mark.parametrize(
  ("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 3e-2)]
)
def test_written_derivative_is_that_of_softmax_attention(dtype, tolerance):
  keys = jax.random.split(jax.random.key(0), 4)
  shapes = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), (2, 3, 5, 8)
  q, k, v, along = (
    jax.random.normal(key, shape).astype(dtype)
    for key, shape in zip(keys, shapes, strict=True)
  )

  def plain(q, k, v):
    return jax.nn.softmax(q @ k.swapaxes(-1, -2)) @ v

  wide = [x.astype(jnp.float32) for x in (q, k, v)]
  want, back = jax.vjp(plain, *wide)
  got, own_back = jax.vjp(dinov2.attend, q, k, v)
  assert got.dtype == dtype
  np.testing.assert_allclose(np.float32(got), want, atol=tolerance)
  wanted = back(along.astype(jnp.float32))
  for own, other in zip(own_back(along), wanted, strict=True):
    assert own.dtype == dtype
    scale = float(jnp.abs(other).max())
    np.testing.assert_allclose(np.float32(own), other, atol=tolerance * scale)


def test_half_precision_has_a_gradient():
  module = models.build(
    "dinov2", width=12, depth=1, heads=2, side=2, dtype="bfloat16"
  )
  field = jax.random.uniform(jax.random.key(0), (1, 28, 28, 3))
  variables = module.init(jax.random.key(1), field)
  slope = jax.grad(lambda x: jnp.square(module.apply(variables, x)).sum())(
    field
  )
  assert np.isfinite(slope).all() and float(jnp.abs(slope).max()) > 0
