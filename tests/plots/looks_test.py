"""Figures that a specialist would recognise: colours, aspect, coherence."""

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.metrics import radar
from hinote_jax.plots import looks, maps, panels, scales, spectra, style

_WAVES = np.arange(1, 46) / 64.0


def _fields(coarse=(8, 16), fine=(32, 64)):
  rng = np.random.default_rng(0)
  return rng.normal(size=coarse), *(rng.normal(size=fine) for _ in range(3))


def _spectra(**kwargs):
  truth = np.stack([_WAVES**-3, _WAVES**-2])
  return spectra.spectra(
    _WAVES,
    {"truth": truth, "bicubic": 0.5 * truth},
    labels=("temperature", "wind"),
    units=("K", "m s-1"),
    **kwargs,
  )


class StretchTest(absltest.TestCase):
  def test_a_degree_of_longitude_is_drawn_shorter_away_from_the_equator(self):
    y, x = np.linspace(65.0, 55.0, 11), np.arange(20.0)
    region = maps.frame((11, 20), y, x, is_geographic=True)
    self.assertAlmostEqual(region.stretch, 2.0)  # 1 / cos 60 degrees
    self.assertAlmostEqual(region.aspect, 20.0 / 11.0 / 2.0)
    axes = style.figure(2.0, 2.0).subplots()
    maps.show(axes, np.zeros((11, 20)), region)
    self.assertAlmostEqual(axes.get_aspect(), 2.0)
    southern = maps.frame((11, 20), -y, x, is_geographic=True)
    self.assertAlmostEqual(southern.stretch, 2.0)

  def test_globes_and_metres_are_not_stretched(self):
    globe = maps.frame(
      (19, 36),
      np.linspace(90.0, -90.0, 19),
      np.arange(0.0, 360.0, 10.0),
      is_geographic=True,
    )
    metres = maps.frame((11, 20), np.linspace(65.0, 55.0, 11))
    self.assertEqual((globe.stretch, metres.stretch), (1.0, 1.0))
    cap = maps.frame(
      (5, 9), np.arange(86.0, 91.0), np.arange(9.0), is_geographic=True
    )
    self.assertLess(cap.stretch, 4.0)


class LooksTest(parameterized.TestCase):
  def test_vorticity_diverges_about_zero_whatever_its_sign(self):
    values = np.random.default_rng(0).normal(5.0, 1.0, (20, 20))
    look = looks.look(values, name="vorticity", domain="turbulence")
    self.assertEqual(look["cmap"], "RdBu_r")
    self.assertEqual(look["vmin"], -look["vmax"])
    look = looks.look(values, name="temperature", domain="turbulence")
    self.assertEqual(look["cmap"], "viridis")

  @parameterized.parameters("mri", "image")
  def test_scans_and_images_are_grey_from_black(self, domain):
    values = np.linspace(3.0, 700.0, 1000)
    look = looks.look(values, name="t1w", domain=domain)
    self.assertEqual((look["cmap"], look["vmin"]), ("gray", 0.0))
    look = looks.look(values - 300.0, name="t1w", domain=domain)
    self.assertLess(look["vmin"], -290.0)

  @parameterized.parameters(
    ("vil", ""),
    ("vil", "kg m-2"),
    ("pr", "mm/h"),
    ("pr", "kg m-2 s-1"),
    ("dbz", "dBZ"),
  )
  def test_radar_changes_colour_at_every_threshold(self, name, units):
    look = looks.look(np.zeros(9), name=name, units=units, domain="radar")
    for at in radar.thresholds(name, units, None).values():
      colors = look["cmap"](look["norm"](np.array([0.999 * at, 1.001 * at])))
      self.assertNotEqual(tuple(colors[0]), tuple(colors[1]), at)
    dry = look["cmap"](look["norm"](np.zeros(1)))[0]
    self.assertGreater(min(dry), 0.9)  # nearly white

  def test_radar_colours_do_not_depend_on_the_values(self):
    both = [
      looks.look(np.full(9, value), name="vil", domain="radar")
      for value in (0.0, 200.0)
    ]
    for look in both:
      np.testing.assert_array_equal(
        look["norm"].boundaries, both[0]["norm"].boundaries
      )

  def test_cold_clouds_are_bright(self):
    values = np.linspace(-70.0, 20.0, 100)
    look = looks.look(values, name="ir069", units="degC", domain="radar")
    self.assertEqual(look["cmap"], "gray_r")

  def test_weather_keeps_the_general_look(self):
    values = np.linspace(220.0, 310.0, 1000)
    self.assertEqual(
      looks.look(values, units="K", domain="weather"),
      style.look_of_values(values, "K"),
    )


