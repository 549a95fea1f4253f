"""Long sums in float32 that do not drift."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def over(function: Callable[[Any], Any], parts: Any) -> Any:
  """Returns function(part) summed over the leading axis of `parts`.

  Compensated (Kahan, CACM 1965): what rounding adds to the total is taken away
  from the next part, so that a sum of a hundred thousand parts is as exact as
  one of a few. A part is formed again for its gradient.

  Args:
    function: arrays -> arrays or a tree of them, float32.
    parts: arrays [m ..], or a tree of them.

  Example:
    sums.over(lambda x: x * x, jnp.full(10**6, 0.1))  # 10000.0
  """
  first = jax.tree.map(lambda t: t[0], parts)
  if len(jax.tree.leaves(parts)[0]) == 1:
    return jax.checkpoint(function)(first)

  def add(carry, part):
    total, excess = carry
    value = jax.tree.map(jnp.subtract, function(part), excess)
    new = jax.tree.map(jnp.add, total, value)
    # Exactly what the last addition rounded: (new - total) - value.
    excess = jax.tree.map(lambda n, t, v: (n - t) - v, new, total, value)
    return (new, excess), None

  shapes = jax.eval_shape(function, first)
  zero = jax.tree.map(lambda t: jnp.zeros(t.shape, t.dtype), shapes)
  (total, _), _ = jax.lax.scan(jax.checkpoint(add), (zero, zero), parts)
  return total
