"""Every peer trains by the common path and stands in one table."""

import itertools
import pathlib
import types

import jax
import jax.numpy as jnp
import pytest

from configs import baselines, common
from hinote_jax import models
from hinote_jax.core import grids
from hinote_jax.evaluate import report
from hinote_jax.evaluate import run as scoring
from hinote_jax.train import loop as train
from hinote_jax.train import workdir
from tests import runs, trials


def _config(name, folder):
  config = baselines.get_config(f"model={name},smoke").unlock()
  data = runs.tiny_config(folder / "fields.npy", folder / "cache")
  for part in ("data", "split", "batch_size", "validation_examples"):
    config[part] = data[part]
  config.windows.window = config.windows.queries = (8, 8)
  config.steps = config.log_every = config.validate_every = 2
  config.evaluate = data.evaluate
  config.evaluate.scales = (4.0,)
  return config


@pytest.mark.parametrize(
  ("peers", "static"),
  [
    (("edsr", "liif"), ("climatology",)),
    pytest.param(baselines.PEERS, None, marks=pytest.mark.trial),
    pytest.param(
      ("lte", "metasr", "swinir", "rdn", "liif"),
      ("climatology",),
      marks=pytest.mark.trial,
    ),
  ],
)
def test_peers_train_told_or_not_and_are_in_one_table(tmp_path, peers, static):
  runs.write_fields(tmp_path / "fields.npy")
  *others, last = peers
  for name in peers:
    config = _config(name, tmp_path)
    config.data.static = static
    summary = train.train(config, tmp_path / name)
    assert summary["steps_now"] == 2
  paths = [str(tmp_path / name) for name in others]
  config.evaluate.against = ("bicubic", *paths)
  train.evaluate(config, tmp_path / last)
  found = report.read(tmp_path / last)
  expected = {"bicubic", *peers} | ({"static_regression"} if static else set())
  assert set(found.header["models"]) == expected
  assert {row["model"] for row in found.rows} == set(found.header["models"])
  table = (tmp_path / last / "report.md").read_text()
  assert all(f" {name} |" in table for name in peers)


# At full size traced for seconds; their smoke runs are small.
_LARGE = ("hat", "hat_ast", "rdn", "swinir", "usrnet")


@pytest.mark.parametrize(
  ("run", "name"),
  trials.apart_from(
    lambda case: case[0] not in ("demo", "files") or case[1] not in _LARGE,
    itertools.product(sorted(baselines.RUNS), baselines.PEERS),
  ),
)
def test_every_run_builds_its_model(name, run):
  config = baselines.get_config(f"model={name},{run}")
  channels = len(config.data.variables) or 1  # () is all of the user's
  module = models.build(**workdir.set_fields(config.model), channels=channels)
  inputs = (1, 8, 8, channels), (1, 32), (1, 32), (1, 2)
  lowres, y, x, cell = (jax.ShapeDtypeStruct(s, jnp.float32) for s in inputs)
  made = jax.eval_shape(
    module.init, jax.random.key(0), lowres, grids.Axes(y, x), cell
  )
  assert made["params"]  # it takes as many variables as its data have
  if hasattr(module, "scale"):  # networks of one scale train at it
    assert config.windows.min_scale == module.scale
    config.model.scale = 2
    assert config.windows.max_scale == 2


def test_runs_on_other_variables_are_refused(monkeypatch):
  dataset = types.SimpleNamespace(
    periodic=(False, False), variables=[types.SimpleNamespace(name="t2m")]
  )
  pipeline = types.SimpleNamespace(
    normaliser=None, dataset=dataset, static=None
  )
  config = common.base()
  config.evaluate.against = ("runs/wind",)
  other = types.SimpleNamespace(names=("u10",))
  monkeypatch.setattr(scoring.infer, "load", lambda path: other)
  with pytest.raises(ValueError, match="runs/wind is of u10, this run of t2m"):
    scoring.predictors(config, pathlib.Path("runs/heat"), pipeline)


def test_misspelt_peer_and_form_are_named():
  with pytest.raises(ValueError, match="did you mean 'srno'"):
    baselines.get_config("model=srnoo,smoke")
  with pytest.raises(ValueError, match="'model=NAME,RUN'"):
    baselines.get_config("smoke")
  with pytest.raises((AttributeError, KeyError), match="hidden"):
    baselines.get_config("model=liif,demo").model.hiden = (3,)
