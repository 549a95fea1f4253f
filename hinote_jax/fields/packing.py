"""Physical values to the numbers that a file holds, and back.

A file holds (value - offset) / scale, rounded where its type is an integer,
and `fill` where a value is missing. What else stands for a missing value, by
number or by lying outside of what is valid, is read as missing and not written.
"""

from collections.abc import Iterator
from typing import Any

from jaxtyping import Float, Num
import numpy as np

from hinote_jax import fields

BLOCK_BYTES = 64 << 20


def blocks(height: int, row_bytes: int, multiple: int = 1) -> Iterator[slice]:
  """Yields the rows of a field in blocks of at most BLOCK_BYTES.

  Args:
    height: number of rows.
    row_bytes: size of one row of all that is held at a time.
    multiple: blocks begin at multiples of it (rows of a chunk); a block has
      as many rows at least, however large they are.
  """
  rows = max(BLOCK_BYTES // max(row_bytes, 1) // multiple, 1) * multiple
  for start in range(0, height, rows):
    yield slice(start, min(start + rows, height))


def field_blocks(
  header: fields.Header, values: Any, multiple: int = 1
) -> Iterator[tuple[int, slice, np.ndarray]]:
  """Yields field, rows and values [r w c] in the order of a file.

  Args:
    header: of the fields.
    values: [count h w c], read as values[i, rows].
    multiple: as of `blocks`.
  """
  row_bytes = 4 * len(header.x) * len(header.variables)
  for i in range(header.count):
    for rows in blocks(len(header.y), row_bytes, multiple):
      yield i, rows, np.asarray(values[i, rows])


def unpack(
  raw: Num[np.ndarray, "..."],
  variable: fields.Variable,
  dtype: type[np.floating] = np.float32,
) -> Num[np.ndarray, "..."]:
  """Returns what a file holds in the units of a variable.

  Args:
    raw: as in the file, [..].
    variable: says how they are packed.
    dtype: of the values, float32 or float64.

  Returns:
    [..] of `dtype`, NaN where a value is missing.
  """
  values = raw.astype(dtype if raw.dtype == dtype else np.float64)
  # A plain number takes the type of the array: 1e20 equals float32(1e20).
  low, high = variable.valid
  with np.errstate(over="ignore"):
    for number in _specials(variable):
      values[raw == number] = np.nan
    if low is not None:
      values[raw < low] = np.nan
    if high is not None:
      values[raw > high] = np.nan
  if variable.scale != 1 or variable.offset != 0:
    values = values.astype(np.float64) * variable.scale + variable.offset
  return values.astype(dtype, copy=False)


def _specials(variable: fields.Variable) -> list[float | int]:
  """Returns the numbers that stand for a missing value, as plain numbers."""
  fill = () if variable.fill is None else (variable.fill,)
  return [np.asarray(number).item() for number in (*fill, *variable.missing)]


def pack(
  values: Num[np.ndarray, "..."], variable: fields.Variable
) -> Num[np.ndarray, "..."]:
  """Returns the numbers that a file holds for values of a variable.

  A present value that would be read as missing is stored as the number beside
  it, or as the nearest valid one: what is missing stays what is missing.

  Args:
    values: in the units of the variable, NaN where missing, [..].
    variable: says how they are packed.

  Returns:
    [..] of `variable.dtype`.

  Raises:
    ValueError: a value does not fit the type, or one is missing and the type
      has no way to say so.
  """
  dtype = np.dtype(variable.dtype)
  missing = np.isnan(values)
  exact = values
  if variable.scale != 1 or variable.offset != 0 or dtype.kind in "iu":
    exact = (values.astype(np.float64) - variable.offset) / variable.scale
  if dtype.kind in "iu":
    return _as_integers(values, exact, missing, dtype, variable)
  exact = _valid(exact, variable)
  with np.errstate(over="ignore"):
    packed = exact.astype(dtype)
  _refuse(values, np.isinf(packed) & np.isfinite(values), dtype, variable)
  # Rounded to the type, a value may have left what is valid again.
  packed = _valid(packed, variable)
  for number in _specials(variable):
    hit = packed == number
    toward = np.asarray(0 if number else 1, dtype)
    packed[hit] = np.nextafter(packed[hit], toward)
  if variable.fill is not None:
    packed[missing] = variable.fill
  return packed


def _valid(numbers: np.ndarray, variable: fields.Variable) -> np.ndarray:
  """Returns the nearest valid numbers of a file; NaN stays."""
  low, high = variable.valid
  if low is None and high is None:
    return numbers
  with np.errstate(over="ignore"):
    return np.clip(numbers, low, high)


def clip(
  values: Float[np.ndarray, "..."], variable: fields.Variable
) -> Float[np.ndarray, "..."]:
  """Returns values within what the type of a variable holds.

  A network overshoots beside sharp edges, beyond black and white in a picture.
  Formats in which the ends of the type are the ends of the quantity clip; in
  the others `pack` refuses a value that does not fit.

  Args:
    values: in the units of the variable, [..]; NaN stays.
    variable: says how they are packed; where its fill value is an end of the
      type, the ends of the quantity lie one within.

  Returns:
    [..], float64 where the type is an integer, else as they were.
  """
  dtype = np.dtype(variable.dtype)
  if dtype.kind not in "iu":
    return values
  low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
  low += variable.fill == low
  high -= variable.fill == high
  ends = [n * variable.scale + variable.offset for n in (low, high)]
  # float32 would round 2^31 - 1 up to what int32 does not hold.
  return np.clip(values.astype(np.float64), min(ends), max(ends))


def _as_integers(values, exact, missing, dtype, variable):
  """Rounds to integers, puts in the fill value; refuses what does not fit."""
  fill, limits = variable.fill, np.iinfo(dtype)
  if missing.any() and fill is None:
    raise ValueError(
      f"{variable.name} has {np.count_nonzero(missing)} missing values and "
      f"{dtype} without a fill value cannot hold them: name a fill value or "
      "save it as float32"
    )
  exact = _valid(exact, variable)
  rounded = np.rint(np.where(missing, 0.0, exact))
  # 2^63 - 1 is no float64: the bound above it is, and is not reached.
  too_large = rounded >= float(limits.max) + 1.0
  bad = (too_large | (rounded < limits.min)) & ~missing
  _refuse(values, bad, dtype, variable)
  is_held = (
    fill is not None
    and fill == np.rint(fill)
    and limits.min <= fill <= limits.max
  )
  if missing.any() and not is_held:
    raise ValueError(
      f"{variable.name}: the fill value {fill} does not fit {dtype}, which "
      f"holds {limits.min} to {limits.max}"
    )
  _avoid(rounded, exact, missing, dtype, variable)
  packed = rounded.astype(dtype)
  if fill is not None and missing.any():
    packed[missing] = int(fill)
  return packed


def _avoid(rounded, exact, missing, dtype, variable) -> None:
  """Moves present numbers off those that stand for a missing value."""
  specials, limits = set(_specials(variable)), np.iinfo(dtype)
  low, high = (
    end if bound is None else bound
    for end, bound in zip((limits.min, limits.max), variable.valid, strict=True)
  )
  for number in specials:
    hit = (rounded == number) & ~missing
    if not hit.any():
      continue
    below, above = number - 1, number + 1
    while below in specials:
      below -= 1
    while above in specials:
      above += 1
    is_below = (exact < number) & (below >= low) | (above > high)
    rounded[hit] = np.where(is_below, below, above)[hit]


def _refuse(values, bad, dtype, variable) -> None:
  """Refuses values that a type cannot hold, naming the worst of them."""
  if not bad.any():
    return
  info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
  ends = [
    float(n) * variable.scale + variable.offset for n in (info.min, info.max)
  ]
  worst = values[bad][np.argmax(np.abs(values[bad] - np.mean(ends)))]
  raise ValueError(
    f"{variable.name}: {worst:g} does not fit {dtype}, which holds "
    f"{min(ends):g} to {max(ends):g} here: clip the values or save them as "
    "float32"
  )
