"""Tests of the shared parts against SciPy and by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from hinote_jax import lazy
from hinote_jax.nn import blocks

_KEY = jax.random.key(0)


@pytest.mark.parametrize(
  "periodic", list(itertools.product((False, True), repeat=2))
)
@pytest.mark.parametrize("size", [1, 3, 5])
def test_conv_equals_scipy_correlation(periodic, size):
  x = np.random.default_rng(0).normal(size=(6, 7))
  conv = blocks.Conv(1, size, periodic)
  kernel = np.random.default_rng(1).normal(size=(size, size))
  params = {"kernel": jnp.asarray(kernel)[..., None, None], "bias": jnp.ones(1)}
  got = conv.apply(
    {"params": params}, jnp.asarray(x, jnp.float32)[None, :, :, None]
  )
  halo = size // 2
  padded = x
  for axis, closed in enumerate(periodic):
    widths = [(0, 0), (0, 0)]
    widths[axis] = (halo, halo)
    padded = np.pad(padded, widths, mode="wrap" if closed else "constant")
  want = scipy.ndimage.correlate(padded, kernel, mode="constant")
  want = want[halo : halo + 6, halo : halo + 7] + 1.0
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-5)  # float32


def test_pixel_shuffle_puts_groups_on_subcells():
  # Channel group 2 p + q of a cell goes to its row p, column q.
  x = jnp.arange(2 * 3 * 8.0).reshape(1, 2, 3, 8)
  got = lazy.pixel_shuffle(x, 2)
  for i, j, p, q in itertools.product(range(2), range(3), (0, 1), (0, 1)):
    group = x[0, i, j, 2 * (2 * p + q) :][:2]
    np.testing.assert_array_equal(got[0, 2 * i + p, 2 * j + q], group)


def test_residual_block_is_small_when_fresh():
  x = jax.random.normal(_KEY, (1, 9, 9, 16))
  block = blocks.ResidualBlock()
  branch = block.apply(block.init(_KEY, x), x) - x
  # sqrt(0.02 / 2): the variance of small_init, half of it past the ReLU.
  assert 0.03 < np.std(branch) / np.std(x) < 0.3


def test_trunk_of_no_blocks_is_two_convolutions():
  x = jax.random.normal(_KEY, (1, 6, 7, 2))
  trunk = blocks.Trunk(width=3, blocks=0)
  params = trunk.init(_KEY, x)["params"]
  head = blocks.Conv(3).apply({"params": params["head"]}, x)
  tail = blocks.Conv(3).apply({"params": params["tail"]}, head)
  got = trunk.apply({"params": params}, x)
  np.testing.assert_allclose(got, head + tail, atol=1e-6)
