"""Tests of band-limited resampling against closed forms and double precision.

Fields are waves exp(2 pi i k x) on a periodic axis and cosines cos(pi k x) on
a mirrored one, x in [0, 1] across the axis, read at cell centres.
"""

import functools
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from hinote_jax.core import grids, resize, spectral
from hinote_jax.nn import hierarchy

_KEY = jax.random.key(0)
_SIDE = st.integers(2, 23)
_PERIODIC = list(itertools.product((True, False), repeat=2))


def _centers(n):
  return (np.arange(n) + 0.5) / n


def _modes(n, count, periodic):
  """Returns how many modes both grids hold strictly below their Nyquist."""
  band = min(n, count)
  return (band + 1) // 2 if periodic else band


def _mode(k, x, *, periodic, phase=0.7):
  """Returns mode k at the positions x, float64."""
  if periodic:
    return np.cos(2 * np.pi * k * x + phase)
  return np.cos(np.pi * k * x)


def _series(values, x, *, periodic, count):
  """Evaluates the trigonometric polynomial of one axis, from its transform.

  Independent of the package: sums NumPy's DFT or SciPy's DCT mode by mode.
  """
  n = values.shape[0]
  band = min(n, count)
  if not periodic:
    coefficient = scipy.fft.dct(values, type=2, axis=0) / n
    coefficient[0] /= 2
    k = np.arange(band)
    return np.cos(np.pi * np.outer(x, k)) @ coefficient[:band]
  coefficient = np.fft.fft(values, axis=0) / n
  result = np.zeros((len(x), *values.shape[1:]), complex)
  for k in range(-(band // 2), band // 2 + 1):
    half = 0.5 if 2 * abs(k) == band else 1.0
    wave = np.exp(2j * np.pi * k * (x - 0.5 / n))
    result += half * np.multiply.outer(wave, coefficient[k % n])
  return result.real


def _reference(field, shape, periodic):
  """Resizes [h w] by `_series` along y, then along x; float64."""
  for count, closed in zip(shape, periodic, strict=True):
    x = _centers(count)
    field = _series(field, x, periodic=closed, count=count).T
  return field


@given(_SIDE, _SIDE, st.booleans(), st.data())
def test_matrix_keeps_every_mode_in_band(n, count, periodic, data):
  k = data.draw(st.integers(0, _modes(n, count, periodic) - 1))
  mode = functools.partial(_mode, k, periodic=periodic)
  got = spectral.matrix(n, count, periodic=periodic) @ mode(_centers(n))
  np.testing.assert_allclose(got, mode(_centers(count)), atol=1e-12)


@given(_SIDE, _SIDE, st.booleans(), st.data())
def test_matrix_removes_every_mode_out_of_band(n, count, periodic, data):
  fine, coarse = n + count, n  # strictly down
  first, last = _modes(fine, coarse, periodic), _modes(fine, fine, periodic)
  if periodic and coarse % 2 == 0:
    first += 1  # the coarse Nyquist itself is split, see below
  k = data.draw(st.integers(first, max(first, last - 1)))
  if k >= last:
    return
  wave = _mode(k, _centers(fine), periodic=periodic)
  got = spectral.matrix(fine, coarse, periodic=periodic) @ wave
  np.testing.assert_allclose(got, 0.0, atol=1e-12)


@settings(max_examples=8)
@given(
  st.tuples(_SIDE, _SIDE),
  st.tuples(_SIDE, _SIDE),
  st.sampled_from(_PERIODIC),
  st.data(),
)
def test_resize_keeps_plane_waves_in_band(shape, new_shape, periodic, data):
  k = [
    data.draw(st.integers(0, _modes(n, m, p) - 1))
    for n, m, p in zip(shape, new_shape, periodic, strict=True)
  ]

  def wave(sides):
    y, x = (
      _mode(k_, _centers(n), periodic=p)
      for k_, n, p in zip(k, sides, periodic, strict=True)
    )
    return np.multiply.outer(y, x)[None, :, :, None].astype(np.float32)

  got = spectral.resize(wave(shape), new_shape, periodic=periodic)
  np.testing.assert_allclose(got, wave(new_shape), atol=2e-6)  # float32 FFT


@pytest.mark.parametrize("periodic", _PERIODIC)
@pytest.mark.parametrize(
  "shape, new_shape", [((6, 7), (11, 12)), ((9, 8), (4, 5)), ((8, 5), (3, 10))]
)
def test_resize_equals_double_precision_series(shape, new_shape, periodic):
  field = np.random.default_rng(0).normal(size=shape)
  want = _reference(field, new_shape, periodic)
  x = jnp.asarray(field[None, :, :, None], jnp.float32)
  by_fft = spectral.resize(x, new_shape, periodic=periodic)[0, ..., 0]
  np.testing.assert_allclose(by_fft, want, atol=2e-6)  # float32 FFT
  by_matrix = [
    spectral.matrix(n, m, periodic=p)
    for n, m, p in zip(shape, new_shape, periodic, strict=True)
  ]
  got = by_matrix[0] @ field @ by_matrix[1].T
  np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("periodic", _PERIODIC)
def test_sample_forms_agree_with_resize(periodic):
  x = jax.random.normal(_KEY, (2, 6, 7, 2))
  shape = (10, 13)
  want = spectral.resize(x, shape, periodic=periodic)
  on_axes = spectral.sample(x, grids.axes(shape), periodic=periodic)
  points = jnp.asarray(grids.cell_centers(shape))
  on_points = spectral.sample(x, points, periodic=periodic)
  # float32 coordinates: 1e-6 cells, times slopes of up to pi a cell.
  np.testing.assert_allclose(on_axes, want, atol=2e-5)
  np.testing.assert_allclose(on_points, want, atol=2e-5)


@pytest.mark.parametrize("periodic", [True, False])
def test_sample_at_scattered_points_is_the_series(periodic):
  field = np.random.default_rng(1).normal(size=(9, 1))
  y = np.random.default_rng(2).uniform(-1, 1, 7).astype(np.float32)
  want = _series(field, (y + 1) / 2.0, periodic=periodic, count=9)
  points = grids.dense(grids.Axes(y, np.zeros(1, np.float32)))
  x = jnp.asarray(field[None, :, :, None], jnp.float32)
  got = spectral.sample(x, points, periodic=(periodic, True))
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-5)  # float32


@given(_SIDE, st.integers(0, 20), st.booleans())
def test_up_then_down_is_the_identity(n, more, periodic):
  up = spectral.matrix(n, n + more, periodic=periodic)
  down = spectral.matrix(n + more, n, periodic=periodic)
  want = np.eye(n)
  if periodic and n % 2 == 0 and more:
    # All but the Nyquist mode, of which the coarse grid shows one half.
    nyquist = (-1.0) ** np.arange(n)
    want = want - 0.5 * np.outer(nyquist, nyquist) / n
  np.testing.assert_allclose(down @ up, want, atol=1e-12)


@pytest.mark.parametrize("periodic", _PERIODIC)
def test_resize_up_then_down_is_the_identity(periodic):
  x = jax.random.normal(_KEY, (1, 7, 9, 2))  # odd sizes have no Nyquist mode
  up = spectral.resize(x, (12, 21), periodic=periodic)
  back = spectral.resize(up, (7, 9), periodic=periodic)
  np.testing.assert_allclose(back, x, atol=2e-6)  # float32 FFT


@pytest.mark.parametrize("n, count", [(6, 12), (8, 13), (4, 5)])
def test_nyquist_mode_is_split(n, count):
  # +1, -1, +1, ... stays one real cosine through its own cell centres: its
  # two halves at +-n/2 are conjugate. Unsplit it would be complex.
  wave = (-1.0) ** np.arange(n)
  want = np.cos(np.pi * n * (_centers(count) - 0.5 / n))
  got = spectral.matrix(n, count, periodic=True) @ wave
  np.testing.assert_allclose(got, want, atol=1e-12)
  rows = jnp.asarray(wave, jnp.float32)[None, :, None, None]
  fine = spectral.resize(rows, (count, 1), periodic=(True, True))
  np.testing.assert_allclose(fine[0, :, 0, 0], want, atol=2e-6)
  columns = rows.transpose(0, 2, 1, 3)
  fine = spectral.resize(columns, (1, count), periodic=(True, True))
  np.testing.assert_allclose(fine[0, 0, :, 0], want, atol=2e-6)


@given(_SIDE, st.integers(1, 20))
def test_matrix_down_is_the_adjoint_of_up(n, more):
  count = n + more
  for periodic in (True, False):
    up = spectral.matrix(n, count, periodic=periodic)
    down = spectral.matrix(count, n, periodic=periodic)
    np.testing.assert_allclose(down, up.T * n / count, atol=1e-12)


@given(_SIDE, _SIDE, st.booleans())
def test_matrix_keeps_the_mean(n, count, periodic):
  matrix = spectral.matrix(n, count, periodic=periodic)
  np.testing.assert_allclose(matrix.mean(0), 1 / n, atol=1e-12)
  np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-12)


