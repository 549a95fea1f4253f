"""Runs that train for the same time: a step is timed, then they are as long.

The time of a step is that of training itself, data and logging included,
compilation not. A statement about machines needs one on which nothing else
runs while steps are timed; training itself may then wait for others.
"""

import json
import pathlib
import shutil

import jax

from hinote_jax.evaluate import run as scoring
from hinote_jax.train import checkpoint, metric_log, run_data
from hinote_jax.train import loop as train

_PROBE = 40  # steps timed, after as many that warm up


def seconds_a_step(config, folder: pathlib.Path, probe: int = _PROBE) -> float:
  """Returns the seconds of a training step of a config.

  Args:
    config: of a run; left as it is.
    folder: of the run that is timed, made anew.
    probe: steps timed, after as many that warm up.
  """
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.steps = config.validate_every = 2 * probe
    config.log_every = probe
  shutil.rmtree(folder, ignore_errors=True)
  train.train(config, folder)
  lines = (folder / "timings.jsonl").read_text().splitlines()
  rates = [json.loads(line) for line in lines]
  ends = [line["step"] / line["steps_per_second"] for line in rates]
  return (ends[1] - ends[0]) / probe


def validation_error(config, folder: pathlib.Path) -> float:
  """Trains a run, or goes on with it; its last error, over bicubic's.

  Args:
    config: of a run; left as it is.
    folder: of the run.
  """
  config = config.copy_and_resolve_references()
  config.validate_every = config.steps
  train.train(config, folder)
  *_, last = (r for r in metric_log.read(folder) if checkpoint.BEST_KEY in r)
  return last[checkpoint.BEST_KEY]


def trained(config, folder: pathlib.Path) -> dict:
  """Trains a run, or goes on with it, and returns what it scores.

  Returns:
    steps, seconds of training, parameters, and rows of `evaluate.run`.
  """
  summary = train.train(config, folder)
  evaluation = scoring.evaluate_run(
    config, folder, run_data.make(config, folder)
  )
  variables, _ = checkpoint.load_variables(folder)
  return {
    "steps": config.steps,
    "seconds": summary["seconds"],
    "parameters": sum(x.size for x in jax.tree.leaves(variables)),
    "rows": evaluation.rows,
  }
