"""Tests of blurs: Gaussians at an angle, and kernels from files."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import ndimage

from hinote_jax import degradations
from hinote_jax.degradations import blurs

_RING = (True, True)


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _blocks(x, s):
  h, w = x.shape
  return x.reshape(h // s, s, w // s, s).mean((1, 3))


@pytest.mark.parametrize("angle", [0, 30, 90, -45, 190])
@pytest.mark.parametrize("mode", [(3, 0), (0, 4), (2, 3), (-2, 3)])
def test_gaussian_damps_oblique_waves_by_its_covariance(angle, mode):
  # Principal axes in (y, x): the first is turned from y towards x.
  turn, shape, s = np.deg2rad(angle), (36, 48), 3
  first = np.array([np.cos(turn), np.sin(turn)])
  second = np.array([-np.sin(turn), np.cos(turn)])
  covariance = (0.9 * s) ** 2 * np.outer(first, first)
  covariance += (0.5 * s) ** 2 * np.outer(second, second)
  f = np.array(mode) / shape
  gain = np.exp(-2.0 * np.pi**2 * f @ covariance @ f)
  phase = 2.0 * np.pi * np.tensordot(f, np.indices(shape), 1)
  wave = np.cos(phase + 0.3)[..., None].astype(np.float32)
  coarse = degradations.parse(f"blur(0.9, 0.5, {angle})|uniform").field(
    wave, (12, 16), periodic=_RING
  )
  # The Gaussian is cut where 6e-5 of it remains.
  np.testing.assert_allclose(coarse, gain * wave[1::3, 1::3], atol=3e-4)


def test_gaussian_is_round_in_coarse_cells_whatever_their_shape():
  # Turning a round one changes nothing, nor does swapping deviations by 90.
  field, shape = _field((40, 36, 1)), (10, 18)

  def make(text):
    return degradations.parse(text).field(field, shape, periodic=_RING)

  np.testing.assert_array_equal(
    make("blur(0.6, 0.6, 40)|area"), make("blur(0.6)|area")
  )
  np.testing.assert_array_equal(
    make("blur(0.6, 0.3, 90)|area"), make("blur(0.3, 0.6)|area")
  )
  nearly = make("blur(0.6, 0.600001, 40)|area")
  # Cut at a rectangle, as the round one is.
  np.testing.assert_allclose(nearly, make("blur(0.6)|area"), atol=1e-5)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_any_kernel_is_a_sum_of_products(p, q, seed):
  kernel = np.random.default_rng(seed).random((p, q))
  along_y, along_x = blurs.separated(kernel / kernel.sum())
  np.testing.assert_allclose(
    along_y.T @ along_x, kernel / kernel.sum(), atol=1e-8
  )
  assert len(along_y) == len(along_x) <= min(p, q)
  outer = np.outer(kernel[:, 0], kernel[0])
  assert len(blurs.separated(outer)[0]) == 1


def _save(path, values):
  if path.suffix == ".npy":
    np.save(path, values)
  elif path.suffix == ".npz":
    np.savez(path, psf=values)
  else:
    np.savetxt(path, values, delimiter="," if path.suffix == ".csv" else " ")


@pytest.mark.parametrize("name", ["k.npy", "k.npz", "k.txt", "k.csv"])
@pytest.mark.parametrize("periodic", [_RING, (False, False)])
def test_kernel_from_a_file_is_convolved_in_fine_cells(
  tmp_path, name, periodic
):
  kernel = np.random.default_rng(1).random((5, 7))
  _save(tmp_path / name, kernel)
  field = _field((24, 32, 1))
  coarse = degradations.parse(f"kernel({tmp_path / name})|area").field(
    field, (6, 8), periodic=periodic
  )
  blurred = ndimage.convolve(
    field[..., 0].astype(np.float64),
    kernel / kernel.sum(),
    mode="wrap" if periodic[0] else "reflect",  # SciPy's name of the mirror
  )
  np.testing.assert_allclose(coarse[..., 0], _blocks(blurred, 4), atol=1e-6)


def test_a_window_of_a_kernel_equals_the_same_cells_of_the_whole(tmp_path):
  np.save(tmp_path / "k.npy", np.random.default_rng(1).random((7, 5)))
  degradation = degradations.parse(
    f"kernel({tmp_path / 'k.npy'})|decimate(cubic, antialias)"
  )
  field, options = _field((45, 72, 2)), dict(periodic=(False, True))
  whole = degradation.field(field, (20, 27), **options)
  scale = (45 / 20, 72 / 27)
  window = degradation.apply_window(
    field,
    start=(4 * scale[0], 22 * scale[1]),
    scale=scale,
    shape=(8, 9),
    **options,
  )
  want = np.concatenate([whole[4:12, 22:], whole[4:12, :4]], axis=1)
  np.testing.assert_allclose(window, want, atol=2e-6)


def test_a_point_takes_the_shape_of_the_kernel(tmp_path):
  kernel = np.arange(1.0, 16.0).reshape(3, 5)
  np.save(tmp_path / "k.npy", kernel)
  point = np.zeros((9, 9, 1), np.float32)
  point[4, 4] = 1.0
  spread = degradations.parse(f"kernel({tmp_path / 'k.npy'})|uniform").field(
    point, (9, 9), periodic=_RING
  )
  np.testing.assert_allclose(
    spread[3:6, 2:7, 0], kernel / kernel.sum(), atol=1e-8
  )
  np.testing.assert_allclose(spread.sum(), 1.0, atol=1e-6)


@pytest.mark.parametrize(
  "name, values, message",
  [
    ("k.npy", np.ones((4, 3)), r"shape \(4, 3\): it must have two sides"),
    ("k.npy", np.ones(3), r"shape \(3,\)"),
    ("k.npy", np.zeros((3, 3)), "its values sum to 0"),
    ("k.npy", np.full((3, 3), np.nan), "no finite numbers"),
    ("k.npy", np.ones((3, 3), complex), "no finite numbers"),
    ("k.txt", None, "could not convert"),
    ("k.npy", None, "cannot be read"),
    ("k.npz", None, "cannot be read"),
  ],
)
def test_refuses_what_is_no_kernel(tmp_path, name, values, message):
  path = tmp_path / name
  if values is None:
    path.write_text("one two\nthree")
  else:
    np.save(path, values)
  with pytest.raises(ValueError, match=message) as error:
    degradations.parse(f"kernel({path})|area")
  assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_which_array_and_which_file_are_meant(tmp_path):
  path = tmp_path / "k.npz"
  np.savez(path, a=np.ones((3, 3)), b=np.ones((5, 5)))
  with pytest.raises(ValueError, match="2 arrays, a, b: call the one"):
    degradations.parse(f"kernel({path})|area")
  np.savez(path, a=np.ones((3, 3)), kernel=np.ones((5, 5)))
  assert degradations.parse(f"kernel({path})|area").blur.values.shape == (5, 5)
  with pytest.raises(OSError, match=r"none.npy cannot be read: No such file"):
    degradations.parse(f"kernel({tmp_path / 'none.npy'})|area")
