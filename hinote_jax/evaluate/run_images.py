"""A run that evaluates networks on images; see configs/images.py."""

import importlib.metadata
import os
import pathlib
from typing import Any

import jax

from hinote_jax import infer, interop, models, shipped
from hinote_jax.core import naming
from hinote_jax.evaluate import (
  image_sets,
  images,
  protocols,
  report,
  report_images,
)
from hinote_jax.infer import units
from hinote_jax.train import workdir as workdirs


def train_and_evaluate(
  config: workdirs.Config, workdir: str | os.PathLike
) -> None:
  """Refuses: there is nothing to train."""
  raise ValueError(
    "this config evaluates networks on images and trains none: "
    "add --mode=evaluate"
  )


def evaluate(
  config: workdirs.Config, workdir: str | os.PathLike
) -> pathlib.Path:
  """Evaluates checkpoints and interpolations on images, and says the scores.

  Args:
    config: of configs/images.py.
    workdir: folder of the report, made where it is missing.

  Returns:
    The path of report.md.

  Raises:
    ValueError: the config cannot be run, or the workdir is of another one.
    OSError: the images or a checkpoint are not there, or cannot be read.
  """
  _check(config)
  workdir = workdirs.check(workdir, config)
  is_leader = jax.process_index() == 0
  image_set = image_sets.load(**workdirs.set_fields(config.data))
  predictors, paths = _predictors(config)
  evaluation = images.evaluate(
    predictors,
    image_set,
    protocol=config.protocol,
    scales=config.scales,
    header={
      "checkpoints": paths,
      "command": workdirs.command(),
      "versions": _versions(),
    },
    progress=is_leader,
  )
  if not is_leader:
    return workdir / "report.md"
  workdirs.claim(workdir, config)
  path = report.write(workdir, evaluation)
  print(f"\n{report_images.summary(evaluation)}\n\nreport:  {path}")
  return path


def _check(config: workdirs.Config) -> None:
  """Refuses what would fail later, before anything is begun."""
  protocols.look_up(config.protocol)
  for name in config.against:
    naming.look_up("interpolation", name, dict.fromkeys(models.INTERPOLATIONS))
  if config.normalisation is not None:
    naming.look_up("normalisation", config.normalisation, units.NORMALISERS)
  for scale in config.scales:
    if not 1.0 <= scale < float("inf"):
      raise ValueError(f"config.scales: a scale below 1, {scale}")


def _predictors(
  config: workdirs.Config,
) -> tuple[dict[str, infer.Predictor], dict[str, str]]:
  """Returns name -> predictor, and name -> path of those that have one."""
  checkpoints = config.checkpoint
  checkpoints = (
    (checkpoints,) if isinstance(checkpoints, str) else tuple(checkpoints)
  )
  short = [pathlib.Path(path).stem or path for path in checkpoints]
  # Of published files; runs and interpolations have none.
  options = dict(map(interop.parse_option, config.options))
  options["normalisation"] = config.normalisation
  loaded, paths = {}, {}
  for path, stem in zip(checkpoints, short, strict=True):
    name = stem if short.count(stem) == 1 else path
    is_file = pathlib.Path(shipped.resolved(path)).is_file()
    loaded[name] = infer.load(path, **(options if is_file else {}))
    if path not in models.INTERPOLATIONS:
      paths[name] = path
  for name in config.against:
    loaded.setdefault(name, infer.load(name))
  return loaded, paths


def _versions() -> dict[str, Any]:
  return workdirs.versions() | {"pillow": importlib.metadata.version("pillow")}
