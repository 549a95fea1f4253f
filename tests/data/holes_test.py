"""Fields with holes: what is missing is neither trained on nor scored."""

import dataclasses

import jax
import numpy as np
import pytest

from hinote_jax import data, degradations, losses, models
from hinote_jax.data import batches, normalise
from hinote_jax.evaluate import fields
from hinote_jax.metrics import running
from hinote_jax.train import loop, static_run, step
from tests import runs


@pytest.fixture
def path(tmp_path):
  """Twelve fields of which a block is missing, and one that is wholly."""
  path = runs.write_fields(tmp_path / "fields.npy")
  values = np.load(path)
  values[:, 5:20, 30:] = np.nan
  values[3] = np.nan
  np.save(path, values)
  return path


@pytest.fixture
def dataset(path, tmp_path):
  return data.load("files", path=path, cache_dir=tmp_path / "cache")


def _windows(dataset):
  indices = dataset.present(range(len(dataset)))
  return batches.Windows(
    dataset,
    indices,
    normalise.Normaliser.fit(dataset.as_read, indices),
    degradations.parse("area"),
    scale_range=(2.0, 3.0),
    window=(8, 8),
    queries=(12, 12),
    seed=0,
  )


def test_holes_are_filled_and_remembered(dataset, path):
  values = np.load(path)[..., None]
  np.testing.assert_array_equal(dataset.measured, values)
  known = ~np.isnan(values)
  np.testing.assert_array_equal(dataset.values[known], values[known])
  assert np.isfinite(dataset.values).all()
  assert dataset.present(range(12)) == [0, 1, 2, *range(4, 12)]
  # Laplace's equation has no extremes of its own.
  for field, smooth in zip(values, dataset.values, strict=True):
    if np.isfinite(field).any():
      assert np.nanmin(field) <= smooth.min() <= smooth.max()
      assert smooth.max() <= np.nanmax(field)


def test_fields_without_holes_are_as_they_were(tmp_path):
  path = runs.write_fields(tmp_path / "fields.npy")
  dataset = data.load("files", path=path, cache_dir=tmp_path / "cache")
  assert dataset.measured is None
  assert "known" not in _windows(dataset).batch(0, [0])


def test_the_normaliser_is_of_what_is_known(path):
  values = np.load(path)[..., None]
  fitted = normalise.Normaliser.fit(values, range(12))
  known = values[np.isfinite(values)].astype(np.float64)
  np.testing.assert_allclose(fitted.mean, [known.mean()], rtol=1e-12)
  np.testing.assert_allclose(fitted.std, [known.std()], rtol=1e-10)
  assert fitted.minimum == (known.min(),)
  assert fitted.maximum == (known.max(),)


def test_windows_lie_where_enough_is_known(dataset):
  windows = _windows(dataset)
  batch = windows.batch(0, range(40))
  share = batch["known"].mean((1, 2, 3))
  assert share.min() >= 0.5 and share.max() == 1.0
  assert (share < 1.0).any(), "holes are not kept away from altogether"
  for draw, known in zip(
    windows.describe(0, range(40)), batch["known"], strict=True
  ):
    y, x = (round(a + q) for a, q in zip(draw.start, draw.query, strict=True))
    here = dataset.measured[draw.field, y : y + 12, x : x + 12]
    np.testing.assert_array_equal(known > 0, np.isfinite(here))
  assert all(np.isfinite(batch[name]).all() for name in ("lowres", "highres"))


def test_too_many_holes_are_refused(dataset):
  with pytest.raises(ValueError, match="of 200 windows none has 50%"):
    values = np.array(dataset.measured)
    values[:, 1:, 1:] = np.nan
    gone = data.Dataset(**vars(dataset) | {"measured": values})
    _windows(gone).batch(0, [0])


