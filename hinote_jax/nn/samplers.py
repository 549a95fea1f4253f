"""The parameter-free sampler: four neighbours of every query point, kept apart.

Each query point reads the four nearest feature cells, every one weighted by
the area of the opposite rectangle, with its relative coordinates and the size
of the query's cell (paper, section 3.4; LIIF's local ensemble). Summed, the
four are bilinear interpolation; kept apart, a decoder can do better.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, taps
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.nn import blocks

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # (dy, dx) of the four neighbours


class Neighbours(NamedTuple):
  """The two neighbours of each query along one axis; p = 0 below, 1 above.

  Attributes:
    cells: folded cell index, [.. 2] int32.
    weight: linear interpolation weight, [.. 2], sums to 1.
    offset: query minus neighbour, 2 per feature cell, [.. 2].
  """

  cells: Array
  weight: Array
  offset: Array


def neighbours(
  coord: Array, n: int, *, is_periodic: bool, halve_at_walls: bool = False
) -> Neighbours:
  """Finds the two neighbouring cells of each coordinate along one axis.

  Args:
    coord: [..], any.
    n: cells of the axis.
    is_periodic: the axis closes on itself.
    halve_at_walls: where both neighbours are the end cell, give each half of
      the weight, as the published samplers do; else what linear interpolation
      gives them. The sum is the same.
  """
  u = grids.to_index(coord, n)
  # A query on a centre (odd scales) belongs to the cell it is on, whichever
  # way float32 rounded: the offsets jump there. u is known to 1e-7 n.
  first = jnp.floor(u + 2.5e-7 * n)
  t = jnp.maximum(u - first, 0.0)
  index = first.astype(jnp.int32)[..., None] + jnp.arange(2)
  weight = jnp.stack([1.0 - t, t], axis=-1)
  folded = taps.fold(index, n, "wrap" if is_periodic else "edge")
  # At a wall both neighbours are the end cell; across a seam they are not.
  position = index if is_periodic else folded
  if halve_at_walls and not is_periodic:
    is_one_cell = (folded[..., 0] == folded[..., 1])[..., None]
    weight = jnp.where(is_one_cell, 0.5, weight)
  # From coordinates, not from u, which is rounded at n: LTE's waves see it.
  centre = (2 * position + (1 - n)) / jnp.float32(n)
  return Neighbours(folded, weight, (coord[..., None] - centre) * n)


def token_width(features: int) -> int:
  """Returns the channels of one token: 4 (features + 2) + 2."""
  return 4 * (features + 2) + 2


def relative_cell(
  cell: Float[Array, "b 2"],
  shape: tuple[int, int],
  ratio: int,
  max_scale: float,
) -> Float[Array, "b 2"]:
  """Returns the query cell in feature cells times 2, held at `max_scale`.

  Args:
    cell: size of a query cell, [b 2].
    shape: (h, w) of the feature grid.
    ratio: feature cells per input cell along an axis.
    max_scale: beyond this scale the cell is that of the largest trained one
      (SRNO's max(s/4, 1) rule), so the decoder never leaves its range.
  """
  size = jnp.asarray(shape, cell.dtype)
  return jnp.maximum(cell * size, 2.0 * ratio / max_scale)


def sides(
  coords: tuple[Array, Array],
  shape: tuple[int, int],
  periodic: Periodic,
  *,
  halve_at_walls: bool = False,
) -> list[Neighbours]:
  """Returns the neighbours along y and along x, see `neighbours`."""
  return [
    neighbours(c, n, is_periodic=p, halve_at_walls=halve_at_walls)
    for c, n, p in zip(coords, shape, periodic, strict=True)
  ]


def in_patch(
  near: list[Neighbours],
  placement: grids.Placement,
  periodic: Periodic,
  shape: tuple[int, int],
) -> list[Neighbours]:
  """Returns neighbours along y and x, by their place in a window of the grid.

  Args:
    near: of `sides`, cells of the whole grid.
    placement: where the window lies.
    periodic: which of (y, x) close on themselves.
    shape: (h, w) of the window.
  """
  return [
    side._replace(cells=placement.local(side.cells, axis, periodic[axis], n))
    for axis, (side, n) in enumerate(zip(near, shape, strict=True))
  ]


def local_ensemble(
  feats: Float[Array, "b h w c"],
  coords: grids.Coords,
  rel_cell: Float[Array, "b 2"],
  *,
  periodic: Periodic = (False, False),
  halve_at_walls: bool = False,
  placement: grids.Placement | None = None,
) -> Float[Array, "b H W k"]:
  """Returns tokens of the query points, [b H W 4(c+2)+2].

  Channels: offsets of the four neighbours (dy, dx each), their weighted
  features in the order of `CORNERS`, the relative cell.

  Args:
    feats: features.
    coords: query points.
    rel_cell: query cell in feature cells times 2.
    periodic: which of (y, x) close on themselves.
    halve_at_walls: see `neighbours`.
    placement: where `feats` lies on the grid that `coords` are of; None: it
      is it.
  """
  b = len(feats)
  if placement is None:
    placement = grids.Placement.whole(feats)
  points = grids.dense(grids.batched(coords, b))
  y, x = sides(
    (points[..., 0], points[..., 1]),
    placement.shape,
    periodic,
    halve_at_walls=halve_at_walls,
  )
  size = grids.pair(feats.shape[1:3])
  y, x = in_patch([y, x], placement, periodic, size)
  batch = jnp.arange(b)[:, None, None]
  offsets, weighted = [], []
  for p, q in CORNERS:
    area = y.weight[..., p] * x.weight[..., q]
    offsets += [y.offset[..., p], x.offset[..., q]]
    weighted.append(
      area[..., None] * feats[batch, y.cells[..., p], x.cells[..., q]]
    )
  rel_cell = jnp.broadcast_to(
    rel_cell[:, None, None, :], (*points.shape[:3], 2)
  )
  offsets = jnp.stack(offsets, axis=-1)
  return jnp.concatenate([offsets, *weighted, rel_cell], axis=-1)


class SampledDense(nn.Module):
  """A dense layer on the tokens of the sampler, which need not be formed.

  Both are linear in the features, so on a regular window there are two ways,
  and the cheaper one is taken: where queries outnumber cells, the layer is
  applied on the feature grid, once a corner, and sampled by two matrices an
  axis; else the features are sampled first. Scattered queries form the tokens.
  The answers agree.

  Attributes:
    width: output channels.
    periodic: which of (y, x) close on themselves.
    halve_at_walls: see `neighbours`.
    dtype: type of the products on the feature grid.
  """

  width: int
  periodic: Periodic = (False, False)
  halve_at_walls: bool = False
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    feats: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    rel_cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W d"]:
    """Returns the layer of the tokens at the query points.

    Args:
      feats: features.
      coords: query points.
      rel_cell: query cell in feature cells times 2.
    """
    shape = (token_width(feats.shape[-1]), self.width)
    # The four neighbours are nearly alike: their fan-in is that of one.
    init = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")
    kernel = self.param("kernel", init, shape)
    bias = self.param("bias", nn.initializers.zeros, (self.width,))
    apply = _SampledDense(
      self.width, grids.pair(self.periodic), self.halve_at_walls, self.dtype
    )
    return lazy.at_queries(
      apply, (kernel, bias, rel_cell), coords, feats, periodic=self.periodic
    )


@dataclasses.dataclass(frozen=True)
class _SampledDense:
  """`SampledDense` with its parameters given."""

  width: int
  periodic: Periodic
  halve_at_walls: bool
  dtype: DTypeLike

  def __call__(self, params, coords, patch):
    (kernel, bias, rel_cell), feats = params, patch.values
    rule: Any = dict(periodic=self.periodic, halve_at_walls=self.halve_at_walls)
    if not isinstance(coords, grids.Axes):
      tokens = local_ensemble(feats, coords, rel_cell, **rule)
      return blocks.multiply(tokens, kernel, tokens.dtype) + bias
    c, placement = feats.shape[-1], patch.placement
    near = sides(coords, placement.shape, **rule)
    y, x = in_patch(near, placement, self.periodic, feats.shape[1:3])
    sampled = self._sampled(feats, kernel[8:-2].reshape(4 * c, -1), y, x)
    on_offset = kernel[:8].reshape(2, 2, 2, self.width)  # p, q, (y, x), d
    on_cell = rel_cell @ kernel[-2:] + bias
    from_y = _exact("bHp,pqd->bHd", y.offset, on_offset[:, :, 0])
    from_x = _exact("bWq,pqd->bWd", x.offset, on_offset[:, :, 1])
    place = (from_y + on_cell[:, None])[:, :, None] + from_x[:, None]
    return sampled + place.astype(self.dtype)

  def _sampled(self, feats, kernel, y, x):
    """Returns the layer's share of the weighted features, [b H W d]."""
    b, h, w, c = feats.shape
    feats = feats.astype(self.dtype)
    along_y, along_x = (
      (jax.nn.one_hot(s.cells, n) * s.weight[..., None]).astype(self.dtype)
      for s, n in ((y, h), (x, w))
    )
    if along_y.shape[1] * along_x.shape[1] > h * w:
      folded = kernel.reshape(4, c, -1).swapaxes(0, 1).reshape(c, -1)
      projected = blocks.multiply(feats, folded, self.dtype)
      projected = projected.reshape(b, h, w, 2, 2, self.width)
      rows = _exact("bHph,bhwpqd->bHwqd", along_y, projected)
      return _exact("bWqw,bHwqd->bHWd", along_x, rows)
    rows = _exact("bHph,bhwc->bHwpc", along_y, feats)
    tokens = _exact("bWqw,bHwpc->bHWpqc", along_x, rows)
    tokens = tokens.reshape(*tokens.shape[:3], 4 * c)
    return blocks.multiply(tokens, kernel, self.dtype)


_exact = functools.partial(jnp.einsum, precision="highest")
