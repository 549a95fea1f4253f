"""What SwinIR and HAT share: groups of window attention, and enlargement."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import activations, blocks, window_attention


class Block(NamedTuple):
  """One block of window attention.

  Attributes:
    name: that the names of its layers begin with.
    index: how many blocks there are before it.
    heads: of its attention.
    shift: of its windows.
    options: of its layers.
  """

  name: str
  index: int
  heads: int
  shift: int
  options: blocks.Options


UPSAMPLERS = ("pixelshuffle", "pixelshuffledirect", "nearest+conv", "")


class WindowTransformer(fixed_scale.FixedScale):
  """Convolution, groups of window attention, long skip, enlargement.

  A subclass may change what a block mixes cells by and what ends a group.

  Fields are padded below and to the right to whole windows, by reflection. On
  a periodic axis of whole windows, convolutions and windows wrap; one of
  another length is taken as if it had walls.

  Attributes:
    embed_dim: channels of the features.
    depths: attention blocks of each group.
    num_heads: of the attention in each group.
    window_size: side of a window in cells.
    mlp_ratio: channels inside the perceptrons, over `embed_dim`.
    upsampler: one of `UPSAMPLERS`; "" adds to the input and keeps its grid.
    resi_connection: "1conv", "3conv" or "identity", what closes a group.
    num_feat: channels while enlarging; "pixelshuffledirect" has none.
    mean: of each channel, taken off the input; () for zeros.
    img_range: the field is multiplied by it within the network.
  """

  embed_dim: int = 180
  depths: Sequence[int] = (6,) * 6
  num_heads: Sequence[int] = (6,) * 6
  window_size: int = 8
  mlp_ratio: float | int = 2.0
  upsampler: str = "pixelshuffle"
  resi_connection: str = "1conv"
  num_feat: int = 64
  mean: Sequence[float | int] = ()
  img_range: float | int = 1.0

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    naming.look_up("upsampler", self.upsampler, dict.fromkeys(UPSAMPLERS))
    if self.upsampler == "" and self.scale != 1:
      raise ValueError(f"upsampler '' keeps the grid, got scale {self.scale}")
    _, h, w, _ = lowres.shape
    mean = jnp.asarray(self.mean or 0.0, lowres.dtype)
    x, options = self._whole_windows((lowres - mean) * self.img_range)
    y = self._up(self._deep(x, options), options)
    x = y if self.upsampler else x + y
    shape = h * self.scale, w * self.scale
    return lazy.crop(x, shape, self.periodic) / self.img_range + mean

  def features(self, x: Float[lazy.Grid, "b h w c"]):
    """Returns what the enlargement is given, [b h w num_feat]."""
    shape = grids.pair(x.shape[1:3])
    x, options = self._whole_windows(x)
    x = self._before(self._deep(x, options), options)
    return lazy.crop(x, shape, self.periodic)

  def _whole_windows(self, x):
    """Returns a field of whole windows, and what the layers are told."""
    more = grids.pair(-n % self.window_size for n in x.shape[1:3])
    whole = grids.pair(self.periodic[i] and not more[i] for i in (0, 1))
    options = blocks.Options(periodic=whole, dtype=self.dtype)
    return lazy.pad_by_reflection(x, more, whole), options

  def _deep(self, x, options):
    """Convolution, groups and the long skip, stored."""
    head = lazy.stored(blocks.Conv(self.embed_dim, name="head", **options)(x))
    x, count = self._norm("norm_0")(head), 0
    groups = zip(self.depths, self.num_heads, strict=True)
    for i, (depth, heads) in enumerate(groups):
      y = x
      for j in range(depth):
        shift = self.window_size // 2 if j % 2 else 0
        block = Block(f"group_{i}_block_{j}", count, heads, shift, options)
        y, count = self._block(y, block), count + 1
      y = self._end_of_group(
        y, Block(f"group_{i}_end", count, heads, 0, options)
      )
      x = lazy.stored(x + self._connection(y, options, f"group_{i}_conv"))
    x = self._connection(self._norm("norm_1")(x), options, "body_conv")
    return lazy.stored(head + x)

  def _block(self, x, block):
    """Attention and a perceptron, each behind a layer norm, with a skip."""
    x = x + self._mixed(self._norm(f"{block.name}_norm_0")(x), block)
    y = self._perceptron(self._norm(f"{block.name}_norm_1")(x), block)
    # Every window reaches two windows far: store before the next does.
    return lazy.stored(x + self._in_training(y, block))

  def _mixed(self, x, block):
    """Returns what a block adds from other cells."""
    attention = window_attention.WindowAttention(
      block.heads,
      self.window_size,
      block.shift,
      name=f"{block.name}_attention",
      **block.options,
    )
    return self._in_training(attention(x), block)

  def _perceptron(self, x, block):
    # As released, safe from the rounding of a ratio found by division.
    hidden = int(self.embed_dim * self.mlp_ratio + 1e-6)
    dtype, name = self.dtype, block.name
    x = blocks.Dense(hidden, dtype=dtype, name=f"{name}_fc_0")(x)
    x = lazy.pointwise(activations.gelu, x)
    return blocks.Dense(self.embed_dim, dtype=dtype, name=f"{name}_fc_1")(x)

  def _in_training(self, x, block):
    """Returns what a branch of a block adds, changed while it is trained."""
    del block
    return x

  def _end_of_group(self, x, block):
    """Returns what the blocks of a group end in."""
    del block
    return x

  def _norm(self, name):
    return blocks.LayerNorm(1e-5, dtype=self.dtype, name=name)

  def _connection(self, x, options, name):
    kinds = {
      "1conv": [(1, 3)],
      "3conv": [(4, 3), (4, 1), (1, 3)],
      "identity": [],
    }
    kind = naming.look_up("resi_connection", self.resi_connection, kinds)
    for i, (part, size) in enumerate(kind):
      x = lazy.pointwise(_leaky_relu, x) if i else x
      width = self.embed_dim // part
      x = blocks.Conv(width, size, name=f"{name}_{i}", **options)(x)
    return x

  def _before(self, x, options):
    x = blocks.Conv(self.num_feat, name="before", **options)(x)
    return lazy.pointwise(nn.leaky_relu, x)

  def _up(self, x, options):
    last: Any = dict(dtype=jnp.float32)
    if self.upsampler == "pixelshuffledirect":
      outputs = self.channels * self.scale**2
      x = blocks.Conv(outputs, name="last", **options | last)(x)
      return lazy.pixel_shuffle(x, self.scale)
    if self.upsampler:
      x = self._before(x, options)
    if self.upsampler == "pixelshuffle":
      x = blocks.ShuffleUp(self.scale, name="up", **options)(x)
    if self.upsampler == "nearest+conv":
      for i, factor in enumerate((*blocks.shuffle_steps(self.scale), 1)):
        x = lazy.repeat(x, factor)
        x = blocks.Conv(self.num_feat, name=f"up_{i}", **options)(x)
        x = lazy.pointwise(_leaky_relu, x)
    return blocks.Conv(self.channels, name="last", **options | last)(x)


def _leaky_relu(x):
  return nn.leaky_relu(x, 0.2)
