"""One lookup: simplex interpolation of a table of any number of dimensions.

A point lies in a cube between 2^n nodes of the table. Sort its n parts, the
way from the cube's lower corner, largest first, and walk from that corner to
the opposite one, an axis at a time in that order: the n + 1 nodes on the way
are the corners of the simplex that the point lies in. The first weighs 1 less
the largest part, the next ones the differences of the parts, the last the
smallest one. That is linear in each simplex and continuous; n additions fewer
than 2^n nodes are read. It agrees with multilinear interpolation at nodes, on
the edges of a cube, and for every table that is a sum of functions of one
coordinate each.
"""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core.typing import Array

# How the released code of SR-LUT errs; "" is the rule above.
COMPATIBLE = ("", "official")


def levels_of(entries: int, dimensions: int) -> int:
  """Returns how many nodes a table has along each of its dimensions.

  Raises:
    ValueError: no whole number of at least 2 to that power is `entries`.
  """
  levels = round(entries ** (1.0 / dimensions))
  if levels < 2 or levels**dimensions != entries:
    raise ValueError(
      f"a table of {entries} entries has no whole number of nodes along each "
      f"of {dimensions} dimensions: give one of 17^{dimensions}, say"
    )
  return levels


def simplex(
  table: Array, nodes: Float[Array, "*b n"], *, compat: str = ""
) -> Float[Array, "*b k"]:
  """Returns a table between its nodes.

  Differentiable in the table, and in the point but where parts are equal.

  Args:
    table: [levels^n k], the first coordinate slowest; numbers of any type.
    nodes: where to read it, 0 at the first node and levels - 1 at the last;
      what lies beyond is taken to them.
    compat: "official" errs as the release does, see `_swapped`.

  Returns:
    float32. Exact where the entries are bytes and the parts of n up to 4
    coordinates are multiples of 1/256.

  Raises:
    ValueError: the table does not fit the number of coordinates.
  """
  n = nodes.shape[-1]
  levels = levels_of(table.shape[0], n)
  nodes = jnp.clip(nodes, 0, levels - 1)
  low = jnp.minimum(jnp.floor(jax.lax.stop_gradient(nodes)), levels - 2)
  strides = [levels ** (n - 1 - i) for i in range(n)]
  corners = [low[..., i].astype(jnp.int32) * strides[i] for i in range(n)]
  parts = [nodes[..., i] - low[..., i] for i in range(n)]
  parts, steps = _sorted(parts, [jnp.int32(stride) for stride in strides])
  if compat and n == 4:
    parts, steps = _swapped(nodes - low, parts, steps)
  way = list(itertools.accumulate(steps, initial=sum(corners)))
  # All of the way is read at once, which XLA does sooner than node by node, and
  # as numbers where a row is one. No node lies beyond the table.
  is_number = table.shape[1] == 1
  rows = jnp.asarray(table)[:, 0] if is_number else jnp.asarray(table)
  rows = rows.at[jnp.stack(way, axis=-1)].get(mode="promise_in_bounds")
  rows = rows if is_number else jnp.moveaxis(rows, -2, -1)
  ends = [jnp.ones_like(parts[0]), *parts, jnp.zeros_like(parts[0])]
  total = jnp.zeros(rows.shape[:-1], jnp.float32)
  for i, (before, part) in enumerate(itertools.pairwise(ends)):
    weight = before - part
    total = total + rows[..., i] * (weight if is_number else weight[..., None])
  return total[..., None] if is_number else total


def _sorted(parts, steps):
  """Returns parts in decreasing order, and of each the step along its axis.

  The smallest goes last, then the next smallest. Equal parts may come in any
  order, since the node between them weighs nothing.
  """
  parts, steps = list(parts), list(steps)
  for last in range(len(parts) - 1, 0, -1):
    for i in range(last):
      is_less = parts[i] < parts[i + 1]
      for values in (parts, steps):
        first, second = values[i : i + 2]
        values[i] = jnp.where(is_less, second, first)
        values[i + 1] = jnp.where(is_less, first, second)
  return parts, steps


def _swapped(own, parts, steps):
  """Returns what is sorted as the released code of SR-LUT sorts it.

  Of the 24 orders of four parts, [.. 4], it mistakes one: c > d > a > b goes
  along a before d, by which a weight becomes negative. Fewer parts are right.
  """
  a, b, c, d = (own[..., i] for i in range(4))
  is_mistaken = (c > d) & (d > a) & (a > b)
  return tuple(
    [
      values[0],
      jnp.where(is_mistaken, values[2], values[1]),
      jnp.where(is_mistaken, values[1], values[2]),
      values[3],
    ]
    for values in (parts, steps)
  )
