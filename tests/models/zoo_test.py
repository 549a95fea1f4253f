"""What every network of the zoo does: it is called alike, and it can learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import grids, models

_SCALE = 2
_EDSR = dict(encoder_options=dict(width=12, blocks=1))
# As small as each can be and still be itself; all of one channel.
_SMALL = {
  "dfno": dict(
    width=12,
    blocks=1,
    features=12,
    fourier_width=8,
    modes1=3,
    modes2=3,
    layers=2,
    head_width=16,
  ),
  "edsr": dict(width=12, blocks=2),
  "espcn": {},
  "hinote": dict(width=12, blocks=1, head_width=12),
  "hinote_official": dict(attention_width=64, attention_head=4),
  "liif": dict(_EDSR, hidden=(24, 24)),
  "lte": dict(_EDSR, hidden=(24, 24), waves=8),
  "metasr": dict(_EDSR, hidden=(24,)),
  "rdn": dict(width=12, blocks=2, layers=2, growth=8),
  "srcnn": {},
  "srno": dict(_EDSR, width=16, heads=2, hidden=(16,)),
  "swinir": dict(
    embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, num_feat=12
  ),
  "wdsr": dict(width=12, blocks=2),
}


def _build(name):
  kwargs = dict(_SMALL[name], channels=1)
  known = models.build(name).__dataclass_fields__
  if "scale" in known:
    kwargs["scale"] = _SCALE
  return models.build(name, **kwargs)


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


def test_every_network_is_tested_here():
  assert set(_SMALL) == set(models.names()) - set(models.INTERPOLATIONS)


@pytest.mark.parametrize("name", sorted(_SMALL))
def test_network_overfits_four_windows(name):
  module = _build(name)
  *inputs, highres = _windows()
  bicubic = models.build("bicubic").apply({}, *inputs)
  missed = float(jnp.square(bicubic - highres).mean())
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  transform = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-3))

  @jax.jit
  def step(variables, state):
    def error(variables):
      return jnp.square(module.apply(variables, *inputs) - highres).mean()

    value, gradient = jax.value_and_grad(error)(variables)
    update, state = transform.update(gradient, state)
    return optax.apply_updates(variables, update), state, value

  state = transform.init(variables)
  for _ in range(500):
    variables, state, error = step(variables, state)
    if error < 0.05 * missed:
      return
  pytest.fail(f"{error / missed:.3g} of bicubic's error after 500 steps")
