"""The folder of a run: its config, its versions; runs are never mixed."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from absl import logging
import jax
import ml_collections

from hinote_jax.io import files
from hinote_jax.train import checkpoint

if TYPE_CHECKING:
  Config = Any  # its fields have no static types
else:
  Config = ml_collections.ConfigDict

CONFIG = "config.json"
VERSIONS = "versions.json"
_LOCK = ".lock"
# How a run is carried out, and not what it is of: these may change.
_CARRIED_OUT = ("accumulate", "parallel", "query_devices", "remat")
_CARRIED_OUT += ("saves_behind", "skip_limit", "loss_scale")
_PACKAGES = ("hinote_jax", "jax", "jaxlib", "flax", "optax", "numpy")


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON whole or not at all."""
  files.write_text(path, json.dumps(value, indent=2) + "\n")


def plain(config: Config) -> dict[str, Any]:
  """Returns a config as what JSON gives back: tuples are lists."""
  return json.loads(json.dumps(config.to_dict()))


def set_fields(part: Config) -> dict[str, Any]:
  """Returns a part of a config without the fields left at None."""

  def of(fields: dict[str, Any]) -> dict[str, Any]:
    return {
      name: of(value) if isinstance(value, dict) else value
      for name, value in fields.items()
      if value is not None
    }

  return of(part.to_dict())


def command() -> str:
  """Returns the command of this run; the one that prints its numbers again."""
  return shlex.join(["python", "-m", "hinote_jax.main", *sys.argv[1:]])


def versions() -> dict[str, str]:
  """Returns the versions a result depends on."""
  versions_ = {"python": platform.python_version()}
  for package in _PACKAGES:
    try:
      versions_[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      versions_[package] = "not installed"
  return versions_


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
  if not isinstance(value, dict):
    return {prefix: value}
  flat = {}
  for key, inner in value.items():
    flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
  return flat


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
  """Returns the fields in which two configs differ, one phrase each."""
  ours, theirs = _flat(ours), _flat(theirs)
  missing = "(absent)"
  return [
    f"{name}: {theirs.get(name, missing)!r} there, "
    f"{ours.get(name, missing)!r} now"
    for name in sorted(ours | theirs)
    if ours.get(name) != theirs.get(name)  # a field that is new is None
  ]


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
  """Returns a config in which a preset has the name that it has now."""
  model = config.get("model") or {}
  if (model.get("name"), model.get("preset")) != ("hinote", "default"):
    return config
  return config | {"model": model | {"preset": "levels"}}


def check(
  workdir: str | os.PathLike,
  config: Config,
  *,
  apart_from: str | None = None,
) -> pathlib.Path:
  """Makes the folder where it is missing; checks that a run may go in it.

  What says how a run is carried out may differ from what the folder is of, and
  the size of a batch where that of the folder does not divide among the
  devices there are.

  Args:
    workdir: the folder.
    config: of the run.
    apart_from: a part of the config in which the folder's own may differ.

  Raises:
    OSError: the folder cannot be written.
    ValueError: the folder is of a run with another config.
  """
  path = pathlib.Path(workdir)
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise OSError(
      f"cannot write in workdir {str(path)!r} ({error.strerror}): "
      "choose another with --workdir"
    ) from error
  theirs = _stored_config(path)
  if theirs is not None:
    ours, free = plain(config), {apart_from, *_CARRIED_OUT}
    if theirs.get("batch_size", 1) % jax.device_count():
      free.add("batch_size")
    ours, theirs = (
      {
        name: part
        for name, part in _renamed(config).items()
        if name not in free
      }
      for config in (ours, theirs)
    )
    changed = differences(ours, theirs)
    if changed:
      raise ValueError(
        f"workdir {str(path)!r} is of a run with another config "
        f"({'; '.join(changed)}): choose another workdir or that config"
      )
  return path


def claim(path: pathlib.Path, config: Config) -> None:
  """Writes what the folder is of, once everything else is known to be sound.

  What killed runs have left in it is removed.
  """
  for folder in (path, path / "figures"):
    files.tidy(folder)
  write_json(path / CONFIG, plain(config))
  write_json(path / VERSIONS, versions())


def held(path: pathlib.Path) -> contextlib.AbstractContextManager[None]:
  """Keeps other processes from training in a folder; to be entered.

  Raises:
    FileExistsError: another one does, once it is entered.
  """
  return files.locked(
    path / _LOCK,
    f"another process trains in workdir {str(path)!r}: wait for it, or choose "
    "another with --workdir",
  )


def _stored_config(path: pathlib.Path) -> dict[str, Any] | None:
  """Returns the config of a folder; None where there is none, or damaged.

  Each checkpoint has it under its digest; the file is for people, and for runs
  without a checkpoint yet.
  """
  with checkpoint.Checkpoints(path, is_reader=True) as checkpoints:
    stored = [
      meta["config"]
      for meta in checkpoints.metas().values()
      if "config" in meta
    ]
  if stored:
    return stored[-1]
  try:
    return json.loads((path / CONFIG).read_text())
  except FileNotFoundError:
    return None
  except (OSError, ValueError, RecursionError) as error:
    logging.warning("%s is damaged: %s", path / CONFIG, error)
    return None


def read_config(workdir: str | os.PathLike) -> dict[str, Any]:
  """Returns a run's config.

  Raises:
    FileNotFoundError: the folder is not of a run.
    ValueError: its config is damaged, and there is no checkpoint with it.
  """
  path = pathlib.Path(workdir)
  config = _stored_config(path)
  if config is None and (path / CONFIG).exists():
    raise ValueError(
      f"{path / CONFIG} is damaged: write in it what the run was started with, "
      "or start afresh in another folder"
    )
  if config is None:
    raise FileNotFoundError(
      f"{str(workdir)!r} is not the workdir of a run: it has no {CONFIG}"
    )
  return config
