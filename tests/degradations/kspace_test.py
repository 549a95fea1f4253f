"""Tests of the degradation of a scanner, against NumPy's FFT."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import ndimage

from hinote_jax import degradations

_WALLS = (False, False)


def _magnitudes(shape, seed=0):
  """Returns random positive values, rough enough to ring below zero."""
  values = np.random.default_rng(seed).exponential(size=shape) ** 2
  return values.astype(np.float32)


def _hamming(k, m):
  return 0.54 + 0.46 * np.cos(2 * np.pi * k / m)


def _scanned(image, shape, weight):
  """Crops a centred DFT [H W]; `weight` is of the modes of a coarse axis."""
  spectrum = np.fft.fftshift(np.fft.fft2(image.astype(np.float64)))
  for axis, (n, m) in enumerate(zip(image.shape, shape, strict=True)):
    middle = n // 2 - m // 2
    spectrum = spectrum.take(np.arange(middle, middle + m), axis)
    k = np.arange(m) - m // 2
    # From the centre of the first fine cell to that of the first coarse one.
    shift = np.exp(2j * np.pi * k / n * (0.5 * n / m - 0.5))
    factor = shift * weight(k, m) * m / n
    spectrum = spectrum * (factor[:, None] if axis == 0 else factor)
  return np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum)))


@pytest.mark.parametrize("shape", [(8, 12), (7, 13), (24, 36), (1, 2), (24, 9)])
@pytest.mark.parametrize(
  "text, weight",
  [("kspace", lambda k, m: np.ones_like(k)), ("kspace(hamming)", _hamming)],
)
def test_is_the_central_rectangle_of_the_dft(text, weight, shape):
  image = _magnitudes((24, 36))
  coarse = degradations.parse(text).field(
    image[..., None], shape, periodic=_WALLS
  )
  assert coarse.dtype == np.float32
  want = _scanned(image, shape, weight)
  np.testing.assert_allclose(coarse[..., 0], want, atol=1e-5)


def test_partial_leaves_the_last_lines_along_y_out():
  image, shape = _magnitudes((24, 36)), (12, 18)

  def weight(k, m):
    # -6 to 2 of 12 lines along y.
    return np.where((m == 18) | (k < 3), 1.0, 0.0)

  coarse = degradations.parse("kspace(partial=0.75)").field(
    image[..., None], shape, periodic=_WALLS
  )
  want = _scanned(image, shape, weight)
  np.testing.assert_allclose(coarse[..., 0], want, atol=1e-5)


@given(
  st.sampled_from(["kspace", "kspace(tukey)", "kspace(partial=0.7, hamming)"]),
  st.integers(0, 11),
  st.integers(0, 17),
  st.booleans(),
)
def test_window_equals_the_same_cells_of_the_whole_image(text, i, j, periodic):
  degradation, image = degradations.parse(text), _magnitudes((45, 72, 2))
  options = dict(periodic=(periodic, periodic))
  whole = degradation.field(image, (20, 27), **options)
  scale = (45 / 20, 72 / 27)
  window = degradation.apply_window(
    image,
    start=(i * scale[0], j * scale[1]),
    scale=scale,
    shape=(8, 9),
    **options,
  )
  np.testing.assert_allclose(window, whole[i : i + 8, j : j + 9], atol=1e-5)


def test_walls_do_not_matter_to_a_scanner():
  image, degradation = _magnitudes((12, 15, 1)), degradations.parse("kspace")
  rolled = np.roll(image, (4, 6), (0, 1))
  coarse = degradation.field(image, (6, 5), periodic=_WALLS)
  np.testing.assert_allclose(
    degradation.field(rolled, (6, 5), periodic=(True, True)),
    np.roll(coarse, (2, 2), (0, 1)),
    atol=1e-6,
  )


def test_places_stay_over_the_same_extent():
  # A bump between cells is found where it is, half a cell not lost.
  y, x = (np.arange(n) + 0.5 for n in (64, 96))
  bump = np.exp(-((y[:, None] - 30.2) ** 2 + (x - 41.7) ** 2 / 2) / 60.0)
  coarse = degradations.parse("kspace").field(
    bump[..., None].astype(np.float32), (16, 16), periodic=_WALLS
  )[..., 0]
  rows, columns = (np.arange(n) + 0.5 for n in coarse.shape)
  found = coarse.sum(1) @ rows, coarse.sum(0) @ columns
  np.testing.assert_allclose(
    np.array(found) / coarse.sum() * (4, 6), (30.2, 41.7), atol=1e-2
  )


@pytest.mark.parametrize("text", ["kspace", "kspace(hamming)", "kspace(tukey)"])
def test_conserves_the_mean_where_nothing_rings_below_zero(text):
  image = 100.0 + np.minimum(_magnitudes((24, 36, 1)), 5.0)
  coarse = degradations.parse(text).field(image, (7, 9), periodic=_WALLS)
  np.testing.assert_allclose(
    coarse.mean(dtype=np.float64), image.mean(dtype=np.float64), rtol=2e-7
  )


def test_an_edge_rings_by_nine_percent_and_not_by_hamming():
  edge = np.full((1, 1024, 1), 1.0, np.float32)
  edge[:, 256:768] = 2.0

  def overshoot(text):
    # Windows between the coarse cells find the peak.
    return max(
      degradations.parse(text)
      .apply_window(
        edge, start=(0, i), scale=(1, 16), shape=(1, 63), periodic=_WALLS
      )
      .max()
      for i in range(16)
    )

  np.testing.assert_allclose(overshoot("kspace"), 2.0895, atol=2e-3)
  np.testing.assert_allclose(overshoot("kspace(hamming)"), 2.002, atol=1e-3)


def test_a_blur_before_it_is_periodic_too(tmp_path):
  kernel, image = np.random.default_rng(1).random((3, 5)), _magnitudes((24, 30))
  np.save(tmp_path / "k.npy", kernel)
  blurred = ndimage.convolve(
    image.astype(np.float64), kernel / kernel.sum(), mode="wrap"
  )
  scan = degradations.parse("kspace")
  want = scan.field(blurred[..., None], (12, 10), periodic=_WALLS)
  got = degradations.parse(f"kernel({tmp_path / 'k.npy'})|kspace").field(
    image[..., None], (12, 10), periodic=_WALLS
  )
  np.testing.assert_allclose(got, want, atol=1e-5)


def _noisy(text, level, shape=(64, 96), seed=0):
  image = np.full((128, 192, 1), level, np.float32)
  return degradations.parse(text).field(
    image, shape, periodic=_WALLS, rng=np.random.default_rng(seed)
  )


def test_noise_over_no_signal_is_rayleighs():
  values = _noisy("kspace(noise=0.2)", 0.0) / 0.2
  # 6144 samples: their mean to 1 %, what lies above 2 deviations to 3 %.
  np.testing.assert_allclose(values.mean(), np.sqrt(np.pi / 2), rtol=0.03)
  np.testing.assert_allclose(values.var(), 2 - np.pi / 2, rtol=0.08)
  np.testing.assert_allclose((values > 2).mean(), np.exp(-2), rtol=0.1)


@pytest.mark.parametrize("level", [0.5, 1.0, 20.0])
def test_noise_is_ricians(level):
  values = _noisy("kspace(noise=1)", level).astype(np.float64)
  second = (values**2).mean()
  np.testing.assert_allclose(second, level**2 + 2.0, rtol=0.05)
  fourth = level**4 + 8.0 * level**2 + 8.0
  np.testing.assert_allclose((values**4).mean(), fourth, rtol=0.1)


@pytest.mark.parametrize(
  "text, left",
  [
    ("kspace(noise=0.5)", 1.0),
    # A window damps the noise in the modes with the modes: mean of w^2.
    ("kspace(hamming, noise=0.5)", 0.54**2 + 0.46**2 / 2),
    ("kspace(partial=0.75, noise=0.5)", np.sqrt(0.75)),
  ],
)
@pytest.mark.parametrize("shape", [(64, 96), (43, 61)])
def test_noise_is_as_large_as_its_modes_make_it(text, left, shape):
  # On bright ground only the noise along the signal is seen.
  values = _noisy(text, 1e3, shape)
  np.testing.assert_allclose(values.std(), 0.5 * left, rtol=0.05)
  np.testing.assert_array_equal(values, _noisy(text, 1e3, shape))
  assert np.any(values != _noisy(text, 1e3, shape, seed=1))


def test_noise_needs_a_generator():
  with pytest.raises(ValueError, match="pass a numpy Generator"):
    degradations.parse("kspace(noise=1)").field(
      _magnitudes((8, 8, 1)), (4, 4), periodic=_WALLS
    )


def test_without_noise_there_is_none_of_either_kind():
  values, noisy = _magnitudes((8, 8, 1)), degradations.parse("kspace(noise=1)")
  found, want = (
    degradation.field(values, (4, 4), periodic=_WALLS)
    for degradation in (noisy.without_noise(), degradations.parse("kspace"))
  )
  np.testing.assert_array_equal(found, want)


def test_white_noise_may_follow_the_magnitudes():
  image = _magnitudes((24, 36, 1))
  options = dict(periodic=_WALLS, rng=np.random.default_rng(0))
  noisy = degradations.parse("kspace|noise(0.5)").field(
    image, (24, 36), **options
  )
  np.testing.assert_allclose((noisy - image).std(), 0.5, rtol=0.06)


def test_a_normalised_field_says_where_its_zero_is():
  image = _magnitudes((24, 30, 2))
  mean, deviation = np.array([0.7, 3.0], "f4"), np.array([2.0, 0.5], "f4")
  degradation = degradations.parse("kspace(hamming)")
  want = degradation.field(image, (12, 10), periodic=_WALLS)
  moved = degradation.with_zero(-mean / deviation)
  got = moved.field((image - mean) / deviation, (12, 10), periodic=_WALLS)
  np.testing.assert_allclose(got * deviation + mean, want, atol=2e-5)
  assert str(moved) == str(degradation)
  area = degradations.parse("area")
  assert area.with_zero(-mean / deviation) == area


@pytest.mark.parametrize(
  "value, message",
  [
    (-1.0, r"magnitudes, and the field goes down to -1 .*with_zero"),
    (np.nan, "not finite; fill them"),
    (np.inf, "not finite; fill them"),
  ],
)
def test_what_is_no_magnitude_is_refused(value, message):
  image = _magnitudes((8, 8, 1))
  image[3, 4] = value
  with pytest.raises(ValueError, match=message):
    degradations.parse("kspace").field(image, (4, 4), periodic=_WALLS)
