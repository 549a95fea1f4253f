"""Scores of scans against scikit-image and scipy."""

from absl.testing import absltest, parameterized
import numpy as np
import scipy.ndimage
from skimage import metrics as skimage_metrics

from hinote_jax.metrics import domains, image, mri
from tests.metrics import contexts


def _scan(shape=(40, 48), seed=0, size=1.0):
  """Returns a head with a cavity, bright spots beside it, and its mask."""
  rng = np.random.default_rng(seed)
  y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
  radius = np.hypot((y - 20) / 16, (x - 24) / 18) / size
  is_head = radius < 1.0
  values = np.where(is_head, 400.0 + 60.0 * rng.normal(size=shape), 0.0)
  values[np.hypot(y - 18, x - 22) < 3] = 2.0  # a dark cavity
  values[1:3, 1:4] = 500.0  # beside the head
  return values + rng.uniform(0.0, 8.0, shape), is_head


def _scores(pred, target, data_range=600.0, periodic=(False, False)):
  context = contexts.make(
    ("t1w",), periodic=periodic, data_range=np.array([data_range])
  )
  parts = [
    domains.parts("mri", p[..., None], t[..., None], context)
    for p, t in zip(pred, target, strict=True)
  ]
  found = domains.reduce("mri", domains.mean(parts))
  return {name: values[0] for name, values in found.items()}


class HeadTest(absltest.TestCase):
  def test_is_the_largest_part_without_holes(self):
    values, is_head = _scan()
    np.testing.assert_array_equal(mri.head(values, 600.0), is_head)

  def test_does_not_depend_on_the_unit(self):
    values, is_head = _scan()
    np.testing.assert_array_equal(mri.head(1e-3 * values, 0.6), is_head)

  def test_air_has_none(self):
    noise = np.random.default_rng(0).uniform(0.0, 8.0, (20, 20))
    self.assertFalse(mri.head(noise, 600.0).any())
    self.assertFalse(mri.head(np.zeros((8, 8)), 0.0).any())


class KnownTest(absltest.TestCase):
  def test_what_is_missing_is_air_and_weighs_nothing(self):
    values, is_head = _scan()
    target = np.where(is_head, values, 0.0)[..., None]
    rng = np.random.default_rng(1)
    pred = target + 9.0 * rng.normal(size=target.shape) * is_head[..., None]
    kwargs = dict(data_range=np.array([600.0]), periodic=(False, False))
    whole = mri.parts(pred, target, contexts.make(("t1w",), **kwargs))
    known = is_head[..., None]
    filled = [np.where(known, v, values.max()) for v in (pred, target)]
    context = contexts.make(("t1w",), known=known, **kwargs)
    found = mri.parts(*filled, context)
    np.testing.assert_allclose(found["psnr_head"], whole["psnr_head"])
    psnr = 20.0 * np.log10(
      600.0 / np.sqrt(np.mean((pred - target)[known] ** 2))
    )
    np.testing.assert_allclose(found["psnr_head"], psnr)
    # Windows of which half is filled alike count half.
    self.assertLess(found["ssim_head"][0], 1.0)
    inside = image.ssim_map(*(f[None] for f in filled), data_range=600.0)
    plain = np.mean(inside[0][is_head[5:-5, 5:-5]])
    self.assertLess(found["ssim_head"][0], plain)
    errors = mri.edges((pred - target)[..., 0], periodic=(False, False))
    np.testing.assert_allclose(
      found["edges_error"][0], np.mean(is_head * errors**2)
    )


