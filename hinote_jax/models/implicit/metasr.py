"""MetaSR (Hu et al., CVPR 2019), as LIIF's authors rebuilt it.

An MLP of the query's place gives the weights of a 3x3 convolution at the cell
it lies in. The last layer of that MLP and the features are both linear in the
answer, so they are multiplied with each other once a cell, not once a query.
"""

from flax import linen as nn
import jax
import jax.numpy as jnp

from hinote_jax.core import grids, resize
from hinote_jax.models.implicit import base as implicit
from hinote_jax.nn import blocks

_init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class MetaSr(implicit.Implicit):
  """A convolution of the features whose weights depend on the query."""

  hidden: tuple[int, ...] = (256,)

  def answer(self, feats, part, lowres, coords, cell):
    h, w = part.shape
    mixed = self._mixed(feats)
    layers = self._layers(3, self.hidden)
    corner = 0.5 * cell  # a query's cell begins half of it before its centre
    size = cell[:, :1] * (h / 2)  # in feature cells, of y alone

    def decode(points):
      if isinstance(points, grids.Axes):
        starts = points.y - corner[:, :1], points.x - corner[:, 1:]
      else:
        starts = jnp.moveaxis(points - corner[:, None, None], -1, 0)
      y, x = (
        _within(start, n, is_periodic)
        for start, n, is_periodic in zip(
          starts, (h, w), self.periodic, strict=True
        )
      )
      if isinstance(points, grids.Axes):
        place = y[1][:, :, None], x[1][:, None, :], size[:, :, None]
      else:
        place = y[1], x[1], size[:, :, None]
      place = jnp.stack(jnp.broadcast_arrays(*place), axis=-1)
      hidden = nn.relu(implicit.mlp(place.astype(self.dtype), layers))
      taken = self._take(mixed, part, y[0], x[0]).astype(jnp.float32)
      taken = taken.reshape(*taken.shape[:3], -1, self.channels)
      answer = jnp.einsum("bHWk,bHWko->bHWo", hidden, taken[..., :-1, :])
      return answer + taken[..., -1, :]

    return self._decode(decode, coords)

  def _mixed(self, feats):
    """Returns features times the MLP's last layer, [b h w (hidden + 1) c]."""
    c, hidden = feats.shape[-1], self.hidden[-1]
    kernel = self.param("mix", _init, (3, 3, c, hidden, self.channels)).reshape(
      3, 3, c, -1
    )
    bias = self.param(
      "mix_bias", nn.initializers.zeros, (3, 3, c, self.channels)
    )
    both = jnp.concatenate([kernel, bias], axis=-1)
    return blocks.convolve(feats, both, self.periodic, self.dtype)


def _within(start: jax.Array, n: int, is_periodic: bool):
  """Returns the cell in which each coordinate lies, and where in it, 0 to 1."""
  position = (start + 1.0) * (n / 2)
  # As published: a coordinate on an edge, up to rounding, is in the cell above.
  index = jnp.floor(position + 5e-7 * n)
  if not is_periodic:
    index = jnp.clip(index, 0, n - 1)
  rule = "wrap" if is_periodic else "edge"
  return resize.fold(index.astype(jnp.int32), n, rule), position - index


build = MetaSr
