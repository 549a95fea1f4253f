"""LIIF, the local implicit image function (Chen et al., CVPR 2021).

The first layer of its MLP is linear in the features, so it is applied to them
once, a convolution on their own grid, and not at every query.
"""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.core.typing import Periodic
from hinote_jax.models.implicit import base
from hinote_jax.nn import blocks


class Liif(base.Implicit):
  """An MLP of the features around a query, its offset and its cell.

  Attributes:
    local_ensemble: mix the answers from the four cells around; else the
      nearest cell alone answers.
    feat_unfold: a cell's features are those of its 3x3 neighbours.
    cell_decode: the MLP sees the size of the query's cell.
  """

  local_ensemble: bool = True
  feat_unfold: bool = True
  cell_decode: bool = True

  def answer(self, feats, lowres, coords, cell):
    width = self.hidden[0]
    size = 3 if self.feat_unfold else 1
    tokens = self._conv(feats, width, "features", size)
    offset, _ = blocks.Affine(width, use_bias=False, name="offset")(2)
    if self.cell_decode:
      dense, _ = blocks.Affine(width, use_bias=False, name="cell")(2)
      on_cell = self._rel_cell(cell, feats) @ dense
      tokens = tokens + lazy.constant(on_cell.astype(self.dtype), tokens)
    widths = (*self.hidden[1:], self.channels)
    layers = self._layers(width, widths, first=1)
    periodic = grids.pair(self.periodic)
    decode = lazy.bind(_decode, periodic, self.local_ensemble, self.dtype)
    return self._decode(decode, (offset, layers), coords, tokens)


def _decode(
  periodic: Periodic,
  local_ensemble: bool,
  dtype: DTypeLike,
  params,
  points,
  patch,
):
  """The MLP at the cells around each query, their answers mixed."""
  offset, layers = params
  total = 0.0
  for near in base.cells(
    points,
    patch.placement.shape,
    periodic,
    ensemble=local_ensemble,
  ):
    along_y = near.offset_y[..., None] * offset[0]
    along_x = near.offset_x[..., None] * offset[1]
    x = base.take_placed(patch, near.y, near.x, periodic)
    x = x + (along_y + along_x).astype(dtype)
    answer = base.mlp(nn.relu(x), layers, last=jnp.float32)
    total += near.weight[..., None] * answer
  return total


build = Liif
