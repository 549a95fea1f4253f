"""ResShift's U-Net with shifted windows (Yue et al., NeurIPS 2023)."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float
import numpy as np

from hinote_jax.core.typing import Array
from hinote_jax.models.diffusion import parts
from hinote_jax.nn import activations, blocks, window_attention

Field = Float[Array, "b h w c"]
Resized = Float[Array, "b H W d"]


def time_features(time: Float[Array, " b"], width: int) -> Array:
  """Returns cosines, then sines, of a time at frequencies from 1 to 1e-4."""
  half = width // 2
  frequency = np.exp(-np.log(1e4) * np.arange(half) / half)
  angle = time[:, None] * jnp.asarray(frequency, jnp.float32)
  return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


class SwinLayer(nn.Module):
  """Blocks of window attention between two dense layers; without a skip.

  Attributes:
    embed_dim: channels of the blocks.
    heads: of the attention.
    window: side of a window.
    is_shifted: every other block has its windows moved by half a window.
    depth: blocks.
    factor: channels in the perceptrons over `embed_dim`.
    has_norm: behind each of the dense layers.
    dtype: type of the products.
  """

  embed_dim: int
  heads: int
  window: int
  is_shifted: bool
  depth: int
  factor: float | int
  has_norm: bool
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    c = x.shape[-1]
    x = self._dense(self.embed_dim, "embed", x)
    for i in range(self.depth):
      shift = self.window // 2 if i % 2 and self.is_shifted else 0
      y = parts.group_norm(f"block_{i}_norm_0")(x)
      attention: Any = window_attention.WindowAttention(
        self.heads,
        self.window,
        shift,
        is_transposed=True,
        dtype=self.dtype,
        name=f"block_{i}_attention",
      )
      x = x + attention(y)
      y = parts.group_norm(f"block_{i}_norm_1")(x)
      hidden = int(self.embed_dim * self.factor)
      y = blocks.Dense(hidden, dtype=self.dtype, name=f"block_{i}_fc_0")(y)
      y = activations.gelu(y)
      dense = blocks.Dense(
        self.embed_dim, dtype=self.dtype, name=f"block_{i}_fc_1"
      )
      x = x + dense(y)
    return self._dense(c, "unembed", x)

  def _dense(self, features, name, x):
    x = blocks.Dense(features, dtype=self.dtype, name=name)(x)
    return parts.group_norm(f"{name}_norm")(x) if self.has_norm else x


class UNet(nn.Module):
  """Latent and input -> what the latent is without noise.

  Attributes:
    channels: of the answer.
    width: channels at the finest level.
    multiples: channels of each level over `width`.
    blocks: residual blocks of each level.
    attended: whether the first block of a level is followed by attention.
    embed_dim: channels of the attention.
    heads: of the attention.
    window: side of a window.
    depth: blocks of each attention.
    factor: channels in the perceptrons over `embed_dim`.
    image_size: side of the latents of training: windows of a level whose side
      is then no more than a window do not move, whatever the latent.
    is_scaled: see `parts.ResBlock`.
    is_residual: levels are changed by residual blocks.
    has_norm: see `SwinLayer`.
    extractor: channels of the layers that the input passes first, each of
      which but the first halves it; () for none.
    dtype: type of the products.
  """

  channels: int = 3
  width: int = 160
  multiples: Sequence[int] = (1, 2, 2, 4)
  blocks: Sequence[int] = (2, 2, 2, 2)
  attended: Sequence[bool] = (True,) * 4
  embed_dim: int = 192
  heads: int = 6
  window: int = 8
  depth: int = 2
  factor: float | int = 4
  image_size: int = 64
  is_scaled: bool = True
  is_residual: bool = False
  has_norm: bool = False
  extractor: Sequence[int] = ()
  dtype: DTypeLike = jnp.float32

  @property
  def multiple(self) -> int:
    """What the sides of a latent must be multiples of."""
    return self.window * 2 ** (len(self.multiples) - 1)

  @nn.compact
  def __call__(
    self,
    x: Field,
    time: Float[Array, " b"],
    lowres: Float[Array, "b p q e"],
  ) -> Resized:
    """Returns what the latent is without noise.

    Args:
      x: the latent, [b h w c].
      time: of each, a number below the count of steps.
      lowres: the input: of the latent's grid, or one that is 4 times coarser
        or 2 times finer.

    Raises:
      ValueError: the sides are no multiples of `multiple`.
    """
    if any(n % self.multiple for n in x.shape[1:3]):
      raise ValueError(
        f"a latent of {x.shape[1]} x {x.shape[2]} cells: its sides must be "
        f"multiples of {self.multiple}"
      )
    first_layer = nn.Dense(4 * self.width, name="time_0")
    time = nn.silu(first_layer(time_features(time, self.width)))
    time = nn.Dense(4 * self.width, name="time_1")(time)
    x = jnp.concatenate([x, self._fitting(lowres, x.shape[1])], axis=-1)
    x = self._conv(self.multiples[0] * self.width, "head")(x)
    x, skips = self._down(x, time)
    x = self._block("middle_0", x.shape[-1])(x, time)
    x = self._swin("middle_1", len(self.multiples) - 1)(x)
    x = self._block("middle_2", x.shape[-1])(x, time)
    x = self._up(x, time, skips)
    x = nn.silu(parts.group_norm("last_norm")(x))
    return self._conv(self.channels, "last")(x)

  def _down(self, x, time):
    skips, i = [x], 0
    for level, count in enumerate(self.blocks):
      features = self.multiples[level] * self.width
      for j in range(count):
        i += 1
        x = self._block(f"in_{i}_0", features)(x, time)
        if self.attended[level] and j == 0:
          x = self._swin(f"in_{i}_1", level)(x)
        skips.append(x)
      if level + 1 < len(self.blocks):
        i += 1
        if self.is_residual:
          x = self._block(f"in_{i}_0", features, -1)(x, time)
        else:
          name = f"in_{i}_0"
          x = parts.Halve(features, dtype=self.dtype, name=name)(x)
        skips.append(x)
    return x, skips

  def _up(self, x, time, skips):
    i = 0
    for level in reversed(range(len(self.blocks))):
      features = self.multiples[level] * self.width
      for j in range(self.blocks[level] + 1):
        x = jnp.concatenate([x, skips.pop()], axis=-1)
        x = self._block(f"out_{i}_0", features)(x, time)
        if self.attended[level] and j == 0:
          x = self._swin(f"out_{i}_1", level)(x)
        if level and j == self.blocks[level]:
          if self.is_residual:
            x = self._block(f"out_{i}_1", features, 1)(x, time)
          else:
            x = self._conv(features, f"out_{i}_1")(parts.doubled(x))
        i += 1
    return x

  def _fitting(self, lowres, rows):
    """Returns the input on the latent's grid."""
    for i, features in enumerate(self.extractor):
      if i % 2:  # as published: convolution, then one that halves
        name = f"extractor_{i}"
        lowres = parts.Halve(features, dtype=self.dtype, name=name)(lowres)
      else:
        lowres = nn.silu(self._conv(features, f"extractor_{i}")(lowres))
    b, h, w, c = lowres.shape
    if h < rows:
      return lowres.repeat(4, axis=1).repeat(4, axis=2)
    if h > rows:  # channels first, then the cells of a square
      x = lowres.reshape(b, h // 2, 2, w // 2, 2, c)
      return x.transpose(0, 1, 3, 5, 2, 4).reshape(b, h // 2, w // 2, 4 * c)
    return lowres

  def _conv(self, features, name):
    return blocks.Conv(features, dtype=self.dtype, name=name)

  def _block(self, name, features, resample=0):
    return parts.ResBlock(
      features,
      is_scaled=self.is_scaled,
      resample=resample,
      dtype=self.dtype,
      name=name,
    )

  def _swin(self, name, level):
    side = self.image_size >> level
    return SwinLayer(
      self.embed_dim,
      self.heads,
      min(self.window, side),
      side > self.window,
      self.depth,
      self.factor,
      self.has_norm,
      self.dtype,
      name=name,
    )
