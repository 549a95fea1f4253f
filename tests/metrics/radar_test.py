"""Scores of events against loops over cells, scipy and xskillscore."""

import importlib.util

from absl.testing import absltest, parameterized
import numpy as np
import scipy.ndimage

from hinote_jax.metrics import domains, radar
from tests.metrics import contexts


def _rain(seed, count=2, shape=(20, 24, 1)):
  rng = np.random.default_rng(seed)
  smooth = scipy.ndimage.gaussian_filter(
    rng.normal(size=(count, *shape)), (0, 1.5, 1.5, 0)
  )
  return np.maximum(0.0, 30.0 * smooth)


def _scores(pred, target, thresholds, periodic=(False, False)):
  context = contexts.make(
    ("rain",), thresholds=(thresholds,), periodic=periodic
  )
  parts = [
    domains.parts("radar", p, t, context)
    for p, t in zip(pred, target, strict=True)
  ]
  return domains.reduce("radar", domains.mean(parts))


def _fractions_skill(pred, target, size):
  """Returns the score of events [t H W] by loops over windows."""
  apart = most = 0.0
  for p, t in zip(pred, target, strict=True):
    rows, columns = (n - size + 1 for n in p.shape)
    for i in range(rows):
      for j in range(columns):
        window = np.s_[i : i + size, j : j + size]
        a, b = p[window].mean(), t[window].mean()
        apart += (a - b) ** 2
        most += a**2 + b**2
  return 1.0 - apart / most


class ThresholdsTest(parameterized.TestCase):
  @parameterized.parameters(
    ("vil", "", "vil"),
    ("VIL", "1", "vil"),
    ("vil", "kg m-2", "vil"),
    ("vil", "g m-2", ""),
    ("civil", "", ""),
    ("pr", "mm/h", "rain"),
    ("pr", "mm h-1", "rain"),
    ("pr", "mm h**-1", "rain"),
    ("pr", "mm hr^-1", "rain"),
    ("pr", "kg m-2 s-1", "rain"),
    ("composite", "dBZ", "reflectivity"),
    ("ir069", "degC", ""),
  )
  def test_kinds(self, name, units, expected):
    self.assertEqual(radar.kind(name, units), expected)

  def test_those_of_the_field(self):
    found = radar.thresholds("vil", "", None)
    self.assertEqual(list(found.values()), [16, 74, 133, 160, 181, 219])
    self.assertEqual(list(found)[0], "16")
    found = radar.thresholds("pr", "mm/h", None)
    self.assertEqual(found, {"0.5": 0.5, "1": 1, "2": 2, "5": 5, "10": 10})

  def test_a_rate_by_the_second_has_the_same_labels(self):
    found = radar.thresholds("pr", "kg m-2 s-1", None)
    self.assertEqual(list(found), ["0.5", "1", "2", "5", "10"])
    self.assertAlmostEqual(found["10"] * 3600.0, 10.0)

  def test_liquid_by_mass_is_decoded(self):
    found = radar.thresholds("vil", "kg m-2", None)
    self.assertEqual(list(found), ["16", "74", "133", "160", "181", "219"])
    self.assertAlmostEqual(found["16"], 14.0 / 90.66)
    self.assertAlmostEqual(found["160"], np.exp(76.1 / 38.9))
    self.assertEqual(radar.in_unit(0.0, "vil", "kg m-2"), 0.0)

  def test_quantiles_else(self):
    truth = np.arange(101.0)
    found = radar.thresholds("ir069", "degC", truth)
    self.assertEqual(found, {"q50": 50, "q75": 75, "q90": 90, "q95": 95})

  def test_quantiles_that_every_cell_reaches_say_nothing(self):
    truth = np.zeros(100)
    truth[:20] = np.arange(1.0, 21.0)
    self.assertEqual(list(radar.thresholds("a", "", truth)), ["q90", "q95"])
    self.assertEqual(radar.thresholds("a", "", np.zeros(9)), {})


