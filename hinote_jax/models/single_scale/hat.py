"""HAT (Chen et al., CVPR 2023): window, channel and overlapping attention.

With `attention="mixed"` and `feed_forward="frfn"` what ends a group is that of
AST (Zhou et al., CVPR 2024): the network that is called `hat_ast`.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Periodic
from hinote_jax.models.single_scale import window_transformer
from hinote_jax.nn import activations, blocks, window_attention

SIZES = {
  "S": dict(embed_dim=144, compress_ratio=24, squeeze_factor=24),
  "B": dict(),
  "L": dict(depths=(6,) * 12, num_heads=(6,) * 12),
}
AST: dict[str, Any] = dict(
  attention="mixed", feed_forward="frfn", overlap_ratio=0.75
)


class ChannelAttention(nn.Module):
  """Two convolutions, each channel weighed by all channels' means.

  The mean is over the whole field, on tiles and devices too. That of a
  convolution is linear in its input: what is summed up is the input, once for
  every tap of the kernel.

  Attributes:
    inner: channels between the convolutions.
    squeezed: channels that the means are brought down to.
  """

  inner: int
  squeezed: int
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    _, h, w, c = x.shape
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    x = blocks.Conv(self.inner, name="first", **options)(x)
    x = lazy.stored(lazy.pointwise(activations.gelu, x))
    convolve = blocks.Conv(c, name="second", **options)
    y = convolve(x)
    share = lazy.bind(_summed_by_tap, self.periodic)
    params = (
      lazy.total(share, (), x, reach=1),
      jnp.asarray(float(h * w)),
      convolve.variables["params"],
      blocks.Affine(self.squeezed, name="squeeze")(c),
      blocks.Affine(c, name="excite")(self.squeezed),
    )
    return lazy.pointwise(_weighed, y, params=params)


def _summed_by_tap(periodic: Periodic, params, patch, inside=None):
  """Returns what every tap of a 3x3 kernel is given, summed, [b k c]."""
  del params
  values = patch.values.astype(jnp.float32)
  if inside is None:
    cells = jnp.ones(values.shape[1:3], jnp.float32)
    inside = blocks.padded(cells, 1, periodic, axis=0)
  else:  # a periodic axis goes on in the patch
    inside = jnp.pad(inside, 1)
  h, w = values.shape[1:3]
  # A cell is given to the tap (i, j) of the cell that lies (1 - i, 1 - j) off.
  taps = [inside[2 - i : 2 - i + h, 2 - j : 2 - j + w] for i, j in _TAPS]
  return jnp.einsum(
    "khw,bhwc->bkc", jnp.stack(taps), values, precision="highest"
  )


_TAPS = [(i, j) for i in range(3) for j in range(3)]


def _weighed(params, y):
  summed, cells, convolution, squeeze, excite = params
  kernel = convolution["kernel"].reshape(9, *convolution["kernel"].shape[2:])
  exact: Any = dict(precision="highest")
  mean = jnp.einsum("bkc,kcd->bd", summed / cells, kernel, **exact)
  x = nn.relu(
    jnp.matmul(mean + convolution["bias"], squeeze[0], **exact) + squeeze[1]
  )
  weight = jax.nn.sigmoid(jnp.matmul(x, excite[0], **exact) + excite[1])
  return y * weight[:, None, None].astype(y.dtype)


class RefiningNetwork(nn.Module):
  """AST's feature refinement feed-forward network, FRFN.

  A quarter of the channels is convolved; of twice `hidden` channels one half,
  convolved channel by channel, gates the other.

  Attributes:
    hidden: channels inside.
  """

  hidden: int
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    c = x.shape[-1]
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    first = blocks.Conv(c // 4, use_bias=False, name="partial", **options)
    some, rest = (
      lazy.pointwise(lazy.bind(_channels, *part), x)
      for part in ((0, c // 4), (c // 4, c))
    )
    x = lazy.concatenate([first(some), rest])
    x = blocks.Dense(2 * self.hidden, dtype=self.dtype, name="fc_0")(x)
    x = lazy.pointwise(activations.gelu, x)
    gate, x = (
      lazy.pointwise(
        lazy.bind(_channels, i * self.hidden, (i + 1) * self.hidden), x
      )
      for i in (0, 1)
    )
    gate = blocks.DepthwiseConv(name="depthwise", **options)(gate)
    x = lazy.pointwise(activations.gelu, gate) * x
    return blocks.Dense(c, dtype=self.dtype, name="fc_1")(x)


def _channels(first: int, last: int, x):
  return x[..., first:last]


class Hat(window_transformer.WindowTransformer):
  """Blocks of window and channel attention, groups that end in overlapping one.

  See `WindowTransformer`. The defaults are the published HAT.

  Attributes:
    compress_ratio: how many times fewer channels lie between the convolutions
      of the channel attention; one is left at least.
    squeeze_factor: the same of the means of the channels.
    conv_scale: of what the channel attention adds.
    overlap_ratio: how much wider the windows are that the last attention of a
      group reads, over `window_size`.
    drop_path: how often the branches of the last block are left out in
      training; linearly less before. As an encoder none are.
    attention: what weighs the wide windows, "softmax" or "mixed".
    feed_forward: what follows, "mlp" or "frfn".
  """

  window_size: int = 16
  compress_ratio: int = 3
  squeeze_factor: int = 30
  conv_scale: float | int = 0.01
  overlap_ratio: float | int = 0.5
  drop_path: float | int = 0.1
  attention: str = "softmax"
  feed_forward: str = "mlp"

  def _mixed(self, x, block):
    channels = ChannelAttention(
      max(1, self.embed_dim // self.compress_ratio),
      max(1, self.embed_dim // self.squeeze_factor),
      name=f"{block.name}_channels",
      **block.options,
    )
    return super()._mixed(x, block) + channels(x) * self.conv_scale

  def _in_training(self, x, block):
    rate = self.drop_path * block.index / max(1, sum(self.depths) - 1)
    if not rate or not self.has_rng("drop_path"):
      return x
    key = self.make_rng("drop_path")
    kept = jax.random.bernoulli(key, 1.0 - rate, (len(x), 1, 1, 1))
    return jnp.where(kept, x / (1.0 - rate), 0.0)

  def _end_of_group(self, x, block):
    kinds = dict(softmax=False, mixed=True)
    attend = window_attention.OverlapAttention(
      block.heads,
      self.window_size,
      self._margin(),
      naming.look_up("attention", self.attention, kinds),
      name=f"{block.name}_attention",
      **block.options,
    )
    x = x + attend(self._norm(f"{block.name}_norm_0")(x))
    kinds = dict(mlp=self._perceptron, frfn=self._refined)
    follow = naming.look_up("feed_forward", self.feed_forward, kinds)
    return lazy.stored(x + follow(self._norm(f"{block.name}_norm_1")(x), block))

  def _refined(self, x, block):
    hidden = int(self.embed_dim * self.mlp_ratio + 1e-6)
    network = RefiningNetwork(
      hidden, name=f"{block.name}_frfn", **block.options
    )
    return network(x)

  def _margin(self):
    """Returns how many cells a wide window has more on each side."""
    more = int(self.window_size * self.overlap_ratio + 1e-6)
    if more % 2:
      raise ValueError(
        f"overlap_ratio {self.overlap_ratio} makes windows of "
        f"{self.window_size} cells wider by {more}: take one that makes it even"
      )
    return more // 2


def build(size: str = "B", **kwargs) -> Hat:
  """Returns a `Hat` of one of `SIZES`, any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Hat(**{**naming.look_up("size of hat", size, SIZES), **kwargs})


def build_ast(size: str = "S", **kwargs) -> Hat:
  """Returns a `Hat` with the sparse attention and the network of AST.

  Raises:
    ValueError: unknown size.
  """
  return build(size, **{**AST, **kwargs})
