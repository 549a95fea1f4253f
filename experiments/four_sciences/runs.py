"""The runs of this experiment: their fields, models, steps and commands."""

import pathlib
import shlex

from configs import hinote, sciences

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results"
ROOT = pathlib.Path("runs/four_sciences")
SCALES = (2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
# Places that touch none of those that are trained on.
_PLACES = dict(
  test="place_0000_0384,place_0384_0768,place_0192_1536,place_2304_2496,"
  "place_2304_3072",
  validation="place_2304_1920",
)
# What a science takes beside its config.
EXTRA = {
  "turbulence": {},
  "weather": {},
  "rain": {
    "data.path": "runs/rain/*.nc",
    "data.variables": ("rate",),
    **{f"split.{part}": names for part, names in _PLACES.items()},
  },
  "mri": {},
}
# Fields of others that a science's runs are scored on too, at which scales.
ELSEWHERE = {"turbulence": ("runs/py2d/vorticity.nc", (2.0, 4.0, 8.0))}
# Steps of hinote and its peers alike; the slowest peer takes about as long for
# them as hinote for those of `small`.
_SAME = {"steps": 1500, "windows.whole": 0.0}
# Name -> science, model, other fields of the config.
RUNS = {
  "turbulence": ("turbulence", "hinote", _SAME),
  "weather": ("weather", "hinote", _SAME),
  "weather_liif": ("weather", "liif", _SAME),
  "weather_srno": ("weather", "srno", _SAME),
  "turbulence_liif": ("turbulence", "liif", _SAME),
  "turbulence_srno": ("turbulence", "srno", _SAME),
  "rain": ("rain", "hinote", {}),
  "rain_uniform": ("rain", "hinote", {"steps": 8000, "windows.whole": 0.0}),
  "mri": ("mri", "hinote", {"steps": 8000}),
  "weather_long": ("weather", "hinote", {}),
  "turbulence_long": ("turbulence", "hinote", {}),
}


def flags(name: str) -> list[str]:
  """Returns what trains a run, as arguments of `hinote_jax.main`."""
  return [
    f"--config=configs/sciences.py:{_spec(name)}",
    f"--workdir={ROOT / name}",
    *(f"--config.{field}={value}" for field, value in _given(name).items()),
  ]


def command(name: str) -> str:
  """Returns what trains a run, as one types it."""
  return shlex.join(["python", "-m", "hinote_jax.main", *flags(name)])


def is_done(name: str) -> bool:
  """Says whether a run has been trained and scored here."""
  return (ROOT / name / "report.json").is_file()


def config(name: str):
  """Returns the config of a run."""
  found = sciences.get_config(_spec(name))
  found.update_from_flattened_dict(_given(name))
  return found


def label(model: str) -> str:
  """Returns what a table calls a model, or another run by its folder."""
  name = model.rpartition("_")[2]
  labels = {"long": "hinote, longer", "uniform": "hinote, uniform scales"}
  return labels.get(name, model)


def _given(name: str) -> dict:
  """Returns what the config of a run has beside its science."""
  science, model, fields = RUNS[name]
  own = hinote.LEVELS if model == "hinote" else {}
  return own | EXTRA[science] | fields


def _spec(name: str) -> str:
  science, model, _ = RUNS[name]
  return f"{science},small" + ("" if model == "hinote" else f",model={model}")
