"""Tests of what a run reads: parts by group, pairs, and magnitudes."""

import json
import types

import ml_collections
import numpy as np
import pytest

from hinote_jax import degradations, models
from hinote_jax.core import grids
from hinote_jax.degradations import matrices
from hinote_jax.models.unfolding import steps
from hinote_jax.train import run_data
from tests.data import layouts

pytest.importorskip("tensorflow_datasets")


def _config(tmp_path, data, *, scale=2.0, degradation="area", split=None):
  return ml_collections.ConfigDict(
    dict(
      seed=0,
      data=dict(cache_dir=str(tmp_path / "cache"), **data),
      split=split or dict(validation=1, test=1, gap=0),
      degradation=degradation,
      windows=dict(
        window=(4, 4), queries=(6, 6), min_scale=scale, max_scale=scale
      ),
    )
  )


def _scans(tmp_path):
  """Four scans of values above 0, each patient brighter than the last."""
  rng = np.random.default_rng(0)
  for k in range(4):
    values = 10.0 * (k + 1) + rng.uniform(0, 5, (4, 12, 16))
    path = tmp_path / f"file{k}.h5"
    layouts.fastmri(path, values, patient=f"p{k}")
  return dict(name="mri", path=str(tmp_path / "file*.h5"), slices=(0.0, 1.0))


def test_windows_of_a_part_are_of_its_subjects_alone(tmp_path):
  made = run_data.make(_config(tmp_path, _scans(tmp_path)), tmp_path / "run")
  for windows, low, high in ((made.train, 10, 25), (made.validation, 30, 35)):
    batch = windows.batch(0, range(64))
    for name in ("lowres", "highres"):
      values = made.normaliser.denormalise(batch[name])
      assert low - 0.01 <= values.min() and values.max() <= high + 0.01
  # Statistics are of the first two subjects.
  assert (
    10.0 <= made.normaliser.minimum[0] and made.normaliser.maximum[0] <= 25.0
  )
  assert made.split.test == (12, 13, 14, 15) and made.scale is None
  made.split.save(tmp_path / "run" / "split.json", made.dataset)
  stored = json.loads((tmp_path / "run" / "split.json").read_text())
  assert stored["groups"]["test"] == ["p3"]


def test_magnitudes_know_where_zero_is(tmp_path):
  config = _config(tmp_path, _scans(tmp_path), degradation="kspace")
  made = run_data.make(config, tmp_path / "run")
  batch = made.train.batch(0, range(8))
  values = made.normaliser.denormalise(batch["lowres"])
  assert 8.0 < values.min() and values.max() < 27.0  # a truncation overshoots


def test_pairs_are_trained_on_as_they_are(tmp_path):
  for k in range(3):
    path = tmp_path / "nskt" / f"run{k}.h5"
    layouts.superbench(path, k, count=4, shape=(16, 16), lowres=2)
  data = dict(name="superbench", path=str(tmp_path / "nskt"), paired=True)
  made = run_data.make(_config(tmp_path, data), tmp_path / "run")
  batch = made.train.batch(0, range(16))
  fine, coarse = (
    made.normaliser.denormalise(batch[n]) for n in ("highres", "lowres")
  )
  # The coarse simulation is a quarter above the fine one; see `layouts`.
  np.testing.assert_allclose(coarse.max((1, 2)) - 0.25, fine.min((1, 2)), 1e-4)
  assert str(made.degradation) == "paired with 8 x 8 cells"
  with pytest.raises(
    ValueError, match="has a low resolution of its own, paired"
  ):
    made.degradation.field(None, (8, 8), periodic=(False, False))
  # Scales that the config would draw are not those of the pairs.
  again = run_data.make(_config(tmp_path, data, scale=3.0), tmp_path / "run")
  assert made.scale == again.scale == 2.0
  np.testing.assert_array_equal(
    again.train.batch(0, range(16))["highres"], batch["highres"]
  )


def test_a_network_that_unfolds_takes_the_blur_of_its_run():
  degradation = degradations.parse("blur(0.5)|area|noise(0.02)")
  train = types.SimpleNamespace(scale_range=(1.5, 3.0), degradation=degradation)
  data = types.SimpleNamespace(train=train)
  blur = run_data.RunData.blur
  made = blur(data, {"name": "usrnet"})
  assert (made["scale"], made["noise"]) == (3, 0.02)
  want = matrices.kernel(degradation, (3, 3))
  np.testing.assert_array_equal(made["kernel"], want)
  train.scales = (1, 2)
  many = blur(data, {"name": "usrnet", "scale": None})
  assert many["scale"] is None and set(many["kernel"]) == {"1", "2"}
  module = models.build(**many)
  for scale in (1, 2):
    want = matrices.kernel(degradation, (scale, scale))
    got = steps.kernel_at(module.kernel, (scale, scale))
    np.testing.assert_array_equal(got, want)
  # The smallest that covers the points, or the largest.
  for fine, scale in (((4, 6), 2), ((4, 4), 1), ((13, 20), 2)):
    points = np.zeros((1, 4, 4, 1)), grids.axes(fine)
    assert steps.scale(None, *points, module.kernel) == (scale, scale)
  given = blur(data, {"kernel": [[1.0]], "noise": 0.5, "scale": 2})
  assert given == {"kernel": [[1.0]], "noise": 0.5, "scale": 2}


def test_a_consistent_model_ends_in_the_degradation_of_its_run():
  degradation = degradations.parse("decimate(linear, antialias)|noise(0.1)")
  train = types.SimpleNamespace(degradation=degradation)
  dataset = types.SimpleNamespace(name="pairs")
  data = types.SimpleNamespace(train=train, dataset=dataset)
  ending = run_data.RunData.consistent(data)
  module = models.build("bicubic", consistent=ending)
  assert (module.method, module.antialias) == ("linear", True)
  assert module.degradation == "decimate(linear, antialias)"
  train.degradation = None
  with pytest.raises(ValueError, match="pairs is paired with a low resolution"):
    run_data.RunData.consistent(data)


def test_what_is_drawn_wants_scales(tmp_path):
  config = _config(tmp_path, _scans(tmp_path))
  config.windows.noise = 0.1
  with pytest.raises(ValueError, match="noise is drawn at whole scales: say"):
    run_data.make(config, tmp_path / "run")
