"""What each science asks for, in the rows, the report and the figures."""

import json
import pathlib
import types

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.evaluate import fields, report, scores
from hinote_jax.metrics import domains
from hinote_jax.plots import report_figures
from tests import evaluations as ev

_DOMAINS = ("", "turbulence", "weather", "radar", "mri", "image")


class ScienceTest(parameterized.TestCase):
  """What a science asks for, in the rows and in the report."""

  def _dataset(self, domain, name="t2m", units="K"):
    dataset = ev.dataset(domain=domain)
    dataset.variables[0].name = name
    dataset.variables[0].units = units
    return dataset

  @parameterized.parameters(*_DOMAINS)
  def test_truth_is_perfect_in_every_science(self, domain):
    dataset = self._dataset(domain, "vorticity", "s-1")
    result = ev.run({"oracle": ev.Truth(dataset.values)}, dataset)
    perfect = {"csi": 1, "pod": 1, "fss": 1, "acc": 1, "ssim_head": 1}
    perfect |= {"effective_resolution": 2, "psnr_head": np.inf}
    for row in result.rows:
      keys = domains.ordered(domain, row)
      self.assertContainsSubset(["effective_resolution", "mean_error"], keys)
      for key in keys:
        expected = perfect.get(key.partition("@")[0].partition("_mean")[0], 0)
        self.assertAlmostEqual(row[key], expected, places=9, msg=key)

  @parameterized.parameters(*_DOMAINS)
  def test_json_and_report_never_say_nan(self, domain):
    dataset = self._dataset(domain, "u", "m/s")
    dataset.variables[1].name = "v"
    result = ev.run({"nearest": ev.nearest, "bicubic": ev.bicubic}, dataset)
    text = json.dumps(result.to_dict(), sort_keys=True, allow_nan=False)
    self.assertNotIn("nan", text)
    again = scores.Evaluation.from_dict(json.loads(text))
    self.assertEqual(again.rows, result.rows)
    self.assertEqual(again.spectra, result.spectra)
    self.assertEqual(report.markdown(again), report.markdown(result))
    self.assertNotIn("nan", report.markdown(result).replace("nant", ""))

  def test_a_score_without_a_meaning_has_no_key(self):
    dataset = self._dataset("turbulence", "vorticity", "s-1")
    vorticity, wind = ev.run({"nearest": ev.nearest}, dataset).rows
    self.assertIn("enstrophy_error", vorticity)
    self.assertNotIn("enstrophy_error", wind)

  def test_anomalies_are_from_the_climatology_given(self):
    dataset = self._dataset("weather")
    normal = fields.time_mean(dataset, [0, 2])
    expected = dataset.values[[0, 2]].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(normal, expected, rtol=1e-12)
    without = ev.run({"nearest": ev.nearest}, dataset)
    given = ev.run({"nearest": ev.nearest}, dataset, climatology=normal)
    self.assertEqual(
      without.header["anomalies"], "of each field from its own mean"
    )
    self.assertIn("training part", given.header["anomalies"])
    self.assertNotEqual(given.rows[0]["acc"], without.rows[0]["acc"])
    with self.assertRaisesRegex(ValueError, "noise: no fields"):
      fields.time_mean(dataset, [])

  def test_an_unknown_domain_is_an_error(self):
    with self.assertRaisesRegex(ValueError, "unknown domain 'radr'.*'radar'"):
      ev.run({"nearest": ev.nearest}, ev.dataset(domain="radr"))

  def test_energy_spectra_are_kept(self):
    dataset = self._dataset("turbulence", "vorticity", "s-1")
    (entry,) = ev.run({"nearest": ev.nearest}, dataset).spectra
    (flow,) = entry["flow"]
    self.assertEqual(flow["variable"], "vorticity")
    variance = np.var(dataset.values[..., 0].astype(np.float64), axis=(1, 2))
    total = 2.0 * np.sum(flow["enstrophy"]["truth"])
    self.assertAlmostEqual(total, variance.mean(), places=9)
    self.assertCountEqual(flow["energy"], ["truth", "nearest"])

  def test_the_report_has_a_line_a_metric_and_says_what_it_means(self):
    dataset = self._dataset("radar", "vil", "")
    dataset.values[..., 0] = 60.0 + 40.0 * dataset.values[..., 0]
    predictors = {"net": ev.Close(dataset.values, 0.99), "bicubic": ev.bicubic}
    result = ev.run(predictors, dataset)
    text = report.markdown(result)
    self.assertIn("* domain: radar", text)
    self.assertIn(
      "* thresholds: vil 16, 74, 133, 160, 181, 219; u10 q50 =", text
    )
    science = text[text.index("## What the science asks for") :]
    self.assertIn("* CSI ≥ T: critical success index", science)
    (row,) = result.select(variable="vil", model="bicubic")
    (net,) = result.select(variable="vil", model="net")
    line = f"| CSI ≥ 74 | **{net['csi@74']:.4f}** | {row['csi@74']:.4f} |"
    self.assertIn(line, science)

  def test_a_score_that_one_model_lacks_is_a_dash(self):
    dataset = self._dataset("radar", "vil", "")
    dataset.values[..., 0] = 60.0 + 40.0 * dataset.values[..., 0]
    predictors = {"net": ev.Close(dataset.values, 0.0), "bicubic": ev.bicubic}
    text = report.markdown(ev.run(predictors, dataset))
    self.assertRegex(text, r"\| FAR ≥ 74 \| – \| \*\*[0-9.]+\*\* \|")

  def test_reports_from_before_are_read(self):
    path = pathlib.Path(__file__).parents[1] / "experiments" / "demo"
    text = report.markdown(report.read(path))
    self.assertIn("# Evaluation on era5_sample", text)
    result = ev.run({"net": ev.nearest, "bicubic": ev.bicubic}, ev.dataset())
    del result.header["domain"]
    for row in result.rows:
      del row["effective_resolution"], row["mean_error"]
    for entry in result.spectra:
      del entry["coherence"]
    with ev.rough_figures():
      path = report.write(self.create_tempdir().full_path, result)
    self.assertNotIn("What the science asks for", path.read_text())

  def test_pictures_are_shown_in_their_colours(self):
    dataset = self._dataset("image")
    rng = np.random.default_rng(1)
    dataset.values = rng.uniform(size=(2, 16, 20, 3)).astype(np.float32)
    dataset.values[0, :, :10] = (1.0, 0.5, 0.0)
    like = dataset.variables[0]
    dataset.variables = [
      types.SimpleNamespace(**vars(like) | dict(name=name))
      for name in ("red", "green", "blue")
    ]
    result = fields.evaluate(
      {"net": ev.Close(dataset.values, 0.9), "bicubic": ev.bicubic},
      dataset,
      range(2),
      degradation=ev.Mean(),
      scales=(2.0,),
      data_range=[1.0] * 3,
      progress=False,
    )
    drawn = report_figures.draw(result)
    titles = [axes.get_title("left") for axes in drawn["crops"].axes]
    self.assertEqual(titles, ["truth", "input", "bicubic", "net", "truth"])
    shown = drawn["crops"].axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, dataset.values[0], atol=1e-6)
    for name in ("crops", "panels_red_x2"):
      self.assertIn(name, drawn)
    dataset.domain = "mri"
    result.header["domain"] = "mri"
    self.assertNotIn("crops", report_figures.draw(result))

  def test_figures_are_those_of_the_science(self):
    dataset = self._dataset("turbulence", "vorticity", "s-1")
    predictors = {"net": ev.Close(dataset.values, 0.9), "bicubic": ev.bicubic}
    result = ev.run(predictors, dataset, (2.0, 4.0))
    drawn = report_figures.draw(result)
    names = ["panels_vorticity_x2", "panels_u10_x2", "spectra_x2"]
    names += ["energy_vorticity_x2"]
    names += [name.replace("x2", "x4") for name in names]
    self.assertCountEqual(drawn, [*names, "error_against_scale"])
    lines = {
      line.get_label(): line
      for line in drawn["error_against_scale"].axes[0].lines
    }
    mse = [
      [row["mse"] for row in result.select(model=model, variable="vorticity")]
      for model in ("net", "bicubic")
    ]
    np.testing.assert_allclose(
      lines["net"].get_ydata(), np.divide(*mse), rtol=1e-12
    )


if __name__ == "__main__":
  absltest.main()
