"""Every field of a config: by type, range and shape, and by its name."""

import math

import ml_collections
import pytest

from configs import baselines, hinote, perceptual, sciences
from hinote_jax.train import schema
from tests import runs


@pytest.fixture
def config(tmp_path):
  return runs.tiny_config(tmp_path / "fields.npy", tmp_path / "cache").to_dict()


@pytest.mark.parametrize(
  "field, value, reason",
  [
    ("steps", "many", "config.steps is a whole number, got 'many'"),
    ("steps", True, "config.steps is a whole number, got True"),
    ("seed", -1, "config.seed must be at least 0, got -1"),
    ("ema_decay", math.nan, "config.ema_decay must be a finite number"),
    ("windows.window", (8,), "windows.window is 2 of a whole number"),
    ("windows.queries", (0, 8), "windows.queries: a querie must be at least 1"),
    ("optim.clip", 2**70, r"optim.clip must be below 2\*\*63, or written with"),
    ("optim.b2", 1.0, "optim.b2 must be below 1, got 1.0"),
    ("optim.frozen", ("(",), r"optim.frozen: .* is no regular expression"),
    ("optim.clipp", 1.0, "field of config.optim 'clipp'; did you mean 'clip'"),
    ("split.test", [], "split.test"),
    ("split.test", 1.5, "split.test must be whole, below 1, .* got 1.5"),
    ("data", 3, "config.data has fields of its own, got 3"),
    ("data.name", "filez", "config.data.name: .* did you mean 'files'"),
    *(
      ("model.dtype", name, f"is float32, bfloat16 or float16, got '{name}'")
      for name in ("int8", "float64", "float8_e4m3fn", "f4", "bfloat")
    ),
    ("model.width", 1.5, "model.width is a whole number, got 1.5"),
    ("model.heads", 3, "config.model: no network can be made of .*heads=3"),
    ("model.name", "lif", "config.model.name: .* did you mean 'liif'"),
    ("loss.name", "l3", "config.loss.name: .* known: l1"),
    ("loss.terms", "mghf_k", "config.loss.terms: unknown term 'mghf_k'"),
    ("loss.terms", 0.1, "config.loss.terms is a text, got 0.1"),
    ("evaluate.metrics", "math:no", "evaluate.metrics: 'math:no' names no"),
    ("evaluate.metrics", "math", "evaluate.metrics: .* module:function"),
    ("degradation", "bluur(1)", "config.degradation: .*blur"),
    ("parallel", "threads", "way in config.parallel 'threads'"),
    ("batch_size", 2**24, "config.batch_size.* GB of it for batches"),
  ],
)
def test_what_does_not_fit_is_named(config, field, value, reason):
  *path, last = field.split(".")
  part = config
  for name in path:
    part = part[name]
  part[last] = value
  if field == "model.heads":
    part["preset"] = "levels"
  if field == "batch_size":
    config["windows"]["queries"] = config["windows"]["window"] = (4096, 4096)
  with pytest.raises(ValueError, match=reason):
    schema.check(ml_collections.ConfigDict(config))


@pytest.mark.parametrize(
  "config",
  [
    hinote.get_config("demo"),
    baselines.get_config("model=srno,smoke"),
    baselines.get_config("model=edsr,demo"),
    sciences.get_config("turbulence,smoke"),
    sciences.get_config("radar,small"),
    sciences.get_config("mri,smoke"),
    sciences.get_config("images,smoke"),
    perceptual.get_config("inn_turbulence"),
    perceptual.get_config("inn_photographs"),
    perceptual.get_config("smoke"),
  ],
  ids=lambda config: f"{config.data.name} {config.model.name}",
)
def test_published_runs_pass(config):
  schema.check(config)


def test_what_is_static_counts_as_channels():
  config = baselines.get_config("model=hinote_official,untold")
  config.data.static = ("latitude", "climatology")
  with pytest.raises(
    ValueError,
    match="config.data.static: hinote_official takes one channel, and these "
    "are 3 beside it",
  ):
    schema.check(config)
  config = baselines.get_config("model=sr_lut,demo")
  schema.check(config)
  config.model.limits = ((-4.0, 4.0),) * len(config.data.variables)
  with pytest.raises(ValueError, match="3 limits do not fit a field of 13"):
    schema.check(config)
