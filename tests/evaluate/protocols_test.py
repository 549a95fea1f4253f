"""Protocols of published numbers: closed forms of what is scored and cut."""

import numpy as np
from PIL import Image
import pytest

from hinote_jax import degradations
from hinote_jax.evaluate import protocols

_ALL = sorted(protocols.PROTOCOLS)


def _image(shape=(40, 36), dtype=np.uint8, seed=0):
  white = np.iinfo(dtype).max
  rng = np.random.default_rng(seed)
  return rng.integers(0, white, (*shape, 3), dtype, endpoint=True)


def _grey(value=0.5, shape=(40, 36)):
  return np.full((*shape, 3), value, np.float32)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_constant_error_in_one_channel(channel):
  truth = _grey()
  pred = truth.copy()
  pred[..., channel] += 0.125
  weight = (65.738, 129.057, 25.064)[channel] / 256
  found = protocols.look_up("benchmark_luma").score(pred, truth, 3)
  want = -20.0 * np.log10(0.125 * weight)
  np.testing.assert_allclose(found["psnr"], want, rtol=1e-12)
  found = protocols.look_up("div2k_rgb").score(pred, truth, 3)
  want = -10.0 * np.log10(0.125**2 / 3)
  np.testing.assert_allclose(found["psnr"], want, rtol=1e-12)


def test_errors_of_opposite_luma_cancel():
  truth = _grey()
  pred = truth.astype(np.float64)
  pred[..., 0] += 0.01
  pred[..., 1] -= 0.01 * 65.738 / 129.057
  luma = protocols.look_up("benchmark_luma").score(pred, truth, 2)
  assert luma["psnr"] > 200.0
  assert protocols.look_up("div2k_rgb").score(pred, truth, 2)["psnr"] < 50.0


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize("scale", [2, 3, 2.5])
def test_border_of_the_scale_is_not_scored(name, scale):
  rules, truth = protocols.look_up(name), _grey()
  width = {2: 2, 3: 3, 2.5: 3}[scale] + (6 if "div2k" in name else 0)
  assert rules.border(scale) == width
  pred = np.ones_like(truth)
  inside = slice(width, -width)
  pred[inside, inside] = rules.finish(truth)[inside, inside]
  truth = rules.finish(truth)
  found = rules.score(pred, truth, scale)
  assert found["psnr"] == np.inf
  assert found["ssim"] == pytest.approx(1.0, abs=1e-12)
  pred[width, width] = 1.0
  assert rules.score(pred, truth, scale)["psnr"] < 60.0


@pytest.mark.parametrize("name", _ALL)
def test_predictions_are_clamped(name):
  rules = protocols.look_up(name)
  for value, beyond in ((1.0, 1.4), (0.0, -0.3)):
    pred, truth = _grey(beyond), _grey(value)
    assert rules.score(pred, truth, 2)["psnr"] == np.inf


def test_only_the_single_scale_protocol_rounds():
  truth = _image().astype(np.float64) / 255
  pred = np.clip(truth + 0.4 / 255, 0.0, 1.0)
  assert protocols.look_up("single_scale_luma").score(pred, truth, 2)[
    "psnr"
  ] == pytest.approx(np.inf)
  error = pred - truth
  luma = (error @ protocols.LUMA)[2:-2, 2:-2]
  want = -10.0 * np.log10(np.mean(luma**2))
  found = protocols.look_up("benchmark_luma_matlab").score(pred, truth, 2)
  assert found["psnr"] == pytest.approx(want, rel=1e-12)


def test_luma_is_that_of_bt_601():
  colors = np.eye(3)
  np.testing.assert_allclose(
    255 * protocols.luma_of(colors), [81.481, 144.553, 40.966], atol=2e-3
  )
  ends = 255 * protocols.luma_of(np.asarray([[0.0] * 3, [1.0] * 3]))
  np.testing.assert_allclose(ends, [16.0, 235.0], atol=0.05)


@pytest.mark.parametrize(
  "shape, scale, coarse, fine",
  [
    ((513, 511), 2, (256, 255), (512, 510)),
    ((40, 36), 3, (13, 12), (39, 36)),
    ((40, 36), 1, (40, 36), (40, 36)),
    ((33, 100), 2.5, (13, 40), (32, 100)),  # 32.5 to even
    ((66, 33), 1.1, (60, 30), (66, 33)),  # 33 / 1.1 is below 30 in floats
  ],
)
def test_images_are_cut_to_multiples(shape, scale, coarse, fine):
  assert protocols.mod_crop(shape, scale) == (coarse, fine)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", _ALL)
def test_prepare_cuts_at_the_right_and_bottom(name, dtype):
  image = _image((41, 38), dtype)
  lowres, highres = protocols.look_up(name).prepare(image, 3)
  assert lowres.shape == (13, 12, 3) and highres.shape == (39, 36, 3)
  assert lowres.dtype == highres.dtype == np.float32
  white = np.iinfo(dtype).max
  np.testing.assert_array_equal(np.rint(highres * white), image[:39, :36])
  # Inputs are stored in the bits of the image.
  np.testing.assert_allclose(
    lowres * white, np.rint(lowres * white), atol=white * 1e-7
  )


def test_pillows_inputs_are_pillows_to_the_bit():
  image = _image()
  want = Image.fromarray(image).resize((12, 13), Image.Resampling.BICUBIC)
  np.testing.assert_array_equal(protocols.pillow(image, (13, 12)), want)


def test_pillows_kernel_on_16_bits():
  image = _image(dtype=np.uint16)
  found = protocols.pillow(image, (13, 12))
  assert found.dtype == np.uint16
  for c in range(3):
    plane = Image.fromarray(image[..., c].astype(np.float32))
    want = np.asarray(plane.resize((12, 13), Image.Resampling.BICUBIC))
    want = np.clip(want, 0, 65535)
    # Half a level, and Pillow's float32.
    np.testing.assert_allclose(found[..., c], want, atol=0.5 + 0.02)


def test_matlabs_inputs_are_imresize_rounded():
  image = _image((40, 36))
  found = protocols.matlab(image, (10, 12))
  exact = degradations.parse("imresize").field(
    image.astype(np.float32), (10, 12), periodic=(False, False)
  )
  np.testing.assert_allclose(found, np.clip(exact, 0, 255), atol=0.5 + 1e-4)
  mirrored = np.pad(image, ((40, 40), (36, 36), (0, 0)), "symmetric")
  wide = protocols.matlab(mirrored, (30, 36))
  np.testing.assert_array_equal(wide[10:20, 12:24], found)


def test_every_protocol_says_what_it_is_in_a_line():
  for name, rules in protocols.PROTOCOLS.items():
    assert "\n" not in rules.description and "PSNR" in rules.description
    assert ("MATLAB" in rules.description) == (rules.inputs is protocols.matlab)
    assert ("luma" in name) == rules.is_luma


def test_refuses_in_a_sentence():
  with pytest.raises(ValueError, match="'div2k'; did you mean 'div2k_rgb'"):
    protocols.look_up("div2k")
  rules = protocols.look_up("benchmark_luma")
  for scale in (0.5, np.nan, np.inf):
    with pytest.raises(ValueError, match="scale must be .* at least 1"):
      rules.prepare(_image(), scale)
  with pytest.raises(ValueError, match="40 x 36 is too small for x13: without"):
    rules.prepare(_image(), 13)
