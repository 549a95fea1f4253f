"""Tests of spectral truncation against transforms of SciPy and NumPy."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from scipy import fft

from hinote_jax import degradations
from hinote_jax.core import spectral
from tests.degradations import axis

# Centres are rounded to 1e-9 cells.
_ROUNDING = 2e-8
_TRUNCATE = degradations.parse("truncate")


def _matrix(n, count, is_periodic):
  indices, matrix = axis.operator(
    _TRUNCATE, n, scale=n / count, count=count, is_periodic=is_periodic
  )
  np.testing.assert_array_equal(indices, np.arange(n))
  return matrix


def _centers(n, count):
  return (np.arange(count) + 0.5) * n / count - 0.5


@given(st.integers(1, 30), st.integers(1, 30))
def test_ring_keeps_the_modes_of_the_coarse_ring(a, b):
  n, count = max(a, b), min(a, b)
  x = np.random.default_rng(n).normal(size=n)
  k = np.arange(n // 2 + 1)
  modes = np.fft.rfft(x) * np.where((k > 0) & (2 * k < n), 2.0, 1.0) / n
  weight = np.where(2 * k < count, 1.0, np.where(2 * k == count, 0.5, 0.0))
  if n == count:
    weight[:] = 1.0
  elif count % 2 == 0 and n > count:
    # A real wave: rfft's modes stand for both signs.
    weight[k == count // 2] = 0.5
  u = _centers(n, count)
  waves = np.exp(2j * np.pi / n * np.outer(u, k))
  want = np.real(waves @ (weight * modes))
  np.testing.assert_allclose(_matrix(n, count, True) @ x, want, atol=_ROUNDING)


@given(st.integers(1, 30), st.integers(1, 30))
def test_walls_keep_the_first_cosines(a, b):
  n, count = max(a, b), min(a, b)
  x = np.random.default_rng(n).normal(size=n)
  modes = fft.dct(x, type=2, norm="forward")
  # What SciPy makes of the first modes lies at the coarse cells' centres.
  want = fft.idct(modes[:count], type=2, norm="forward")
  np.testing.assert_allclose(_matrix(n, count, False) @ x, want, atol=_ROUNDING)


@given(st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_is_the_band_limited_resizing_of_the_package(a, b, is_periodic):
  n, count = max(a, b), min(a, b)
  np.testing.assert_allclose(
    _matrix(n, count, is_periodic),
    spectral.matrix(n, count, periodic=is_periodic),
    atol=_ROUNDING,
  )


@given(st.floats(1.05, 6.0), st.floats(0.0, 60.0), st.booleans())
def test_windows_at_any_scale_keep_waves_below_their_nyquist(
  scale, start, is_periodic
):
  # The axis need not hold a whole number of coarse cells.
  n, count = 60, 5
  indices, matrix = axis.operator(
    _TRUNCATE, n, scale=scale, start=start, count=count, is_periodic=is_periodic
  )
  u = start + _centers(count * scale, count)
  for k in range(30):
    wavenumber = k / n if is_periodic else k / (2 * n)
    if abs(2 * wavenumber * scale - 1) < 1e-6:
      continue
    wave = 2.0 * np.pi * wavenumber * (indices + 0.5)
    gain = float(2 * wavenumber * scale < 1)
    want = gain * np.cos(2.0 * np.pi * wavenumber * (u + 0.5))
    np.testing.assert_allclose(matrix @ np.cos(wave), want, atol=_ROUNDING)


def test_coarse_cells_say_all_of_a_field_that_is_band_limited():
  coarse = np.random.default_rng(0).normal(size=(9, 12))
  along_y, along_x = (
    spectral.matrix(n, m, periodic=False) for n, m in ((9, 31), (12, 44))
  )
  fine = (along_y @ coarse @ along_x.T)[..., None].astype(np.float32)
  back = _TRUNCATE.field(fine, (9, 12), periodic=(False, False))
  np.testing.assert_allclose(back[..., 0], coarse, atol=2e-6)


def test_long_rows_are_summed_in_pieces():
  # Longer than the bands that one product takes.
  field = np.random.default_rng(0).normal(size=(7, 1500, 2)).astype(np.float32)
  got = _TRUNCATE.field(field, (7, 100), periodic=(False, True))
  want = np.einsum("mx,yxc->ymc", _matrix(1500, 100, True), field)
  np.testing.assert_allclose(got, want, atol=1e-6)
