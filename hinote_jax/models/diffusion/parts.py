"""What the U-Net and the autoencoder share."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core.typing import Array
from hinote_jax.nn import blocks

Field = Float[Array, "b h w c"]
Resized = Float[Array, "b H W d"]


def group_norm(name: str, epsilon: float = 1e-5) -> nn.GroupNorm:
  """Returns a norm over 32 groups of channels and all points."""
  return nn.GroupNorm(32, epsilon=epsilon, use_fast_variance=False, name=name)


def doubled(x: Field) -> Resized:
  """Returns every cell twice along both axes."""
  return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x: Field) -> Resized:
  """Returns means of 2 x 2 cells."""
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


class Halve(nn.Module):
  """A 3x3 convolution of every other cell.

  Attributes:
    features: output channels.
    before: zeros above and to the left; there is one below and to the right.
    dtype: type of the products.
  """

  features: int
  before: int = 1
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Resized:
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    y = jax.lax.conv_general_dilated(
      jnp.asarray(x, self.dtype),
      kernel.astype(self.dtype),
      window_strides=(2, 2),
      padding=[(self.before, 1)] * 2,
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y + bias.astype(self.dtype)


class ResBlock(nn.Module):
  """Two convolutions behind norms, with a skip; told of the time or not.

  Attributes:
    features: output channels.
    epsilon: of the norms.
    is_scaled: the time scales and shifts the second norm, or is added before.
    resample: 1 doubles the grid, -1 halves it.
    dtype: type of the products.
  """

  features: int
  epsilon: float = 1e-5
  is_scaled: bool = True
  resample: int = 0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Field, time: Float[Array, "b e"] | None = None
  ) -> Resized:
    conv = functools.partial(blocks.Conv, self.features, dtype=self.dtype)
    y = nn.silu(group_norm("norm_0", self.epsilon)(x))
    if self.resample:
      change = doubled if self.resample > 0 else halved
      x, y = change(x), change(y)
    y = conv(name="conv_0")(y)
    norm = group_norm("norm_1", self.epsilon)
    if time is None:
      y = norm(y)
    else:
      count = (2 if self.is_scaled else 1) * self.features
      time_terms = nn.Dense(count, name="time")(nn.silu(time))[:, None, None]
      if self.is_scaled:
        scale, shift = jnp.split(time_terms, 2, axis=-1)
        y = norm(y) * (1.0 + scale) + shift
      else:
        y = norm(y + time_terms)
    y = conv(name="conv_1")(nn.silu(y))
    if x.shape[-1] != self.features:
      x = blocks.Dense(self.features, dtype=self.dtype, name="skip")(x)
    return x + y
