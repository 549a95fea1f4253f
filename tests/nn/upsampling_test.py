"""Tests of Fourier and hybrid doubling against closed forms and NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import lazy
from hinote_jax.nn import upsampling

_KEY = jax.random.key(0)
_PERIODIC = list(itertools.product((True, False), repeat=2))


def _identity(channels):
  zero = jnp.zeros((channels, channels))
  return {"params": {"real": jnp.eye(channels), "imag": zero}}


def _waves(shape, periodic):
  """Returns two band-limited, signed fields at the cell centres, [1 h w 2]."""
  fields = []
  for k in (1, 2):
    y, x = (
      np.cos((2 if p else 1) * np.pi * k * (np.arange(n) + 0.5) / n)
      for n, p in zip(shape, periodic, strict=True)
    )
    fields.append(np.multiply.outer(y, x) - 0.5)
  return np.stack(fields, -1)[None].astype(np.float32)


@pytest.mark.parametrize("periodic", _PERIODIC)
@pytest.mark.parametrize("shape", [(6, 7), (5, 8)])
def test_fourier_doubling_is_exact_in_band(shape, periodic):
  # Gain, sign, alignment and reality at once: the released code has a gain
  # of 1/4, loses the sign, and is a quarter of a cell off.
  double = upsampling.FourierDoubling(2, periodic)
  fine = tuple(2 * n for n in shape)
  got = double.apply(_identity(2), jnp.asarray(_waves(shape, periodic)))
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, _waves(fine, periodic), atol=2e-6)
  assert got.min() < -1.0


def test_fourier_doubling_mixes_channels_by_complex_weights():
  h, w = 5, 6
  x = np.random.default_rng(0).normal(size=(2, h, w, 3))
  weights = np.random.default_rng(1).normal(size=(2, 3, 4))
  params = {"real": jnp.asarray(weights[0]), "imag": jnp.asarray(weights[1])}
  double = upsampling.FourierDoubling(4, (True, True))
  got = double.apply({"params": params}, jnp.asarray(x, jnp.float32))
  # Float64, mode by mode of the half plane, then the conjugate half.
  spectrum = np.fft.rfft2(x, axes=(1, 2)) @ (weights[0] + 1j * weights[1])
  y, x_ = ((np.arange(2 * n) + 0.5) / (2 * n) - 0.5 / n for n in (h, w))
  want = np.zeros((2, 2 * h, 2 * w, 4))
  for ky, kx in itertools.product(range(h), range(w // 2 + 1)):
    signed = ky - h * (ky > h // 2)  # h is odd: no Nyquist row
    wave = np.exp(2j * np.pi * np.add.outer(signed * y, kx * x_))
    # Every column but the mean's and the Nyquist's has its conjugate, and
    # the Nyquist's two halves are each other's.
    times = 1 if kx in (0, w // 2) else 2
    mode = np.einsum("hw,bc->bhwc", wave, spectrum[:, ky, kx])
    want += times * mode.real / (h * w)
  np.testing.assert_allclose(got, want, atol=1e-5)  # float32 FFT


def test_fourier_doubling_is_aligned_with_pixel_shuffle():
  # Nearest doubling, which is what pixel shuffle places, and the Fourier
  # branch see the same field at the same place: no phase between them.
  n = 16
  wave = np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
  x = jnp.asarray(wave, jnp.float32)[None, :, None, None] * jnp.ones(
    (1, 1, n, 1)
  )
  spatial = lazy.pixel_shuffle(jnp.tile(x, (1, 1, 1, 4)), 2)
  fourier = upsampling.FourierDoubling(1, (True, True)).apply(_identity(1), x)

  def phase(field):
    return np.angle(np.fft.fft(np.asarray(field)[0, :, 0, 0])[1])

  shift = (phase(spatial) - phase(fourier)) / (2 * np.pi) * n  # input cells
  assert abs(shift) < 1e-5


def test_hybrid_doubling_passes_each_branch():
  x = jnp.asarray(_waves((6, 6), (True, True)))
  hybrid = upsampling.HybridDoubling((True, True))
  params = hybrid.init(_KEY, x)["params"]
  half = jnp.eye(2)
  center = jnp.zeros((3, 3, 2, 8)).at[1, 1].set(jnp.tile(half, (1, 4)))
  params = {
    "local": {"kernel": center, "bias": jnp.zeros(8)},
    "fourier": _identity(2)["params"],
    "mix": {
      "kernel": jnp.concatenate([0 * half, half]),
      "bias": jnp.zeros(2),
    },
  }
  fine = _waves((12, 12), (True, True))
  got = hybrid.apply({"params": params}, x)
  np.testing.assert_allclose(got, fine, atol=2e-6)
  params["mix"]["kernel"] = jnp.concatenate([half, 0 * half])
  got = hybrid.apply({"params": params}, x)
  repeated = np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)
  np.testing.assert_allclose(got, repeated, atol=1e-6)


def test_fresh_fourier_doubling_is_close_to_the_identity():
  x = jnp.asarray(_waves((6, 8), (False, True)))
  double = upsampling.FourierDoubling(2, (False, True))
  got = double.apply(double.init(_KEY, x), x)
  want = _waves((12, 16), (False, True))
  # Mixing weights of deviation sqrt(0.02 / 2) = 0.1.
  assert np.std(got - want) < 0.4 * np.std(want)
