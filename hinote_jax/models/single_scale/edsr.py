"""EDSR (Lim et al., CVPR Workshops 2017): residual blocks without norms."""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks

SIZES = {
  "baseline": dict(width=64, blocks=16, residual_scale=1.0),
  "full": dict(width=256, blocks=32, residual_scale=0.1),
}


class Edsr(fixed_scale.FixedScale):
  """Trunk, pixel-shuffle enlargement, one convolution.

  Attributes:
    width: channels of the features.
    blocks: residual blocks.
    residual_scale: of what each block adds; 0.1 in the full size.
  """

  width: int = 64
  blocks: int = 16
  residual_scale: float | int = 1.0

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    x = blocks.Trunk(
      self.width,
      self.blocks,
      self.residual_scale,
      self.periodic,
      self.dtype,
      name="trunk",
    )(lowres)
    x = lazy.stored(x)
    x = self._shuffle_up("tail")(x)
    return self._conv(self.channels, "last", dtype=jnp.float32)(x)


def build(size: str = "baseline", **kwargs) -> Edsr:
  """Returns an `Edsr` of a size, "baseline" or "full", any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Edsr(**{**naming.look_up("size of edsr", size, SIZES), **kwargs})
