"""RDN, the residual dense network (Zhang et al., CVPR 2018)."""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks

# The two configurations of the paper's code; B is the one that is compared.
SIZES = {
  "A": dict(blocks=20, layers=6, growth=32),
  "B": dict(blocks=16, layers=8, growth=64),
}


class Trunk(nn.Module):
  """Residual dense blocks, their outputs fused, and a long skip.

  Attributes:
    width: channels of the features.
    blocks: residual dense blocks.
    layers: convolutions of each, every one seeing all before it.
    growth: channels that each of them adds.
  """

  width: int = 64
  blocks: int = 16
  layers: int = 8
  growth: int = 64
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w d"]:
    def conv(features, size, name, x):
      return blocks.Conv(
        features, size, periodic=self.periodic, dtype=self.dtype, name=name
      )(x)

    head = conv(self.width, 3, "head", x)
    x = conv(self.width, 3, "second", head)
    outputs = []
    for i in range(self.blocks):
      seen = x
      for j in range(self.layers):
        new = conv(self.growth, 3, f"block_{i}_conv_{j}", seen)
        seen = lazy.concatenate([seen, lazy.pointwise(nn.relu, new)])
      x = lazy.stored(x + conv(self.width, 1, f"block_{i}_fuse", seen))
      outputs.append(x)
    x = conv(self.width, 1, "fuse", lazy.concatenate(outputs))
    return head + conv(self.width, 3, "tail", x)


class Rdn(fixed_scale.FixedScale):
  """Trunk, pixel-shuffle enlargement, one convolution; see `Trunk`."""

  width: int = 64
  blocks: int = 16
  layers: int = 8
  growth: int = 64

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    x = Trunk(
      self.width,
      self.blocks,
      self.layers,
      self.growth,
      self.periodic,
      self.dtype,
      name="trunk",
    )(lowres)
    x = lazy.stored(x)
    x = self._shuffle_up("tail", width=self.growth)(x)
    return self._conv(self.channels, "last", dtype=jnp.float32)(x)


def build(size: str = "B", **kwargs) -> Rdn:
  """Returns an `Rdn` of a size, "A" or "B", any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Rdn(**{**naming.look_up("size of rdn", size, SIZES), **kwargs})
