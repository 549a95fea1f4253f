"""Means by area against quadrature, xskillscore and plain sums."""

import importlib.util

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.metrics import domains, weather
from tests.metrics import contexts

POLES = np.linspace(90.0, -90.0, 19)


def _pair(seed=0, count=1, shape=(19, 24, 2)):
  rng = np.random.default_rng(seed)
  target = 280.0 + 10.0 * rng.normal(size=(count, *shape))
  return target + rng.normal(size=target.shape), target


def _context(**kwargs):
  settings = dict(
    periodic=(False, True), latitude=POLES, longitude=15.0 * np.arange(24)
  )
  return contexts.make(("t2m", "z"), **settings | kwargs)


def _scores(pred, target, context):
  parts = [
    domains.parts("weather", p, t, context)
    for p, t in zip(pred, target, strict=True)
  ]
  return domains.reduce("weather", domains.mean(parts))


class HolesTest(parameterized.TestCase):
  def test_scores_are_those_of_what_is_known(self):
    pred, target = _pair()
    known = np.ones(target.shape[1:], bool)
    known[:, 12:] = False
    filled = np.where(known, pred, target)
    found = _scores(filled, target, _context(known=known))
    half = _context(longitude=15.0 * np.arange(12), periodic=(False, False))
    expected = _scores(pred[:, :, :12], target[:, :, :12], half)
    for name in ("area_rmse", "area_bias", "acc"):
      np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)


class AreaTest(parameterized.TestCase):
  def test_cells_away_from_the_poles_weigh_by_the_cosine(self):
    latitude = np.arange(-87.5, 90.0, 5.0)
    found = weather.area_weights(latitude)
    expected = np.cos(np.deg2rad(latitude))
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-12)

  def test_a_row_at_a_pole_has_the_area_of_its_cap(self):
    found = weather.area_weights(POLES)
    self.assertAlmostEqual(found.mean(), 1.0)
    cap = 1.0 - np.sin(np.deg2rad(85.0))  # of a sphere of area 2
    self.assertAlmostEqual(found[0] / 19, cap / 2.0, places=12)
    self.assertAlmostEqual(found[0], found[-1], places=12)

  @parameterized.parameters(1, -1)
  def test_gaussian_latitudes_weigh_almost_by_gauss(self, order):
    nodes, weight = np.polynomial.legendre.leggauss(64)
    latitude = np.rad2deg(np.arcsin(nodes))[::order]
    found = weather.area_weights(latitude)
    # Half ways are not quite the bounds of Gauss's cells, least at the poles.
    expected = (weight / weight.mean())[::order]
    np.testing.assert_allclose(found[2:-2], expected[2:-2], rtol=2e-3)

  def test_a_region_has_its_own_mean(self):
    found = weather.area_weights(np.array([60.0, 50.0, 40.0]))
    bounds = np.sin(np.deg2rad([65.0, 55.0, 45.0, 35.0]))
    expected = -np.diff(bounds) / np.mean(-np.diff(bounds))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(weather.area_weights(np.array([3.0])), 1.0)


class ScoresTest(absltest.TestCase):
  def test_errors_at_the_poles_count_for_little(self):
    _, target = _pair()
    pred = target.copy()
    pred[:, 0] += 19.0
    found = _scores(pred, target, _context())
    weight = weather.area_weights(POLES)[0]
    np.testing.assert_allclose(found["area_bias"], weight, rtol=1e-9)
    expected = np.sqrt(weight * 19.0)
    np.testing.assert_allclose(found["area_rmse"], expected, rtol=1e-9)

  def test_anomalies_are_from_the_climatology(self):
    pred, target = _pair(count=3)
    normal = np.random.default_rng(5).normal(280.0, 5.0, target.shape[1:])
    found = _scores(pred, target, _context(climatology=normal))
    weight = weather.area_weights(POLES)[:, None, None]
    p, t = pred - normal, target - normal
    sums = [np.sum(weight * v, axis=(0, 1, 2)) for v in (p * t, p * p, t * t)]
    expected = sums[0] / np.sqrt(sums[1] * sums[2])
    np.testing.assert_allclose(found["acc"], expected, rtol=1e-12)

  def test_anomaly_correlation_at_its_ends(self):
    _, target = _pair()
    normal = np.full(target.shape[1:], 279.0)
    context = _context(climatology=normal)
    ends = {
      1.0: normal + 3.0 * (target - normal),
      -1.0: normal - 0.5 * (target - normal),
      np.nan: normal + 0.0 * target,
    }
    for expected, pred in ends.items():
      found = _scores(pred, target, context)["acc"]
      np.testing.assert_allclose(found, expected, rtol=1e-9)

  def test_without_latitudes_only_the_correlation_remains(self):
    pred, target = _pair()
    context = contexts.make(("t2m", "z"), periodic=(False, False))
    found = _scores(pred, target, context)
    self.assertEqual(list(found), ["acc"])
    normal = target[0].mean(axis=(0, 1))
    p, t = pred[0] - normal, target[0] - normal
    expected = np.sum(p * t, (0, 1)) / np.sqrt(
      np.sum(p * p, (0, 1)) * np.sum(t * t, (0, 1))
    )
    np.testing.assert_allclose(found["acc"], expected, rtol=1e-12)

  def test_winds_have_a_divergence(self):
    pred, target = _pair()
    found = _scores(pred, target, _context())
    self.assertNotIn("divergence", found)
    context = contexts.make(
      ("u10", "v10"),
      periodic=(False, True),
      latitude=POLES,
      longitude=15.0 * np.arange(24),
    )
    found = _scores(pred, target, context)
    self.assertGreater(found["divergence"][0], 0.0)
    self.assertTrue(np.isnan(found["divergence"][1]))


@absltest.skipUnless(
  importlib.util.find_spec("xskillscore"), "xskillscore is not installed"
)
class XskillscoreTest(absltest.TestCase):
  def _scores(self, name, pred, target, dims):
    import xarray as xr
    import xskillscore

    weight = weather.area_weights(POLES)[:, None]
    weight = np.broadcast_to(weight, target.shape[:-1])
    arrays = [
      xr.DataArray(v, dims=("time", "y", "x", "c")) for v in (pred, target)
    ]
    weights = xr.DataArray(weight, dims=("time", "y", "x"))
    if "time" not in dims:
      arrays, weights = [a[0] for a in arrays], weights[0]
    return getattr(xskillscore, name)(*arrays, dim=dims, weights=weights)

  def test_root_mean_square_by_area(self):
    pred, target = _pair(count=2)
    expected = self._scores("rmse", pred, target, ["time", "y", "x"])
    found = _scores(pred, target, _context())
    np.testing.assert_allclose(found["area_rmse"], expected, rtol=1e-12)

  def test_bias_by_area(self):
    pred, target = _pair(count=2)
    expected = self._scores("me", pred, target, ["time", "y", "x"])
    found = _scores(pred, target, _context())
    # xskillscore's is of its first argument less the second.
    np.testing.assert_allclose(found["area_bias"], expected, rtol=1e-9)

  def test_correlation_of_centred_anomalies(self):
    pred, target = _pair()
    weight = weather.area_weights(POLES)[:, None, None]
    # Pearson's has means of its own: give the prediction the truth's.
    pred += np.mean(weight * (target - pred), axis=(1, 2), keepdims=True)
    expected = self._scores("pearson_r", pred, target, ["y", "x"])
    found = _scores(pred, target, _context())
    np.testing.assert_allclose(found["acc"], expected, rtol=1e-9)


if __name__ == "__main__":
  absltest.main()
