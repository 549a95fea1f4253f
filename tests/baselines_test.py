"""Every peer trains by the common path and stands in one table."""

import functools
import itertools
import pathlib
import types

import jax
import numpy as np
import pytest

from configs import baselines, common
from hinote_jax import degradations, models
from hinote_jax.core import grids
from hinote_jax.data import static
from hinote_jax.evaluate import report
from hinote_jax.evaluate import run as scoring
from hinote_jax.train import contract, parts, run_data
from hinote_jax.train import loop as train
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


def _data(config):
  """Returns what stands for the data of a run, and a batch of it."""
  channels = len(config.data.variables) or 1  # () is all of the user's
  sources = config.data.get("static") or ()
  told = static.count(sources, channels)
  zeros = functools.partial(np.zeros, dtype=np.float32)
  batch = dict(
    lowres=zeros((1, 8, 8, channels)),
    coords=grids.Axes(zeros((1, 32)), zeros((1, 32))),
    cell=zeros((1, 2)) + 2 / 32,
    static=dict(fine=zeros((1, 32, 32, told)), coarse=zeros((1, 8, 8, told))),
  )
  train_windows = types.SimpleNamespace(
    degradation=degradations.parse(config.degradation),
    scale_range=(config.windows.min_scale, config.windows.max_scale),
    fixed=lambda examples: (batch,),
  )
  ends = types.SimpleNamespace(
    minimum=[-4.0] * channels,
    maximum=[4.0] * channels,
    normalise=lambda values: values,
  )
  dataset = types.SimpleNamespace(
    variables=[None] * channels, channels=channels, lowres=None, domain=""
  )
  data = run_data.RunData(
    dataset,
    split=None,
    normaliser=ends,
    degradation=None,
    train=train_windows,
    validation=None,
    static=sources or None,
  )
  return data, batch


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
  data, batch = _data(config)
  units = [1.0] * data.dataset.channels
  arguments = parts.model_arguments(config, data, units)
  module, spec = models.build(**arguments), models.spec_of(arguments)
  init = functools.partial(contract.init, module, spec=spec)
  made = jax.eval_shape(init, jax.random.key(0), batch)
  assert made["params"]  # it takes as many channels as its data have
  if "scale" in config.model:  # networks of one scale train at it
    assert config.windows.min_scale == config.model.scale
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
