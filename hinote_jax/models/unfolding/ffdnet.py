"""FFDNet (Zhang, Zuo and Zhang, IEEE TIP 2018): a denoiser told of the noise.

Blocks of 2 x 2 cells become channels, beside them one that holds the noise
level everywhere; plain convolutions follow, and the blocks become cells again.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks

# Of published files, by channels.
SIZES = {1: dict(width=64, depth=15), 3: dict(width=96, depth=12)}


class FfdNet(nn.Module):
  """The denoiser, on its input's own grid and read at any query points.

  Attributes:
    scale: how many times finer its grid is than the input's, which is
      interpolated by cubic convolution and then denoised; None is 1, as
      published.
    channels: variables of the field.
    width: of the hidden layers.
    depth: how many convolutions there are.
    noise: what a call is given that has no noise, a deviation.
    residual: the layers say what the noise is, in units of its deviation, so
      that less noise leaves less of their errors. False is published.
    periodic: which of (y, x) close on themselves.
    dtype: type of the products; those of the last layer are float32.
  """

  scale: int | None = None
  channels: int = 1
  width: int = 64
  depth: int = 15
  noise: float | int = 0.0
  residual: bool = False
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    *,
    noise: Any = None,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points.

    Args:
      lowres: what was given noise.
      coords: query points.
      cell: size of a query cell.
      noise: deviation of the noise in units of the input, [b].

    Raises:
      ValueError: wrong number of channels.
    """
    del cell
    blocks.require_channels(lowres, self.channels)
    x, scale = lowres, self.scale or 1
    if scale > 1:
      rules = resize.boundaries(self.periodic, "edge")
      shape = grids.pair(n * scale for n in x.shape[1:3])
      x = lazy.resample(x, shape, method="cubic", boundary=rules)
    noise = self.noise if noise is None else noise
    return fixed_scale.read(self.denoise(x, noise), coords, self.periodic)

  @nn.compact
  def denoise(
    self, x: Float[lazy.Grid, "b h w c"], noise: Any
  ) -> Float[lazy.Grid, "b h w c"]:
    """Returns a field without its noise, of a deviation or one of each, [b]."""
    shape, more = (
      grids.pair(x.shape[1:3]),
      grids.pair(-n % 2 for n in x.shape[1:3]),
    )
    around: Any = tuple(
      p and not m for p, m in zip(self.periodic, more, strict=True)
    )
    noise = jnp.asarray(noise, jnp.float32).reshape(-1)
    noise = jnp.broadcast_to(noise, (x.shape[0],))
    if any(more):
      x = lazy.pad_by_edge(x, more, around)
    noisy = x
    x = lazy.pixel_unshuffle(x, 2)
    x = lazy.concatenate([x, lazy.constant(noise[:, None], x)])
    for i in range(self.depth):
      is_last = i == self.depth - 1
      x = blocks.Conv(
        4 * self.channels if is_last else self.width,
        periodic=around,
        dtype=jnp.float32 if is_last else self.dtype,
        name=f"conv{i}",
      )(x)
      x = x if is_last else lazy.pointwise(jax.nn.relu, x)
    x = lazy.pixel_shuffle(x, 2)
    if self.residual:
      x = noisy - x * lazy.constant(noise[:, None], x)
    return lazy.crop(x, shape, self.periodic) if any(more) else x


def build(channels: int = 1, **kwargs: Any) -> FfdNet:
  """Returns an `FfdNet` of the published size, any attribute changed."""
  size = SIZES.get(channels, SIZES[1])
  return FfdNet(**{"channels": channels, **size, **kwargs})
