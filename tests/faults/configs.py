"""Configs with fields of random values: refused by their names, or they run.

A config of a user's own file holds anything. Every trial puts odd values into
one to three fields of one that trains; what is let through trains for a step.
"""

from collections.abc import Iterator
import copy
import math
import pathlib
import tempfile
from typing import Any

import ml_collections
import numpy as np

from configs import hinote
from hinote_jax.train import loop, schema
from tests import runs
from tests.faults.outcome import Outcome

_VALUES = (
  *(0, 1, 2, 3, 7, -1, 10**12, 2**70, True, False, None),
  *(0.0, 0.3, 1.5, -0.5, 1e30, math.nan, math.inf, -math.inf),
  *("", "abc", "1", "auto", "none", "jit", "bicubic", "bfloat16", "("),
  *(
    (),
    (0,),
    (1,),
    (8, 8),
    (0, 0),
    (-1, 3),
    (3, 4, 5),
    (1.5, 2.5),
    (2**40,) * 2,
  ),
  *(("bicubic",), ("a", 1), ((1,), (2,)), [8, 8], {}, {"a": 1}),
)
# One in so many of those that are let through trains: it takes seconds.
_TRAINED = 8


def _base(folder: pathlib.Path) -> dict[str, Any]:
  """Returns a config that trains for a step on fields in a folder."""
  path = folder / "fields.npy"
  if not path.exists():
    runs.write_fields(path)
  config = runs.tiny_config(path, folder / "cache").to_dict()
  every = hinote.get_config("smoke").to_dict()
  levels = dict(level_widths=(8,), level_blocks=(1,), level_convs=(0,))
  return config | {
    "loss": every["loss"] | {"name": config["loss"]["name"]},
    "optim": every["optim"],
    "model": every["model"] | config["model"] | levels,
    "steps": 1,
    "validate_every": 1,
  }


def _leaves(fields: dict[str, Any], path: tuple[str, ...] = ()):
  for name, value in fields.items():
    yield (*path, name)
    if isinstance(value, dict):
      yield from _leaves(value, (*path, name))


def _mutated(base: dict[str, Any], rng: np.random.Generator):
  """Returns a config with odd fields, and their paths."""
  fields, leaves = copy.deepcopy(base), list(_leaves(base))
  paths = []
  for k in rng.permutation(len(leaves))[: rng.integers(1, 4)]:
    *parts, last = leaves[k]
    part = fields
    for name in parts:
      part = part[name] if isinstance(part, dict) else None
      if not isinstance(part, dict):
        break
    else:
      name = last if rng.random() < 0.97 else f"{last}_"
      part[name] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
      paths.append(".".join((*parts, name)))
  return fields, paths


def _verdict(base, rng, workdir: pathlib.Path) -> tuple[str, str]:
  fields, paths = _mutated(base, rng)
  detail = ", ".join(paths)
  try:
    config = ml_collections.ConfigDict(fields)
  except Exception as error:  # ml_collections says what it will not hold
    return "refused", f"{detail}: {error}"
  try:
    schema.check(config)
    if rng.integers(_TRAINED) == 0:
      loop.train(config, workdir)
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    text = str(error)
    said = f"{detail}: {text[:200]}"
    if "\n" in text or not text.strip():
      return "wrong", f"not one sentence: {said}"
    parts = {word for path in paths for word in (path, *path.split("."))}
    return ("refused" if any(w in text for w in parts) else "wrong"), said
  except Exception as error:
    return "traceback", f"{detail}: {type(error).__name__}: {error}"[:300]
  return "right", detail


def trials(seed: int, count: int) -> Iterator[Outcome]:
  """Yields what becomes of random configs, each of its own seed."""
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    base = _base(root)
    for own in range(seed, seed + count):
      rng = np.random.default_rng(own)
      workdir = root / f"run{own}"
      verdict, detail = _verdict(base, rng, workdir)
      # A config that never passed the schema has made nothing.
      if verdict == "refused" and (workdir / "checkpoints").exists():
        verdict = "litter"
      yield Outcome("config", own, verdict, detail)
