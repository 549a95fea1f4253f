"""Tests of the decoder in bands: convolutions and the integral, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids
from hinote_jax.models.hinote_official import lifted, published
from hinote_jax.nn import samplers

_KEYS = jax.random.split(jax.random.key(0), 9)


def _convolved(x, kernel):
  """Convolves [b h w c] with [k k c d], zeros beyond the edges, float64."""
  x, kernel = np.float64(x), np.float64(kernel)
  halo = len(kernel) // 2
  padded = np.pad(x, [(0, 0), (halo, halo), (halo, halo), (0, 0)])
  h, w = x.shape[1:3]
  return sum(
    padded[:, i : i + h, j : j + w] @ kernel[i, j]
    for i in range(len(kernel))
    for j in range(len(kernel))
  )


@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
def test_distinct_tokens_convolve_like_all_of_them(periodic):
  feats = jax.random.normal(_KEYS[0], (2, 6, 5, 1))
  window = grids.Axes(
    jnp.stack([grids.axis_centers(7), grids.window(3, 7, 0, 20)]),
    jnp.stack([grids.axis_centers(9), grids.window(11, 9, 0, 20)]),
  )
  rel_cell = jnp.array([[2.0, 3.0], [0.5, 0.25]])
  kernel = jax.random.normal(_KEYS[1], (3, 3, 14, 4))
  found = lifted.distinct(feats, window, rel_cell, periodic=periodic)
  assert found.shape[-1] == 10
  tokens = samplers.local_ensemble(
    feats, window, rel_cell, periodic=periodic, halve_at_walls=True
  )
  np.testing.assert_allclose(
    _convolved(found, lifted.on_distinct(kernel)),
    _convolved(tokens, kernel),
    atol=2e-5,
  )


def _block(c, heads):
  """Parameters of a block, none of them special."""
  random = np.random.default_rng(0)

  def draw(*shape):
    return random.normal(size=shape).astype(np.float32) / 2

  attention = {name: dict(kernel=draw(c, c)) for name in "qkv"}
  for name in "kv":
    shape = (heads, c // heads)
    attention[f"norm_{name}"] = dict(scale=draw(*shape), bias=draw(*shape))
  return dict(
    attention=attention,
    expand=dict(kernel=draw(c, c)),
    contract=dict(kernel=draw(c, c)),
  )


def _normed(x, norm):
  """x less its mean, by its unbiased standard deviation plus 1e-5."""
  x = x - x.mean(-1, keepdims=True)
  x = x / (x.std(-1, ddof=1, keepdims=True) + 1e-5)
  return x * np.float64(norm["scale"]) + np.float64(norm["bias"])


def _reference(tokens, block, project, heads):
  """Lifting, block and projection point by point, float64; tanh for GELU."""
  x = _convolved(*tokens)
  b, h, w, c = x.shape
  attention = block["attention"]
  q, k, v = (
    (x @ np.float64(attention[n]["kernel"])).reshape(b, h * w, heads, -1)
    for n in "qkv"
  )
  k, v = _normed(k, attention["norm_k"]), _normed(v, attention["norm_v"])
  z = np.empty_like(q)
  for i in range(b):
    for g in range(heads):
      z[i, :, g] = q[i, :, g] @ (k[i, :, g].T @ v[i, :, g]) / (h * w)
  y = (x + z.reshape(x.shape)) @ np.float64(block["expand"]["kernel"])
  y = np.tanh(x + np.tanh(y) @ np.float64(block["contract"]["kernel"]))
  return _convolved(y, project["kernel"]) + np.float64(project["bias"])


@pytest.mark.parametrize("points", [1000, 20, 1])
def test_bands_equal_double_precision(points):
  tokens = jax.random.normal(_KEYS[2], (2, 7, 6, 3))
  kernel = jax.random.normal(_KEYS[3], (5, 5, 3, 8)) / 8
  project = dict(
    kernel=jax.random.normal(_KEYS[4], (3, 3, 8, 2)), bias=jnp.ones(2)
  )
  block = _block(8, 2)
  decode = lifted.Decoder(2, jnp.tanh, points)
  got = decode((kernel, block, project), tokens)
  want = _reference((tokens, kernel), block, project, 2)
  np.testing.assert_allclose(got, want, atol=2e-5)  # float32


def test_gradient_is_finite_where_heads_are_flat():
  # All tokens zero: k and v have no spread, PyTorch's gradient is 0 there.
  tokens, kernel = jnp.zeros((1, 4, 4, 3)), jnp.ones((3, 3, 3, 8))
  project = dict(kernel=jnp.ones((3, 3, 8, 1)), bias=jnp.zeros(1))

  def total(block, tokens):
    activate = published.activation("GELU")
    decode = lifted.Decoder(2, activate, 8)
    return decode((kernel, block, project), tokens).sum()

  gradient = jax.grad(total, argnums=(0, 1))(_block(8, 2), tokens)
  for leaf in jax.tree.leaves(gradient):
    assert np.all(np.isfinite(leaf))
