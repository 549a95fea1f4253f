"""The learned prior of USRNet: a residual U-Net without biases."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.core.typing import Periodic
from hinote_jax.nn import blocks

# What the published code has, by its own names.
ACTIVATIONS = {"R": jax.nn.relu, "L": lambda x: jax.nn.leaky_relu(x, 0.1)}
DOWNS = ("strideconv", "avgpool", "maxpool")
UPS = ("convtranspose", "pixelshuffle", "upconv")

_orthogonal = nn.initializers.orthogonal(0.2, column_axis=-1)


class ResUNet(nn.Module):
  """Residual blocks on four levels, halved between; skips are added.

  Sides are padded to a multiple of 8 by repeating the last cell. A periodic
  side that is one already goes around.

  Attributes:
    widths: channels of the four levels.
    blocks: residual blocks of each.
    channels: of the result.
    act_mode: of `ACTIVATIONS`.
    downsample_mode: of `DOWNS`.
    upsample_mode: of `UPS`.
    dtype: type of the products; those of the last layer are float32.
  """

  widths: tuple[int, ...] = (64, 128, 256, 512)
  blocks: int = 2
  channels: int = 3
  act_mode: str = "R"
  downsample_mode: str = "strideconv"
  upsample_mode: str = "convtranspose"
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w d"]:
    shape = grids.pair(x.shape[1:3])
    unit = 2 ** (len(self.widths) - 1)
    more = -shape[0] % unit, -shape[1] % unit
    around: Any = tuple(
      p and not m for p, m in zip(self.periodic, more, strict=True)
    )
    if any(more):
      x = lazy.pad_by_edge(x, more, around)
    levels = [self._conv(x, self.widths[0], "head", around)]
    for i, width in enumerate(self.widths[1:], 1):
      x = self._blocks(levels[-1], f"down{i}", around)
      levels.append(lazy.stored(self._halved(x, width, f"down{i}", around)))
    x = self._blocks(levels[-1], "body", around)
    for i in reversed(range(1, len(self.widths))):
      x = lazy.stored(x + levels[i])
      x = self._doubled(x, self.widths[i - 1], f"up{i}", around)
      x = self._blocks(x, f"up{i}", around)
    x = self._conv(x + levels[0], self.channels, "tail", around, jnp.float32)
    return lazy.crop(x, shape, self.periodic) if any(more) else x

  def _conv(self, x, features, name, periodic, dtype=None):
    return blocks.Conv(
      features,
      periodic=periodic,
      use_bias=False,
      kernel_init=_orthogonal,
      dtype=self.dtype if dtype is None else dtype,
      name=name,
    )(x)

  def _dense(self, x, features, name):
    return blocks.Dense(
      features,
      use_bias=False,
      kernel_init=_orthogonal,
      dtype=self.dtype,
      name=name,
    )(x)

  def _blocks(self, x, name, periodic):
    for i in range(self.blocks):
      y = self._conv(x, x.shape[-1], f"{name}_{i}_first", periodic)
      y = lazy.pointwise(ACTIVATIONS[self.act_mode], y)
      x = x + self._conv(y, x.shape[-1], f"{name}_{i}_second", periodic)
    return x

  def _halved(self, x, features, name, periodic):
    cells = lazy.pixel_unshuffle(x, 2)
    if self.downsample_mode == "strideconv":
      return self._dense(cells, features, f"{name}_half")
    pool = lazy.bind(_pooled, self.downsample_mode)
    x = lazy.pointwise(pool, cells)
    return self._conv(x, features, f"{name}_half", periodic)

  def _doubled(self, x, features, name, periodic):
    if self.upsample_mode == "upconv":
      x = lazy.repeat(x, 2)
      return self._conv(x, features, f"{name}_double", periodic)
    if self.upsample_mode == "pixelshuffle":
      x = self._conv(x, 4 * features, f"{name}_double", periodic)
    else:
      x = self._dense(x, 4 * features, f"{name}_double")
    return lazy.pixel_shuffle(x, 2)


def _pooled(mode: str, cells):
  *shape, channels = cells.shape
  four = cells.reshape(*shape, 4, channels // 4)
  return four.max(-2) if mode == "maxpool" else four.mean(-2)
