"""Evaluation and report: perfect, broken and known predictors."""

import json
import os
import re
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
import numpy as np

from hinote_jax import plots
from hinote_jax.evaluate import fields, report, scores
from hinote_jax.metrics import image, running
from hinote_jax.plots import maps, report_figures, style
from tests import evaluations as ev


class EvaluateTest(absltest.TestCase):
  def test_truth_scores_perfectly(self):
    dataset = ev.dataset()
    result = ev.run({"oracle": ev.Truth(dataset.values)}, dataset, (2.0, 3.0))
    self.assertLen(result.rows, 4)
    for row in result.rows:
      self.assertEqual(row["mse"], 0.0)
      self.assertAlmostEqual(row["ssim"], 1.0, places=12)
      self.assertEqual(row["psnr"], np.inf)
      self.assertEqual(row["spectrum_error"], 0.0)
      self.assertEqual(row["parting_wavenumber"], 0.5)

  def test_offset_predictor_has_known_errors(self):
    dataset = ev.dataset()
    result = ev.run({"off": ev.Truth(dataset.values, 0.5)}, dataset)
    for row, span in zip(result.rows, (8.0, 4.0), strict=True):
      self.assertAlmostEqual(row["bias"], 0.5, places=6)
      self.assertAlmostEqual(row["mse"], 0.25, places=6)
      self.assertAlmostEqual(row["max_error"], 0.5, places=5)
      expected = 20.0 * np.log10(span / 0.5)
      self.assertAlmostEqual(row["psnr"], expected, places=4)

  def test_psnr_is_the_mean_over_times(self):
    dataset = ev.dataset()
    result = ev.run({"nearest": ev.nearest}, dataset)
    each = []
    for values in dataset.values:
      lowres = ev.Mean().field(values, (8, 10), periodic=(False, True))
      pred = ev.nearest(lowres, shape=(16, 20))
      each.append(
        image.psnr(pred[None], values[None], data_range=np.array([8.0, 4.0]))
      )
    expected = np.mean(each, axis=0)[0]
    found = [row["psnr"] for row in result.rows]
    np.testing.assert_allclose(found, expected, rtol=1e-12)

  def test_fractional_scale_reports_the_actual_one(self):
    dataset = ev.dataset()
    row = ev.run({"nearest": ev.nearest}, dataset, (3.0,)).rows[0]
    self.assertEqual(row["scale"], 3.0)
    self.assertEqual(row["scale_y"], 16 / 5)
    self.assertEqual(row["scale_x"], 20 / 7)

  def test_spectra_sum_to_the_variance(self):
    dataset = ev.dataset()
    result = ev.run({"nearest": ev.nearest}, dataset)
    total = np.sum(result.spectra[0]["power"]["truth"], axis=1)
    variance = np.var(dataset.values.astype(np.float64), axis=(1, 2)).mean(0)
    np.testing.assert_allclose(total, variance, rtol=1e-10)

  def test_example_is_the_first_field(self):
    dataset = ev.dataset()
    example = ev.run({"nearest": ev.nearest}, dataset).examples[0]
    np.testing.assert_array_equal(example.highres, dataset.values[0])
    self.assertEqual(example.lowres.shape, (8, 10, 2))
    self.assertEqual(example.name, "2020-01-01")
    self.assertIn("nearest", example.predictions)

  def test_own_scores_are_means_over_fields_and_in_the_report(self):
    dataset = ev.dataset()

    def own(pred, target):
      assert pred.shape == target.shape == (16, 20, 2)
      return {"offset": (pred - target).mean((0, 1)), "two": 2.0}

    oracle = ev.Truth(dataset.values, 0.5)
    result = ev.run({"off": oracle}, dataset, metrics=own)
    for row in result.rows:
      self.assertAlmostEqual(row["own@offset"], 0.5, places=6)
      self.assertEqual(row["own@two"], 2.0)
    text = report.markdown(result)
    self.assertRegex(text, r"offset \| +\**0\.5")

  def test_given_coarse_fields_are_taken_at_their_scale(self):
    dataset, seen = ev.dataset(), []
    dataset.lowres = ev.dataset()
    dataset.lowres.values = dataset.values[:, ::2, ::2] + 7.0
    dataset.lowres.shape = dataset.lowres.values.shape[1:3]

    class Seeing(ev.Truth):
      def __call__(self, lowres, *, shape):
        seen.append(lowres)
        return super().__call__(lowres, shape=shape)

    ev.run({"oracle": Seeing(dataset.values)}, dataset, (2.0,))
    np.testing.assert_array_equal(seen, dataset.lowres.values)
    with self.assertRaisesRegex(ValueError, "2 x 2 times coarser and x4 was"):
      ev.run({"oracle": Seeing(dataset.values)}, dataset, (4.0,))

  def test_what_is_known_is_scored_as_if_it_were_all(self):
    # The first field was measured in one corner, the second in another, all
    # the way along the axis that closes on itself but for its second variable.
    dataset, parts = ev.dataset(2, "weather"), ev.dataset(2, "weather")
    random = np.random.default_rng(1)
    dataset.values = random.normal(size=(2, 40, 30, 2)).astype(np.float32)
    dataset.y = ev.axis("lat", "degrees_north", np.linspace(60.0, 21.0, 40))
    dataset.x = ev.axis("lon", "degrees_east", np.linspace(0.0, 348.0, 30))
    corners = slice(0, 18), slice(22, 40)
    measured = np.full(dataset.values.shape, np.nan, np.float32)
    for i, rows in enumerate(corners):
      measured[i][rows] = dataset.values[i][rows]
    measured[:, :, :4, 1] = np.nan
    dataset.measured, dataset.present = measured, list
    dataset.known = lambda i: ~np.isnan(measured[i])
    result = ev.run({"off": ev.Truth(dataset.values, 0.5)}, dataset)
    parts.values = np.stack(
      [dataset.values[i][c] for i, c in enumerate(corners)]
    )
    parts.x = dataset.x
    parts.y = ev.axis("lat", "degrees_north", dataset.y.values[:18])
    want = ev.run({"off": ev.Truth(parts.values, 0.5)}, parts)
    (first, _), (expected, _) = result.rows, want.rows
    for name in running.METRICS:
      np.testing.assert_allclose(first[name], expected[name], rtol=1e-5)
    self.assertAlmostEqual(first["area_rmse"], 0.5, places=6)
    np.testing.assert_allclose(
      np.array(result.spectra[0]["power"]["truth"])[0],
      np.array(want.spectra[0]["power"]["truth"])[0],
    )
    self.assertIn("each field in the 18 x 30 cells", result.header["split"])

  def test_a_box_is_never_too_small_for_a_score(self):
    dataset = ev.dataset(2)
    measured = np.full((2, 16, 20, 2), np.nan, np.float32)
    measured[0, :2, 18:] = 1.0
    measured[1, 15:, 5:8] = 1.0
    dataset.known = lambda i: ~np.isnan(measured[i])
    whole = slice(None)
    self.assertEqual(
      fields._measured(dataset, [0, 1]),
      [(whole, slice(4, 20)), (whole, slice(4, 20))],
    )

  def test_counted_axes_have_the_first_row_on_top(self):
    dataset = ev.dataset()
    dataset.y = ev.axis("y", "cell", np.arange(16))
    dataset.x = ev.axis("x", "cell", np.arange(20))
    example = ev.run({"nearest": ev.nearest}, dataset).examples[0]
    self.assertIsNone(example.y)
    self.assertIsNone(example.x)
    self.assertFalse(example.is_geographic)
    where = maps.frame((16, 20), example.y, example.x)
    self.assertEqual(where.origin, "upper")

  def test_coordinates_go_with_the_example(self):
    dataset = ev.dataset()
    example = ev.run({"nearest": ev.nearest}, dataset).examples[0]
    np.testing.assert_array_equal(example.y, dataset.y.values)
    np.testing.assert_array_equal(example.x, dataset.x.values)
    self.assertTrue(example.is_geographic)

  def test_nan_names_model_scale_and_time(self):
    dataset = ev.dataset()

    def broken(lowres, *, shape):
      return np.full((*shape, 2), np.nan, np.float32)

    message = r"broken at x2, time 2020-01-01: 640 of 640 values are not finite"
    with self.assertRaisesRegex(ValueError, message):
      ev.run({"nearest": ev.nearest, "broken": broken}, dataset)

  def test_wrong_shape_names_the_model(self):
    with self.assertRaisesRegex(ValueError, r"lazy at x2.*\(8, 10, 2\)"):
      ev.run({"lazy": lambda lowres, *, shape: lowres}, ev.dataset())

  def test_nothing_to_evaluate(self):
    with self.assertRaisesRegex(ValueError, "0 models, 3 times, 1 scales"):
      ev.run({}, ev.dataset())

  def test_data_range_per_variable(self):
    with self.assertRaisesRegex(ValueError, "data_range needs 2 values"):
      fields.evaluate(
        {"nearest": ev.nearest},
        ev.dataset(),
        [0],
        degradation=ev.Mean(),
        scales=[2.0],
        data_range=[1.0],
        progress=False,
      )

  def test_json_round_trip_is_exact(self):
    dataset = ev.dataset()
    predictors = {"nearest": ev.nearest, "oracle": ev.Truth(dataset.values)}
    result = ev.run(predictors, dataset, header={"split": "test"})
    text = json.dumps(result.to_dict(), sort_keys=True, allow_nan=False)
    again = scores.Evaluation.from_dict(json.loads(text))
    self.assertEqual(again.header, result.header)
    self.assertEqual(again.rows, result.rows)
    self.assertEqual(again.spectra, result.spectra)
    self.assertEqual(again.header["split"], "test")
    self.assertEqual(again.header["degradation"], "area")

  def test_import_leaves_matplotlib_alone(self):
    code = (
      "import sys; import hinote_jax.evaluate.report; "
      "sys.exit('matplotlib' in sys.modules)"
    )
    self.assertEqual(subprocess.call([sys.executable, "-c", code]), 0)


