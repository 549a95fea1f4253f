"""Overshoot set to the ends of what a type holds.

A network overshoots beside sharp edges, beyond black and white in a picture.
Formats in which the ends of the type are the ends of the quantity clip; in the
others a value that does not fit is refused by `packing.pack`.
"""

from jaxtyping import Float
import numpy as np

from hinote_jax import fields


def clip(
  values: Float[np.ndarray, "..."], variable: fields.Variable
) -> Float[np.ndarray, "..."]:
  """Returns values within what the type of a variable holds.

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
