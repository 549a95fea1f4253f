"""Tests of responses: closed forms, and waves that are degraded."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax import degradations

_F = np.linspace(-0.5, 0.5, 41)
_RING = (True, True)


def _gain(text, scale, f=_F, axis=1):
  return degradations.response(
    degradations.parse(text), f, scale=scale, axis=axis
  )


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 7])
def test_area_is_dirichlets_kernel(scale):
  safe = np.where(_F == 0, 0.25, _F)
  want = np.sin(np.pi * safe * scale) / (scale * np.sin(np.pi * safe))
  want[_F == 0] = 1.0
  np.testing.assert_allclose(_gain("area", scale), want, atol=1e-7)


@pytest.mark.parametrize("scale", [3, 5])
def test_antialiased_linear_is_the_square_of_area(scale):
  np.testing.assert_allclose(
    _gain("decimate(linear, antialias)", scale),
    _gain("area", scale) ** 2,
    atol=1e-7,
  )


def test_antialiased_cubic_is_the_transform_of_keys_kernel():
  # Keys 1981 with a = -1/2; its samples at scale 32 are all but continuous.
  f = np.linspace(0.01, 2.0, 50)
  a, z = -0.5, np.pi * f
  want = 3 / z**2 * (np.sinc(f) ** 2 - np.sinc(2 * f))
  want += (
    2
    * a
    / z**2
    * (3 * np.sinc(2 * f) ** 2 - 2 * np.sinc(2 * f) - np.sinc(4 * f))
  )
  got = _gain("imresize", 32, f / 32)
  np.testing.assert_allclose(got, want, atol=1e-3)


@pytest.mark.parametrize("scale", [3, 4, 2.5])
def test_uniform_holds_nothing_back(scale):
  # It reads, at even scales, half a cell late.
  late = {3: [0.0], 4: [0.5], 2.5: [0.25, -0.25]}[scale]
  want = np.mean([np.exp(2j * np.pi * _F * d) for d in late], axis=0)
  np.testing.assert_allclose(_gain("uniform", scale), want, atol=1e-7)


@pytest.mark.parametrize("scale", [2, 3, 4.5])
def test_blur_is_a_gaussian_along_each_axis(scale):
  turn, s = np.deg2rad(30), scale
  along_y = (1.1 * np.cos(turn)) ** 2 + (0.7 * np.sin(turn)) ** 2
  along_x = (1.1 * np.sin(turn)) ** 2 + (0.7 * np.cos(turn)) ** 2
  for axis, variance in enumerate((along_y, along_x)):
    gain = _gain("blur(1.1, 0.7, 30)|truncate", scale, axis=axis)
    want = np.exp(-2 * np.pi**2 * _F**2 * variance * s**2)
    want = want * _gain("truncate", scale)
    np.testing.assert_allclose(gain, want, atol=2e-4)  # cut at 4 deviations


@pytest.mark.parametrize("scale", [1, 2, 5, 3.7])
def test_truncate_and_kspace_end_at_the_coarse_nyquist(scale):
  x = 2 * np.abs(_F) * scale
  box = np.where(x > 1 + 1e-9, 0.0, np.where(x > 1 - 1e-9, 0.5, 1.0))
  np.testing.assert_allclose(_gain("truncate", scale), box)
  np.testing.assert_allclose(_gain("kspace", scale), box)
  hamming = box * (0.54 + 0.46 * np.cos(np.pi * np.minimum(x, 1)))
  np.testing.assert_allclose(_gain("kspace(hamming)", scale), hamming)
  # Lines without their conjugates count by half, along y only.
  half = np.where(x > 0.5 - 1e-9, 0.5, 1.0) * (x < 1 + 1e-9)
  partial = "kspace(partial=0.75)"
  got = _gain(partial, scale, axis=0)
  np.testing.assert_allclose(got, half)
  np.testing.assert_allclose(_gain(partial, scale, axis=1), box)


@given(
  st.sampled_from(
    [
      "area",
      "uniform",
      "decimate(cubic)",
      "pillow",
      "truncate",
      "blur(0.7)|decimate(lanczos)",
      "blur(0.4, 0.9)|area",
      "blur(0.4, 0.9, 20)|imresize",
    ]
  ),
  st.sampled_from([2, 3, 4, 6]),
  st.integers(0, 23),
  st.integers(0, 1),
)
def test_a_wave_keeps_what_its_response_says(text, scale, k, axis):
  n, phase = 48, 0.4
  gain = _gain(text, scale, np.array([k / n]), axis)[0]
  wave = np.cos(2 * np.pi * k / n * np.arange(n) + phase)
  field = np.repeat(wave[:, None], 24, 1)[..., None].astype(np.float32)
  shape = (n // scale, 24 // scale)
  if axis == 1:
    field, shape = field.swapaxes(0, 1), shape[::-1]
  coarse = degradations.parse(text).field(field, shape, periodic=_RING)
  u = (np.arange(n // scale) + 0.5) * scale - 0.5
  want = np.real(gain * np.exp(1j * (2 * np.pi * k / n * u + phase)))
  line = coarse[:, 0, 0] if axis == 0 else coarse[0, :, 0]
  np.testing.assert_allclose(line, want, atol=2e-6)


@given(
  st.sampled_from(["kspace", "kspace(tukey)", "kspace(partial=0.6, hamming)"]),
  st.sampled_from([1, 2, 3, 4]),
  st.integers(0, 23),
  st.integers(0, 1),
)
def test_a_faint_wave_on_bright_ground_is_scanned_so(text, scale, k, axis):
  n, phase, faint = 48, 0.4, 1e-2
  gain = _gain(text, scale, np.array([k / n]), axis)[0]
  wave = np.cos(2 * np.pi * k / n * np.arange(n) + phase)
  field = 1.0 + faint * np.repeat(wave[:, None], 12, 1)[..., None]
  shape = (n // scale, 12 // scale)
  if axis == 1:
    field, shape = field.swapaxes(0, 1), shape[::-1]
  coarse = degradations.parse(text).field(
    field.astype(np.float32), shape, periodic=_RING
  )
  u = (np.arange(n // scale) + 0.5) * scale - 0.5
  want = np.real(gain * np.exp(1j * (2 * np.pi * k / n * u + phase)))
  line = coarse[:, 0, 0] if axis == 0 else coarse[0, :, 0]
  # Left out: what a wave of 1 % does at second order.
  np.testing.assert_allclose((line - 1.0) / faint, want, atol=2e-3)


def test_misuse_is_refused():
  with pytest.raises(ValueError, match="at most 1/2, got 0.6"):
    _gain("area", 2, np.array([0.1, -0.6]))
  with pytest.raises(ValueError, match="at least 1, got 0.5"):
    _gain("area", 0.5)
