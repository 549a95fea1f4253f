"""What comes with the package: small, with a card, better than interpolation.

`experiments.shipped.run` trains it; what is not there yet is passed over.
"""

import pathlib

import ml_collections
import numpy as np
import pytest

from experiments.four_sciences import archives
from experiments.shipped import plan, show
from hinote_jax import data as datasets
from hinote_jax import degradations, infer, models, shipped
from hinote_jax.evaluate import fields, scores
from hinote_jax.io import files
from hinote_jax.train import run_data, static_run, workdir

_SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"
_LARGEST = 2_000_000  # bytes
# Of files that no package brings: archive, what they become, and one of them.
_FILES = {
  "hinote-s-turbulence": (
    "turbulence/py2d_omega_16x512.npz",
    "vorticity",
    "vorticity.nc",
    (True, True),
  ),
  "hinote-s-radar": (
    "radar/mrms_preciprate_tiles384.npz",
    "rain",
    "place_0000_0384.nc",
    (False, False),
  ),
}

_names = pytest.mark.parametrize("name", plan.NETWORKS)


def test_every_network_is_of_the_plan_and_its_numbers_are_kept():
  assert set(shipped.networks()) == set(plan.NETWORKS)
  for name in shipped.networks():
    assert show.read(name) is not None, name
  text = show.README.read_text()
  assert show.filled(text) == text, (
    "run python -m experiments.shipped.run --show"
  )


@_names
def test_a_network_is_small_and_has_a_card_of_its_numbers(name):
  folder = shipped.resolved(name)
  assert sum(p.stat().st_size for p in files.below(folder)) < _LARGEST
  card = (folder / shipped.CARD).read_text()
  assert card == show.card(name, show.read(name))
  assert infer.load(name).names == tuple(show.read(name)["range"])


def _unseen(name, config, folder):
  """Returns a data set, and which of its fields the network never saw."""
  if name not in _FILES:
    try:
      data = run_data.make(config, folder)
    except ModuleNotFoundError as error:
      pytest.skip(str(error))
    told = static_run.told(data.dataset, data.static, data.degradation)
    return told, data.split.test
  archive, kind, file, periodic = _FILES[name]
  if not (_SHARED / archive).is_file():
    pytest.skip(f"no archive {_SHARED / archive}")
  archives.main(kind, str(_SHARED / archive), str(folder))
  dataset = datasets.load(
    "files",
    path=folder / file,
    variables=config.data.variables,
    periodic=periodic,
    cache_dir=folder / "cache",
  )
  return dataset, range(len(dataset))


@_names
def test_a_network_is_better_than_interpolation_on_what_it_never_saw(
  name, tmp_path
):
  stored = workdir.read_config(shipped.resolved(name))
  dataset, indices = _unseen(name, ml_collections.ConfigDict(stored), tmp_path)
  plain = {"periodic": dataset.periodic}
  predictors = {"own": infer.load(name)} | {
    other: infer.Predictor(models.build(other), {}, **plain)
    for other in models.INTERPOLATIONS
  }
  indices = list(indices)[:: max(1, len(indices) // 3)]
  degradation = degradations.parse(stored["degradation"])
  examples = scores.predicted(
    predictors,
    fields.inputs(dataset, indices, degradation, (4.0,)),
    total=len(indices),
    unit="field",
    progress=False,
  )
  errors = {model: 0.0 for model in predictors}
  for example in examples:
    for model, made in example.predictions.items():
      error = np.square(np.float64(made) - example.highres)
      errors[model] = errors[model] + error.mean((0, 1))
  own = errors.pop("own")
  for model, error in errors.items():
    assert np.all(own < error), (model, own / error)