@pytest.mark.parametrize("n, count", [(8, 16), (9, 18), (16, 8), (12, 31)])
def test_resize_does_not_shift(n, count):
  # The phase of mode 1, referred to cell centres, is the shift of the field.
  # The corner-aligned transform of the released code moves it by a quarter
  # of an input cell at every doubling.
  wave = np.cos(2 * np.pi * _centers(n)).astype(np.float32)
  x = jnp.asarray(wave)[None, :, None, None]
  fine = spectral.resize(x, (count, 1), periodic=(True, True))[0, :, 0, 0]
  mode = np.exp(-2j * np.pi * _centers(count)) @ np.asarray(fine)
  shift = np.angle(mode) / (2 * np.pi) * n
  assert abs(shift) < 1e-6 * n  # input cells, float32


def test_forward_inverse_is_the_identity_on_the_same_grid():
  x = jax.random.normal(_KEY, (2, 6, 8, 3))
  for periodic in _PERIODIC:
    spectrum = spectral.forward(x, periodic=periodic)
    back = spectral.inverse(spectrum, (6, 8), (6, 8), periodic=periodic)
    np.testing.assert_allclose(back, x, atol=2e-6)  # float32 FFT


def _gain(n, count):
  """Measures the sinc: wavenumbers in coarse Nyquists, complex gain, rest.

  The gain is the part of the answer in the mode that was put in; the rest is
  what came out at other wavenumbers (imaging). Float64, along one axis.
  """
  rules = dict(method="sinc", boundary="wrap")
  matrix = resize.matrix(n, count, **rules)
  k = np.arange(n // 2)
  waves = np.exp(2j * np.pi * np.outer(_centers(n), k))
  want = np.exp(2j * np.pi * np.outer(_centers(count), k))
  got = matrix @ waves
  gain = np.mean(want.conj() * got, axis=0)
  rest = np.sqrt(np.mean(np.abs(got - gain * want) ** 2, axis=0))
  return 2.0 * k / min(n, count), gain, rest


@pytest.mark.parametrize(
  "n, count", [(128, 64), (120, 80), (120, 50), (127, 60), (64, 128), (60, 127)]
)
def test_low_pass_response(n, count):
  wavenumber, gain, rest = _gain(n, count)
  # Unit gain at zero wavenumber, no shift at any.
  np.testing.assert_allclose(gain[0], 1.0, atol=1e-12)
  passed = wavenumber <= 0.7
  np.testing.assert_allclose(np.angle(gain[passed]), 0.0, atol=1e-12)
  # Measured 2.55e-3 (0.022 dB) of ripple and 2.4e-3 (-52 dB) of images.
  assert np.abs(gain[passed] - 1.0).max() < 2.7e-3
  assert rest[passed].max() < 2.7e-3
  # Measured 2.4e-3 (-52 dB); nothing is left to alias on the coarse grid.
  stopped = wavenumber >= 1.3
  assert stopped.any() == (n > count)
  residue = np.hypot(np.abs(gain), rest)[stopped]
  assert residue.max(initial=0.0) < 2.7e-3


def test_low_pass_halves_the_coarse_nyquist():
  # -6 dB at the cut, the mark of a windowed sinc; 4.0 in the released code.
  wavenumber, gain, _ = _gain(128, 64)
  at_cut = gain[wavenumber == 1.0]
  np.testing.assert_allclose(np.abs(at_cut), 0.5, atol=1e-3)
  band = wavenumber <= 1.3
  assert np.all(np.diff(np.abs(gain[band & (wavenumber > 0.7)])) < 0)


@pytest.mark.parametrize("n", range(1, 41))
def test_low_pass_keeps_constants_at_walls(n):
  # Zero padding gives up to 1.36 at a corner (released code).
  sides = {-(-n // 2), -(-n // 4), n, 2 * n, 2 * n - 1}
  for count, rule in itertools.product(sides, ("mirror", "wrap")):
    matrix = resize.matrix(n, count, method="sinc", boundary=rule)
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-12)


@pytest.mark.parametrize("n, count", [(16, 8), (15, 8), (13, 7), (9, 23)])
def test_low_pass_is_mirror_symmetric(n, count):
  # What a shift of half a cell between levels would break.
  matrix = resize.matrix(n, count, method="sinc", boundary="mirror")
  np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 40), (23, 17)])
