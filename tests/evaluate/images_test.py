"""Evaluation on images and its report: known errors, means, messages."""

import json
from unittest import mock

import numpy as np
import pytest

from hinote_jax import plots
from hinote_jax.core import resize
from hinote_jax.evaluate import image_sets, images, protocols, report

_TRUTHS = [
  np.random.default_rng(seed).integers(30, 200, (33, 37 + seed, 3), np.uint8)
  for seed in range(2)
]


def _images(arrays=_TRUTHS):
  names = tuple(f"{i}.png" for i in range(len(arrays)))
  return image_sets.Images("noise", names, lambda i: arrays[i])


def _nearest(lowres, *, shape):
  return np.asarray(resize.resize(lowres[None], shape, method="nearest"))[0]


class _Off:
  """A predictor that knows the truth up to an error of each image."""

  def __init__(self, errors):
    self.errors, self.shapes = errors, []

  def __call__(self, lowres, *, shape):
    for array, error in zip(_TRUTHS, self.errors, strict=True):
      truth = array[: shape[0], : shape[1]]
      if array.shape[1] - shape[1] < 2 and truth.shape[:2] == shape:
        small = protocols.pillow(truth, lowres.shape[:2])
        if np.array_equal(lowres, small.astype(np.float32) / np.float32(255)):
          self.shapes.append((lowres.shape, shape))
          return truth.astype(np.float32) / 255 + np.float32(error)
    raise AssertionError("an input that no image makes")


def _evaluate(
  predictors, image_set=None, protocol="benchmark_luma", scales=(2,)
):
  return images.evaluate(
    predictors,
    image_set or _images(),
    protocol=protocol,
    scales=scales,
    progress=False,
  )


def test_psnr_is_the_mean_over_images():
  predict = _Off((0.02, 0.1))
  found = _evaluate({"off": predict})
  # Both of 33 rows; 37 and 38 columns.
  assert predict.shapes == [
    ((16, 18, 3), (32, 36)),
    ((16, 19, 3), (32, 38)),
  ]
  gain = protocols.LUMA.sum()
  want = [-20 * np.log10(error * gain) for error in predict.errors]
  np.testing.assert_allclose([r["psnr"] for r in found.rows], want, rtol=1e-5)
  (mean,) = found.means
  np.testing.assert_allclose(mean["psnr"], np.mean(want), rtol=1e-5)
  assert mean["images"] == 2 and mean["model"] == "off" and mean["scale"] == 2


def test_rows_go_by_scale_image_and_model():
  found = _evaluate({"a": _nearest, "b": _nearest}, scales=(3, 2, 3))
  assert [(r["scale"], r["image"], r["model"]) for r in found.rows] == [
    (scale, image, model)
    for scale in (3.0, 2.0)
    for image in ("0.png", "1.png")
    for model in "ab"
  ]
  assert found.header["scales"] == [3.0, 2.0]
  assert [e.scale for e in found.examples] == [3.0, 2.0]
  assert {e.name for e in found.examples} == {"0.png"}


def test_numbers_carry_their_protocol():
  header = _evaluate({"a": _nearest}, protocol="div2k_rgb").header
  assert header["protocol"] == "div2k_rgb"
  assert "s + 6" in header["description"]
  assert header["dataset"] == "noise" and header["images"][1] == "1.png"


def test_faults_name_model_scale_and_image():
  def lazy(lowres, *, shape):
    return lowres

  def broken(lowres, *, shape):
    return np.full((*shape, 3), np.nan, np.float32)

  with pytest.raises(ValueError, match=r"lazy at x2, 0.png: .*\(16, 18, 3\)"):
    _evaluate({"lazy": lazy})
  with pytest.raises(ValueError, match="broken at x2, 0.png: 3456 of 3456"):
    _evaluate({"a": _nearest, "broken": broken})
  small = _images([np.zeros((12, 40, 3), np.uint8)])
  with pytest.raises(ValueError, match="0.png: an image of 12 x 40 is too sma"):
    _evaluate({"a": _nearest}, small)
  with pytest.raises(ValueError, match="nothing to evaluate: 0 models, 2 imag"):
    _evaluate({})


def test_json_holds_infinity_as_text():
  found = _evaluate({"oracle": _Off((0.0, 0.1)), "nearest": _nearest})
  values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
  assert values["rows"][0]["psnr"] == "inf"
  assert values["rows"][3] == found.rows[3]
  assert values["means"][1] == found.means[1]
  assert values["header"] == found.header


def test_report_has_the_protocol_beside_the_table(tmp_path):
  predictors = {"off": _Off((0.02, 0.1)), "nearest": _nearest}
  found = _evaluate(predictors)
  found.header["command"] = "python -m it"
  found.header["versions"] = {"jax": "1.2"}
  found.header["checkpoints"] = {"off": "runs/off.pth"}
  path = report.write(tmp_path, found)
  text = path.read_text()
  mean = {row["model"]: row for row in found.means}
  line = f"| off | {mean['off']['psnr']:.2f} / {mean['off']['ssim']:.4f} |"
  assert line in text
  assert protocols.look_up("benchmark_luma").description in text
  for part in ("python -m it", "jax 1.2", "off from `runs/off.pth`", "| 1.png"):
    assert part in text
  assert (tmp_path / "figures" / "crops.png").stat().st_size > 1000
  written = json.loads((tmp_path / "report.json").read_text())
  assert written == found.to_dict()


def test_report_without_matplotlib_says_so(tmp_path):
  with mock.patch.object(plots, "is_available", return_value=False):
    path = report.write(tmp_path, _evaluate({"nearest": _nearest}))
  assert "pip install hinote_jax[plots]" in path.read_text()
  assert not (tmp_path / "figures").exists()


def test_figure_shows_the_window_where_the_last_model_errs():
  crops = pytest.importorskip("hinote_jax.plots.crops")
  truth = np.full((40, 60, 3), 0.5)
  pred = truth.copy()
  pred[20:30, 40:50] = 1.0
  row = crops.Row("x2", truth[::2, ::2], {"a": truth, "b": pred}, truth)
  figure = crops.crops([row, row], title="T")
  axes = figure.axes
  assert [a.get_title(loc="left") for a in axes[:5]] == [
    "truth",
    "input",
    "a",
    "b",
    "truth",
  ]
  for shown in (*axes[1:5], *axes[6:10]):
    (left, right), (bottom, top) = shown.get_xlim(), shown.get_ylim()
    assert left <= 40 and right >= 50 and top <= 20 and bottom >= 30
    np.testing.assert_array_equal(shown.images[0].get_extent(), [0, 60, 40, 0])
