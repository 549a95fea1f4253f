"""Which network of the package is of the fields of a file; none may be.

The names and the units of its variables must be those that the network learnt,
in values like those of training, on a place where there is what it was told of.
Where anything of that is open, an interpolation is the answer, which is right
for any field: a network that was not asked for must not be a guess.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import fields, io, shipped
from hinote_jax.data import normalise
from hinote_jax.infer import requests, units, upscaling
from hinote_jax.train import checkpoint

# How much wider or narrower than in training values may be spread.
_SPREAD = 100.0


class Choice(NamedTuple):
  """What makes fields finer where nobody said.

  Attributes:
    checkpoint: what `infer.load` takes.
    why: one sentence for people.
  """

  checkpoint: str
  why: str


def choose(asked: Sequence[requests.Request]) -> Choice:
  """Returns the first network of the package that fits all inputs.

  Args:
    asked: what is asked of each file, by any checkpoint.

  Raises:
    OSError: a file cannot be read.
    ValueError: it holds no fields.
  """
  first = asked[0].source
  more = f" and {len(asked) - 1} more" * (len(asked) > 1)
  reasons = {n: _unfit(_meta(n), asked) for n in shipped.networks()}
  fitting = [name for name, reason in reasons.items() if not reason]
  if not fitting:
    return Choice(
      shipped.FALLBACK,
      f"{first}{more}: made finer by {shipped.FALLBACK} interpolation, for "
      f"{_why_none(reasons, asked)}; --checkpoint takes another",
    )
  name, *others = fitting
  meta = _meta(name)
  own = ", ".join(
    f"{variable} [{quantity['units']}]"
    for variable, quantity in zip(
      meta["variables"], meta["quantities"], strict=True
    )
  )
  also = f"; {', '.join(others)} would fit, too" if others else ""
  return Choice(
    name,
    f"{first}{more}: made finer by {name}, a network of the package for "
    f"{own}{_left_out(meta, asked)}{also}; --checkpoint takes another",
  )


def _why_none(
  reasons: dict[str, str], asked: Sequence[requests.Request]
) -> str:
  """Returns why nothing fits: of the networks that know a variable, if any."""
  names = [v.name for v in upscaling.seen(asked[0].open().header)]
  near = [n for n in reasons if {*names} & {*_meta(n)["variables"]}]
  if near:
    return "; ".join(f"{name} {reasons[name]}" for name in near)
  own = ", ".join(names)
  known = f" ({', '.join(reasons)})" if reasons else ""
  return f"no network of the package{known} is of {own}"


def _meta(name: str) -> dict[str, Any]:
  """Returns what belongs with the weights of a network of the package."""
  folder = shipped.FOLDER / name
  metas = checkpoint.Checkpoints(folder, is_reader=True).metas()
  return metas[max(metas)]


def _left_out(meta: dict[str, Any], asked: Sequence[requests.Request]) -> str:
  others = {
    name
    for request in asked
    for name in request.open().header.names
    if name not in meta["variables"]
  }
  return f"; left out: {', '.join(sorted(others))}" if others else ""


def _unfit(meta: dict[str, Any], asked: Sequence[requests.Request]) -> str:
  """Returns why a network is not for these files, "" where it is."""
  for i, request in enumerate(asked):
    reason = _unlike_header(meta, request)
    if not reason and not i:
      reason = _unlike_values(meta, request.open(tuple(meta["variables"])))
    if reason:
      return reason + f" in {request.source}" * bool(i)
  return ""


def _unlike_header(meta: dict[str, Any], request: requests.Request) -> str:
  wanted = tuple(meta["variables"])
  whole_header = request.open().header
  if missing := [name for name in wanted if name not in whole_header.names]:
    return (
      f"is of {', '.join(wanted)} together, and the file lacks "
      f"{', '.join(missing)}"
    )
  if request.variables and request.variables != wanted:
    return f"is of {', '.join(wanted)}, in this order"
  header = request.open(wanted).header
  quantities = units.learnt(meta["quantities"], _normaliser(meta))
  for variable, learnt in zip(header.variables, quantities, strict=True):
    if not learnt.units:
      return f"learnt {variable.name} without a unit: nothing says it is alike"
    if not variable.units:
      return f"is of {learnt}, and the file gives {variable.name} no unit"
    try:
      units.conversion(variable, learnt)
    except (ValueError, ModuleNotFoundError) as error:
      return f"does not fit, for {error}"
  if meta.get("static") and not _is_on_earth(header):
    return "was told of the place, and the file does not say where it lies"
  return ""


def _is_on_earth(header: fields.Header) -> bool:
  is_globe = header.y.is_latitude and header.x.is_longitude
  return is_globe or bool(header.y.crs)


def _normaliser(meta: dict[str, Any]) -> normalise.Normaliser:
  return normalise.Normaliser.from_dict(meta["normaliser"])


def _unlike_values(meta: dict[str, Any], reader: io.Reader) -> str:
  """Returns what of the values is not as in training, "" where nothing is.

  Looked at are the first field, the last and that in the middle.
  """
  normaliser, variables = _normaliser(meta), reader.header.variables
  quantities = units.learnt(meta["quantities"], normaliser)
  count = len(reader)
  places = sorted({0, count // 2, count - 1}) if count else []
  if not places:
    return "cannot be compared with a file without fields"
  values = np.stack([reader.read(i) for i in places])
  for c, (variable, learnt) in enumerate(
    zip(variables, quantities, strict=True)
  ):
    scale, offset = units.conversion(variable, learnt)
    finite = values[..., c][np.isfinite(values[..., c])] * scale + offset
    spread = float(finite.std()) / normaliser.std[c] if finite.size else 0.0
    width = learnt.high - learnt.low
    is_near = finite.size and (
      finite.min() > learnt.low - width and finite.max() < learnt.high + width
    )
    if not is_near or not 1 / _SPREAD < spread < _SPREAD:
      actual = (
        f"from {finite.min():.3g} to {finite.max():.3g}"
        if finite.size
        else "none"
      )
      return f"learnt {learnt} and {variable.name} has {actual} in that unit"
  unlike = units.unlike(values[0], variables, meta.get("roughness", ()))
  return f"is not for a file that {unlike.partition(':')[0]}" if unlike else ""