class EdgesTest(parameterized.TestCase):
  def test_filter_ignores_constants(self):
    kernel = mri.laplacian_of_gaussian()
    self.assertEqual(kernel.shape, (15, 15))
    self.assertAlmostEqual(kernel.sum(), 0.0, places=14)
    # Of x^2 + y^2 the Laplacian is 4, before and after smoothing.
    offset = np.arange(15) - 7
    bowl = offset[:, None] ** 2 + offset**2
    self.assertAlmostEqual(np.sum(kernel * bowl), 4.0, places=2)

  @parameterized.parameters((True, True), (False, False), (False, True))
  def test_agrees_with_scipy(self, *periodic):
    values, _ = _scan()
    found = mri.edges(values, periodic=periodic)
    for axis, is_periodic in enumerate(periodic):
      width = [(0, 0), (0, 0)]
      width[axis] = (20, 20)
      values = np.pad(values, width, "wrap" if is_periodic else "symmetric")
    expected = scipy.ndimage.gaussian_laplace(values, 1.5, truncate=7 / 1.5)
    # scipy's filter has a sum that is not quite 0; ours is made so.
    y, x = np.meshgrid(*2 * [np.arange(15) - 7.0], indexing="ij")
    gauss = np.exp(-(y**2 + x**2) / 4.5)
    excess = np.sum(gauss * (y**2 + x**2 - 4.5)) / gauss.sum() / 1.5**4
    expected -= excess * scipy.ndimage.uniform_filter(values, 15)
    np.testing.assert_allclose(found, expected[20:-20, 20:-20], atol=1e-9)


class ScoresTest(absltest.TestCase):
  def test_psnr_and_ssim_in_the_head_agree_with_scikit_image(self):
    target, is_head = _scan()
    pred = target + 20.0 * np.random.default_rng(1).normal(size=target.shape)
    found = _scores([pred], [target])
    expected = skimage_metrics.peak_signal_noise_ratio(
      target[is_head], pred[is_head], data_range=600.0
    )
    self.assertAlmostEqual(found["psnr_head"], expected, places=10)
    _, similar = skimage_metrics.structural_similarity(
      target,
      pred,
      data_range=600.0,
      gaussian_weights=True,
      sigma=1.5,
      use_sample_covariance=False,
      full=True,
    )
    inside = np.s_[5:-5, 5:-5]
    expected = similar[inside][is_head[inside]].mean()
    self.assertAlmostEqual(found["ssim_head"], expected, places=10)

  def test_errors_in_the_air_do_not_count(self):
    target, is_head = _scan()
    pred = np.where(is_head, target, target + 50.0)
    self.assertEqual(_scores([pred], [target])["psnr_head"], np.inf)

  def test_slices_of_air_are_no_heads(self):
    target, _ = _scan()
    pred = target + 10.0
    air = np.random.default_rng(2).uniform(0.0, 8.0, target.shape)
    one = _scores([pred], [target])
    both = _scores([pred, air + 1.0], [target, air])
    for name in ("psnr_head", "ssim_head"):
      self.assertAlmostEqual(both[name], one[name], places=12)
    alone = _scores([air], [air])
    self.assertTrue(np.isnan(alone["psnr_head"]))
    self.assertTrue(np.isnan(alone["ssim_head"]))

  def test_error_norm_of_a_gain_and_of_an_offset(self):
    target, _ = _scan()
    self.assertAlmostEqual(_scores([0.7 * target], [target])["hfen"], 0.3)
    self.assertAlmostEqual(_scores([target + 9.0], [target])["hfen"], 0.0)

  def test_error_norm_is_of_all_slices_together(self):
    first, second = _scan()[0], 0.1 * _scan(seed=1)[0]
    found = _scores([1.2 * first, 2.0 * second], [first, second])["hfen"]
    square = [
      np.sum(mri.edges(v, periodic=(False, False)) ** 2)
      for v in (first, second)
    ]
    expected = np.sqrt((0.04 * square[0] + square[1]) / sum(square))
    self.assertAlmostEqual(found, expected, places=12)

  def test_a_flat_truth_has_no_edges(self):
    flat = np.zeros((20, 20))
    found = _scores([flat], [flat])
    self.assertTrue(np.isnan(found["hfen"]))


if __name__ == "__main__":
  absltest.main()
