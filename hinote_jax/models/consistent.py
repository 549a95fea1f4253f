"""Any model, ended by the data step with nothing left to chance.

    z = x + D^T (D D^T)^-1 (y - D x)

is the field nearest to the model's answer x that a degradation D takes to the
input y, so that what is learned is only what the input cannot say. D is one
matrix an axis, D = A_y kron A_x, at any scale, with the kernel's weights at the
query points; hence the inverse is one small matrix an axis too, and gradients
go through both.

A coarse cell that reads what was not asked for, as those at the rim of a
training window do, imposes nothing. On lazy grids x is the answer:
`infer.Upscaler` makes it consistent tile by tile, by the same projection.
"""

from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax import lazy
from hinote_jax.core import grids, taps
from hinote_jax.core.typing import Array, Periodic

# Of the diagonal of A A^T: rounding in float32.
_FLOOR = 1e-6
# How far, in fine cells, an end may be off the one that it is.
_NEAR = 1e-2


class Consistent(nn.Module):
  """A model whose answer, degraded, is its input.

  Attributes:
    plain: the model.
    degradation: D, as text, for `infer`.
    method: of D: "area", "nearest", or one of `taps.KERNELS`; what lies
      beyond a wall is the mirrored field.
    antialias: whether its kernel is as wide as a coarse cell.
    channels: variables of the field; None for any number.
    periodic: which of (y, x) close on themselves.
  """

  plain: nn.Module
  degradation: str
  method: str
  antialias: bool = False
  channels: int | None = None
  periodic: Periodic = (False, False)

  def setup(self):
    # A name that no model has for a part: they share one scope.
    self.consistent = self.plain.clone(periodic=self.periodic)
    nn.share_scope(self, self.consistent)

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    **extras: Any,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points; `extras` as the model.

    Raises:
      ValueError: the points are no regular window.
    """
    x = self.consistent(lowres, coords, cell, **extras)
    if isinstance(x, lazy.LazyGrid):
      return x
    if not isinstance(coords, grids.Axes):
      raise ValueError(
        "a consistent model answers at a regular window of points, "
        "`grids.Axes`: the cells of its input are made of its neighbours"
      )
    scale = grids.scale_of(jnp.asarray(cell), grids.pair(lowres.shape[1:3]))
    (along_y, known_y), (along_x, known_x) = (
      self.axis(places, n, scale[:, axis], self.periodic[axis])
      for axis, (places, n) in enumerate(
        zip(coords, lowres.shape[1:3], strict=True)
      )
    )
    missed = lowres - _along(along_y, along_x, x)
    missed = missed * known_y[:, :, None, None] * known_x[:, None, :, None]
    inverse_y, inverse_x = _inverses(along_y, along_x)
    return x + _along(inverse_y, inverse_x, missed)

  def own_loss(self, *inputs: Any, **extras: Any) -> Float[Array, "b H W c"]:
    """Returns what the model adds to the loss, which sees no data step."""
    return self.consistent.own_loss(*inputs, **extras)

  @nn.nowrap
  def axis(
    self, places: Any, n: int, scale: Any, is_periodic: bool
  ) -> tuple[Float[Array, "b h H"], Float[Array, "b h"]]:
    """Returns the matrix of an axis, and which of its rows are known.

    Rows of coarse cells that read what was not asked for are zeros.

    Args:
      places: of the queries along the axis, [b H] or [H].
      n: coarse cells.
      scale: fine cells a coarse one, [b].
      is_periodic: whether the axis closes on itself.
    """
    places = jnp.asarray(places)
    extent = _whole(n * scale[:, None])
    scale = extent[:, 0] / n
    # In fine cells, of which queries are some.
    first = _whole((places[..., :1] + 1.0) * 0.5 * extent - 0.5)
    u = first + jnp.arange(places.shape[-1])
    centre = (jnp.arange(n) + 0.5) * scale[:, None] - 0.5
    if self.method == "nearest":
      centre = jnp.floor(centre + 0.5 + 1e-4)
    is_area = self.method == "area"
    stretch = scale if self.antialias else jnp.ones_like(scale)
    if is_area:
      reach = 0.5 * scale
    elif self.method == "nearest":
      reach = jnp.full_like(scale, 0.25)
    else:
      reach = taps.KERNELS[self.method].radius * stretch - 0.5

    def weight(at):
      off = at[:, None, :] - centre[:, :, None]
      if is_area:
        half = 0.5 * scale[:, None, None]
        upper = jnp.minimum(off + 0.5, half)
        return jnp.maximum(upper - jnp.maximum(off - 0.5, -half), 0.0)
      if self.method == "nearest":
        return (jnp.abs(off) < 0.5).astype(off.dtype)
      values = taps.KERNELS[self.method].values
      return values(off / stretch[:, None, None])

    first, last = u[:, :1] - 0.5, u[:, -1:] + 0.5
    begins, ends = first < _NEAR - 0.5, last > extent - 0.5 - _NEAR
    if is_periodic:
      is_whole = begins & ends
      matrix = weight(u) + is_whole[..., None] * (
        weight(u - extent) + weight(u + extent)
      )
      begins = ends = is_whole
    else:
      before = begins[..., None] * weight(-1.0 - u)
      behind = ends[..., None] * weight(2.0 * extent - 1.0 - u)
      matrix = weight(u) + before + behind
    low, high = centre - reach[:, None], centre + reach[:, None]
    is_read = (begins | (low > first - _NEAR)) & (ends | (high < last + _NEAR))
    known = is_read.astype(matrix.dtype)
    total = matrix.sum(-1, keepdims=True)
    is_some = (total > _FLOOR) & is_read[..., None]
    matrix = jnp.where(is_some, matrix / jnp.where(is_some, total, 1.0), 0.0)
    return matrix, known


def _whole(number):
  """Returns a number without the rounding of float32, if it is a whole one."""
  nearest = jnp.round(number)
  return jnp.where(jnp.abs(number - nearest) < 2e-3, nearest, number)


def _inverses(*matrices: Float[Array, "b _ _"]) -> list[Float[Array, "b _ _"]]:
  """Returns A^T (A A^T)^-1 of each A; a row of zeros has no part in it.

  All by one solve, of blocks that are filled up with zeros: XLA gives the parts
  of a solve to the threads on which it runs, and on two cores two solves at
  once wait for each other's threads for ever.
  """
  rows, columns = (max(a.shape[i] for a in matrices) for i in (1, 2))
  filled = [
    jnp.pad(a, ((0, 0), (0, rows - a.shape[1]), (0, columns - a.shape[2])))
    for a in matrices
  ]
  along = jnp.stack(filled)
  gram = jnp.einsum("dbij,dbkj->dbik", along, along, precision="highest")
  size = jnp.diagonal(gram, axis1=2, axis2=3)
  empty = jnp.where(size > 0.0, _FLOOR * size, 1.0)
  gram = gram + empty[..., None] * np.eye(rows, dtype=np.float32)
  solved = jnp.swapaxes(jnp.linalg.solve(gram, along), 2, 3)
  return [
    inverse[:, : a.shape[2], : a.shape[1]]
    for a, inverse in zip(matrices, solved, strict=True)
  ]


def _along(along_y, along_x, x):
  y = jnp.einsum("biy,byxc->bixc", along_y, x, precision="highest")
  return jnp.einsum("bjx,bixc->bijc", along_x, y, precision="highest")
