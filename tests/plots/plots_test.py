"""Figures: what is drawn is what was given, and where it belongs."""

import os
import pathlib
import subprocess
import sys
import tempfile

from absl.testing import absltest, parameterized
import matplotlib
import numpy as np

from hinote_jax import plots
from hinote_jax.metrics import spectra as radial
from hinote_jax.plots import curves, maps, panels, prior, spectra, style


def _fields(seed=0, coarse=(8, 16), fine=(32, 64)):
  rng = np.random.default_rng(seed)
  return rng.normal(size=coarse), *(rng.normal(size=fine) for _ in range(3))


def _images(figure):
  """Returns the arrays drawn, in order of the axes."""
  return [np.asarray(i.get_array()) for a in figure.axes for i in a.images]


def _titles(figure):
  return [axes.get_title(loc="left") for axes in figure.axes]


class MapsTest(parameterized.TestCase):
  def test_extent_reaches_the_outer_cell_edges(self):
    where = maps.frame((3, 4), np.array([10.0, 8.0, 6.0]), np.arange(4.0))
    self.assertEqual(where.extent, (-0.5, 3.5, 5.0, 11.0))
    self.assertEqual(where.origin, "upper")

  def test_the_larger_y_is_up_whatever_the_order(self):
    y = np.array([6.0, 8.0, 10.0])
    rising, falling = maps.frame((3, 4), y), maps.frame((3, 4), y[::-1])
    self.assertEqual(rising.extent, falling.extent)
    self.assertEqual((rising.origin, falling.origin), ("lower", "upper"))

  def test_without_coordinates_the_first_row_is_up(self):
    where = maps.frame((3, 4))
    self.assertEqual(where.extent, (0.0, 4.0, 3.0, 0.0))
    self.assertEqual(where.origin, "upper")

  def test_coordinates_must_fit(self):
    with self.assertRaisesRegex(ValueError, r"\(2,\) coordinates .* 3 cells"):
      maps.frame((3, 4), np.arange(2.0))

  @parameterized.parameters(1.0, -1.0)
  def test_longitudes_may_jump_once_around(self, direction):
    x = direction * np.concatenate([np.arange(0.0, 180.0), np.arange(-180, 0)])
    y = np.linspace(90.0, -90.0, 181)
    where = maps.frame((181, 360), y, x, is_geographic=True)
    self.assertEqual(where.extent[:2], (-0.5 * direction, 359.5 * direction))
    metres = maps.frame((181, 360), y, 400.0 * np.arange(360.0))
    self.assertEqual(metres.extent[:2], (-200.0, 400.0 * 359.5))

  @parameterized.parameters("rising", "falling", "none")
  def test_box_frames_the_cells_asked_for(self, order):
    y = {
      "rising": np.arange(6.0),
      "falling": np.arange(6.0)[::-1],
      "none": None,
    }
    where = maps.frame((6, 8), y[order])
    values = np.arange(48.0).reshape(6, 8)
    edges = maps.box(where, (6, 8), (1, 2, 3, 4))
    found = maps.inside(values, where, edges)
    np.testing.assert_array_equal(found, values[1:4, 2:6])

  def test_worst_window_holds_the_largest_error(self):
    error = np.zeros((100, 200))
    error[60:64, 150:160] = 5.0
    row, column, rows, columns = maps.worst_window(error)
    self.assertEqual((rows, columns), (22, 44))
    self.assertEqual(
      error[row : row + rows, column : column + columns].sum(), 200
    )

  @parameterized.parameters(
    (-30.0, True, "30°S"),
    (45.0, True, "45°N"),
    (0.0, True, "0°"),
    (270.0, False, "90°W"),
    (180.0, False, "180°"),
    (360.0, False, "0°"),
    (15.0, False, "15°E"),
  )
  def test_degrees(self, value, is_latitude, text):
    self.assertEqual(maps.degrees(is_latitude)(value, 0), text)