@pytest.mark.parametrize("name", ["l1", "frequency_prior", "focal_frequency"])
def test_no_loss_sees_a_hole(dataset, name):
  windows = _windows(dataset)
  batch = windows.batch(0, range(8))
  loss = losses.build(name)
  variables = loss.init(
    jax.random.key(0),
    batch["highres"],
    batch["highres"],
    batch["lowres"],
    batch["coords"],
  )
  params = {"model": {}, "loss": variables.get("params", {})}
  objective = step.make_objective(models.build("bicubic"), loss)
  others = batch | {
    "highres": np.where(batch["known"] > 0, batch["highres"], 1e3)
  }
  value, metrics = objective(params, batch)
  assert np.isfinite(value) and metrics["mse"] > 0.0
  if name == "l1":
    # A transform of the target itself sees what stands in its holes.
    assert objective(params, others)[0] == pytest.approx(float(value))


def test_scores_are_of_what_is_known():
  rng = np.random.default_rng(0)
  pred, target = rng.normal(size=(2, 12, 16, 1))
  known = np.ones((12, 16, 1), bool)
  known[3:9, 4:] = False
  filled = np.where(known, pred, target)
  scores = running.score(
    filled,
    target,
    data_range=np.array([2.0]),
    periodic=(False, False),
    known=known,
  )
  error, truth = (pred - target)[known], target[known]
  mse = np.mean(error**2)
  assert scores["mse"] == pytest.approx(mse)
  assert scores["psnr"] == pytest.approx(10 * np.log10(4.0 / mse))
  norms = np.linalg.norm(error) / np.linalg.norm(truth)
  assert scores["relative_l2"] == pytest.approx(norms)
  assert scores["bias"] == pytest.approx(error.mean())
  offset = error.mean() / truth.std()
  assert scores["mean_error"] == pytest.approx(offset)
  assert scores["max_error"] == pytest.approx(np.abs(error).max())


def test_an_evaluation_leaves_out_what_is_missing(dataset):
  def half_wrong(lowres, shape):
    field = np.array(dataset.values[0])
    return field + np.where(dataset.known(0), 2.0, 50.0).astype(np.float32)

  evaluation = fields.evaluate(
    {"a": half_wrong},
    dataset,
    [0, 3],
    degradation=degradations.parse("area"),
    scales=[2],
    data_range=[4.0],
    progress=False,
  )
  (row,) = evaluation.rows
  assert row["mse"] == pytest.approx(4.0, rel=1e-4)
  assert row["max_error"] == pytest.approx(2.0, rel=1e-4)
  assert "1 fields; 14.06% of the values missing" in evaluation.header["split"]


def test_a_run_on_fields_with_holes(path, tmp_path):
  config = runs.tiny_config(path, tmp_path / "cache")
  config.steps = config.validate_every = 2
  summary = loop.train(config, tmp_path / "run")
  assert 0.0 < summary["best_error"] < 2.0


def test_what_is_usual_is_of_what_was_measured(dataset):
  mean = fields.time_mean(dataset, [0, 1, 2])
  values = np.array(dataset.measured[:3])
  np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-6)
  assert np.isnan(mean[5:20, 30:]).all()
  usual = fields.usual(dataset, [0, 1, 2], [4, 5])
  np.testing.assert_array_equal(usual, np.nan_to_num(mean))
  # A cell of the test that training never had has no usual value.
  measured = np.array(dataset.measured)
  measured[5, 6, 31] = 1.0
  dataset = dataclasses.replace(dataset, measured=measured)
  assert fields.usual(dataset, [0, 1, 2], [4, 5]) is None
  with pytest.raises(ValueError, match="of 1 of 1920 cells no field of train"):
    static_run.make(("climatology",), dataset, [0, 1, 2], None)


def test_pairs_without_their_low_resolution_are_left_out(tmp_path):
  fine = np.load(runs.write_fields(tmp_path / "fields.npy"))
  coarse = fine[:, ::4, ::4]
  coarse[7] = np.nan
  np.save(tmp_path / "coarse.npy", coarse)
  paired = data.load(
    "files",
    path=str(tmp_path / "fields.npy"),
    lowres=str(tmp_path / "coarse.npy"),
    cache_dir=tmp_path / "cache",
  )
  assert paired.present(range(12)) == [*range(7), *range(8, 12)]
