"""How the attributes of a variable of a dataset say that it is packed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import packing

_KEYS = ("_FillValue", "missing_value", "scale_factor", "add_offset")
_UNSIGNED = "_Unsigned"


def packing_of(raw: Any) -> dict[str, Any]:
  """Returns the attributes that say how a variable was packed."""
  packed_as = {
    key: raw.attrs[key]
    for key in _KEYS
    if np.asarray(raw.attrs.get(key, "")).dtype.kind in "iuf"
  }
  is_told = _UNSIGNED in raw.attrs and raw.dtype.kind in "iu"
  return packed_as | ({_UNSIGNED: raw.attrs[_UNSIGNED]} if is_told else {})


def is_unsigned(packed_as: Mapping[str, Any]) -> bool:
  """Says whether signed numbers of a file stand for unsigned ones."""
  return str(packed_as.get("_Unsigned", "")).lower() == "true"


def variable_of(name: str, raw: Any) -> fields.Variable:
  """Returns what a dataset says of a variable and of its packing."""
  packed_as = packing_of(raw)
  is_turned = is_unsigned(packed_as)
  dtype = f"u{raw.dtype.itemsize}" if is_turned else raw.dtype.newbyteorder("=")
  return fields.Variable(
    name=name,
    units=str(raw.attrs.get("units", "")),
    attributes={k: v for k, v in raw.attrs.items() if k not in packed_as},
    dtype=str(np.dtype(dtype)),
    scale=_number(packed_as.get("scale_factor", 1.0)),
    offset=_number(packed_as.get("add_offset", 0.0)),
    fill=_fill(packed_as, raw.dtype),
  )


def _fill(packed_as: Mapping[str, Any], dtype: np.dtype) -> float | int | None:
  """Returns what stands for a missing value in a file of some type."""
  fill = packed_as.get("_FillValue", packed_as.get("missing_value"))
  if fill is None or not is_unsigned(packed_as):
    return None if fill is None else _number(fill)
  return np.asarray(_number(fill), dtype).view(f"u{dtype.itemsize}").item()


def missing_values(packed_as: Mapping[str, Any]) -> list[float | int]:
  """Returns the numbers of `missing_value`, of which there may be several."""
  return np.ravel(packed_as.get("missing_value", ())).tolist()


def _number(value: Any) -> float | int:
  """Returns the number, or the first of several, of an attribute."""
  return np.ravel(value)[0].item()


def packing_for(
  variable: fields.Variable, packed_as: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the attributes that say how a variable is to be packed.

  Args:
    variable: as it is to be written.
    packed_as: the attributes that it was read with; numbers that still hold
      stay as they were.
  """
  attributes, dtype = {}, stored_type(variable, packed_as)
  if dtype != np.dtype(variable.dtype):
    attributes["_Unsigned"] = packed_as["_Unsigned"]
  for key, value, none in (
    ("scale_factor", variable.scale, 1),
    ("add_offset", variable.offset, 0),
  ):
    if key in packed_as and _number(packed_as[key]) == value:
      attributes[key] = packed_as[key]
    elif value != none:
      attributes[key] = float(value)
  if variable.fill is None:
    return attributes
  names = [key for key in ("_FillValue", "missing_value") if key in packed_as]
  before = np.asarray(_fill(packed_as, dtype), np.float64)
  if names and np.array_equal(before, variable.fill, equal_nan=True):
    return attributes | {key: _as(packed_as[key], dtype) for key in names}
  fill = np.asarray(variable.fill, variable.dtype).view(dtype)
  return attributes | {"_FillValue": fill[()]}


def _as(value: Any, dtype: np.dtype) -> Any:
  """Returns the numbers of an attribute in another type, if that has them."""
  with np.errstate(invalid="ignore"):
    cast = np.asarray(value).astype(dtype)
  return cast[()] if np.array_equal(cast, value, equal_nan=True) else value


def stored_type(
  variable: fields.Variable, packed_as: Mapping[str, Any]
) -> np.dtype:
  """Returns the type in which a file holds a variable."""
  dtype = np.dtype(variable.dtype)
  is_turned = is_unsigned(packed_as) and dtype.kind == "u"
  return np.dtype(f"i{dtype.itemsize}") if is_turned else dtype


def plain(name: str, raw: Any) -> np.ndarray:
  """Returns the numbers of a variable unpacked, NaN where missing.

  They are of its own type where they are not packed.
  """
  variable = variable_of(name, raw)
  if variable.fill is None and variable.scale == 1 and variable.offset == 0:
    return raw.values
  return packing.unpack(raw.values, variable, np.float64)
