"""Which cells around a cell a table sees, and how they turn with the field."""

import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Array, Periodic

# Cells (y, x) from the cell itself, in the order of a table's coordinates.
PATTERNS = {
  "V": ((0, 0), (0, 1)),
  "F": ((0, 0), (0, 1), (0, 2)),
  "S": ((0, 0), (0, 1), (1, 0), (1, 1)),
  "D": ((0, 0), (0, 2), (2, 0), (2, 2)),
  "Y": ((0, 0), (1, 1), (1, 2), (2, 1)),
}


def of(pattern: str) -> tuple[tuple[int, int], ...]:
  """Returns the cells of a pattern.

  Raises:
    ValueError: the pattern is unknown.
  """
  return naming.look_up("pattern", pattern, PATTERNS)


def reach(patterns: str) -> int:
  """Returns how many cells away patterns see, each a letter."""
  return max(max(map(max, of(pattern))) for pattern in patterns)


def turned(pattern: str, turns: int) -> list[tuple[int, int]]:
  """Returns the cells that a pattern sees in a field turned to the left.

  They are cells of the field as it was: a step down in a field that has been
  turned by a quarter to the left is one to the left in that field.
  """
  cells = list(of(pattern))
  for _ in range(turns % 4):
    cells = [(x, -y) for y, x in cells]
  return cells


def require_size(x: lazy.Grid, patterns: str, periodic: Periodic) -> None:
  """Refuses a field that is smaller than what a table sees of it.

  Raises:
    ValueError: a side between walls has no more cells than `reach`.
  """
  least = reach(patterns) + 1
  for n, is_closed in zip(x.shape[1:3], periodic, strict=True):
    if n < least and not is_closed:
      raise ValueError(
        f"a field of {x.shape[1]} x {x.shape[2]} cells is smaller than the "
        f"{least} x {least} that patterns {patterns!r} see: give a larger one"
      )


def padded(x: Float[Array, "b h w c"], by: int, periodic: Periodic):
  """Returns a field with cells added on all sides, reflected at walls."""
  for axis, is_closed in enumerate(periodic):
    sides = [(0, 0)] * 4
    sides[1 + axis] = (by, by)
    x = jnp.pad(x, sides, mode="wrap" if is_closed else "reflect")
  return x


def seen(
  x: Float[Array, "b H W c"], pattern: str, turns: int, by: int
) -> Float[Array, "b h w c n"]:
  """Returns what a pattern sees from every cell of a field.

  Args:
    x: padded by `by` cells on all sides.
    pattern: of `PATTERNS`.
    turns: quarter turns of the field to the left.
    by: see x.
  """
  h, w = (n - 2 * by for n in x.shape[1:3])
  cells = turned(pattern, turns)
  parts = [x[:, by + i : by + i + h, by + j : by + j + w] for i, j in cells]
  return jnp.stack(parts, axis=-1)
