"""The VQ-f4 autoencoder of latent diffusion (Rombach et al., CVPR 2022)."""

from collections.abc import Sequence
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from hinote_jax.core.typing import Array
from hinote_jax.models.diffusion import parts
from hinote_jax.nn import bands, blocks

Field = Float[Array, "b h w c"]
Resized = Float[Array, "b H W d"]
_EPSILON = 1e-6
_PRODUCTS = 2**25  # of a band's points with all


class Attention(nn.Module):
  """Attention of every point to all, of one head, in bands of points."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    b, h, w, c = x.shape
    y = parts.group_norm("norm", _EPSILON)(x)
    q, k, v = (
      blocks.Dense(c, dtype=self.dtype, name=name)(y) for name in "qkv"
    )
    k, v = (t.reshape(b, h * w, c) for t in (k, v))

    def attended(q):
      logits = jnp.einsum("bic,bjc->bij", q, k) / math.sqrt(c)
      weights = nn.softmax(logits.astype(jnp.float32), axis=-1)
      return jnp.einsum("bij,bjc->bic", weights.astype(v.dtype), v)

    y = bands.pointwise(attended, q, max(1, _PRODUCTS // (h * w)))
    return x + blocks.Dense(c, dtype=self.dtype, name="out")(y)


class Middle(nn.Module):
  """A residual block, attention and a residual block."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    c = x.shape[-1]
    x = parts.ResBlock(c, _EPSILON, dtype=self.dtype, name="block_0")(x)
    x = Attention(self.dtype, name="attention")(x)
    return parts.ResBlock(c, _EPSILON, dtype=self.dtype, name="block_1")(x)


class Encoder(nn.Module):
  """A picture -> a latent before its last convolution of one cell."""

  width: int
  multiples: Sequence[int]
  blocks: int
  latents: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Resized:
    x = blocks.Conv(self.width, dtype=self.dtype, name="head")(x)
    for level, multiple in enumerate(self.multiples):
      features = multiple * self.width
      for i in range(self.blocks):
        name = f"level_{level}_{i}"
        block = parts.ResBlock(features, _EPSILON, dtype=self.dtype, name=name)
        x = block(x)
      if level + 1 < len(self.multiples):
        name = f"halve_{level}"
        x = parts.Halve(features, 0, dtype=self.dtype, name=name)(x)
    x = Middle(self.dtype, name="middle")(x)
    x = nn.silu(parts.group_norm("last_norm", _EPSILON)(x))
    return blocks.Conv(self.latents, dtype=self.dtype, name="last")(x)


class Decoder(nn.Module):
  """A latent behind its first convolution of one cell -> a picture."""

  channels: int
  width: int
  multiples: Sequence[int]
  blocks: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Resized:
    features = self.multiples[-1] * self.width
    x = blocks.Conv(features, dtype=self.dtype, name="head")(x)
    x = Middle(self.dtype, name="middle")(x)
    for level in reversed(range(len(self.multiples))):
      features = self.multiples[level] * self.width
      for i in range(self.blocks + 1):
        name = f"level_{level}_{i}"
        block = parts.ResBlock(features, _EPSILON, dtype=self.dtype, name=name)
        x = block(x)
      if level:
        conv = blocks.Conv(features, dtype=self.dtype, name=f"double_{level}")
        x = conv(parts.doubled(x))
    x = nn.silu(parts.group_norm("last_norm", _EPSILON)(x))
    return blocks.Conv(self.channels, dtype=self.dtype, name="last")(x)


class Autoencoder(nn.Module):
  """Pictures in [-1, 1] to latents on a coarser grid, and back.

  Attributes:
    channels: of a picture.
    width: channels at the finest level.
    multiples: channels of each level over `width`; a level halves the grid.
    blocks: residual blocks of a level of the encoder.
    latents: channels of a latent.
    codes: words of the code book.
    dtype: type of the products.
  """

  channels: int = 3
  width: int = 128
  multiples: Sequence[int] = (1, 2, 4)
  blocks: int = 2
  latents: int = 3
  codes: int = 8192
  dtype: DTypeLike = jnp.float32

  def setup(self):
    sizes: Any = dict(width=self.width, multiples=self.multiples)
    sizes |= dict(blocks=self.blocks, dtype=self.dtype)
    self.encoder = Encoder(latents=self.latents, **sizes)
    self.decoder = Decoder(channels=self.channels, **sizes)
    self.before = blocks.Dense(self.latents)
    self.after = blocks.Dense(self.latents)
    init = nn.initializers.uniform(2.0 / self.codes)
    self.book = self.param("book", init, (self.codes, self.latents))

  def encode(self, picture: Field) -> Resized:
    """Returns the latent, which is no word of the code book yet."""
    return self.before(self.encoder(picture))

  def words(self, latent: Field) -> Int[Array, "b h w"]:
    """Returns the nearest word of the code book at each point."""
    book = self.book
    half = 0.5 * jnp.square(book).sum(-1)

    def nearest(z):
      score = jnp.einsum("bnc,kc->bnk", z, book, precision="highest") - half
      return jnp.argmax(score, axis=-1)[..., None].astype(jnp.float32)

    limit = bands.points_at_once(None)
    words = bands.pointwise(nearest, latent, limit)[..., 0]
    return jnp.asarray(words, jnp.int32)  # below 2^24, so exact

  def quantise(self, latent: Field) -> Field:
    """Returns the words themselves; the gradient passes as if they were not."""
    word = self.book[self.words(latent)]
    return latent + jax.lax.stop_gradient(word - latent)

  def decode(self, latent: Field, is_quantised: bool = True) -> Resized:
    """Returns the picture of a latent, of its words where asked."""
    latent = self.quantise(latent) if is_quantised else latent
    return self.decoder(self.after(latent))

  def __call__(self, picture: Field) -> Resized:
    return self.decode(self.encode(picture))
