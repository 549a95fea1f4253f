"""The table of sciences: what is scored, for which of them."""

from types import SimpleNamespace

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax import fields
from hinote_jax.metrics import domains
from tests import evaluations


def _axis(name, units, values):
  return fields.Axis(name, np.asarray(values), units)


def _dataset(domain="", units="", name="a", count=20):
  values = np.arange(count * 12.0).reshape(count, 3, 4, 1)
  return evaluations.Whole(
    name="counting",
    domain=domain,
    values=values.astype(np.float32),
    variables=[SimpleNamespace(name=name, units=units, long_name="")],
    y=_axis("y", "m", [4.0, 2.0, 0.0]),
    x=_axis("x", "m", [0.0, 1.0, 2.0, 3.0]),
    periodic=(False, True),
  )


def _context(dataset, indices=range(20), **kwargs):
  return domains.context(
    dataset, list(indices), data_range=np.ones(1), **kwargs
  )


class TableTest(parameterized.TestCase):
  def test_every_domain_of_the_data_is_known(self):
    from hinote_jax.data import series

    for domain in series.DOMAINS:
      self.assertIsInstance(domains.look_up(domain), domains.Domain)

  def test_an_unknown_domain_is_named(self):
    with self.assertRaisesRegex(ValueError, "'whether'.*'weather'"):
      domains.look_up("whether")
    with self.assertRaisesRegex(ValueError, "unknown domain 'whether'"):
      _context(_dataset("whether"))

  def test_titles_take_thresholds_and_sizes(self):
    found = domains.metric("radar", "fss@q90@16")
    self.assertEqual(found.title, "FSS ≥ q90, side 16")
    self.assertEqual(domains.metric("radar", "csi@0.5").title, "CSI ≥ 0.5")
    self.assertEqual(domains.metric("radar", "fss").title, "FSS ≥ T, side n")
    self.assertIsNone(domains.metric("weather", "csi@0.5"))
    self.assertIsNone(domains.metric("radar", "mse"))
    self.assertEqual(domains.metric("", "mean_error").sign, 0)

  def test_thresholds_are_in_order_of_their_numbers(self):
    keys = ["fss@74@16", "fss@74@4", "mse", "csi@133", "csi@74", "csi_mean"]
    found = domains.ordered("radar", [*keys, "mean_error"])
    expected = ["mean_error", "csi_mean", "csi@74", "csi@133"]
    self.assertEqual(found, [*expected, "fss@74@4", "fss@74@16"])

  @parameterized.parameters("", "image")
  def test_some_ask_for_nothing_more(self, domain):
    zero = np.zeros((4, 4, 1))
    parts = domains.parts(domain, zero, zero, _context(_dataset(domain)))
    self.assertEqual(domains.reduce(domain, domains.mean([parts])), {})


class ContextTest(absltest.TestCase):
  def test_steps_are_signed_and_need_a_unit(self):
    dataset = _dataset()
    self.assertEqual(_context(dataset).step, (-2.0, 1.0))
    dataset.x = _axis("x", "km", [0.0, 1.0, 2.0, 3.0])
    self.assertEqual(_context(dataset).step, (1.0, 1.0))
    dataset.x = _axis("x", "cell", [0.0, 1.0, 2.0, 3.0])
    dataset.y = _axis("y", "cell", [0.0, 1.0, 2.0])
    self.assertEqual(_context(dataset).step, (1.0, 1.0))

  def test_uneven_axes_give_their_positions(self):
    dataset = _dataset()
    self.assertEqual(_context(dataset).positions, (None, None))
    rows = [4.0, 3.5, 0.0]
    dataset.y = fields.Axis.of("y", rows, "m", may_be_uneven=True)
    context = _context(dataset)
    np.testing.assert_array_equal(context.between[0], rows)
    self.assertEqual(context.between[1], 1.0)
    part = context.within(slice(1, 3), slice(None))
    np.testing.assert_array_equal(part.between[0], rows[1:])

  def test_latitudes_are_told_by_name_or_unit(self):
    dataset = _dataset()
    self.assertIsNone(_context(dataset).latitude)
    dataset.y = _axis("lat", "", [1.0, 0.0, -1.0])
    dataset.x = _axis("x", "degrees_east", [0.0, 1.0, 2.0, 3.0])
    context = _context(dataset)
    np.testing.assert_array_equal(context.latitude, dataset.y.values)
    np.testing.assert_array_equal(context.longitude, dataset.x.values)

  def test_only_radar_has_thresholds(self):
    self.assertEqual(_context(_dataset("weather", "mm/h")).thresholds, ({},))
    found = _context(_dataset("radar", "mm/h")).thresholds
    self.assertEqual(list(found[0]), ["0.5", "1", "2", "5", "10"])

  def test_quantiles_are_of_the_fields_that_are_scored(self):
    (found,) = _context(_dataset("radar"), [2, 3]).thresholds
    expected = np.quantile(np.arange(24.0, 48.0), [0.5, 0.75, 0.9, 0.95])
    np.testing.assert_allclose(list(found.values()), expected)

  def test_quantiles_are_of_what_was_measured(self):
    dataset = _dataset("radar")
    measured = dataset.values.copy()
    measured[:, 1:] = np.nan
    dataset.measured = measured
    (found,) = _context(dataset, [2, 3]).thresholds
    truth = measured[[2, 3], :1]
    expected = np.quantile(truth, [0.5, 0.75, 0.9, 0.95])
    np.testing.assert_allclose(list(found.values()), expected)

  def test_quantiles_read_few_fields(self):
    dataset, read = _dataset("radar"), []
    values = dataset.values

    class Recorder:
      shape = values.shape

      def __getitem__(self, i):
        read.append(i)
        return values[i]

    dataset.values = Recorder()
    _context(dataset, range(20))
    self.assertEqual(read, list(range(0, 20, 2)))

  def test_the_climatology_lies_on_the_grid(self):
    with self.assertRaisesRegex(ValueError, r"\(3, 5, 1\).*\(3, 4, 1\)"):
      _context(_dataset("weather"), climatology=np.zeros((3, 5, 1)))


if __name__ == "__main__":
  absltest.main()