class WindowsTest(parameterized.TestCase):
  @parameterized.parameters(1, 2, 4, 7)
  def test_counts_agree_with_a_uniform_filter(self, size):
    events = np.random.default_rng(0).random((9, 11)) < 0.3
    found = radar.window_counts(events, size, periodic=(True, True))
    # A window from cell i on is centred size // 2 later.
    mean = scipy.ndimage.uniform_filter(events.astype(float), size, mode="wrap")
    expected = np.roll(mean, (-(size // 2), -(size // 2)), (0, 1)) * size**2
    np.testing.assert_allclose(found, expected, atol=1e-9)
    walls = radar.window_counts(events, size, periodic=(False, False))
    np.testing.assert_array_equal(walls, found[: 10 - size, : 12 - size])

  def test_one_axis_closes(self):
    events = np.zeros((4, 6), bool)
    events[0, 0] = True
    found = radar.window_counts(events, 2, periodic=(False, True))
    expected = np.zeros((3, 6), int)
    expected[0, [0, 5]] = 1
    np.testing.assert_array_equal(found, expected)


class ScoresTest(parameterized.TestCase):
  def test_contingency_of_a_known_table(self):
    target = np.zeros((1, 10, 10, 1))
    pred = np.zeros((1, 10, 10, 1))
    target[0, 0, :10] = 2.0  # 10 events: 6 hits, 4 misses
    pred[0, 0, 4:] = 1.0
    pred[0, 1, :3] = 5.0  # 3 false alarms
    found = _scores(pred, target, {"1": 1.0})
    self.assertAlmostEqual(found["csi@1"][0], 6.0 / 13.0)
    self.assertAlmostEqual(found["pod@1"][0], 0.6)
    self.assertAlmostEqual(found["far@1"][0], 3.0 / 9.0)
    self.assertAlmostEqual(found["csi_mean"][0], 6.0 / 13.0)

  def test_events_that_are_not_known_do_not_count(self):
    target = np.full((1, 4, 6, 1), 2.0)
    pred = target - 2.0
    known = np.zeros((4, 6, 1), bool)
    known[:, :2] = True
    context = contexts.make(("a",), thresholds=({"1": 1.0},), known=known)
    found = radar.parts(np.where(known, pred[0], target[0]), target[0], context)
    self.assertEqual(found["misses@1"][0], 8)
    self.assertEqual(found["hits@1"][0], 0)

  def test_a_cell_at_the_threshold_is_an_event(self):
    target = np.full((1, 4, 4, 1), 16.0)
    found = _scores(target - 1e-9, target, {"16": 16.0})
    self.assertEqual(found["pod@16"][0], 0.0)
    self.assertEqual(_scores(target, target, {"16": 16.0})["csi@16"][0], 1.0)

  @parameterized.parameters(1, 4, 16)
  def test_fractions_agree_with_loops(self, size):
    pred, target = _rain(0), _rain(1)
    found = _scores(pred, target, {"5": 5.0})[f"fss@5@{size}"]
    expected = _fractions_skill(
      pred[..., 0] >= 5.0, target[..., 0] >= 5.0, size
    )
    self.assertAlmostEqual(found[0], expected, places=12)

  @parameterized.parameters((1, 4), (3, 4), (4, 4), (9, 16))
  def test_fractions_of_a_displaced_cell(self, shift, size):
    target = np.zeros((1, 40, 40, 1))
    target[0, 20, 20] = 1.0
    pred = np.roll(target, shift, axis=2)
    found = _scores(pred, target, {"1": 1.0}, periodic=(True, True))
    self.assertAlmostEqual(found[f"fss@1@{size}"][0], 1.0 - shift / size)
    self.assertEqual(found["csi@1"][0], 0.0)
    self.assertEqual(found["fss@1@1"][0], 0.0)

  def test_fields_are_counted_together(self):
    pred, target = np.zeros((2, 2, 4, 4, 1))
    target[0, :2], pred[0, :2] = 1.0, 1.0  # 8 hits in the first field
    pred[1, 0] = 1.0  # 4 false alarms in the second, which has no events
    found = _scores(pred, target, {"1": 1.0})
    self.assertAlmostEqual(found["csi@1"][0], 8.0 / 12.0)
    self.assertAlmostEqual(found["fss@1@1"][0], 1.0 - 4.0 / 20.0)

  def test_thresholds_that_the_truth_never_reaches_have_no_scores(self):
    target, pred = np.zeros((2, 1, 20, 20, 1))
    target[..., 0, 0], pred[..., 0, 0] = 3.0, 20.0
    found = _scores(pred, target, {"1": 1.0, "10": 10.0})
    for name, values in found.items():
      self.assertEqual(np.isnan(values[0]), "@10" in name, name)
    self.assertEqual(found["csi_mean"][0], 1.0)

  def test_without_a_forecast_there_is_no_false_alarm_ratio(self):
    target = np.ones((1, 4, 4, 1))
    found = _scores(0.0 * target, target, {"1": 1.0})
    self.assertTrue(np.isnan(found["far@1"][0]))
    self.assertEqual(found["csi@1"][0], 0.0)

  def test_windows_larger_than_the_field_are_left_out(self):
    pred = np.ones((1, 8, 20, 1))
    found = _scores(pred, pred, {"1": 1.0})
    self.assertIn("fss@1@4", found)
    self.assertNotIn("fss@1@16", found)

  def test_each_variable_has_its_own_thresholds(self):
    values = _rain(0, shape=(20, 24, 2))[0]
    known = ({"5": 5.0}, {"1": 1.0})
    context = contexts.make(("a", "b"), thresholds=known)
    means = domains.mean([domains.parts("radar", values, values, context)])
    found = domains.reduce("radar", means)
    np.testing.assert_array_equal(found["csi@5"], [1.0, np.nan])
    np.testing.assert_array_equal(found["csi@1"], [np.nan, 1.0])
    np.testing.assert_array_equal(found["csi_mean"], [1.0, 1.0])


@absltest.skipUnless(
  importlib.util.find_spec("xskillscore"), "xskillscore is not installed"
)
class XskillscoreTest(absltest.TestCase):
  def test_contingency(self):
    import xarray as xr
    import xskillscore

    pred, target = _rain(0), _rain(1)
    found = _scores(pred, target, {"5": 5.0})
    edges = np.array([-1.0, 5.0, np.inf])
    arrays = [
      xr.DataArray(v[..., 0], dims=("time", "y", "x")) for v in (target, pred)
    ]
    table = xskillscore.Contingency(
      *arrays, edges, edges, dim=["time", "y", "x"]
    )
    for name, expected in (
      ("csi", table.threat_score()),
      ("pod", table.hit_rate()),
      ("far", table.false_alarm_ratio()),
    ):
      self.assertAlmostEqual(found[f"{name}@5"][0], float(expected), places=12)


if __name__ == "__main__":
  absltest.main()
