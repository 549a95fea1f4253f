"""Pointwise metrics and SSIM against closed forms and scikit-image."""

from absl.testing import absltest, parameterized
import jax.numpy as jnp
import numpy as np
from skimage import metrics as skimage_metrics

from hinote_jax.metrics import field, image


def _pair(seed=0, shape=(2, 24, 31, 3)):
  rng = np.random.default_rng(seed)
  target = rng.normal(size=shape)
  return target + 0.3 * rng.normal(size=shape), target


class ImageTest(parameterized.TestCase):
  def test_mse_of_a_known_error(self):
    target = np.zeros((1, 2, 2, 1))
    pred = np.array([1.0, -2.0, 3.0, 0.0]).reshape(1, 2, 2, 1)
    self.assertEqual(image.mse(pred, target)[0, 0], 14.0 / 4.0)
    self.assertEqual(image.max_error(pred, target)[0, 0], 3.0)
    self.assertEqual(field.bias(pred, target)[0, 0], 0.5)

  def test_metrics_are_per_image_and_channel(self):
    pred, target = _pair()
    for function in (image.mse, image.max_error, field.bias, field.relative_l2):
      both = function(pred, target)
      self.assertEqual(both.shape, (2, 3))
      one = function(pred[1:, :, :, 2:], target[1:, :, :, 2:])
      np.testing.assert_allclose(both[1, 2], one[0, 0], rtol=1e-12)

  def test_mse_survives_a_large_offset_in_float32_fields(self):
    offset = np.float32(2.0**-10)
    target = np.full((1, 32, 32, 1), 280.0, np.float32)
    mse = image.mse(target + offset, target)
    np.testing.assert_allclose(mse, 2.0**-20, rtol=1e-12)

  def test_psnr_agrees_with_scikit_image(self):
    pred, target = _pair()
    found = image.psnr(pred, target, data_range=np.array([1.0, 5.0, 7.0]))
    for b in range(2):
      for c, span in enumerate((1.0, 5.0, 7.0)):
        expected = skimage_metrics.peak_signal_noise_ratio(
          target[b, ..., c], pred[b, ..., c], data_range=span
        )
        self.assertAlmostEqual(found[b, c], expected, places=10)

  def test_psnr_gains_20_db_for_ten_times_the_range(self):
    pred, target = _pair()
    low = image.psnr(pred, target, data_range=1.0)
    high = image.psnr(pred, target, data_range=10.0)
    np.testing.assert_allclose(high - low, 20.0, rtol=1e-12)

  def test_similarity_is_of_what_is_known(self):
    pred, target = _pair(shape=(1, 24, 40, 2))
    known = np.ones(target.shape)
    known[:, :, 20:] = 0.0
    # What is filled alike counts for nothing but next to the edge of it.
    pred[:, :, 20:] = target[:, :, 20:]
    found = image.ssim(pred, target, data_range=4.0, known=known)
    similar = image.ssim_map(pred, target, data_range=4.0)[0, :, :, 0]
    offset = np.arange(11) - 5
    weight = np.exp(-0.5 * (offset / 1.5) ** 2)
    share = [
      np.sum(weight * (offset + 5 + i < 20)) / weight.sum() for i in range(30)
    ]
    expected = np.average(similar.mean(0), weights=share)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-12)
    everywhere = image.ssim(pred, target, data_range=4.0)
    self.assertTrue(np.all(found < everywhere))

  def test_psnr_of_equal_fields_is_infinite(self):
    _, target = _pair()
    psnr = image.psnr(target, target, data_range=1.0)
    self.assertTrue(np.all(np.isposinf(psnr)))

  def test_jax_arrays_score_alike(self):
    pred, target = (x.astype(np.float32) for x in _pair())
    found = image.mse(jnp.asarray(pred), jnp.asarray(target))
    np.testing.assert_array_equal(found, image.mse(pred, target))

  @parameterized.parameters((24, 31), (11, 11), (11, 40))
  def test_ssim_agrees_with_scikit_image(self, height, width):
    pred, target = _pair(1, (1, height, width, 2))
    found = image.ssim(pred, target, data_range=3.0)
    for c in range(2):
      expected = skimage_metrics.structural_similarity(
        target[0, ..., c],
        pred[0, ..., c],
        data_range=3.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
      )
      self.assertAlmostEqual(found[0, c], expected, places=10)

  def test_ssim_is_one_for_equal_fields_and_symmetric(self):
    pred, target = _pair()
    same = image.ssim(target, target, data_range=1.0)
    np.testing.assert_allclose(same, 1.0, rtol=1e-12)
    np.testing.assert_allclose(
      image.ssim(pred, target, data_range=2.0),
      image.ssim(target, pred, data_range=2.0),
      rtol=1e-12,
    )

  def test_ssim_does_not_depend_on_the_unit(self):
    pred, target = _pair()
    np.testing.assert_allclose(
      image.ssim(1e3 * pred, 1e3 * target, data_range=2e3),
      image.ssim(pred, target, data_range=2.0),
      rtol=1e-9,
    )

  def test_small_fields_have_no_ssim(self):
    small = np.zeros((1, 10, 30, 1))
    with self.assertRaisesRegex(ValueError, "11 x 11 cells, got 10 x 30"):
      image.ssim(small, small, data_range=1.0)

  @parameterized.parameters(0.0, -1.0, np.nan)
  def test_data_range_must_be_positive(self, span):
    pred, target = _pair()
    for function in (image.psnr, image.ssim):
      with self.assertRaisesRegex(ValueError, "data_range must be positive"):
        function(pred, target, data_range=span)

  def test_data_range_has_no_default(self):
    pred, target = _pair()
    for function in (image.psnr, image.ssim):
      with self.assertRaisesRegex(TypeError, "data_range"):
        function(pred, target)

  def test_shapes_are_not_broadcast(self):
    pred, target = _pair()
    for function in (image.mse, image.max_error, field.bias, field.relative_l2):
      with self.assertRaises(AssertionError):
        function(pred, target[:1])

  def test_relative_l2_of_a_scaled_field(self):
    _, target = _pair()
    found = field.relative_l2(1.25 * target, target)
    np.testing.assert_allclose(found, 0.25, rtol=1e-12)

  def test_relative_l2_of_zero_fields(self):
    zero, one = np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4, 1))
    self.assertEqual(field.relative_l2(zero, zero)[0, 0], 0.0)
    self.assertEqual(field.relative_l2(one, zero)[0, 0], np.inf)


if __name__ == "__main__":
  absltest.main()
