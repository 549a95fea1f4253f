"""Tests of the degradation of fields."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from hinote_jax import degradations
from tests.degradations import axis

_ALIKE = (
  "area",
  "uniform",
  "decimate(linear, antialias)",
  "decimate(cubic)",
  "decimate(cubic, antialias)",
  "decimate(cubic_torch)",
  "blur(0.7)|decimate(cubic, antialias)",
  "blur(1.2)|area",
  "truncate",
  "blur(0.4)|truncate",
)
_LINEAR = (
  *_ALIKE,
  "blur(0.8, 0.3)|area",
  "blur(0.8, 0.3, 30)|decimate(cubic, antialias)",
  "blur(0.8, 0.3, -80)|truncate",
)
_DROP = ("pillow", "decimate(linear, drop)", "blur(0.7)|pillow")


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(
  st.sampled_from(_ALIKE),
  st.integers(1, 40),
  st.floats(1.0, 9.0),
  st.floats(-50.0, 50.0),
  st.integers(1, 12),
  st.booleans(),
)
def test_rows_sum_to_one_and_indices_lie_inside(
  text, n, scale, start, count, is_periodic
):
  indices, matrix = axis.operator(
    degradations.parse(text),
    n,
    scale=scale,
    start=start,
    count=count,
    is_periodic=is_periodic,
  )
  assert matrix.shape == (count, len(indices))
  assert indices.min() >= 0 and indices.max() < n
  np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-12)


@pytest.mark.parametrize("text", _LINEAR + _DROP)
def test_constants_stay(text):
  field = np.full((37, 52, 2), 273.15, np.float32)
  coarse = degradations.parse(text).field(
    field, (11, 52), periodic=(False, True)
  )
  assert coarse.shape == (11, 52, 2) and coarse.dtype == np.float32
  np.testing.assert_allclose(coarse, 273.15, rtol=1e-6)  # float32 sums


@pytest.mark.parametrize("text", _LINEAR + _DROP)
@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
def test_window_equals_the_same_cells_of_the_whole_field(text, periodic):
  degradation = degradations.parse(text)
  field, shape = _field((45, 72, 3)), (20, 27)
  whole = degradation.field(field, shape, periodic=periodic)
  scale = (45 / 20, 72 / 27)
  for row, column in ((0, 0), (4, 9), (12, 18)):
    window = degradation.apply_window(
      field,
      start=(row * scale[0], column * scale[1]),
      scale=scale,
      shape=(8, 9),
      periodic=periodic,
    )
    np.testing.assert_allclose(
      window, whole[row : row + 8, column : column + 9], atol=2e-6
    )


@pytest.mark.parametrize("text", _LINEAR + _DROP)
def test_window_over_the_date_line_equals_the_rolled_field(text):
  degradation = degradations.parse(text)
  field = _field((40, 60, 2))
  options = dict(scale=(2.3, 2.3), shape=(9, 10), periodic=(False, True))
  across = degradation.apply_window(field, start=(3, 51), **options)
  rolled = np.roll(field, -30, axis=1)
  inside = degradation.apply_window(rolled, start=(3, 21), **options)
  np.testing.assert_allclose(across, inside, atol=2e-6)


# A blur at an angle is no mirror of itself: what it leaves of a field is
# mirrored anew by a truncation, which has cosines of whole axes.
@pytest.mark.parametrize("text", _LINEAR[:-1])
def test_wall_is_a_mirror(text):
  degradation = degradations.parse(text)
  field = _field((24, 24, 1))
  mirrored = np.pad(field, ((24, 24), (24, 24), (0, 0)), "symmetric")
  walls = (False, False)
  coarse = degradation.field(field, (8, 8), periodic=walls)
  padded = degradation.field(mirrored, (24, 24), periodic=walls)
  np.testing.assert_allclose(coarse, padded[8:16, 8:16], atol=2e-6)


@pytest.mark.parametrize("shape", [(7, 9), (24, 36), (5, 11)])
def test_area_conserves_the_mean(shape):
  field = _field((24, 36, 1)) + 280.0
  coarse = degradations.parse("area").field(
    field, shape, periodic=(False, False)
  )
  # float64 mean of a float32 result.
  np.testing.assert_allclose(
    coarse.mean(dtype=np.float64), field.mean(dtype=np.float64), rtol=2e-7
  )


def test_area_at_an_integer_scale_is_the_mean_of_blocks():
  field = _field((24, 36, 2))
  coarse = degradations.parse("area").field(
    field, (6, 12), periodic=(False, False)
  )
  blocks = field.reshape(6, 4, 12, 3, 2).mean((1, 3))
  np.testing.assert_allclose(coarse, blocks, atol=1e-6)


@pytest.mark.parametrize(
  "text, resample",
  [
    ("pillow", Image.Resampling.BICUBIC),
    ("decimate(linear, antialias, drop)", Image.Resampling.BILINEAR),
  ],
)
@pytest.mark.parametrize("shape", [(16, 24), (13, 29), (1, 2)])
def test_antialiased_kernels_that_drop_equal_pillow(text, resample, shape):
  field = _field((64, 96, 1))
  size = shape[::-1]
  pillow = np.asarray(Image.fromarray(field[..., 0]).resize(size, resample))
  ours = degradations.parse(text).field(field, shape, periodic=(False, False))
  np.testing.assert_allclose(ours[..., 0], pillow, atol=1e-6)  # float32 sums


def test_imresize_and_pillow_differ_at_the_walls_only():
  field, shape = _field((64, 96, 1)), (16, 24)
  mirrored, cut = (
    degradations.parse(text).field(field, shape, periodic=(False, False))
    for text in ("imresize", "pillow")
  )
  inside = (slice(2, -2), slice(2, -2))
  np.testing.assert_allclose(mirrored[inside], cut[inside], atol=1e-6)
  assert np.abs(mirrored - cut).max() > 0.01


@pytest.mark.parametrize("text", ["truncate", "blur(0.4)|truncate"])
def test_truncation_conserves_the_mean(text):
  field = _field((24, 36, 1)) + 280.0
  coarse = degradations.parse(text).field(field, (7, 9), periodic=(False, True))
  np.testing.assert_allclose(
    coarse.mean(dtype=np.float64), field.mean(dtype=np.float64), rtol=2e-7
  )


def test_nothing_is_made_of_what_is_dropped():
  with pytest.raises(ValueError, match="from 8 on lie beyond the 9 cells"):
    axis.operator(
      degradations.parse("pillow"),
      9,
      scale=4,
      start=8,
      count=1,
      is_periodic=False,
    )


def test_cubic_torch_at_scale_four_has_torchs_four_taps():
  indices, matrix = axis.operator(
    degradations.parse("decimate(cubic_torch)"),
    64,
    scale=4,
    start=16,
    count=1,
    is_periodic=False,
  )
  taps = [-0.09375, 0.59375, 0.59375, -0.09375]
  kept = np.abs(matrix[0]) > 1e-12
  np.testing.assert_array_equal(indices[kept], [16, 17, 18, 19])
  np.testing.assert_allclose(matrix[0][kept], taps, atol=1e-12)


def test_uniform_reads_the_middle_cell():
  field = _field((15, 20, 1))
  coarse = degradations.parse("uniform").field(
    field, (5, 4), periodic=(False, True)
  )
  np.testing.assert_array_equal(coarse, field[1::3, 2::5])


def test_blur_damps_a_wave_as_a_gaussian():
  n, k, sigma = 48, 5, 1.7
  wave = np.cos(2 * np.pi * k * np.arange(n) / n)
  indices, matrix = axis.operator(
    degradations.parse(f"blur({sigma})|uniform"),
    n,
    scale=1,
    count=n,
    is_periodic=True,
  )
  gain = np.exp(-0.5 * (2 * np.pi * k / n * sigma) ** 2)
  # The Gaussian is cut where 6e-5 of it remains.
  np.testing.assert_allclose(matrix @ wave[indices], gain * wave, atol=2e-4)


def test_blur_is_measured_in_coarse_cells():
  indices, matrix = axis.operator(
    degradations.parse("blur(0.5)|uniform"),
    101,
    scale=5,
    start=0,
    count=20,
    is_periodic=False,
  )
  row = matrix[10]
  centre = 10 * 5 + 2
  np.testing.assert_allclose(row @ indices, centre, atol=1e-9)
  spread = np.sqrt(row @ (indices - centre) ** 2)
  np.testing.assert_allclose(spread, 0.5 * 5, rtol=2e-3)


def test_noise_has_its_deviation_and_follows_the_generator():
  noisy = degradations.parse("area|noise(0.05)")
  field = _field((120, 120, 2))
  options = dict(periodic=(False, False))
  clean = degradations.parse("area").field(field, (60, 60), **options)

  def make(seed):
    rng = np.random.default_rng(seed)
    return noisy.field(field, (60, 60), rng=rng, **options)

  np.testing.assert_allclose((make(1) - clean).std(), 0.05, rtol=0.03)
  np.testing.assert_array_equal(make(1), make(1))
  assert np.any(make(1) != make(2))
  with pytest.raises(ValueError, match="pass a numpy Generator"):
    noisy.field(field, (60, 60), **options)


def test_refuses_to_refine():
  degradation = degradations.parse("area")
  with pytest.raises(ValueError, match=r"\(9, 8\) is larger than .*\(8, 8\)"):
    degradation.field(_field((8, 8, 1)), (9, 8), periodic=(False, False))
  with pytest.raises(ValueError, match="at least 1, got 0.5"):
    axis.operator(degradation, 8, scale=0.5, count=2, is_periodic=False)