class StyleTest(absltest.TestCase):
  def test_signed_fields_are_centred_at_zero(self):
    wind = np.random.default_rng(0).normal(1.0, 5.0, (50, 50))
    look = style.look_of_values(wind, "m s-1")
    self.assertEqual(look["cmap"], "RdBu_r")
    self.assertEqual(look["vmin"], -look["vmax"])

  def test_temperature_is_not_signed(self):
    look = style.look_of_values(np.linspace(220.0, 310.0, 1000), "K")
    self.assertEqual(look["cmap"], "inferno")
    self.assertGreater(look["vmin"], 219.0)

  def test_constant_fields_have_limits(self):
    look = style.look_of_values(np.full((4, 4), 3.0), "")
    self.assertEqual((look["vmin"], look["vmax"]), (2.5, 3.5))

  def test_units_are_typeset(self):
    self.assertEqual(style.unit_label("m s-1"), " [m s⁻¹]")
    self.assertEqual(style.unit_label("kg m**-2 s**-1"), " [kg m⁻² s⁻¹]")
    self.assertEqual(style.unit_label(""), "")
    self.assertEqual(style.squared("K"), " [K²]")
    self.assertEqual(style.squared("m s-1"), " [(m s⁻¹)²]")

  def test_curves_have_different_colors(self):
    names = ["truth", "bicubic", "hinote", "liif", "nearest"]
    self.assertLen(set(style.colors(names).values()), 5)

  def test_as_many_curves_as_there_are_look_different(self):
    names = [*"abcdefgh", "bicubic", "truth"]
    names += [f"{name}, consistent" for name in names[:-1]]
    lines = style.lines(names)
    self.assertLen(set(lines.values()), len(names))
    self.assertEqual(lines["c, consistent"], (lines["c"].color, "dashed"))


class PanelsTest(absltest.TestCase):
  def test_every_field_and_error_is_drawn_as_given(self):
    low, base, model, high = _fields()
    drawn = _images(panels.panels(low, base, model, high))
    for found, expected in zip(
      drawn[:8], 2 * (low, base, model, high), strict=True
    ):
      np.testing.assert_array_equal(found, expected)
    for found, expected in zip(
      drawn[8:],
      (base - high, model - high, base - high, model - high),
      strict=True,
    ):
      np.testing.assert_array_equal(found, expected)

  def test_errors_share_one_symmetric_scale(self):
    low, base, model, high = _fields()
    figure = panels.panels(low, base, 3.0 * model, high)
    images = [a.images[0] for a in figure.axes[8:12]]
    limits = {i.get_clim() for i in images}
    self.assertLen(limits, 1)
    ((bottom, top),) = limits
    self.assertEqual(bottom, -top)
    self.assertEqual({i.get_cmap().name for i in images}, {"RdBu_r"})

  def test_input_covers_the_extent_of_the_truth(self):
    low, base, model, high = _fields()
    y, x = np.linspace(80.0, -80.0, 32), np.arange(64.0)
    figure = panels.panels(low, base, model, high, y=y, x=x, is_geographic=True)
    extents = {tuple(a.images[0].get_extent()) for a in figure.axes[:12]}
    self.assertLen(extents, 1)

  def test_zoom_shows_the_window(self):
    low, base, model, high = _fields()
    figure = panels.panels(low, base, model, high, zoom=(4, 8, 10, 20))
    for axes in figure.axes[4:8] + figure.axes[10:12]:
      self.assertEqual(axes.get_xlim(), (8.0, 28.0))
      self.assertEqual(axes.get_ylim(), (14.0, 4.0))

  def test_titles_name_the_models_and_their_errors(self):
    low, base, model, high = _fields()
    figure = panels.panels(
      low, high + 2.0, high - 0.5, high, names=("bicubic", "ours"), units="K"
    )
    titles = _titles(figure)
    self.assertEqual(titles[0], "input, 8 × 16")
    self.assertEqual(titles[1:4], ["bicubic", "ours", "truth, 32 × 64"])
    self.assertEqual(titles[8], "bicubic − truth, RMS 2 K")
    self.assertEqual(titles[9], "ours − truth, RMS 0.5 K")

  def test_shapes_must_agree(self):
    low, base, model, high = _fields()
    with self.assertRaisesRegex(ValueError, r"\(31, 64\).*\(32, 64\)"):
      panels.panels(low, base[1:], model, high)


class SpectraTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.waves = np.arange(1, 46) / 64.0
    truth = np.stack([self.waves**-3, self.waves**-2])
    self.power = {"truth": truth, "bicubic": 0.5 * truth}

  def _figure(self, **kwargs):
    return spectra.spectra(
      self.waves,
      self.power,
      labels=("temperature", "wind"),
      units=("K", "m s-1"),
      **kwargs,
    )

  def test_curves_are_the_spectra_up_to_nyquist(self):
    lines = {line.get_label(): line for line in self._figure().axes[1].lines}
    for name, power in self.power.items():
      np.testing.assert_array_equal(lines[name].get_xdata(), self.waves[:32])
      np.testing.assert_array_equal(lines[name].get_ydata(), power[1, :32])

  def test_nyquist_of_the_input_is_marked_where_it_is(self):
    figure = self._figure(scale=4.0)
    marks = [
      line
      for axes in figure.axes
      for line in axes.lines
      if line.get_gid() == "nyquist"
    ]
    self.assertLen(marks, 4)
    for line in marks:
      np.testing.assert_allclose(line.get_xdata(), 0.125)
    self.assertIn("×4", figure.axes[0].texts[0].get_text())

  def test_ratio_is_in_decibel(self):
    lines = {line.get_label(): line for line in self._figure().axes[2].lines}
    np.testing.assert_allclose(
      lines["bicubic"].get_ydata(), 10.0 * np.log10(0.5)
    )

  def test_wavelength_axis_is_the_inverse(self):
    figure = self._figure()
    (top,) = figure.axes[0].child_axes
    np.testing.assert_allclose(top._functions[0](np.array([0.125])), [8.0])
    self.assertIn("wavelength", top.get_xlabel())

  def test_units_are_squared(self):
    labels = [a.get_ylabel() for a in self._figure().axes[:2]]
    self.assertEqual(labels, ["power [K²]", "power [(m s⁻¹)²]"])

  def test_the_last_ring_is_that_of_the_metrics(self):
    # Multiples of a fundamental round: the last may lie a bit above 0.5.
    waves = np.array([0.25, radial.NYQUIST * (1.0 + 1e-12), 0.7])
    figure = spectra.spectra(waves, {"truth": np.ones((1, 3))})
    drawn = figure.axes[0].lines[0].get_xdata()
    np.testing.assert_array_equal(drawn, waves[radial.resolved(waves)])
    self.assertLen(drawn, 2)

  def test_the_truth_is_needed(self):
    with self.assertRaisesRegex(ValueError, "'truth': bicubic"):
      spectra.spectra(self.waves, {"bicubic": self.power["bicubic"]})


class CurvesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.records = [
      {"step": s, "loss": 1.0 / s, "learning_rate": 1e-3} for s in range(1, 41)
    ]
    for step, error, mse in ((10, 1.2, 0.3), (20, 0.8, 0.2), (30, 0.9, 0.1)):
      validation = {"validation/error": error, "validation/mse": mse}
      self.records.append({"step": step, **validation})

  def test_curves_are_the_records(self):
    figure = curves.curves(self.records)
    loss = figure.axes[0].lines[0]
    np.testing.assert_allclose(loss.get_ydata(), 1.0 / np.arange(1, 41))
    validation = {line.get_label(): line for line in figure.axes[1].lines}
    np.testing.assert_array_equal(validation["model"].get_xdata(), [10, 20, 30])
    np.testing.assert_array_equal(
      validation["model"].get_ydata(), [1.2, 0.8, 0.9]
    )
    np.testing.assert_array_equal(validation["bicubic"].get_ydata(), 1.0)

  def test_the_checkpoint_that_is_chosen_is_starred(self):
    # By the error relative to bicubic's: at 30 only the plain one is lowest.
    axes = curves.curves(self.records).axes[1]
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    self.assertEqual((star.get_xdata()[0], star.get_ydata()[0]), (20, 0.8))

  def test_the_title_says_what_the_error_is_of(self):
    figure = curves.curves(self.records)
    self.assertEqual(
      _titles(figure)[1],
      "error on validation windows, as a fraction of bicubic's",
    )
    self.assertIn("bicubic", [t.get_text() for t in figure.axes[1].texts])

  def test_smoothing_keeps_constants_and_power_laws_inside(self):
    np.testing.assert_allclose(curves.smooth(np.full(100, 3.0)), 3.0)
    decay = 0.9 ** np.arange(100)
    np.testing.assert_allclose(curves.smooth(decay)[10:-10], decay[10:-10])

  def test_without_validation_one_panel(self):
    records = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]
    self.assertLen(curves.curves(records).axes, 1)

  def test_no_loss_is_an_error(self):
    with self.assertRaisesRegex(ValueError, "none of 1 records has a loss"):
      curves.curves([{"step": 1}])


