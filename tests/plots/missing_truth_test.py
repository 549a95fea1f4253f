"""Figures of a truth that is missing in part: what is filled is not shown."""

from types import SimpleNamespace
from unittest import mock

from absl.testing import absltest
from matplotlib import colors
from ml_collections import config_dict
import numpy as np

from hinote_jax.core import compiling, grids
from hinote_jax.evaluate import run
from hinote_jax.losses import frequency_prior
from hinote_jax.plots import (
  crops,
  maps,
  prior,
  report_figures,
  style,
)
from hinote_jax.train import checkpoint, contract
from tests import evaluations as ev

_GREY = colors.to_rgb(style.MISSING)


def _shown(axes):
  return np.ma.filled(axes.images[0].get_array(), np.nan)


class _Wrong:
  """A predictor that is off by so much where the truth is known, 20 K else."""

  def __init__(self, dataset, offset):
    self._dataset, self._offset = dataset, offset

  def __call__(self, lowres, *, shape):
    del lowres, shape
    offset = np.where(self._dataset.known(0), self._offset, 20.0)
    return (self._dataset.values[0] + offset).astype(np.float32)


def _evaluation():
  """Returns an evaluation of a field whose upper half is filled with 300."""
  dataset = ev.dataset(1)
  shape = 1, 32, 20, 2
  noise = np.random.default_rng(0).normal(size=shape)
  dataset.values = (280.0 + noise).astype(np.float32)
  dataset.values[:, :16] = 300.0
  known = np.ones(shape, bool)
  known[:, :16] = False
  known[:, 20:22, :, 1] = False  # of the second variable more
  dataset.y = ev.axis("lat", "degrees_north", np.linspace(10.0, 0.0, 32))
  dataset.measured = np.where(known, dataset.values, np.nan)
  dataset.known, dataset.present = lambda i: known[i], list
  predictors = {
    "net": _Wrong(dataset, 0.5),
    "rival": _Wrong(dataset, 0.75),
    "bicubic": _Wrong(dataset, 1.0),
  }
  return ev.run(predictors, dataset)


class ReportTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.evaluation = _evaluation()
    with ev.rough_figures():
      cls.drawn = report_figures.draw(cls.evaluation)

  def test_no_panel_shows_what_is_missing(self):
    (example,) = self.evaluation.examples
    for stem in ("panels", "beside_rival"):
      for channel, name in enumerate(("t2m", "u10")):
        figure = self.drawn[f"{stem}_{name}_x2"]
        for i, axes in enumerate(figure.axes[:12]):
          expected = ~example.known[..., channel]
          if i in (0, 4):  # the input, as the model has it
            expected = np.zeros((16, 10), bool)
          np.testing.assert_array_equal(np.isnan(_shown(axes)), expected)

  def test_the_error_in_the_title_is_that_of_the_scores(self):
    for name in ("t2m", "u10"):
      axes = self.drawn[f"panels_{name}_x2"].axes
      for i, model in ((8, "bicubic"), (9, "net")):
        (row,) = self.evaluation.select(model=model, variable=name)
        title = axes[i].get_title(loc="left")
        self.assertIn(f"RMS {np.sqrt(row['mse']):.3g} ", title)

  def test_colours_are_of_what_is_known(self):
    axes = self.drawn["panels_t2m_x2"].axes
    self.assertLess(axes[3].images[0].get_clim()[1], 290.0)
    self.assertLess(axes[8].images[0].get_clim()[1], 1.1)

  def test_the_window_lies_where_the_truth_is_known(self):
    axes = self.drawn["panels_t2m_x2"].axes
    whole, window = axes[3].get_ylim(), axes[7].get_ylim()
    # The first row is up: all the known ones are the last, of the lower half.
    self.assertAlmostEqual(window[0], whole[0])
    self.assertLess(window[1], whole[1] - 1.0)

  def test_a_truth_without_holes_is_as_it_is(self):
    (example,) = ev.run({"nearest": ev.nearest}, ev.dataset(1)).examples
    self.assertIs(example.measured, example.highres)


class PicturesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(ev.rough_figures())
    random = np.random.default_rng(0)
    self.truth = random.uniform(size=(40, 40, 3)).astype(np.float32)
    self.truth[:20] = np.nan

  def test_missing_cells_are_grey(self):
    figure = style.figure(2.0, 2.0)
    axes = figure.subplots()
    maps.show(axes, np.full((4, 4), np.nan), maps.frame((4, 4)), cmap="gray")
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    middle = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, :3]
    np.testing.assert_allclose(middle / 255.0, _GREY, atol=0.003)

  def test_crops_are_grey_and_their_window_is_known(self):
    pred = np.where(np.isnan(self.truth), 1.0, self.truth + 0.01)
    row = crops.Row("x2", np.zeros((20, 20, 3)), {"net": pred}, self.truth)
    truth, _, net, again = crops.crops([row]).axes
    for axes in (truth, net, again):
      np.testing.assert_allclose(
        _shown(axes)[:20], np.broadcast_to(_GREY, (20, 40, 3)), rtol=1e-6
      )
    np.testing.assert_array_equal(_shown(truth)[20:], self.truth[20:])
    self.assertGreaterEqual(min(net.get_ylim()), 20.0)

  def test_the_prior_is_drawn_where_the_target_is_known(self):
    high = self.truth[..., 0]
    weight = np.where(np.isnan(high), 100.0, 2.0 + 0.0 * high)
    figure = prior.prior(high[::2, ::2], high, np.zeros_like(high), weight)
    for axes in figure.axes[1:4]:
      np.testing.assert_array_equal(np.isnan(_shown(axes)), np.isnan(high))
    self.assertEqual(figure.axes[3].images[0].get_clim(), (2.0, 3.0))

  def test_a_window_without_any_target_can_be_drawn(self):
    gone = np.full((24, 24), np.nan)
    flat = np.zeros((24, 24))
    figure = prior.prior(flat, gone, flat, flat)
    self.assertTrue(np.isnan(_shown(figure.axes[1])).all())


class PriorOfARunTest(absltest.TestCase):
  def test_weights_are_those_of_the_loss(self):
    # A guess at a missing cell would scale the weights of all the others.
    random = np.random.default_rng(0)
    highres, pred = random.normal(size=(2, 1, 8, 8, 1)).astype(np.float32)
    known = np.ones_like(highres)
    known[:, :4], pred[:, :4] = 0.0, 50.0
    points = grids.axis_centers(8)[None]
    batch = {
      "lowres": np.zeros((1, 4, 4, 1), np.float32),
      "coords": grids.Axes(points, points),
      "highres": highres,
      "known": known,
    }
    data = SimpleNamespace(
      validation=SimpleNamespace(
        scale_range=(1.0, 2.0), fixed=lambda count, scale: [batch]
      ),
      dataset=SimpleNamespace(
        variables=[SimpleNamespace(name="t2m", long_name="")]
      ),
    )
    loss = dict(name="frequency_prior", static=False, resize="bicubic")
    stored = {"params": {}}, {"model": {"name": "bicubic"}}
    with (
      ev.rough_figures(),
      mock.patch.object(checkpoint, "load", return_value=stored),
      mock.patch.object(checkpoint, "averaged"),
      mock.patch.object(contract, "apply"),
      mock.patch.object(compiling, "jit", return_value=lambda *_: pred),
    ):
      config = config_dict.ConfigDict({"loss": loss})
      drawn = run._prior_figure(config, "", data)["prior"]
    target, _, weight = (_shown(axes) for axes in drawn.axes[1:4])
    is_known = known[0, ..., 0] > 0
    np.testing.assert_array_equal(np.isnan(weight), ~is_known)
    np.testing.assert_array_equal(np.isnan(target), ~is_known)
    error = np.abs(highres - pred)[0, ..., 0] * is_known
    of = frequency_prior.INITIAL
    expected = of["gamma_d"] * np.exp(of["alpha_d"] * error / error.max())
    np.testing.assert_allclose(weight[is_known], expected[is_known], rtol=1e-5)


if __name__ == "__main__":
  absltest.main()
