"""Files of tables: ours, an .npz, and those of SR-LUT's authors, an .npy.

Ours holds each table as an array called by its path, and `manifest`, a text of
JSON: the model and its arguments (pattern, interval, interpolators, the values
of a field at the ends of its tables) and whence it is. NumPy reads both without
running anything.
"""

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

from flax import traverse_util
import numpy as np

from hinote_jax import models
from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.interop import checkpoints, reader, rules
from hinote_jax.io import files
from hinote_jax.models.lut import ensemble

_FORMAT = "hinote_jax tables 1"


def save(
  path: str | os.PathLike,
  name: str,
  kwargs: Mapping[str, Any],
  variables: Mapping[str, Any],
  *,
  provenance: str = "",
) -> None:
  """Writes the tables of a model, whole or not at all.

  Args:
    path: the file; .npy is the layout of SR-LUT's authors, for one table of
      theirs.
    name: of the model in `models.build`.
    kwargs: its keyword arguments.
    variables: {"params": ...}; tables of whole numbers are stored as bytes.
    provenance: of what and how they were made, and their licence.

  Raises:
    ValueError: the model is no table, or has no place in the layout.
  """
  path = pathlib.Path(path)
  if not kwargs.get("is_table"):
    raise ValueError(f"{name} is a network: tabulate it before")
  if path.suffix == ".npy":
    layout = f"{name}_table"
    tensors = checkpoints.to_tensors(name, kwargs, variables, layout=layout)
    with files.whole(path, ".npy") as partial:
      np.save(partial, _smallest(tensors["table"]))
    return
  manifest = {
    "format": _FORMAT,
    "model": {"name": name, **kwargs},
    "provenance": provenance,
  }
  flat: dict[str, Any] = dict(
    traverse_util.flatten_dict(dict(variables["params"]), sep="/")
  )
  arrays: dict[str, Any] = {
    at: _smallest(leaf, ensemble.STORED) for at, leaf in flat.items()
  }
  arrays[reader.MANIFEST] = np.asarray(json.dumps(manifest))
  with files.whole(path, ".npz") as partial:
    np.savez_compressed(partial, **arrays)


def _smallest(values: Array, unit: float = 1.0) -> np.ndarray:
  """Returns bytes where they are the same numbers over `unit`, else float32."""
  values = np.asarray(values, np.float32)
  entries = values * np.float32(unit)
  if np.all(np.abs(entries) <= 127) and np.all(entries == np.round(entries)):
    return entries.astype(np.int8)
  return values


def imported(contents: reader.Contents, **options: Any) -> checkpoints.Imported:
  """Returns the model that a file of ours holds.

  Args:
    contents: of the file.
    **options: arguments of the model that take the place of the file's.

  Raises:
    ValueError: it is of another format, or its tables are not those of the
      model that it names.
  """
  manifest, model = contents.spec, contents.spec.get("model")
  if manifest.get("format") != _FORMAT or not isinstance(model, dict):
    raise ValueError(
      f"its manifest says the format {manifest.get('format')!r}, and "
      f"{_FORMAT!r} is read here"
    )
  kwargs: dict[str, Any] = {**model, **options}
  name = str(kwargs.pop("name", ""))
  known = {n: s for n, s in models.specs().items() if s.is_tabulated}
  fields = naming.look_up("model of tables", name, known).function
  for argument in kwargs:
    naming.look_up(f"argument of {name}", argument, fields.__dataclass_fields__)
  try:
    expected = checkpoints.parameter_shapes(name, kwargs)
  except (TypeError, ValueError) as error:
    raise ValueError(f"its manifest makes no {name}: {error}") from error
  for at, shape in expected.items():
    given = contents.tensors.get(at, np.zeros(0)).shape
    if given != shape:
      raise ValueError(
        f"{at} has the shape {given}, and {shape} go with its pattern and an "
        f"interval of {kwargs.get('interval')}: give the whole table"
      )
  table = [rules.Rule(at, at, rules.as_is) for at in expected]
  tensors = {
    at: t / np.float32(ensemble.STORED) if t.dtype == np.int8 else t
    for at, t in contents.tensors.items()
  }
  params = rules.load(tensors, table, expected)
  return checkpoints.Imported(name, kwargs, {"params": params})
