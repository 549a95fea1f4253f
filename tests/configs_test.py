import json
import pathlib

import pytest

from configs import common, hinote, sciences, unfolding
from experiments.four_sciences import runs as four_sciences
from experiments.given_time import run as given_time
from experiments.shipped import plan as shipped
from experiments.tables import fields as tables
from experiments.told import run as told
from experiments.unfolding import run as unfolding_run
from experiments.what_makes_it_work import run as what_makes_it_work
from hinote_jax import models
from hinote_jax.train import schema, workdir


@pytest.mark.parametrize("run", sorted(hinote.RUNS))
def test_every_run_builds_its_model_and_fits_its_windows(run):
  config = hinote.get_config(run)
  arguments = workdir.set_fields(config.model) | {"residual_scale": ()}
  models.build(**arguments)
  low = config.windows.window[0] * config.windows.min_scale
  assert config.windows.queries[0] <= low
  json.dumps(workdir.plain(config))


@pytest.mark.parametrize("science", sorted(sciences.SCIENCES))
@pytest.mark.parametrize("size", sciences.SIZES)
@pytest.mark.parametrize("peer", ["", ",model=srno", ",model=edsr"])
def test_every_science_builds_its_model(science, size, peer):
  config = sciences.get_config(f"{science},{size}{peer}")
  arguments = workdir.set_fields(config.model)
  if "residual_scale" in arguments and not peer:
    arguments["residual_scale"] = ()
  models.build(**arguments)
  if peer == ",model=srno" and size != "paper":
    trunk = models.build("hinote", size="S")
    options = config.model.encoder_options
    assert (options.width, options.blocks) == (trunk.width, trunk.blocks)
  low = config.windows.window[0] * config.windows.min_scale
  assert config.windows.queries[0] <= low
  json.dumps(workdir.plain(config))


@pytest.mark.parametrize("run", sorted(unfolding.RUNS))
def test_every_unfolding_run_fits_its_scales(run):
  config = unfolding.get_config(run)
  if run in ("smoke", "denoiser"):  # the others are longer to trace
    schema.check(config)
  assert config.model.scale == (1 if run == "denoiser" else None)
  side = config.windows.queries[0]
  assert not any(side % s for s in config.windows.scales)
  assert config.windows.window[0] == side // max(config.windows.scales)


def _has(config, fields):
  flat = {"model.preset": config.model.preset, "loss.name": config.loss.name}
  return flat == fields


def test_what_hinote_has_by_default_is_what_is_said():
  assert _has(hinote.get_config("demo"), hinote.DEFAULT)
  assert _has(sciences.get_config("turbulence,small"), hinote.DEFAULT)
  paper = {"model.preset": "paper", "loss.name": "frequency_prior"}
  assert _has(hinote.get_config("temperature"), paper)
  assert _has(sciences.get_config("weather,paper"), paper)


def test_what_was_measured_with_levels_trains_with_levels():
  measured = [
    what_makes_it_work.QUESTION.config("weather", "S", 0, 1),
    given_time.QUESTION.config("turbulence", "S, no levels", 0, 1),
    four_sciences.config("weather_long"),
    told.config(pathlib.Path("runs"), "nothing", is_smoke=False),
    tables.config("weather", "hinote"),
    unfolding_run.config("hinote", 0.0, is_smoke=False),
    shipped.config("hinote-s-mri", pathlib.Path("runs"), is_smoke=True),
  ]
  assert all(_has(config, hinote.LEVELS) for config in measured)


@pytest.mark.parametrize("text", ["", "weather,small,model=a,model=b"])
def test_a_science_must_be_named(text):
  with pytest.raises(ValueError, match="'SCIENCE,SIZE'"):
    sciences.get_config(text)


def test_misspelt_field_names_the_right_one():
  config = hinote.get_config("demo")
  with pytest.raises((AttributeError, KeyError), match="batch_size"):
    config.batchsize = 4
  with pytest.raises((AttributeError, KeyError), match="learning_rate"):
    config.optim.learning_rat = 1.0


def test_misspelt_run_names_the_right_one():
  with pytest.raises(ValueError, match="did you mean 'temperature'"):
    hinote.get_config("temprature")


def test_largest_scale_reaches_the_model():
  config = hinote.get_config("demo")
  config.windows.max_scale = 6.0
  assert config.model.max_scale == 6.0


def test_differences_name_fields_and_both_values():
  first, second = common.base(), common.base()
  second.optim.clip = 3.0
  second.windows.window = (8, 8)
  found = workdir.differences(workdir.plain(second), workdir.plain(first))
  assert found == [
    "optim.clip: 1.0 there, 3.0 now",
    "windows.window: [32, 32] there, [8, 8] now",
  ]


@pytest.mark.parametrize("science", sorted(sciences.SCIENCES))
@pytest.mark.parametrize("size", [3, 0.25, "2018-01-01", "CSI2,CSI3", ("a*",)])
def test_a_part_may_be_a_count_a_share_a_date_or_names(science, size):
  config = sciences.get_config(f"{science},small")
  config.split.test = size
  assert config.split.test == size
