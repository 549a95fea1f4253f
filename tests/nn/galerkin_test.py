"""Tests of Galerkin attention against its integral and a float64 reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.nn import galerkin
from tests.infer import networks

_KEY = jax.random.key(0)
_HEADS = 3


def _attention(x, source=None):
  layer = galerkin.GalerkinAttention(_HEADS)
  variables = networks.random_variables(layer, x, source)
  return jax.jit(layer.apply), variables


def _dense(params, x):
  return x @ np.float64(params["kernel"]) + np.float64(params["bias"])


def _layer_norm(params, x):
  centered = x - x.mean(-1, keepdims=True)
  deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-6)
  return centered / deviation * np.float64(params["scale"]) + np.float64(
    params["bias"]
  )


def _reference(params, x, source):
  """Point by point and head by head, float64."""
  x, source = np.float64(x), np.float64(source)
  b, height, width, c = x.shape
  depth = c // _HEADS
  q = _dense(params["q"], x)
  k = _dense(params["k"], source).reshape(b, -1, c)
  v = _dense(params["v"], source).reshape(b, -1, c)
  z = np.zeros((b, height, width, c))
  for g in range(_HEADS):
    own = slice(g * depth, (g + 1) * depth)
    k_g = _layer_norm(params["norm_k"], k[..., own])
    v_g = _layer_norm(params["norm_v"], v[..., own])
    for i in range(b):
      integral = sum(map(np.outer, k_g[i], v_g[i]))
      z[i, ..., own] = q[i, ..., own] @ integral / len(k_g[i])
  return z


def test_attention_equals_double_precision_sum():
  x = jax.random.normal(_KEY, (2, 4, 5, 12))
  apply, variables = _attention(x)
  want = _reference(variables["params"], x, x)
  np.testing.assert_allclose(apply(variables, x), want, atol=2e-5)  # float32


def test_cross_attention_integrates_over_the_source():
  x = jax.random.normal(_KEY, (2, 4, 5, 12))
  source = jax.random.normal(jax.random.key(1), (2, 3, 2, 7))
  apply, variables = _attention(x, source)
  want = _reference(variables["params"], x, source)
  got = apply(variables, x, source)
  np.testing.assert_allclose(got, want, atol=2e-5)  # float32
  # Then a query does not see the others.
  one = apply(variables, x[:, 2:3, 1:2], source)
  np.testing.assert_allclose(one, got[:, 2:3, 1:2], atol=1e-5)


def test_block_is_two_residual_steps():
  x = jax.random.normal(_KEY, (1, 3, 4, 12))
  block = galerkin.GalerkinBlock(_HEADS)
  variables = networks.random_variables(block, x)
  params = variables["params"]
  y = np.float64(x) + _reference(params["attention"], x, x)
  hidden = np.asarray(jax.nn.gelu(jnp.asarray(_dense(params["expand"], y))))
  want = x + _dense(params["contract"], hidden)
  np.testing.assert_allclose(block.apply(variables, x), want, atol=2e-5)


def _smooth(x):
  """k and v of a smooth, non-periodic field at x in [0, 1], [n 1 3]."""
  k = np.stack([np.exp(x), np.cos(2 * x), x**3], -1)
  v = np.stack([1 / (1 + x), np.sin(3 * x), x**2], -1)
  return k[:, None], v[:, None]


def test_context_converges_to_the_integral_at_second_order():
  node, weight = np.polynomial.legendre.leggauss(30)
  k, v = _smooth((node + 1) / 2)
  want = np.einsum("n,ngd,nge->gde", weight / 2, k, v)

  def error(n):
    k, v = _smooth((np.arange(n) + 0.5) / n)
    c = galerkin.moment(*(jnp.asarray(t[None], jnp.float32) for t in (k, v)))
    c = c / n
    return np.abs(c[0] - want).max()

  errors = [error(n) for n in (4, 8, 16)]
  # The midpoint rule: a quarter of the error at half the step. The last is
  # 1e-3 and more, far above float32.
  for coarse, fine in zip(errors, errors[1:], strict=False):
    assert 3.7 < coarse / fine < 4.3


def test_attention_does_not_depend_on_the_resolution_of_its_source():
  x = jax.random.normal(_KEY, (1, 2, 2, 12))
  mix = np.random.default_rng(0).normal(size=(4, 7))

  def source(n):
    t = (np.arange(n) + 0.5) / n
    y, x_ = np.meshgrid(t, t, indexing="ij")
    # The constant keeps layer norm off fields that vanish, where it jumps.
    waves = [3 + 0 * y, np.cos(y + x_), np.exp(y) * x_, np.sin(2 * x_)]
    return jnp.asarray(np.stack(waves, -1)[None] @ mix, jnp.float32)

  layer = galerkin.GalerkinAttention(_HEADS)
  variables = networks.random_variables(layer, x, source(4))
  z = [layer.apply(variables, x, source(n)) for n in (4, 8, 16, 32)]
  steps = [np.abs(b - a).max() for a, b in zip(z, z[1:], strict=False)]
  assert steps[1] < steps[0] / 3 and steps[2] < steps[1] / 3
  assert steps[2] < 0.01 * np.abs(z[-1]).max()


def test_attention_ignores_the_order_of_points():
  x = jax.random.normal(_KEY, (2, 4, 6, 12))
  apply, variables = _attention(x)
  order = np.random.default_rng(0).permutation(24)
  shuffled = x.reshape(2, 24, 12)[:, order].reshape(2, 6, 4, 12)
  got = apply(variables, shuffled).reshape(2, 24, 12)
  want = apply(variables, x).reshape(2, 24, 12)[:, order]
  np.testing.assert_allclose(got, want, atol=1e-5)  # order of float32 sums


def test_attention_refuses_heads_that_do_not_divide():
  x = jnp.zeros((1, 2, 2, 10))
  with pytest.raises(ValueError, match="3 heads do not divide 10 channels"):
    galerkin.GalerkinAttention(3).init(_KEY, x)


@pytest.mark.parametrize("norm", ["standard", "published"])
def test_bands_change_neither_answer_nor_gradient(norm):
  x = jax.random.normal(_KEY, (2, 5, 7, 12))
  source = jax.random.normal(jax.random.key(1), (2, 3, 11, 5))

  def run(most):
    block = galerkin.GalerkinBlock(_HEADS, norm=norm, points_at_once=most)
    variables = networks.random_variables(block, x, source)

    def loss(variables, x):
      y = block.apply(variables, x, source)
      return jnp.square(y).sum(), y

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(variables, x)

  whole = run(1000)
  for most in (2, 17):  # a point at once; bands that do not divide
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4),
      run(most),
      whole,
    )


def test_published_norm_is_the_unbiased_one_with_epsilon_outside():
  x = np.random.default_rng(0).normal(size=(6, _HEADS, 4))
  scale, bias = np.random.default_rng(1).normal(size=(2, _HEADS, 4))
  arrays = (jnp.asarray(a, jnp.float32) for a in (x, scale, bias))
  got = galerkin.apply_norm("published", *arrays)
  deviation = x.std(-1, ddof=1, keepdims=True) + 1e-5
  want = (x - x.mean(-1, keepdims=True)) / deviation * scale + bias
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_gradient_of_the_published_norm_is_finite_where_a_head_is_flat():
  flat = jnp.ones((2, _HEADS, 4))
  ones = jnp.ones((_HEADS, 4))
  gradient = jax.grad(
    lambda x: galerkin.apply_norm("published", x, ones, ones).sum()
  )(flat)
  assert np.all(np.isfinite(gradient))
