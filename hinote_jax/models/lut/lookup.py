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
  axes = range(n)
  parts = [nodes[..., i] - low[..., i] for i in axes]
  ranks = _swapped(parts, _ranks(parts)) if compat else _ranks(parts)
  strides = [levels ** (n - 1 - i) for i in axes]
  index = low.astype(jnp.int32) @ jnp.asarray(strides, jnp.int32)
  rows, before = jnp.asarray(table), jnp.ones(index.shape, jnp.float32)
  total: jax.Array | float = 0.0
  for place in axes:
    # The part, and the stride, of the axis that is taken here.
    is_here = [rank == place for rank in ranks]
    part = jnp.zeros(index.shape, jnp.float32)
    step = jnp.zeros(index.shape, jnp.int32)
    for i, here in enumerate(is_here):
      part = jnp.where(here, parts[i], part)
      step = jnp.where(here, strides[i], step)
    total = total + (before - part)[..., None] * rows[index]
    before, index = part, index + step
  return total + before[..., None] * rows[index]


def _ranks(parts):
  """Returns the place of each part in decreasing order; ties in their order."""
  ranks = [jnp.zeros(part.shape, jnp.int32) for part in parts]
  for j in range(len(parts)):
    for i in range(j):
      is_before = parts[i] >= parts[j]
      ranks[j] = ranks[j] + is_before
      ranks[i] = ranks[i] + ~is_before
  return ranks


def _swapped(parts, ranks):
  """Returns the places as the released code of SR-LUT takes them.

  Of the 24 orders of four parts it mistakes one: c > d > a > b goes along a
  before d, by which a weight becomes negative. Fewer parts are right.
  """
  if len(parts) != 4:
    return ranks
  a, b, c, d = parts
  is_mistaken = (c > d) & (d > a) & (a > b)
  first = jnp.where(is_mistaken, ranks[3], ranks[0])
  last = jnp.where(is_mistaken, ranks[0], ranks[3])
  return [first, ranks[1], ranks[2], last]
