"""Four sciences: hinote beside every interpolation, and beside its peers.

    python -m experiments.four_sciences.archives rain ARCHIVE.npz runs/rain
    python -m experiments.four_sciences.archives vorticity ARCHIVE.npz runs/py2d
    python -m experiments.four_sciences.run                 # some two hours
    python -m experiments.four_sciences.run --only=weather_liif,weather_srno
    python -m experiments.four_sciences.run --score         # trains nothing

A run goes on where it was stopped. Every one is a command that can be given
alone; `--commands` prints them. What is missing under `runs/` is left out of
the tables, and said.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys

import jax
import numpy as np

from configs import sciences
from hinote_jax import checkpoint, evaluate, pipeline, scoring, workdir
from hinote_jax import models as zoo

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
# Fields of others that a science's runs are scored on too, and at which scales.
ELSEWHERE = {"turbulence": ("runs/py2d/vorticity.nc", (2.0, 4.0, 8.0))}
# About as many steps as take the slowest peer's time.
_LONG = 6000
# Name -> science, model, other fields of the config.
RUNS = {
  "turbulence": ("turbulence", "hinote", {}),
  "weather": ("weather", "hinote", {}),
  "rain": ("rain", "hinote", {}),
  "mri": ("mri", "hinote", {}),
  "weather_liif": ("weather", "liif", {}),
  "weather_srno": ("weather", "srno", {}),
  "turbulence_liif": ("turbulence", "liif", {}),
  "turbulence_srno": ("turbulence", "srno", {}),
  "weather_long": ("weather", "hinote", {"steps": _LONG}),
  "turbulence_long": ("turbulence", "hinote", {"steps": _LONG}),
  "rain_long": ("rain", "hinote", {"steps": _LONG}),
  "mri_long": ("mri", "hinote", {"steps": _LONG}),
}


def flags(name: str) -> list[str]:
  """Returns what trains a run, as arguments of `hinote_jax.main`."""
  science, model, fields = RUNS[name]
  given = EXTRA[science] | fields
  peer = "" if model == "hinote" else f",model={model}"
  return [
    f"--config=configs/sciences.py:{science},small{peer}",
    f"--workdir={ROOT / name}",
    *(f"--config.{field}={value}" for field, value in given.items()),
  ]


def command(name: str) -> str:
  """Returns what trains a run, as one types it."""
  return shlex.join(["python", "-m", "hinote_jax.main", *flags(name)])


def train(name: str) -> None:
  """Trains a run in a process of its own, or goes on with it.

  Raises:
    CalledProcessError: it failed; it has said why.
  """
  if _is_done(name):
    return
  print(f"\n{command(name)}", flush=True)
  # The table scores it; here it is enough to see that it can be scored.
  brief = ["--config.evaluate.scales=(4.0,)"]
  brief += ["--config.evaluate.against=('bicubic',)"]
  arguments = [sys.executable, "-m", "hinote_jax.main", *flags(name), *brief]
  subprocess.run(arguments, check=True)


def _is_done(name: str) -> bool:
  return (ROOT / name / "report.json").is_file()


def _config(name: str):
  science, model, fields = RUNS[name]
  peer = "" if model == "hinote" else f",model={model}"
  config = sciences.get_config(f"{science},small{peer}")
  config.update_from_flattened_dict(EXTRA[science] | fields)
  return config


def _cost(name: str) -> dict:
  """Returns what a run is and what it took."""
  *_, last = (ROOT / name / "timings.jsonl").read_text().splitlines()
  last = json.loads(last)
  variables, meta = checkpoint.load_variables(ROOT / name)
  return {
    "name": name,
    "model": RUNS[name][1],
    "command": command(name),
    "steps": last["step"],
    "best_step": int(meta["step"]),
    "seconds": last["step"] / last["steps_per_second"],
    "waiting": last["fraction_waiting_for_data"],
    "parameters": sum(int(x.size) for x in jax.tree.leaves(variables)),
  }


def score(name: str, path: str | None = None, scales=SCALES):
  """Scores a science's runs together, in the held-out part or elsewhere."""
  others = [n for n in RUNS if n.startswith(f"{name}_") and _is_done(n)]
  config = _config(name)
  config.evaluate.scales = scales
  against = (*zoo.INTERPOLATIONS, *(str(ROOT / n) for n in others))
  with config.ignore_type():
    config.evaluate.against = against
  config.evaluate.path = path
  folder = ROOT / name
  made = pipeline.make(config, folder)
  evaluation = scoring.evaluate_run(config, folder, made)
  long = str(ROOT / f"{name}_long")
  if long in evaluation.header["models"]:
    evaluation = _renamed(evaluation, long, "hinote, longer")
  evaluation.header["runs"] = [_cost(n) for n in (name, *others)]
  return evaluation


def _renamed(evaluation, old: str, new: str) -> evaluate.Evaluation:
  """Returns the evaluation with another name for one model."""
  values = json.loads(
    json.dumps(evaluation.to_dict()).replace(json.dumps(old), json.dumps(new))
  )
  for example in evaluation.examples:
    example.predictions[new] = example.predictions.pop(old)
  found = evaluate.Evaluation.from_dict(values)
  found.examples.extend(evaluation.examples)
  return found


def _keep(name: str, evaluation: evaluate.Evaluation) -> None:
  """Writes the scores beside this file, and fields for the page of figures."""
  RESULTS.mkdir(exist_ok=True)
  values = evaluation.to_dict()
  del values["spectra"]
  workdir.write_json(RESULTS / f"{name}.json", values)
  example = next(e for e in evaluation.examples if e.scale == 4.0)
  np.savez_compressed(
    ROOT / f"{name}.npz",
    time=example.time,
    lowres=example.lowres,
    highres=example.highres,
    **{f"by {model}": v for model, v in example.predictions.items()},
  )


def main() -> None:
  """Trains what is asked for, scores what there is, and draws the page."""
  from experiments.four_sciences import page, show

  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--only", help="runs to train, between commas")
  parser.add_argument("--score", action="store_true", help="train nothing")
  parser.add_argument("--commands", action="store_true", help="print them")
  arguments = parser.parse_args()
  if arguments.commands:
    print("\n".join(command(name) for name in RUNS))
    return
  if not arguments.score:
    only = arguments.only.split(",") if arguments.only else RUNS
    for name in only:
      train(name)
  for name in EXTRA:
    if not _is_done(name):
      continue
    _keep(name, score(name))
    if name in ELSEWHERE and pathlib.Path(ELSEWHERE[name][0]).exists():
      _keep(f"{name}_elsewhere", score(name, *ELSEWHERE[name]))
  page.write()
  show.write()


if __name__ == "__main__":
  main()
