"""What every network of the zoo does: it is called alike, and it can learn."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import models
from hinote_jax.core import grids
from tests import trials

_NETWORKS = tuple(
  name for name, spec in models.specs().items() if not spec.is_interpolation
)

# Two of the heads that take any trunk.
_HAT = dict(encoder="hat", encoder_options=models.spec("hat").tiny)
_CASES = [*((name, {}) for name in _NETWORKS), ("liif", _HAT), ("hinote", _HAT)]
# One of each kind that is soon compiled: operator, cells, convolution, table.
_QUICK = ("hinote", "liif", "edsr", "sr_lut")


@functools.cache
def _windows():
  """Four smooth windows with detail that no interpolation brings back."""
  random = np.random.default_rng(0)
  wavenumber = np.hypot(np.fft.fftfreq(8)[:, None], np.fft.rfftfreq(8))
  noise = np.fft.rfft2(random.normal(size=(4, 8, 8)))
  smooth = np.fft.irfft2(noise / (0.05 + wavenumber), s=(8, 8))
  highres = (smooth / smooth.std())[..., None].astype(np.float32)
  lowres = highres.reshape(4, 4, 2, 4, 2, 1).mean(axis=(2, 4))
  cell = np.tile(grids.cell_size((8, 8)), (4, 1))
  return lowres, grids.axes((8, 8)), cell, highres


@pytest.mark.parametrize(
  ("name", "changed"),
  trials.apart_from(lambda case: case[0] in _QUICK and not case[1], _CASES),
)
def test_network_overfits_four_windows(name, changed):
  module = models.build(name, channels=1, **models.spec(name).tiny | changed)
  *inputs, highres = _windows()
  bicubic = models.build("bicubic").apply({}, *inputs)
  missed = float(jnp.square(bicubic - highres).mean())
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  # One vector of parameters: one update to compile instead of hundreds.
  vector, unravel = jax.flatten_util.ravel_pytree(variables)
  transform = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))

  @jax.jit
  def step(vector, state, inputs, highres):
    def error(vector):
      answer = module.apply(unravel(vector), *inputs)
      return jnp.square(answer - highres).mean()

    value, gradient = jax.value_and_grad(error)(vector)
    update, state = transform.update(gradient, state)
    return optax.apply_updates(vector, update), state, value

  state = transform.init(vector)
  for _ in range(500):
    vector, state, error = step(vector, state, inputs, highres)
    if error < 0.05 * missed:
      return
  pytest.fail(f"{error / missed:.3g} of bicubic's error after 500 steps")
