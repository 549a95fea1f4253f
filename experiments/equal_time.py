"""Runs that train for the same time: a step is timed, then they are as long.

The time of a step is that of the compiled step, without data, logging and
compilation. A statement about machines needs one on which nothing else runs
while steps are timed; training itself may then wait for others.
"""

from collections.abc import Mapping, Sequence
import functools
import pathlib
import statistics
from typing import Any

import jax

from benchmarks import case
from experiments import kept
from hinote_jax.evaluate import fields
from hinote_jax.evaluate import run as scoring
from hinote_jax.train import (
  checkpoint,
  metric_log,
  parallel,
  parts,
  run_data,
)
from hinote_jax.train import loop as train


def seconds_in_turns(
  configs: Mapping[str, Any], folder: pathlib.Path, turns: int = 20
) -> dict[str, float]:
  """Returns name -> the seconds of a compiled step, all in turns, medians.

  What slows the machine for a while slows all alike.

  Args:
    configs: of runs, by name.
    folder: where nothing was trained; nothing is written but caches of data.
    turns: how many steps of each are timed, after one that warms up.
  """
  steps = {name: _step(config, folder) for name, config in configs.items()}
  rows = case.in_turns(list(steps.values()), turns)
  columns = map(statistics.median, zip(*rows, strict=True))
  return dict(zip(steps, columns, strict=True))


def keep_seconds(
  results: kept.Kept, configs: Mapping[str, Any], folder: pathlib.Path
) -> None:
  """Times steps in turns and keeps them, unless all are kept already.

  Where some are kept, those of another hour or machine, the others are kept as
  so many times those: all configs take their turns once more.

  Args:
    results: where the seconds are kept, as "seconds_a_step".
    configs: of runs, by the names they are kept by.
    folder: as of `seconds_in_turns`.
  """
  known = results.read()["seconds_a_step"]
  if all(name in known for name in configs):
    return
  timed = seconds_in_turns(configs, folder)
  then = [known[name] / timed[name] for name in configs if name in known]
  scale = statistics.median(then or [1.0])
  for name, seconds in timed.items():
    results.once(
      "seconds_a_step", name, functools.partial(float, seconds * scale)
    )


def _step(config, folder):
  """Returns what takes a step."""
  run = parts.make(config, folder)
  batch, program = run.batch(0), run.step()
  state = parallel.put_state(run.state, config.parallel)

  def take():
    nonlocal state
    state, metrics = program(state, batch)
    return metrics

  return take


def validation_error(config, folder: pathlib.Path) -> float:
  """Trains a run, or goes on with it; its last error, over bicubic's.

  Args:
    config: of a run, which validates at its end at least.
    folder: of the run.
  """
  train.train(config, folder)
  *_, last = (r for r in metric_log.read(folder) if checkpoint.BEST_KEY in r)
  return last[checkpoint.BEST_KEY]


def cost(folder: pathlib.Path) -> dict[str, Any]:
  """Returns what a run that was trained is and took.

  Returns:
    steps, best_step, seconds, waiting (for data, a fraction), parameters.
  """
  *_, last = metric_log.read(folder, metric_log.TIMINGS)
  variables, meta = checkpoint.load_variables(folder)
  return {
    "steps": last["step"],
    "best_step": int(meta["step"]),
    "seconds": last["step"] / last["steps_per_second"],
    "waiting": last["fraction_waiting_for_data"],
    "parameters": sum(int(x.size) for x in jax.tree.leaves(variables)),
  }


def trained(config, folder: pathlib.Path) -> dict:
  """Trains a run, or goes on with it, and returns what it scores.

  Returns:
    steps, parameters, and rows of `evaluate.run`.
  """
  train.train(config, folder)
  return {
    "steps": config.steps,
    "parameters": cost(folder)["parameters"],
    "rows": rows(config, folder),
  }


def rows(config, folder: pathlib.Path) -> list[dict]:
  """Returns what a run that was trained scores, as `evaluate.run` has it."""
  data = run_data.make(config, folder)
  return scoring.evaluate_run(config, folder, data).rows


def held_out(
  predictors: Mapping[str, Any],
  data: run_data.RunData,
  scales: Sequence[float],
  *,
  dataset: Any = None,
  degradation: Any = None,
) -> list[dict]:
  """Returns what predictors score on a run's test part, as `fields.evaluate`.

  Args:
    predictors: name -> function of (lowres, shape=).
    data: of the run.
    scales: how many times coarser the inputs are.
    dataset: the same fields, told of their place; None: as they are.
    degradation: of the inputs; None is that of the run.
  """
  return fields.evaluate(
    predictors,
    dataset or data.dataset,
    data.split.test,
    degradation=scoring.InNormalised(
      degradation or data.degradation, data.normaliser
    ),
    scales=scales,
    data_range=data.normaliser.data_range,
  ).rows
