"""WDSR (Yu et al., BMVC 2019): wide activations, weight normalisation."""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks


class NormedConv(nn.Module):
  """A `blocks.Conv` whose kernel is a magnitude times a direction.

  kernel[.., d] = magnitude[d] * direction[.., d] / |direction[.., d]|
  (Salimans and Kingma, NeurIPS 2016, eq. 2), made at each call.
  """

  features: int
  size: int = 3
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @lazy.layer(reach=lambda conv: conv.size // 2)
  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    shape = (self.size, self.size, x.shape[-1], self.features)
    direction = self.param("direction", nn.initializers.lecun_normal(), shape)
    length = jnp.sqrt(jnp.sum(direction**2, axis=(0, 1, 2)))
    magnitude = self.param("magnitude", lambda _: length)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    kernel = direction * (magnitude / length)
    x = blocks.convolve(x, kernel, self.periodic, self.dtype)
    return x + bias.astype(self.dtype)


class Wdsr(fixed_scale.FixedScale):
  """Residual blocks that widen before their ReLU; a linear skip from the input.

  The released network pads periodically, so an imported one is periodic.

  Attributes:
    width: channels between the blocks.
    blocks: residual blocks.
    expansion: how many times wider a block is inside.
    residual_scale: of what each block adds.
  """

  width: int = 32
  blocks: int = 18
  expansion: int = 4
  residual_scale: float | int = 0.1

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    outputs = self.channels * self.scale**2
    x = NormedConv(self.width, name="head", **options)(lowres)
    for i in range(self.blocks):
      wide = self.width * self.expansion
      y = NormedConv(wide, name=f"block_{i}_first", **options)(x)
      y = lazy.pointwise(nn.relu, y)
      y = NormedConv(self.width, name=f"block_{i}_second", **options)(y)
      x = x + y * self.residual_scale
      x = lazy.stored(x) if i % 8 == 7 else x
    last = NormedConv(outputs, periodic=self.periodic, name="tail")(x)
    skip = NormedConv(outputs, 5, self.periodic, name="skip")(lowres)
    return lazy.pixel_shuffle(last + skip, self.scale)
