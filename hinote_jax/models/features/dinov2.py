"""DINOv2 (Oquab et al., 2023): a vision transformer's tokens of a picture."""

import math
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float
import numpy as np

from hinote_jax.core import naming, resize, taps
from hinote_jax.core.typing import Array
from hinote_jax.nn import activations, blocks

SIZES = {
  "S": dict(width=384, depth=12, heads=6),
  "B": dict(width=768, depth=12, heads=12),
  "L": dict(width=1024, depth=24, heads=16),
}
# Of ImageNet, RGB.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_small = nn.initializers.truncated_normal(0.02)


class Features(NamedTuple):
  """What the network makes of a picture.

  Attributes:
    embedding: of the whole, [b c].
    registers: of the registers, [b r c].
    patches: of its patches, [b h w c].
  """

  embedding: Array
  registers: Array
  patches: Array


class Perceptron(nn.Module):
  """Two dense layers around GELU, or SwiGLU.

  Attributes:
    hidden: channels between the layers.
    is_gated: silu(a) b of two halves, in place of GELU.
    dtype: type of the products.
  """

  hidden: int
  is_gated: bool = False
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
    c, count = x.shape[-1], 2 if self.is_gated else 1
    x = blocks.Dense(count * self.hidden, dtype=self.dtype, name="first")(x)
    if self.is_gated:
      gate, value = jnp.split(x, 2, axis=-1)
      x = nn.silu(gate) * value
    else:
      x = activations.gelu(x)
    return blocks.Dense(c, dtype=self.dtype, name="second")(x)


@jax.custom_vjp
def attend(
  q: Float[Array, "*b n d"],
  k: Float[Array, "*b m d"],
  v: Float[Array, "*b m d"],
) -> Float[Array, "*b n d"]:
  """Returns softmax(q k^T) v.

  The derivative is written out: with P the softmax and Y the result, that of
  the logits is P (G V^T - sum(G Y)). XLA's own takes longer on a CPU.
  """
  return _attended(q, k, v)[0]


def _attended(q, k, v):
  exact = jnp.promote_types(q.dtype, jnp.float32)  # of logits and softmax
  logits = jnp.einsum("...nd,...md->...nm", q, k, preferred_element_type=exact)
  weights = nn.softmax(logits).astype(v.dtype)
  y = jnp.einsum("...nm,...md->...nd", weights, v)
  return y, (q, k, v, weights, y)


def _attended_back(saved, grad):
  q, k, v, weights, y = saved
  by_v = jnp.einsum("...nm,...nd->...md", weights, grad)
  by_weights = jnp.einsum("...nd,...md->...nm", grad, v)
  logits = weights * (by_weights - (grad * y).sum(-1, keepdims=True))
  by_q = jnp.einsum("...nm,...md->...nd", logits, k)
  by_k = jnp.einsum("...nm,...nd->...md", logits, q)
  return by_q, by_k, by_v


attend.defvjp(_attended, _attended_back)


class Attention(nn.Module):
  """Attention of every token to all."""

  heads: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
    b, n, c = x.shape
    qkv = blocks.Dense(3 * c, dtype=self.dtype, name="qkv")(x)
    q, k, v = (
      jnp.moveaxis(part.reshape(b, n, self.heads, -1), 2, 1)
      for part in jnp.split(qkv, 3, axis=-1)
    )
    y = attend(q / math.sqrt(c / self.heads), k, v)
    y = jnp.moveaxis(y, 1, 2).reshape(b, n, c)
    return blocks.Dense(c, dtype=self.dtype, name="proj")(y)


class Block(nn.Module):
  """Attention and a perceptron, each scaled by channel and added."""

  heads: int
  hidden: int
  is_gated: bool
  is_scaled: bool
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
    branches = (
      Attention(self.heads, self.dtype, name="attention"),
      Perceptron(self.hidden, self.is_gated, self.dtype, name="perceptron"),
    )
    for i, branch in enumerate(branches):
      y = branch(nn.LayerNorm(1e-6, name=f"norm_{i}")(x))
      if self.is_scaled:
        y *= self.param(f"scale_{i}", nn.initializers.ones, x.shape[-1])
      x = x + y
    return x


