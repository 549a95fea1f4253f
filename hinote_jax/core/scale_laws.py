"""How large something is at a scale: a law a channel.

A law is a number, the same at all scales, or the coefficients a of

    log u(s) = a_0 + a_1 log2 s + a_2 (log2 s)^2 + ...

for scales s up to a largest one, beyond which u is held.
"""

from collections.abc import Sequence
import math

import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax.core.typing import Array

Law = float | int | Sequence[float]


def at(
  laws: Sequence[Law], scale: Float[Array, "b 2"], largest: float = math.inf
) -> Array:
  """Returns the sizes at scales, [b 1 1 c]; [c] where no law knows of them.

  Args:
    laws: one a channel.
    scale: along y and x, of which the geometric mean counts.
    largest: beyond it sizes are held.
  """
  if all(np.ndim(law) == 0 for law in laws):
    return np.asarray(laws, np.float32)
  order = max(np.size(law) for law in laws)
  coefficients = np.zeros((len(laws), order), np.float32)
  for row, law in zip(coefficients, laws, strict=True):
    row[: np.size(law)] = law if np.ndim(law) else math.log(float(law))  # pyright: ignore[reportArgumentType]
  held = jnp.clip(jnp.asarray(scale), 1.0, largest)
  octaves = jnp.log2(held).mean(-1)[:, None, None, None]
  log = jnp.zeros(len(laws))
  for column in coefficients.T[::-1]:
    log = log * octaves + column
  return jnp.exp(log)


def fit(
  scales: Float[np.ndarray, " n"], sizes: Float[np.ndarray, "n c"]
) -> list[Law]:
  """Returns the laws through sizes above 0 at scales, quadratic where it can.

  Args:
    scales: at which they were measured.
    sizes: one a channel.
  """
  order = min(2, len(scales) - 1)
  fitted = np.polynomial.polynomial.polyfit(
    np.log2(scales), np.log(sizes), order
  )
  return fitted.T.tolist()
