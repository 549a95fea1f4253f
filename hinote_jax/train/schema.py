"""What may stand in a config: checked whole, before anything is made.

The types of a part's fields are those of the function that takes them: the
source of the data, the model, the loss, the optimiser. What is said here is
the types of the rest, and ranges. None stands for a default where there is one.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
import inspect
import json
import math
import numbers
import os
import pathlib
import re
import types
import typing
from typing import Any

import jax
import numpy as np

from hinote_jax import data as datasets
from hinote_jax import degradations, losses, models, shipped
from hinote_jax.core import grids, naming
from hinote_jax.data import splits, static
from hinote_jax.degradations import linear
from hinote_jax.io import inputs
from hinote_jax.losses import terms
from hinote_jax.train import (
  config_fields,
  contract,
  host_memory,
  optim,
  parallel,
)
from hinote_jax.train import workdir as workdirs


def check(config: Any) -> None:
  """Checks every field of a config by type, range and shape.

  Raises:
    ValueError: a field is unknown, or what it holds is not for it.
  """
  fields = config.to_dict()
  parts = _parts(fields)
  _require_known("config", fields, {**config_fields.RUN, **parts})
  for name, kind in config_fields.RUN.items():
    _check_field(name, fields.get(name), kind)
  for name in config_fields.REQUIRED:
    part, _, last = name.rpartition(".")
    if (fields[part] if part else fields).get(last) is None:
      raise ValueError(f"config.{name} must be given")
  for part, kinds in parts.items():
    given = {n: value for n, value in fields[part].items() if value is not None}
    _require_known(f"config.{part}", given, kinds)
    for name, value in given.items():
      _check_field(f"{part}.{name}", value, kinds[name])
  _check_names(config)
  _check_model(config)


def _parts(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
  """Returns part -> field -> type."""
  for part in (
    "data",
    "split",
    "windows",
    "model",
    "loss",
    "optim",
    "evaluate",
  ):
    if not isinstance(fields.get(part), Mapping):
      raise ValueError(
        f"config.{part} has fields of its own, got {fields.get(part)!r}"
      )
  named = {}
  for part in ("data", "model", "loss"):
    named[part] = fields[part].get("name")
    if not isinstance(named[part], str):
      raise ValueError(f"config.{part}.name is a text, got {named[part]!r}")
  with _naming("config.data.name"):
    source = datasets.maker(named["data"].partition(":")[0])
  with _naming("config.model.name"):
    build = models.spec(named["model"]).function
    module = type(models.build(named["model"]))
  with _naming("config.loss.name"):
    loss = type(losses.build(named["loss"]))
  model = {**_taken(module), **_taken(build), "name": str, "dtype": str}
  model["consistent"] = bool
  if "residual_scale" in model:
    model["residual_scale"] |= str  # "auto"
  return {
    "data": {**_taken(source), **config_fields.DATA},
    "split": _taken(splits.stored_or_new, "path", "dataset"),
    "windows": config_fields.WINDOWS,
    "model": model,
    "loss": {**_taken(loss), "name": str, "terms": str},
    "optim": _taken(optim.build, "steps"),
    "evaluate": config_fields.EVALUATE,
  }


class _naming:
  """Says which field an error is of."""

  def __init__(self, field: str):
    self._field = field

  def __enter__(self):
    pass

  def __exit__(self, _, error, __):
    if isinstance(error, ValueError | ImportError | AttributeError | TypeError):
      raise ValueError(f"{self._field}: {inputs.line(error)}") from error


def _taken(function: Callable, *own: str) -> dict[str, Any]:
  """Returns the types of the arguments of a function, but for its `own`."""
  return {
    name: parameter.annotation
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind is not parameter.VAR_KEYWORD and name not in own
  }


def _require_known(part: str, fields: Mapping[str, Any], known: Any) -> None:
  for name in fields:
    naming.look_up(f"field of {part}", name, known)


def _check_field(name: str, value: Any, kind: Any) -> None:
  if value is None:
    return
  if not _fits(value, kind):
    raise ValueError(f"config.{name} is {_words(kind)}, got {value!r}")
  if isinstance(value, Mapping):
    for inner, part in value.items():
      _check_field(f"{name}.{inner}", part, Any)
    return
  if not isinstance(value, list | tuple):
    if wrong := _wrong(name, value):
      raise ValueError(f"config.{name} must be {wrong}, got {value}")
    return
  *_, last = name.split(".")
  for one in value:
    if wrong := _wrong(name, one):
      raise ValueError(
        f"config.{name}: a {last.removesuffix('s')} must be {wrong}, got {one}"
      )


def _wrong(name: str, value: Any) -> str:
  """Returns what a number has to be and is not."""
  if not isinstance(value, int | float | np.number):
    return ""
  if isinstance(value, numbers.Integral):
    if abs(int(value)) >= 2**63:  # no array holds it
      return "below 2**63, or written with a point"
  elif not math.isfinite(value):
    return "a finite number"
  for allowed in config_fields.RANGES:
    if re.fullmatch(allowed.fields, name):
      return allowed.wrong(value)
  if isinstance(value, int) and value < 0:
    return "at least 0"
  return ""


def _fits(value: Any, kind: Any) -> bool:
  """Says whether a value is of a type; of an unknown one it is."""
  origin, inner = typing.get_origin(kind), typing.get_args(kind)
  if origin in (typing.Union, types.UnionType):
    return any(_fits(value, one) for one in inner)
  if kind is bool or isinstance(value, bool):
    return isinstance(value, bool) and kind in (bool, Any)
  if kind is int:
    return isinstance(value, numbers.Integral)
  if kind is float:
    return isinstance(value, numbers.Real)
  if kind is str:
    return isinstance(value, str)
  if origin is tuple and inner[-1:] != (...,):
    return (
      isinstance(value, list | tuple)
      and len(value) == len(inner)
      and all(map(_fits, value, inner))
    )
  if origin in (tuple, Sequence):
    is_list = isinstance(value, list | tuple)
    return is_list and all(_fits(one, inner[0]) for one in value)
  if origin is Mapping:
    return isinstance(value, Mapping)
  if kind is type(None):
    return value is None
  if kind in (os.PathLike, pathlib.Path):
    return isinstance(value, str | os.PathLike)
  return True


def _words(kind: Any) -> str:
  """Returns what a type is called."""
  origin, inner = typing.get_origin(kind), typing.get_args(kind)
  if origin in (typing.Union, types.UnionType):
    words = [_words(one) for one in inner if one is not type(None)]
    return " or ".join(dict.fromkeys(words))
  if origin is tuple and inner[-1:] != (...,):
    return f"{len(inner)} of {_words(inner[0])}"
  if origin in (tuple, Sequence):
    return f"a list of {_words(inner[0])}"
  names = {int: "a whole number", float: "a number", bool: "True or False"}
  return names.get(kind, "a text")


def _check_names(config: Any) -> None:
  """Checks what stands for something by its name or in a language."""
  naming.look_up(
    "way in config.parallel", config.parallel, dict.fromkeys(parallel.MODES)
  )
  for part in ("validation", "test", "train"):
    size = config.split.get(part)
    is_part = isinstance(size, float) and size > 1 and not size.is_integer()
    if is_part or isinstance(size, list | tuple | str) and not size:
      raise ValueError(
        f"config.split.{part} must be whole, below 1, a date or names, got "
        f"{size!r}"
      )
  with _naming("config.degradation"):
    degradation = degradations.parse(config.degradation)
  if config.evaluate.get("consistent") and not degradation.is_linear:
    raise ValueError(
      f"config.evaluate.consistent: {degradation} takes magnitudes and cannot "
      "be undone; set it to False"
    )
  if not config.evaluate.scales:
    raise ValueError("config.evaluate.scales must be at least 1, got 0")
  for name in config.evaluate.against:
    if not pathlib.Path(shipped.resolved(name)).is_dir():
      naming.look_up(
        "interpolation or workdir in config.evaluate.against",
        name,
        dict.fromkeys((*models.INTERPOLATIONS, *shipped.networks())),
      )
  if config.loss.get("terms"):
    with _naming("config.loss.terms"):
      terms.parse(config.loss.terms)
  if config.evaluate.get("metrics"):
    with _naming("config.evaluate.metrics"):
      naming.entry(config.evaluate.metrics)
  for pattern in config.optim.get("frozen") or ():
    try:
      re.compile(pattern)
    except re.error as error:
      raise ValueError(
        f"config.optim.frozen: {pattern!r} is no regular expression ({error})"
      ) from error
  dtypes = (None, "float32", "bfloat16", "float16")
  if (dtype := config.model.get("dtype")) not in dtypes:
    raise ValueError(
      f"config.model.dtype is float32, bfloat16 or float16, got {dtype!r}"
    )


def _check_model(config: Any) -> None:
  """Follows the shapes through the model, and counts what they need."""
  names = config.data.get("variables") or ()
  channels = 1 if isinstance(names, str) else max(len(names), 1)
  arguments = workdirs.set_fields(config.model) | dict(channels=channels)
  told = static.count(config.data.get("static") or (), channels)
  if told and models.spec(config.model.name).is_of_one_variable:
    raise ValueError(
      f"config.data.static: {config.model.name} takes one channel, and these "
      f"are {told} beside it; leave them out"
    )
  if told:
    arguments["static_units"] = [1.0] * told
  if arguments.get("residual_scale") == "auto":
    arguments["residual_scale"] = [1.0] * channels
  if arguments.pop("consistent", False):
    with _naming("config.model.consistent"):
      arguments["consistent"] = linear.ending(config.degradation)
  window, queries = config.windows.window, config.windows.queries
  try:
    parameters = _parameters(
      json.dumps(arguments), tuple(window), tuple(queries)
    )
  # Whatever a network says of settings that do not go together.
  except Exception as error:
    settings = ", ".join(f"{k}={v}" for k, v in arguments.items())
    raise ValueError(
      f"config.model: no network can be made of {settings} for windows of "
      f"{tuple(window)} and queries of {tuple(queries)} "
      f"({type(error).__name__}: {inputs.line(error)})"
    ) from error
  # The state has four of each; three batches are under way.
  points = math.prod(window) + math.prod(queries)
  batches = 3 * config.batch_size * points * (channels + told)
  needed, memory = 4 * (4 * parameters + batches), host_memory.total()
  if needed > memory:
    raise ValueError(
      f"config.batch_size, config.windows and config.model need at least "
      f"{needed / 1e9:.3g} GB, {batches / 2.5e8:.3g} GB of it for batches, and "
      f"this machine has {memory / 1e9:.3g} GB: lower them"
    )


@functools.cache
def _parameters(
  arguments: str, window: config_fields.Pair, queries: config_fields.Pair
) -> int:
  """Returns how many numbers the variables of a model are."""
  settings = json.loads(arguments)
  module = models.build(**settings)
  channels = settings["channels"]

  def array(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, np.float32)

  batch = {
    "lowres": array(1, *window, channels),
    "coords": grids.Axes(array(1, queries[0]), array(1, queries[1])),
    "cell": array(1, 2),
  }
  if models.spec(settings["name"]).extras:
    return 0  # what they look like is the data's to say
  told = len(settings.get("static_units", ()))
  batch["static"] = dict(
    fine=array(1, *queries, told), coarse=array(1, *window, told)
  )
  spec = models.spec_of(settings)
  init = functools.partial(contract.init, module, spec=spec)
  every = jax.eval_shape(init, jax.random.key(0), batch)
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(every))
