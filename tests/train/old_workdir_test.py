"""A run of the package as it was before it was divided into folders.

`old_workdir/` holds its fields, the run as it stood after the second of its
four steps, with all four lines of its metrics, and what it predicted then.
"""

import json
import pathlib
import shutil

import ml_collections
import numpy as np
import pytest

from hinote_jax import infer
from hinote_jax.evaluate import report
from hinote_jax.train import checkpoint, metric_log
from hinote_jax.train import loop as train

_OLD = pathlib.Path(__file__).parent / "old_workdir"


@pytest.fixture
def config(tmp_path, monkeypatch):
  """Returns the config of a copy of the run, in the current folder."""
  shutil.copytree(_OLD, tmp_path, dirs_exist_ok=True)
  monkeypatch.chdir(tmp_path)
  text = pathlib.Path("run/config.json").read_text()
  return ml_collections.ConfigDict(_with_tuples(json.loads(text)))


def _with_tuples(value):
  """Returns a config as it was before JSON made lists of its tuples."""
  if isinstance(value, dict):
    return {name: _with_tuples(inner) for name, inner in value.items()}
  return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def test_it_predicts_as_it_did(config):
  del config
  stored = np.load(_OLD / "predictions.npz")
  highres = infer.load("run")(stored["lowres"], scale=2.5)
  # Float32 near 280 has steps of 3e-5.
  deviation = np.std(stored["highres"])
  error = np.abs(highres - stored["highres"]).max()
  assert error < 1e-5 * deviation + 6.2e-5
  # Not by interpolating alone.
  bicubic = infer.load("bicubic")(stored["lowres"], scale=2.5)
  assert np.abs(highres - bicubic).max() > 1e-2 * deviation


def test_it_is_read_without_a_preset_too(monkeypatch):
  stored = np.load(_OLD / "predictions.npz")
  load = checkpoint.load

  def without(*arguments, **options):
    state, meta = load(*arguments, **options)
    del meta["model"]["preset"]
    return state, meta

  want = infer.load(_OLD / "run")(stored["lowres"], scale=2.5)
  monkeypatch.setattr(checkpoint, "load", without)
  got = infer.load(_OLD / "run")(stored["lowres"], scale=2.5)
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("preset", ["default", "levels"])
def test_it_goes_on_to_the_end_it_had(config, preset):
  config.model.preset = preset  # by either name
  want = metric_log.read("run")
  summary = train.train(config, "run")
  assert summary["steps_now"] == 2
  got = metric_log.read("run")
  assert [list(line) for line in got] == [list(line) for line in want]
  for ours, theirs in zip(got, want, strict=True):
    assert ours == pytest.approx(theirs, rel=1e-4)
  assert checkpoint.load("run", "latest")[1]["step"] == 4


def test_it_is_scored_as_it_was(config):
  want = report.read("run")
  train.evaluate(config, "run")
  got = report.read("run")
  assert got.header["checkpoint"] == want.header["checkpoint"]
  assert len(got.rows) == len(want.rows)
  for ours, theirs in zip(got.rows, want.rows, strict=True):
    labels = ("model", "variable")
    assert [ours.pop(k) for k in labels] == [theirs.pop(k) for k in labels]
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