class Dinov2(nn.Module):
  """The network, of pictures in [0, 1] with sides of any length.

  Sides that are no multiple of `patch` are padded below and to the right by
  reflection.

  Attributes:
    channels: 3, RGB.
    width: channels of a token.
    depth: blocks.
    heads: of the attention.
    hidden: of the perceptrons; 0 is 4 times the width.
    is_gated: SwiGLU in place of GELU.
    is_scaled: whether branches are scaled by channel.
    registers: tokens that stand for no patch.
    side: of the square of patches that positions are stored for.
    offset: of the number of patches while positions are interpolated.
    antialias: while positions are interpolated.
    patch: side of a patch.
    chunks: in how many parts a file lists the blocks; 0 as one.
    dtype: type of the products.
  """

  channels: int = 3
  width: int = 384
  depth: int = 12
  heads: int = 6
  hidden: int = 0
  is_gated: bool = False
  is_scaled: bool = True
  registers: int = 0
  side: int = 37
  offset: float | int = 0.1
  antialias: bool = False
  patch: int = 14
  chunks: int = 0
  dtype: DTypeLike = jnp.float32

  def setup(self):
    width = self.width
    self.embed = blocks.Dense(width, dtype=self.dtype)
    self.cls = self.param("cls", _small, (1, 1, width))
    count = 1 + self.side**2
    self.positions = self.param("positions", _small, (1, count, width))
    self.mask = self.param("mask", nn.initializers.zeros, (1, width))
    if self.registers:
      shape = (1, self.registers, width)
      self.register = self.param("register", _small, shape)
    self.block = [
      Block(
        self.heads,
        self.hidden or 4 * width,
        self.is_gated,
        self.is_scaled,
        self.dtype,
      )
      for _ in range(self.depth)
    ]
    self.norm = nn.LayerNorm(1e-6)

  def positions_of(self, shape: tuple[int, int]) -> Float[Array, "1 n c"]:
    """Returns the position of the whole, and those of h x w patches."""
    side = self.side
    if shape == (side, side):
      return self.positions
    table = self.positions[:, 1:].reshape(1, side, side, -1)
    kind = ("cubic", "drop") if self.antialias else ("cubic_torch", "edge")
    rows, columns = (
      resize.matrix(
        side,
        n,
        method=kind[0],
        boundary=kind[1],
        antialias=self.antialias,
        scale=(n + self.offset) / side if self.offset else None,
      )
      for n in shape
    )
    table = resize.apply(table, rows, columns)
    table = table.reshape(1, -1, table.shape[-1])
    return jnp.concatenate([self.positions[:, :1], table], axis=1)

  def tokens(
    self,
    x: Float[Array, "b h w d"],
    masks: Bool[Array, "b p"] | None = None,
  ) -> list[Float[Array, "b n c"]]:
    """Returns the tokens after each block: whole, registers, patches.

    Args:
      x: of mean 0 and deviation 1; sides are multiples of `patch`.
      masks: the patches that are hidden.
    """
    b, h, w, c = x.shape
    side = self.patch
    x = x.reshape(b, h // side, side, w // side, side, c).swapaxes(2, 3)
    x = self.embed(x.reshape(b, -1, side * side * c))
    if masks is not None:
      x = jnp.where(masks[..., None], self.mask, x)
    whole = jnp.broadcast_to(self.cls, (b, 1, self.width))
    x = jnp.concatenate([whole, x], axis=1)
    x = x + self.positions_of((h // side, w // side))
    if self.registers:
      more = jnp.broadcast_to(self.register, (b, self.registers, self.width))
      x = jnp.concatenate([x[:, :1], more, x[:, 1:]], axis=1)
    every = []
    for block in self.block:
      x = block(x)
      every.append(x)
    return every

  def parts(
    self, tokens: Float[Array, "b n c"], shape: tuple[int, int]
  ) -> Features:
    """Returns tokens of h x w patches as what they are of, normed."""
    x, first = self.norm(tokens), 1 + self.registers
    patches = x[:, first:].reshape(len(x), *shape, -1)
    return Features(x[:, 0], x[:, 1:first], patches)

  def features(self, field: Float[Array, "b h w c"]) -> Features:
    """Returns what the network makes of pictures in [0, 1].

    Raises:
      ValueError: wrong number of channels.
    """
    blocks.require_channels(field, self.channels)
    x = (field - jnp.asarray(_MEAN)) / jnp.asarray(_STD)
    for axis, n in enumerate(x.shape[1:3], start=1):
      # A side shorter than what is added is mirrored more than once.
      whole = np.arange(n + -n % self.patch)
      x = x[(slice(None),) * axis + (taps.fold(whole, n, "reflect"),)]
    shape = x.shape[1] // self.patch, x.shape[2] // self.patch
    return self.parts(self.tokens(x)[-1], shape)

  def __call__(
    self, field: Float[Array, "b h w c"], coords=None, cell=None
  ) -> Float[Array, "b e"]:
    """Returns the embedding; query points are not looked at."""
    del coords, cell
    return self.features(field).embedding


def build(size: str = "S", **kwargs) -> Dinov2:
  """Returns a `Dinov2` of a size, "S", "B" or "L", any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Dinov2(**{**naming.look_up("size of dinov2", size, SIZES), **kwargs})
