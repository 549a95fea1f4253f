"""Drawn blurs: what their laws say, and that the kernel told is the blur."""

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.core import deconvolution
from hinote_jax.degradations import drawn


def _moments(kernel):
  """Returns the centre of mass from the middle cell, and the covariance."""
  places = np.indices(kernel.shape) - kernel.shape[0] // 2
  mass = np.tensordot(places, kernel, 2)
  off = places - mass[:, None, None]
  return mass, np.einsum("iyx,jyx,yx->ij", off, off, kernel)


def test_gaussians_have_the_variances_of_usrnet():
  rng = np.random.default_rng(0)
  for _ in range(50):
    kernel = drawn.gaussian(rng)
    mass, covariance = _moments(kernel)
    assert kernel.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(mass, 0.0, atol=1e-12)
    low, high = np.linalg.eigvalsh(covariance)
    # Cut at 12 cells, the widest lose a hundredth.
    assert 0.55 < low < high < 12.0


def test_paths_are_thin_centred_and_fit():
  rng = np.random.default_rng(0)
  rims, extents = [], []
  for _ in range(30):
    kernel = drawn.motion(rng)
    mass, covariance = _moments(kernel)
    assert kernel.sum() == pytest.approx(1.0) and kernel.min() >= 0.0
    np.testing.assert_allclose(mass, 0.0, atol=1e-2)
    inside = kernel[1:-1, 1:-1].sum()
    rims.append(1.0 - inside)
    extents.append(np.linalg.eigvalsh(covariance))
  assert max(rims) < 1e-3
  low, high = np.transpose(extents)
  assert np.median(high / low) > 3.0 and low.min() > 0.5


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("text", ["uniform", "area", "blur(0.4)|imresize"])
def test_the_kernel_that_is_told_is_the_blur(tmp_path, scale, text):
  np.save(tmp_path / "psf.npy", np.random.default_rng(1).random((3, 4)))
  blurs = drawn.Blurs(("gaussian", "motion", str(tmp_path / "psf.npy")), 0.1)
  base = degradations.parse(text)
  shape = blurs.shape(base, scale)
  rng = np.random.default_rng(0)
  draws = [blurs.draw(rng, base) for _ in range(4)]
  told = drawn.told(draws, scale, shape)
  assert told["kernel"].shape == (4, *shape)
  np.testing.assert_array_equal(
    told["noise"], [np.float32(d.noise) for d in draws]
  )
  x = rng.normal(size=(36, 30, 1))
  made = deconvolution.operator(
    told["kernel"][..., None], (36, 30), (scale, scale)
  )
  coarse = 36 // scale, 30 // scale
  want = [
    d.without_noise().field(x, coarse, periodic=(True, True)) for d in draws
  ]
  got = made.degrade(np.repeat(x[None], 4, 0))
  np.testing.assert_allclose(got, want, atol=5e-6)


def test_noise_is_none_in_one_of_nine():
  blurs, area = drawn.Blurs((), 0.2), degradations.parse("blur(0.7)|area")
  rng = np.random.default_rng(0)
  draws = [blurs.draw(rng, area) for _ in range(900)]
  noise = np.array([d.noise for d in draws])
  # Three deviations of a binomial.
  assert abs((noise == 0.0).sum() - 100) < 3 * np.sqrt(900 * 8 / 81)
  assert noise.max() <= 0.2
  assert noise[noise > 0].mean() == pytest.approx(0.1, rel=0.1)
  assert all(d.blur == area.blur for d in draws)


def test_bad_blurs_are_one_sentence(tmp_path):
  with pytest.raises(ValueError, match="not below 0, got -1"):
    drawn.Blurs(noise=-1)
  with pytest.raises(OSError, match="gone.npy cannot be read"):
    drawn.Blurs((str(tmp_path / "gone.npy"),))
  np.save(tmp_path / "three.npy", np.full((5, 5, 3), 0.04))
  with pytest.raises(ValueError, match="three.npy has a kernel a channel"):
    drawn.Blurs((str(tmp_path / "three.npy"),))
