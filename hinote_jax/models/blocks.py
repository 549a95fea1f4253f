"""Parts that several models share: convolutions, residual blocks, trunks."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.typing import Array, Periodic

# Residual branches start small, so that a fresh network is close to its skip.
small_init = nn.initializers.variance_scaling(
  0.02, "fan_in", "truncated_normal"
)


class Conv(nn.Module):
  """A convolution that wraps around periodic axes and pads zeros at walls.

  Attributes:
    features: output channels.
    size: side of the odd square kernel.
    periodic: which of (y, x) close on themselves.
    dtype: type of the computation; parameters stay float32.
  """

  features: int
  size: int = 3
  periodic: Periodic = (False, False)
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    halo = self.size // 2
    wrap = [(halo, halo) if closed else (0, 0) for closed in self.periodic]
    zero = [(0, 0) if closed else (halo, halo) for closed in self.periodic]
    x = jnp.pad(x.astype(self.dtype), [(0, 0), *wrap, (0, 0)], mode="wrap")
    x = jax.lax.conv_general_dilated(
      x,
      kernel.astype(self.dtype),
      window_strides=(1, 1),
      padding=zero,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return x + bias.astype(self.dtype)


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a ReLU, added to the input (EDSR, no norm)."""

  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    width = x.shape[-1]
    options = dict(periodic=self.periodic, dtype=self.dtype)
    y = nn.relu(Conv(width, name="first", **options)(x))
    return x + Conv(width, kernel_init=small_init, name="second", **options)(y)


class Trunk(nn.Module):
  """EDSR's feature extractor: conv, residual blocks, conv, long skip.

  Attributes:
    width: channels of the features.
    blocks: how many residual blocks; unrolled, since a scan over convolutions
      is many times slower on a CPU.
  """

  width: int = 64
  blocks: int = 16
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    options = dict(periodic=self.periodic, dtype=self.dtype)
    head = Conv(self.width, name="head", **options)(x)
    x = head
    for i in range(self.blocks):
      x = ResidualBlock(name=f"block_{i}", **options)(x)
    return head + Conv(self.width, name="tail", **options)(x)


def pixel_shuffle(
  x: Float[Array, "b h w k"], factor: int
) -> Float[Array, "b H W c"]:
  """Moves factor^2 channel groups into space, [b h w f*f*c] -> [b fh fw c]."""
  b, h, w, k = x.shape
  c = k // factor**2
  x = x.reshape(b, h, w, factor, factor, c)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(b, h * factor, w * factor, c)
