"""Errors over bicubic's, of what the runs of a set scored."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.peers import plan
from hinote_jax.evaluate import scores


def ratios(run: Mapping[str, Any]) -> dict[str, dict[float, float]]:
  """Returns model -> scale -> MSE over bicubic's, mean over variables."""
  made: dict[str, dict[float, list[float]]] = {}
  for model, errors in scores.over_baseline(run["rows"]).items():
    for (_, scale), error in errors.items():
      made.setdefault(model, {}).setdefault(scale, []).append(error)
  return {
    model: {scale: float(np.mean(each)) for scale, each in own.items()}
    for model, own in made.items()
  }


def seeds(
  known: Mapping[str, Any], model: str, way: str, suffix: str = ""
) -> list[dict]:
  """Returns scale -> error of a model, a table a seed that is there.

  Args:
    known: of a set's file.
    model: of the set.
    way: of `plan.WAYS`.
    suffix: `consistent.SUFFIX` for answers that were made to meet their input.
  """
  there = [known["runs"].get(key) for key in keys(model, way)]
  scored = [ratios(run) for run in there if run]
  return [run[model + suffix] for run in scored if model + suffix in run]


def keys(model: str, way: str) -> list[str]:
  """Returns the runs of a model: a peer's are the same either way."""
  way = way if model == "hinote" else "time"
  return [f"{model} {way} {seed}" for seed in plan.SEEDS]


def inside(errors: Mapping[float, float]) -> float:
  """Returns the mean over x2 to x4."""
  return float(np.mean([errors[scale] for scale in plan.INSIDE]))


def means(
  name: str, known: Mapping[str, Any], way: str, suffix: str = ""
) -> dict[str, list[float]]:
  """Returns model -> its error, mean over x2 to x4, a number a seed."""
  errors = {
    model: [inside(seed) for seed in seeds(known, model, way, suffix)]
    for model in plan.SETS[name].models
  }
  return {model: values for model, values in errors.items() if values}
