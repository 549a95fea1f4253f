"""How the attributes of a variable say that it is packed, and what is missing.

One notion for NetCDF, Zarr and HDF5, that of the CF conventions: missing is
`_FillValue`, every number of `missing_value`, what lies outside of
`valid_range`, `valid_min` and `valid_max`, which are packed numbers, and where
no `_FillValue` is given what the NetCDF library fills with. Numbers may be
written as text.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import packing

_FILLS = ("_FillValue", "missing_value")
_SCALES = ("scale_factor", "add_offset")
_BOUNDS = ("valid_min", "valid_max")
_RANGE = "valid_range"
_KEYS = (*_FILLS, *_SCALES, *_BOUNDS, _RANGE)
_UNSIGNED = "_Unsigned"
# Of the values that were there before.
_STALE = ("actual_range",)
# Of an encoding: whether the NetCDF library has filled what was not written.
IS_FILLED = "is_filled"
_FLOAT_FILL = 9.969209968386869e36
_DEFAULT_FILLS = {
  "i2": -32767,
  "i4": -2147483647,
  "i8": -9223372036854775806,
  "u2": 65535,
  "u4": 4294967295,
  "u8": 18446744073709551614,
  "f4": _FLOAT_FILL,
  "f8": _FLOAT_FILL,
}


def default_fill(dtype: np.dtype) -> float | int | None:
  """Returns what NetCDF fills with; None for bytes, which all are values."""
  return _DEFAULT_FILLS.get(f"{dtype.kind}{dtype.itemsize}")


def packing_of(raw: Any, where: object = "") -> dict[str, Any]:
  """Returns the attributes that say how a variable was packed.

  Args:
    raw: has `attrs`, `dtype` and `encoding`, as a variable of xarray.
    where: file and variable, for messages.

  Raises:
    ValueError: a scale or an offset is no number, or the scale is 0.
  """
  packed_as = {
    key: raw.attrs[key] for key in _KEYS if _numbers(raw.attrs.get(key))
  }
  for key in _SCALES:
    value = raw.attrs.get(key)
    is_odd = key not in packed_as and isinstance(value, str | bytes) and value
    if is_odd or (key == _SCALES[0] and _number(packed_as.get(key, 1)) == 0):
      raise ValueError(
        f"{where} has the {key} {value!r}, by which nothing can be unpacked: "
        "correct the attribute"
      )
  if not set(_FILLS) & set(packed_as) and _filled_with(raw) is not None:
    fill = np.nan if raw.dtype.kind == "f" else _filled_with(raw)
    packed_as[_FILLS[0]] = np.asarray(fill, raw.dtype)[()]
  is_given = _UNSIGNED in raw.attrs and raw.dtype.kind in "iu"
  return packed_as | ({_UNSIGNED: raw.attrs[_UNSIGNED]} if is_given else {})


def _filled_with(raw: Any) -> float | int | None:
  """Returns what the library has put where nothing was written, if it has."""
  is_filled = raw.encoding.get(IS_FILLED) and _FILLS[0] not in raw.attrs
  return default_fill(raw.dtype) if is_filled else None


def is_unsigned(packed_as: Mapping[str, Any]) -> bool:
  """Says whether signed numbers of a file stand for unsigned ones."""
  return str(packed_as.get(_UNSIGNED, "")).lower() == "true"


def numbers(raw: np.ndarray, packed_as: Mapping[str, Any]) -> np.ndarray:
  """Returns the numbers of a file, unsigned ones where they stand for these."""
  return raw.view(f"u{raw.itemsize}") if is_unsigned(packed_as) else raw


def variable_of(name: str, raw: Any, where: object = "") -> fields.Variable:
  """Returns what a file says of a variable and of its packing.

  Args:
    name: of the variable.
    raw: as of `packing_of`.
    where: the file, for messages.

  Raises:
    ValueError: as of `packing_of`.
  """
  packed_as = packing_of(raw, f"{where}: {name!r}")
  is_turned = is_unsigned(packed_as)
  dtype = f"u{raw.dtype.itemsize}" if is_turned else raw.dtype.newbyteorder("=")
  dtype, known = np.dtype(dtype), {*packed_as, *_STALE, *_FILLS, *_SCALES}
  missing: list[float | int] = [
    _as_unsigned(number, dtype) if is_turned else number
    for key in _FILLS
    for number in _numbers(packed_as.get(key))
  ]
  valid = _valid(packed_as, dtype)
  if not missing and valid != (None, None) and dtype.kind in "iu":
    missing = _beyond(valid, dtype)
  if (default := _filled_with(raw)) is not None:
    missing.append(default)
  # NaN needs no telling.
  fill = missing[0] if missing and missing[0] == missing[0] else None
  others = [n for n in dict.fromkeys(missing) if n == n and n != fill]
  return fields.Variable(
    name=name,
    units=str(raw.attrs.get("units", "")),
    attributes={k: v for k, v in raw.attrs.items() if k not in known},
    dtype=str(dtype),
    scale=_number(packed_as.get("scale_factor", 1.0)),
    offset=_number(packed_as.get("add_offset", 0.0)),
    fill=fill,
    missing=tuple(others),
    valid=valid,
  )


def _valid(packed_as: Mapping[str, Any], dtype: np.dtype) -> tuple[Any, Any]:
  """Returns the lowest and the highest valid number of a file, as packed.

  Where packed integers come with bounds of a floating type these are of the
  unpacked values, as the NetCDF Users Guide has it.
  """
  bounds = [(_numbers(packed_as.get(key)) or [None])[0] for key in _BOUNDS]
  if len(_numbers(packed_as.get(_RANGE))) == 2:
    bounds = _numbers(packed_as[_RANGE])
  bounds = [b if b is not None and np.isfinite(b) else None for b in bounds]
  if dtype.kind in "iu" and any(isinstance(b, float) for b in bounds):
    scale = _number(packed_as.get(_SCALES[0], 1.0))
    offset = _number(packed_as.get(_SCALES[1], 0.0))
    exact = [None if b is None else (b - offset) / scale for b in bounds]
    low, high = exact if scale > 0 else exact[::-1]
    # To a millionth of a step: the packed number that rounding has moved.
    low = None if low is None else int(np.ceil(low - 1e-6))
    high = None if high is None else int(np.floor(high + 1e-6))
    bounds = [low, high]
  elif is_unsigned(packed_as):
    bounds = [b if b is None else _as_unsigned(b, dtype) for b in bounds]
  low, high = bounds
  if low is not None and high is not None and not low <= high:
    return None, None
  return low, high


def _beyond(valid: tuple[Any, Any], dtype: np.dtype) -> list[Any]:
  """Returns an integer that is not valid, to stand for what is missing."""
  low, high = valid
  limits, default = np.iinfo(dtype), default_fill(dtype)
  wanted = ([] if default is None else [int(default)]) + [
    int(limits.max),
    int(limits.min),
  ]
  return [
    n
    for n in wanted
    if (low is not None and n < low) or (high is not None and n > high)
  ][:1]


def _numbers(value: Any) -> list[float | int]:
  """Returns the numbers of an attribute, of its text too; [] if it has none."""
  array = np.asarray(value)
  if array.dtype.kind in "iuf":
    return [n for n in np.ravel(array).tolist() if n == n or array.size == 1]
  if array.dtype.kind not in "SU" and not isinstance(value, list | np.ndarray):
    return []
  texts = np.ravel(array).astype(str).tolist()
  parts = " ".join(texts).replace(",", " ").strip("[]() ").split()
  try:
    return [int(p) if p.lstrip("+-").isdecimal() else float(p) for p in parts]
  except ValueError:
    return []


def _number(value: Any) -> float | int:
  """Returns the number, or the first of several, of an attribute."""
  return _numbers(value)[0]


def _as_unsigned(number: float | int, dtype: np.dtype) -> float | int:
  """Returns the number that a signed one of as many bits stands for."""
  is_whole = number == number and number == int(number)
  return int(number) % (1 << 8 * dtype.itemsize) if is_whole else number


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
    attributes[_UNSIGNED] = packed_as[_UNSIGNED]
  for key, value, none in zip(
    _SCALES, (variable.scale, variable.offset), (1, 0), strict=True
  ):
    before = packed_as.get(key)
    if before is not None and _number(before) == value:
      is_text = np.asarray(before).dtype.kind not in "iuf"
      attributes[key] = float(value) if is_text else before
    elif value != none:
      attributes[key] = float(value)
  attributes |= _valid_for(variable, packed_as, dtype)
  names = [key for key in _FILLS if key in packed_as]
  if variable.fill is None:
    fills = [
      key
      for key in names
      if all(n != n or n in variable.missing for n in _numbers(packed_as[key]))
    ]
    is_float = dtype.kind == "f"
    return attributes | {k: _as(packed_as[k], dtype) for k in fills if is_float}
  if names and _still_holds(variable, packed_as[names[0]]):
    return attributes | {key: _as(packed_as[key], dtype) for key in names}
  fill = np.asarray(variable.fill, variable.dtype).view(dtype)
  return attributes | {_FILLS[0]: fill[()]}


def _still_holds(variable: fields.Variable, value: Any) -> bool:
  """Says whether a variable's fill value is the number of an attribute."""
  before, dtype = _number(value), np.dtype(variable.dtype)
  if dtype.kind == "u" and before < 0:
    before = _as_unsigned(before, dtype)
  return before == variable.fill


