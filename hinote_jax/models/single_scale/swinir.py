"""SwinIR (Liang et al., ICCV Workshops 2021): shifted-window attention."""

from collections.abc import Sequence

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import activations, blocks, window_attention

SIZES = {
  "classical": dict(embed_dim=180, depths=(6,) * 6, num_heads=(6,) * 6),
  "lightweight": dict(
    embed_dim=60,
    depths=(6,) * 4,
    num_heads=(6,) * 4,
    upsampler="pixelshuffledirect",
  ),
}
UPSAMPLERS = ("pixelshuffle", "pixelshuffledirect", "nearest+conv", "")


class Swinir(fixed_scale.FixedScale):
  """Convolution, groups of window attention, long skip, enlargement.

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
    resi_connection: "1conv" or "3conv", what closes a group.
    num_feat: channels while enlarging; "pixelshuffledirect" has none.
    mean: of each channel, taken off the input; () for zeros.
    img_range: the field is multiplied by it within the network.
    img_size: (h, w) of the fields that a released network was built for. Its
      layout holds masks for them; the network does without.
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
  img_size: Sequence[int] = (64, 64)

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    naming.look_up("upsampler", self.upsampler, dict.fromkeys(UPSAMPLERS))
    if self.upsampler == "" and self.scale != 1:
      raise ValueError(f"upsampler '' keeps the grid, got scale {self.scale}")
    _, h, w, _ = lowres.shape
    more = -h % self.window_size, -w % self.window_size
    whole = grids.pair(self.periodic[i] and not more[i] for i in (0, 1))
    options = blocks.Options(periodic=whole, dtype=self.dtype)
    mean = jnp.asarray(self.mean or 0.0, lowres.dtype)
    x = (lowres - mean) * self.img_range
    x = lazy.pad_by_reflection(x, more, whole)
    head = lazy.stored(blocks.Conv(self.embed_dim, name="head", **options)(x))
    y = self._up(lazy.stored(head + self._body(head, options)), options)
    x = y if self.upsampler else x + y
    shape = h * self.scale, w * self.scale
    return lazy.crop(x, shape, self.periodic) / self.img_range + mean

  def _body(self, x, options):
    x = self._norm("norm_0")(x)
    groups = zip(self.depths, self.num_heads, strict=True)
    for i, (depth, heads) in enumerate(groups):
      y = x
      for j in range(depth):
        shift = self.window_size // 2 if j % 2 else 0
        y = self._block(y, heads, shift, options, f"group_{i}_block_{j}")
      x = lazy.stored(x + self._connection(y, options, f"group_{i}_conv"))
    return self._connection(self._norm("norm_1")(x), options, "body_conv")

  def _block(self, x, heads, shift, options, name):
    """Attention and a perceptron, each behind a layer norm, with a skip."""
    attention = window_attention.WindowAttention(
      heads, self.window_size, shift, name=f"{name}_attention", **options
    )
    x = x + attention(self._norm(f"{name}_norm_0")(x))
    # As released, safe from the rounding of a ratio found by division.
    hidden = int(self.embed_dim * self.mlp_ratio + 1e-6)
    inner = blocks.Dense(hidden, dtype=self.dtype, name=f"{name}_fc_0")
    outer = blocks.Dense(self.embed_dim, dtype=self.dtype, name=f"{name}_fc_1")
    y = inner(self._norm(f"{name}_norm_1")(x))
    # Every window reaches two windows far: store before the next does.
    return lazy.stored(x + outer(lazy.pointwise(activations.gelu, y)))

  def _norm(self, name):
    return blocks.LayerNorm(1e-5, dtype=self.dtype, name=name)

  def _connection(self, x, options, name):
    kinds = {"1conv": [(1, 3)], "3conv": [(4, 3), (4, 1), (1, 3)]}
    kind = naming.look_up("resi_connection", self.resi_connection, kinds)
    for i, (part, size) in enumerate(kind):
      x = lazy.pointwise(_leaky_relu, x) if i else x
      width = self.embed_dim // part
      x = blocks.Conv(width, size, name=f"{name}_{i}", **options)(x)
    return x

  def _up(self, x, options):
    if self.upsampler == "pixelshuffledirect":
      outputs = self.channels * self.scale**2
      x = blocks.Conv(outputs, name="last", **options)(x)
      return lazy.pixel_shuffle(x, self.scale)
    if self.upsampler:
      before = blocks.Conv(self.num_feat, name="before", **options)
      x = lazy.pointwise(nn.leaky_relu, before(x))
    if self.upsampler == "pixelshuffle":
      x = blocks.ShuffleUp(self.scale, name="up", **options)(x)
    if self.upsampler == "nearest+conv":
      for i, factor in enumerate((*blocks.shuffle_steps(self.scale), 1)):
        x = lazy.repeat(x, factor)
        x = blocks.Conv(self.num_feat, name=f"up_{i}", **options)(x)
        x = lazy.pointwise(_leaky_relu, x)
    return blocks.Conv(self.channels, name="last", **options)(x)


def _leaky_relu(x):
  return nn.leaky_relu(x, 0.2)


def build(size: str = "classical", **kwargs) -> Swinir:
  """Returns a `Swinir` of one of `SIZES`, any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Swinir(**{**naming.look_up("size of swinir", size, SIZES), **kwargs})