class PriorTest(parameterized.TestCase):
  @parameterized.parameters(((32, 64), 4), ((64, 96), 8))
  def test_fields_and_structure_are_drawn(self, shape, count):
    low, high, resized, weight = _fields(fine=shape)
    drawn = _images(prior.prior(low, high, resized, np.abs(weight)))
    self.assertLen(drawn, count)
    # Row by row; the bars come last.
    for found, expected in zip(
      drawn[:4],
      (low, high, np.abs(high - resized), np.abs(weight)),
      strict=True,
    ):
      np.testing.assert_array_equal(found, expected)

  def test_units_stand_below_the_name(self):
    figure = prior.prior(
      *_fields(), name="2 metre temperature", units="standard deviations"
    )
    labels = [axes.get_xlabel() for axes in figure.axes[4:]]
    unit = "\n[standard deviations]"
    value = "2 metre temperature" + unit
    self.assertEqual(labels, [value, value, "|b − R(a)|" + unit, "w"])

  @parameterized.product(
    shape=[(24, 24), (64, 64), (64, 160)], title=["", "where it looks"]
  )
  def test_no_title_is_cut_off(self, shape, title):
    fields = _fields(coarse=(8, 8), fine=shape)
    labels = dict(name="wind", units="standard deviations", title=title)
    figure = prior.prior(*fields, **labels)
    figure.canvas.draw()
    _, height = figure.canvas.get_width_height()
    for axes in figure.axes[:4]:
      top = axes.get_tightbbox().y1
      self.assertLessEqual(top, height)

  def test_without_units_the_name_alone(self):
    figure = prior.prior(*_fields(), name="wind")
    labels = [axes.get_xlabel() for axes in figure.axes[4:]]
    self.assertEqual(labels, ["wind", "wind", "|b − R(a)|", "w"])


class AvailableTest(absltest.TestCase):
  def test_here_matplotlib_is_there(self):
    self.assertTrue(plots.is_available())

  def test_the_package_imports_without_matplotlib_and_says_so(self):
    # None in sys.modules makes every import of that name fail.
    code = (
      "import sys; sys.modules['matplotlib'] = None; "
      "import hinote_jax.evaluate.report; from hinote_jax import plots; "
      "sys.exit(plots.is_available())"
    )
    self.assertEqual(subprocess.call([sys.executable, "-c", code]), 0)


class SaveTest(absltest.TestCase):
  def test_a_picture_appears_whole_and_alone(self):
    figure = curves.curves([{"step": 1, "loss": 1.0}])
    with tempfile.TemporaryDirectory() as folder:
      path = style.save(figure, pathlib.Path(folder) / "new" / "a.png")
      self.assertEqual(os.listdir(path.parent), ["a.png"])
      self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

  def test_a_failure_leaves_the_old_picture(self):
    figure = curves.curves([{"step": 1, "loss": 1.0}])
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "a.png"
      path.write_text("old")

      def savefig(partial, **_):
        pathlib.Path(partial).write_text("half of")
        raise OSError("disk")

      figure.savefig = savefig
      with self.assertRaisesRegex(OSError, "disk"):
        style.save(figure, path)
      self.assertEqual(path.read_text(), "old")
      self.assertEqual(os.listdir(folder), ["a.png"])

  def test_pyplot_is_never_imported(self):
    # In a process of its own: other packages of the tests may import it.
    program = (
      "import pkgutil, sys, hinote_jax.plots as p\n"
      "for m in pkgutil.iter_modules(p.__path__, 'hinote_jax.plots.'):\n"
      "  __import__(m.name)\n"
      "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    self.assertEqual(done.returncode, 0)

  def test_rc_parameters_are_left_alone(self):
    names = ("font.size", "axes.titlesize", "axes.edgecolor", "figure.dpi")
    before = {name: matplotlib.rcParams[name] for name in names}
    panels.panels(*_fields())
    after = {name: matplotlib.rcParams[name] for name in names}
    self.assertEqual(after, before)