@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
def test_low_pass_keeps_smooth_fields(shape, periodic):
  # Modes far below the coarse Nyquist go down and up again unchanged.
  y, x = (
    _mode(1, _centers(n), periodic=p)
    for n, p in zip(shape, periodic, strict=True)
  )
  field = jnp.asarray(np.add.outer(y, x)[None, :, :, None], jnp.float32)
  half = tuple(-(-n // 2) for n in shape)
  down = hierarchy.low_pass(field, half, periodic=periodic)
  want = np.add.outer(
    *(
      _mode(1, _centers(n), periodic=p)
      for n, p in zip(half, periodic, strict=True)
    )
  )
  # The ripple of the filter, twice on two axes.
  np.testing.assert_allclose(down[0, ..., 0], want, atol=6e-3)
  back = hierarchy.low_pass(down, shape, periodic=periodic)
  np.testing.assert_allclose(back, field, atol=1.2e-2)


def test_roughness_is_of_the_wavenumber_and_of_no_unit():
  x = np.arange(480)
  for k in (0.1, 1.0, 3.0):
    wave = np.cos(k * x)[None, None, :, None] * np.ones((1, 5, 1, 1))
    found = spectral.roughness(np.concatenate([wave, 9.0 * wave - 4.0], -1))
    np.testing.assert_allclose(found, 4.0 * np.sin(k / 2) ** 2, rtol=0.02)
  noise = np.random.default_rng(0).normal(size=(2, 200, 200, 1))
  np.testing.assert_allclose(spectral.roughness(noise), 3.0, rtol=0.02)
  noise[0, 20:40, 30:50] = np.nan
  np.testing.assert_allclose(spectral.roughness(noise), 3.0, rtol=0.02)
  np.testing.assert_array_equal(spectral.roughness(np.ones((1, 1, 5, 2))), 0)
