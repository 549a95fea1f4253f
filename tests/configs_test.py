import json

import pytest

from configs import common, hinote
from hinote_jax import models, workdir


@pytest.mark.parametrize("run", sorted(hinote.RUNS))
def test_every_run_builds_its_model_and_fits_its_windows(run):
  config = hinote.get_config(run)
  arguments = workdir.given(config.model) | {"residual_scale": ()}
  models.build(**arguments)
  low = config.windows.window[0] * config.windows.min_scale
  assert config.windows.queries[0] <= low
  json.dumps(workdir.plain(config))


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