class ScalesTest(absltest.TestCase):
  def test_lines_are_the_ratios_in_order_of_the_scale(self):
    ratios = {"net": np.array([[0.5, 0.25], [0.8, 0.0]])}
    ratios["bicubic"] = np.ones((2, 2))
    figure = scales.scales(
      [4.0, 2.0], ratios, baseline="bicubic", labels=("a", "b")
    )
    self.assertLen(figure.axes, 2)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["net"].get_xdata(), [2.0, 4.0])
    np.testing.assert_array_equal(lines["net"].get_ydata(), [0.25, 0.5])
    self.assertEqual(figure.axes[0].get_ylabel(), "MSE / bicubic's")
    # No error at all has no place on a logarithmic axis.
    second = figure.axes[1].lines[0].get_ydata()
    np.testing.assert_array_equal(second, [np.nan, 0.8])

  def test_shapes_must_agree(self):
    with self.assertRaisesRegex(ValueError, r"net have shape \(1, 3\)"):
      scales.scales([2.0], {"net": np.ones((1, 3))}, baseline="bicubic")


class PanelsTest(absltest.TestCase):
  def test_radar_has_its_steps_on_the_bar(self):
    low, base, model, high = (np.abs(90.0 * f) for f in _fields())
    figure = panels.panels(
      low, base, model, high, name="vil", domain="radar", title="storm"
    )
    bar = figure.axes[12]
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    self.assertEqual(bar.get_ylabel(), "vil")
    self.assertContainsSubset(["16", "74", "133", "160", "181", "219"], ticks)
    for axes in figure.axes[:8]:
      np.testing.assert_array_equal(
        axes.images[0].norm.boundaries[:2], [16.0, 31.0]
      )

  def test_long_units_do_not_run_into_the_next_title(self):
    low, base, model, high = _fields(fine=(32, 32))
    figure = panels.panels(low, base, model, high, units="kg m-2 s-1")
    figure.canvas.draw()
    first, second = (
      axes._left_title.get_window_extent() for axes in figure.axes[8:10]
    )
    self.assertLess(first.x1, second.x0)


class SpectraTest(absltest.TestCase):
  def test_coherence_is_a_third_row(self):
    shared = {"bicubic": np.stack([0.9 + 0.0 * _WAVES, _WAVES])}
    figure = _spectra(coherence=shared, scale=2.0)
    self.assertLen(figure.axes, 6)
    lines = {line.get_label(): line for line in figure.axes[5].lines}
    np.testing.assert_array_equal(lines["bicubic"].get_ydata(), _WAVES[:32])
    self.assertEqual(figure.axes[4].get_ylabel(), "coherence with truth")
    self.assertEqual(figure.axes[2].get_xlabel(), "")
    self.assertIn("wavenumber", figure.axes[4].get_xlabel())

  def test_other_quantities_than_power(self):
    figure = _spectra(quantities=("E(k)", "Z(k)"))
    labels = [axes.get_ylabel() for axes in figure.axes[:2]]
    self.assertEqual(labels, ["E(k) [K²]", "Z(k) [(m s⁻¹)²]"])


if __name__ == "__main__":
  absltest.main()
