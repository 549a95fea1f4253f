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
import pathlib
import subprocess
import sys

import numpy as np

from experiments import equal_time
from experiments.four_sciences import page, runs, show
from hinote_jax import models as zoo
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import scores
from hinote_jax.train import run_data, workdir


def train(name: str) -> None:
  """Trains a run in a process of its own, or goes on with it.

  Raises:
    CalledProcessError: it failed; it has said why.
  """
  if runs.is_done(name):
    return
  print(f"\n{runs.command(name)}", flush=True)
  # The table scores it; here it is enough to see that it can be scored.
  brief = ["--config.evaluate.scales=(4.0,)"]
  brief += ["--config.evaluate.against=('bicubic',)"]
  program = [sys.executable, "-m", "hinote_jax.main"]
  subprocess.run([*program, *runs.flags(name), *brief], check=True)


def _cost(name: str) -> dict:
  """Returns what a run is and what it took."""
  own = {
    "name": name,
    "model": runs.RUNS[name][1],
    "command": runs.command(name),
  }
  return own | equal_time.cost(runs.ROOT / name)


def score(
  name: str,
  path: str | None = None,
  scales: tuple[float, ...] = runs.SCALES,
) -> scores.Evaluation:
  """Scores a science's runs together, in the held-out part or elsewhere."""
  others = [n for n in runs.RUNS if n.startswith(f"{name}_")]
  others = [n for n in others if runs.is_done(n)]
  config = runs.config(name)
  config.evaluate.scales = scales
  config.evaluate.against = (
    *zoo.INTERPOLATIONS,
    *(str(runs.ROOT / n) for n in others),
  )
  config.evaluate.path = path
  folder = runs.ROOT / name
  evaluation = scoring.evaluate_run(
    config, folder, run_data.make(config, folder)
  )
  evaluation.header["runs"] = [_cost(n) for n in (name, *others)]
  return evaluation


def _keep(name: str, evaluation: scores.Evaluation) -> None:
  """Writes the scores beside this file, and fields for the page of figures."""
  runs.RESULTS.mkdir(exist_ok=True)
  values = evaluation.to_dict()
  del values["spectra"]
  workdir.write_json(runs.RESULTS / f"{name}.json", values)
  example = next(e for e in evaluation.examples if e.scale == 4.0)
  np.savez_compressed(
    runs.ROOT / f"{name}.npz",
    time=example.name,
    lowres=example.lowres,
    highres=example.highres,
    **{f"by {runs.label(m)}": v for m, v in example.predictions.items()},
  )


def main() -> None:
  """Trains what is asked for, scores what there is, and draws the page."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--only", help="runs to train and score, by commas")
  parser.add_argument("--score", action="store_true", help="train nothing")
  parser.add_argument("--commands", action="store_true", help="print them")
  arguments = parser.parse_args()
  if arguments.commands:
    print("\n".join(runs.command(name) for name in runs.RUNS))
    return
  only = arguments.only.split(",") if arguments.only else list(runs.RUNS)
  for name in [] if arguments.score else only:
    train(name)
  wanted = {runs.RUNS[name][0] for name in only}
  for name in runs.EXTRA:
    if name not in wanted or not runs.is_done(name):
      continue
    _keep(name, score(name))
    path, scales = runs.ELSEWHERE.get(name, ("", ()))
    if pathlib.Path(path).is_file():
      _keep(f"{name}_elsewhere", score(name, path, scales))
  page.write()
  show.write()


if __name__ == "__main__":
  main()