def _one_picture():
  """Returns a context in which a report has one figure, drawn at once."""

  def blank(evaluation, records):
    return {"blank": style.figure(1.0, 1.0)}

  return mock.patch.object(report_figures, "draw", blank)


class ReportTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(ev.rough_figures())
    self.folder = self.create_tempdir().full_path
    self.dataset = ev.dataset()

  def _evaluation(self, factor):
    predictors = {
      "net": ev.Close(self.dataset.values, factor),
      "nearest": ev.nearest,
      "bicubic": ev.bicubic,
    }
    header = {
      "split": "the last three",
      "command": "python -m it",
      "data_range_source": "training part",
      "versions": {"jax": "1.2"},
    }
    return ev.run(predictors, self.dataset, (2.0, 2.5), header=header)

  @_one_picture()
  def test_json_reads_back_exactly(self):
    result = self._evaluation(0.9)
    report.write(self.folder, result)
    again = report.read(self.folder)
    self.assertEqual(again.header, result.header)
    self.assertEqual(again.rows, result.rows)
    self.assertEqual(again.spectra, result.spectra)
    self.assertCountEqual(
      os.listdir(self.folder), ["report.json", "report.md", "figures"]
    )

  def test_without_matplotlib_the_report_says_so(self):
    with mock.patch.object(plots, "is_available", return_value=False):
      path = report.write(self.folder, self._evaluation(0.9))
    self.assertIn("pip install hinote_jax[plots]", path.read_text())
    self.assertCountEqual(os.listdir(self.folder), ["report.json", "report.md"])

  @_one_picture()
  def test_an_error_leaves_the_old_report(self):
    path = report.write(self.folder, self._evaluation(0.9))
    before = path.read_bytes()
    with mock.patch.object(os, "replace", side_effect=OSError("disk")):
      with self.assertRaisesRegex(OSError, "disk"):
        report.write(self.folder, self._evaluation(0.5))
    self.assertEqual(path.read_bytes(), before)
    self.assertCountEqual(
      os.listdir(self.folder), ["report.json", "report.md", "figures"]
    )

  def test_command_is_printed_where_there_is_one(self):
    result = self._evaluation(0.9)
    self.assertIn(
      "To reproduce:\n\n```\npython -m it\n```", report.markdown(result)
    )
    for command in ("", None):
      result.header["command"] = command
      self.assertNotIn("To reproduce", report.markdown(result))
    del result.header["command"]
    self.assertNotIn("To reproduce", report.markdown(result))

  def test_ratio_to_an_error_of_zero(self):
    self.assertEqual(scores.ratio(1.0, 2.0), 0.5)
    self.assertEqual(scores.ratio(0.0, 0.0), 1.0)
    self.assertEqual(scores.ratio(1.0, 0.0), np.inf)
    # NumPy scalars would divide by zero with no more than a warning.
    self.assertEqual(scores.ratio(np.float64(0.0), np.float64(0.0)), 1.0)

  def test_a_perfect_bicubic_is_reported_and_drawn(self):
    # Fields of one value: no variance, no power, no error.
    self.dataset.values[:] = 4.0
    predictors = {
      "net": ev.Close(self.dataset.values, 1.5),
      "bicubic": ev.Close(self.dataset.values, 1.0),
    }
    path = report.write(self.folder, ev.run(predictors, self.dataset))
    self.assertRegex(path.read_text(), r"\| 0 K² \| inf \| \*\*1.000\*\* \|")

  def test_headline_is_the_ratio_to_bicubic(self):
    result = self._evaluation(0.9)
    text = report.markdown(result)
    for scale in (2.0, 2.5):
      mse = {
        row["model"]: row["mse"]
        for row in result.select(scale=scale, variable="u10")
      }
      ratio = mse["net"] / mse["bicubic"]
      line = rf"\| u10 \| x{scale:g} \| .* \| \*\*{ratio:.3f}\*\* \|.* 1.000 \|"
      self.assertRegex(text, line)

  def test_circumstances_are_named(self):
    text = report.markdown(self._evaluation(0.9))
    for part in (
      "split: the last three",
      "degradation: `area`",
      "data range: t2m 8 K, u10 4 m/s (training part)",
      "python -m it",
      "versions: jax 1.2",
      "max error [m/s]",
      "MSE [K²]",
      "3 (2020-01-01 to 2020-01-03), 16 x 20 cells",
    ):
      self.assertIn(part, text)

  def test_a_model_ahead_everywhere_is_said_to_be(self):
    text = report.markdown(self._evaluation(1.001))
    self.assertIn("**net** is at least as good as the best interp", text)

  def test_a_model_behind_is_said_to_be(self):
    text = report.markdown(self._evaluation(-1.0))
    self.assertIn("**net** is behind the best interpolation in MSE too", text)
    self.assertRegex(
      text, r"\| MSE \[K²\] \| t2m \| x2 \| .* \((nearest|bicubic)"
    )

  @_one_picture()
  def test_infinite_psnr_is_strict_json(self):
    result = self._evaluation(1.0)
    report.write(self.folder, result)
    with open(os.path.join(self.folder, "report.json")) as file:
      text = file.read()
    self.assertNotIn("Infinity", text)
    self.assertEqual(report.read(self.folder).rows[0]["psnr"], np.inf)

  def test_pictures_are_drawn_and_linked(self):
    records = [{"step": s, "loss": 1.0 / s} for s in (1, 2, 3)]
    records += [{"step": 2, "validation/error": 0.5}]
    path = report.write(self.folder, self._evaluation(0.9), curves=records)
    links = re.findall(r"!\[.*\]\((.*)\)", path.read_text())
    names = [f"panels_{v}_x{s}" for s in ("2", "2.5") for v in ("t2m", "u10")]
    names += ["spectra_x2", "spectra_x2.5", "error_against_scale", "training"]
    self.assertEqual(links, [f"figures/{name}.png" for name in names])
    for link in links:
      self.assertTrue(os.path.exists(os.path.join(self.folder, link)))

  def test_header_without_models_or_interpolations(self):
    result = ev.run({"nearest": ev.nearest}, self.dataset)
    path = report.write(self.folder, result)
    self.assertIn("no model here to compare", path.read_text())


if __name__ == "__main__":
  absltest.main()
