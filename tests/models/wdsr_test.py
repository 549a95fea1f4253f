"""WDSR: what weight normalisation does, and how the branches add up."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from hinote_jax import lazy, models
from hinote_jax.models.single_scale import wdsr
from hinote_jax.nn import blocks

_KEY = jax.random.key(0)


def _small(**kwargs):
  return models.build("wdsr", width=8, blocks=1, scale=2, **kwargs)


def _made(x):
  init = jax.jit(lambda x: _small().init(_KEY, x, method="enlarge"))
  return init(x)["params"]


def _enlarge(module, params, x):
  run = jax.jit(lambda x: module.apply({"params": params}, x, method="enlarge"))
  return run(x)


def test_kernel_is_the_magnitude_along_the_direction():
  random = np.random.default_rng(0)
  direction = random.normal(size=(3, 3, 2, 4))
  magnitude, bias = random.normal(size=(2, 4))
  x = random.normal(size=(6, 7, 2))
  conv = wdsr.NormedConv(4)
  params = dict(direction=direction, magnitude=magnitude, bias=bias)
  params = jax.tree.map(jnp.float32, params)
  got = conv.apply({"params": params}, jnp.float32(x)[None])[0]
  for d in range(4):
    kernel = direction[..., d]
    kernel = magnitude[d] * kernel / np.sqrt(np.sum(kernel**2))
    want = bias[d] + sum(
      scipy.ndimage.correlate(x[..., c], kernel[..., c], mode="constant")
      for c in (0, 1)
    )
    np.testing.assert_allclose(got[..., d], want, atol=1e-5)  # float32


def test_length_of_the_direction_does_not_count():
  x = jax.random.normal(_KEY, (1, 5, 5, 2))
  conv = wdsr.NormedConv(3)
  params = conv.init(_KEY, x)["params"]
  longer = params | {"direction": 7.0 * params["direction"]}
  got = conv.apply({"params": longer}, x)
  np.testing.assert_allclose(got, conv.apply({"params": params}, x), atol=1e-6)
  # Nor can a step of gradient descent change it, to first order.
  loss = lambda p: jnp.sum(conv.apply({"params": p}, x) ** 2)  # noqa: E731
  slope = jax.grad(loss)(params)["direction"]
  along = jnp.sum(slope * params["direction"], axis=(0, 1, 2))
  assert jnp.all(jnp.abs(along) < 1e-4 * jnp.sum(jnp.abs(slope)))


def test_fresh_layer_is_the_convolution_with_its_direction():
  x = jax.random.normal(_KEY, (1, 5, 6, 2))
  conv = wdsr.NormedConv(3, 5, (True, False))
  params = conv.init(_KEY, x)["params"]
  want = blocks.convolve(x, params["direction"], (True, False), jnp.float32)
  np.testing.assert_allclose(conv.apply({"params": params}, x), want, atol=1e-5)


def test_without_its_tail_it_is_the_linear_skip():
  x = jax.random.normal(_KEY, (2, 5, 6, 1))
  params = _made(x)
  params["tail"] = params["tail"] | {"magnitude": jnp.zeros(4)}
  got = _enlarge(_small(), params, x)
  skip = wdsr.NormedConv(4, 5).apply({"params": params["skip"]}, x)
  np.testing.assert_allclose(got, lazy.pixel_shuffle(skip, 2), atol=1e-6)


def test_a_block_adds_its_part_of_the_residual():
  x = jax.random.normal(_KEY, (1, 5, 6, 1))
  params = _made(x)
  none, tenth, whole = (
    _enlarge(_small(residual_scale=scale), params, x) for scale in (0.0, 0.1, 1)
  )
  assert jnp.std(whole - none) > 0.01
  np.testing.assert_allclose(tenth - none, 0.1 * (whole - none), atol=1e-5)


def test_rolled_input_of_a_periodic_field_gives_the_rolled_output():
  x = np.random.default_rng(0).normal(size=(1, 5, 6, 1)).astype("f4")
  params = _made(x)
  for is_closed in (True, False):
    module = _small(periodic=(is_closed, is_closed))
    got = _enlarge(module, params, np.roll(x, (2, -1), axis=(1, 2)))
    want = np.roll(_enlarge(module, params, x), (4, -2), axis=(1, 2))
    assert np.allclose(got, want, atol=1e-5) == is_closed  # float32