def _valid_for(variable, packed_as, dtype) -> dict[str, Any]:
  """Returns the attributes of what is valid, in the type of the numbers."""
  ends = [
    None if v is None else _turned(v, variable.dtype, dtype)
    for v in variable.valid
  ]
  if _RANGE in packed_as and None not in ends:
    return {_RANGE: np.asarray(ends)}
  pairs = zip(_BOUNDS, ends, strict=True)
  return {key: end for key, end in pairs if end is not None}


def _turned(number, dtype: str, stored: np.dtype) -> Any:
  """Returns a number in the type in which it is stored, within that type."""
  kind = np.dtype(dtype)
  if kind.kind in "iu":
    ends = np.iinfo(kind)
    number = int(np.clip(number, ends.min, ends.max))
  return np.asarray(number, kind).view(stored)[()]


def _as(value: Any, dtype: np.dtype) -> Any:
  """Returns the numbers of an attribute in another type, if that has them."""
  numbers = np.asarray(_numbers(value))
  if numbers.size == np.size(value):
    numbers = numbers.reshape(np.shape(value))
  with np.errstate(invalid="ignore", over="ignore"):
    cast = numbers.astype(dtype)
  same = np.array_equal(cast, numbers, equal_nan=dtype.kind == "f")
  return (cast if same else numbers)[()]


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
  if variable.is_plain:
    return raw.values
  return packing.unpack(raw.values, variable, np.float64)
