"""Between the values of a field and the range [0, 1] that tables are of."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core.typing import Array

# (low, high) of each channel, or of all alike; () is (0, 1).
Limits = Sequence[Sequence[float | int]]


def to_unit(x: Float[lazy.Grid, "b h w c"], limits: Limits) -> Any:
  """Returns a field with its limits at 0 and 1.

  Raises:
    ValueError: the limits are not of this field, or low is not below high.
  """
  if not limits:
    return x
  if len(limits) not in (1, x.shape[-1]):
    raise ValueError(
      f"{len(limits)} limits do not fit a field of {x.shape[-1]} channels: "
      "give (low, high) of each, or of all alike"
    )
  if bad := [pair for pair in limits if not pair[0] < pair[1]]:
    raise ValueError(f"limits are (low, high), got {tuple(bad[0])}")
  low, span = _parts(limits)
  return (x - low) / span


def from_unit(x: Float[lazy.Grid, "b h w c"], limits: Limits) -> Any:
  """Returns a field in [0, 1] in its own values, `to_unit` undone."""
  if not limits:
    return x
  low, span = _parts(limits)
  return x * span + low


def _parts(limits):
  low, high = jnp.asarray(limits, jnp.float32).T
  return low, high - low


def clipped(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
  """Returns what of a field a table knows: all within [0, 1]."""
  return jnp.clip(x, 0.0, 1.0)
