"""MetaSR (Hu et al., CVPR 2019), as LIIF's authors rebuilt it.

An MLP of the query's place gives the weights of a 3x3 convolution at the cell
it lies in. The last layer of that MLP and the features are both linear in the
answer, so they are multiplied with each other once a cell, not once a query.
"""

from collections.abc import Sequence

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hinote_jax import lazy
from hinote_jax.core import grids, taps
from hinote_jax.core.typing import Periodic
from hinote_jax.models.implicit import base
from hinote_jax.nn import blocks

_init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class MetaSr(base.Implicit):
  """A convolution of the features whose weights depend on the query.

  Attributes:
    out_channels: of the answer, the first of the field's; None: all. Each has
      weights of its own, which take most of the time: a network that is told
      of static fields need not answer in those.
  """

  hidden: Sequence[int] = (256,)
  out_channels: int | None = None

  def answer(self, feats, lowres, coords, cell):
    count = self.channels if self.out_channels is None else self.out_channels
    if not 0 < count <= self.channels:
      raise ValueError(
        f"metasr has {self.channels} channels and out_channels is {count}: it "
        f"can answer in 1 to {self.channels} of them"
      )
    mixed = self._mixed(feats, count)
    layers = self._layers(3, self.hidden)
    decode = lazy.bind(_decode, grids.pair(self.periodic), count, self.dtype)
    return self._decode(decode, (jnp.asarray(cell), layers), coords, mixed)

  def _mixed(self, feats, count):
    """Returns features times the MLP's last layer, [b h w (hidden + 1) c]."""
    c, hidden = feats.shape[-1], self.hidden[-1]
    kernel = self.param("mix", _init, (3, 3, c, hidden, count))
    kernel = kernel.reshape(3, 3, c, -1)
    bias = self.param("mix_bias", nn.initializers.zeros, (3, 3, c, count))
    both = jnp.concatenate([kernel, bias], axis=-1)
    convolve = lazy.bind(_convolved, grids.pair(self.periodic), self.dtype)
    return lazy.local(convolve, both, feats, reach=1)


def _convolved(periodic: Periodic, dtype: DTypeLike, kernel, x):
  return blocks.convolve(x, kernel, periodic, dtype)


def _decode(
  periodic: Periodic, channels: int, dtype: DTypeLike, params, points, patch
):
  """The convolution at the cell that each query lies in."""
  cell, layers = params
  h, w = patch.placement.shape
  corner = 0.5 * cell  # a query's cell begins half of it before its centre
  size = cell[:, :1] * (h / 2)  # in feature cells, of y alone
  if isinstance(points, grids.Axes):
    starts = points.y - corner[:, :1], points.x - corner[:, 1:]
  else:
    starts = jnp.moveaxis(points - corner[:, None, None], -1, 0)
  y, x = (
    _within(start, n, is_periodic)
    for start, n, is_periodic in zip(starts, (h, w), periodic, strict=True)
  )
  if isinstance(points, grids.Axes):
    place = y[1][:, :, None], x[1][:, None, :], size[:, :, None]
  else:
    place = y[1], x[1], size[:, :, None]
  place = jnp.stack(jnp.broadcast_arrays(*place), axis=-1)
  hidden = nn.relu(base.mlp(place.astype(dtype), layers))
  taken = base.take_placed(patch, y[0], x[0], periodic)
  taken = taken.astype(jnp.float32)
  taken = taken.reshape(*taken.shape[:3], -1, channels)
  answer = jnp.einsum("bHWk,bHWko->bHWo", hidden, taken[..., :-1, :])
  return answer + taken[..., -1, :]


def _within(start: jax.Array, n: int, is_periodic: bool):
  """Returns the cell in which each coordinate lies, and where in it, 0 to 1."""
  position = (start + 1.0) * (n / 2)
  # As published: a coordinate on an edge, up to rounding, is in the cell above.
  index = jnp.floor(position + 5e-7 * n)
  if not is_periodic:
    index = jnp.clip(index, 0, n - 1)
  rule = "wrap" if is_periodic else "edge"
  return taps.fold(index.astype(jnp.int32), n, rule), position - index


build = MetaSr
