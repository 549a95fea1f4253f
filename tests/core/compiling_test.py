"""The options of XLA for networks on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import compiling
from hinote_jax.nn import blocks


@pytest.fixture
def fresh():
  compiling.options.cache_clear()
  yield
  compiling.options.cache_clear()


def test_this_xla_knows_the_options(monkeypatch, fresh):
  monkeypatch.setattr(compiling, "_cores", lambda: 2)
  assert compiling.options() == compiling._ON_ALL_CORES


@pytest.mark.parametrize("reason", ["one core", "accelerator", "older XLA"])
def test_without_anything_to_win_there_are_none(monkeypatch, fresh, reason):
  monkeypatch.setattr(
    compiling, "_cores", lambda: 1 if reason == "one core" else 2
  )
  if reason == "accelerator":
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  if reason == "older XLA":
    monkeypatch.setattr(compiling, "_ON_ALL_CORES", {"xla_cpu_unheard_of": "1"})
  assert compiling.options() is None


def test_a_convolution_and_its_gradient_are_the_same(monkeypatch, fresh):
  monkeypatch.setattr(compiling, "_cores", lambda: 2)
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (2, 20, 24, 16))
  kernel = jax.random.normal(keys[1], (3, 3, 16, 32)) / 12.0
  weight = jax.random.normal(keys[2], (2, 20, 24, 32))

  def total(x, kernel):
    y = blocks.convolve(x, kernel, (True, False), jnp.float32)
    return jnp.vdot(weight, jnp.tanh(y)) / weight.size

  ours = compiling.jit(jax.grad(total, argnums=(0, 1)))(x, kernel)
  plain = jax.jit(jax.grad(total, argnums=(0, 1)))(x, kernel)
  for a, b in zip(ours, plain, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.std(b)))
