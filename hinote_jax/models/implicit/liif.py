"""LIIF, the local implicit image function (Chen et al., CVPR 2021).

The first layer of its MLP is linear in the features, so it is applied to them
once, a convolution on their own grid, and not at every query.
"""

from flax import linen as nn
import jax.numpy as jnp

from hinote_jax.models.implicit import base as implicit
from hinote_jax.nn import blocks


class Liif(implicit.Implicit):
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

  def answer(self, feats, part, lowres, coords, cell):
    width = self.hidden[0]
    size = 3 if self.feat_unfold else 1
    tokens = self._conv(feats, width, "features", size)
    offset, _ = blocks.Affine(width, use_bias=False, name="offset")(2)
    if self.cell_decode:
      dense, _ = blocks.Affine(width, use_bias=False, name="cell")(2)
      rel_cell = self._rel_cell(cell, part)
      tokens = tokens + (rel_cell @ dense)[:, None, None].astype(self.dtype)
    widths = (*self.hidden[1:], self.channels)
    layers = self._layers(width, widths, first=1)

    def decode(points):
      total = 0.0
      for near in implicit.cells(
        points, part.shape, self.periodic, ensemble=self.local_ensemble
      ):
        along_y = near.offset_y[..., None] * offset[0]
        along_x = near.offset_x[..., None] * offset[1]
        x = self._take(tokens, part, near.y, near.x)
        x = x + (along_y + along_x).astype(self.dtype)
        answer = implicit.mlp(nn.relu(x), layers).astype(jnp.float32)
        total += near.weight[..., None] * answer
      return total

    return self._decode(decode, coords)


build = Liif
