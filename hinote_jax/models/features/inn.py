"""The invertible network behind the MGHF losses: base and detail features.

It is the encoder of CDDFuse (Zhao et al., CVPR 2023): Restormer blocks, then
attention over channels for the base, and invertible modules for the detail:

    u_1, u_2 = split(A z + b)
    z_2 = u_2 + phi(u_1)
    z_1 = u_1 exp(rho(z_2)) + eta(z_2)

A decoder gives the field back, by which the network is trained.
"""

from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import activations, blocks

Field = Float[Array, "b h w c"]


class Features(NamedTuple):
  """What the encoder makes of a field, each [b h w width].

  Attributes:
    shared: what base and detail are made of.
    base: of attention over channels.
    details: after each invertible module, the first first.
  """

  shared: Array
  base: Array
  details: tuple[Array, ...]


def attend_channels(
  qkv: Float[Array, "b h w e"], temperature: Float[Array, " k"]
) -> Field:
  """Returns attention of every channel to those of its head.

  Queries and keys are whole channels, of unit norm over all cells.

  Args:
    qkv: queries, keys and values one after another.
    temperature: factor of the products, one a head.
  """
  b, h, w, e = qkv.shape
  q, k, v = jnp.moveaxis(qkv.reshape(b, h * w, 3, len(temperature), -1), 2, 0)
  # The products of unit channels, without writing those.
  products = jnp.einsum("bnkd,bnke->bkde", q, k)
  squares = [jnp.square(x).sum(axis=1) for x in (q, k)]
  q_norm, k_norm = (jax.lax.rsqrt(jnp.maximum(s, 1e-24)) for s in squares)
  products *= q_norm[..., :, None] * k_norm[..., None, :]
  weights = nn.softmax(products * temperature[:, None, None], axis=-1)
  return jnp.einsum("bkde,bnke->bnkd", weights, v).reshape(b, h, w, e // 3)


class ChannelAttention(nn.Module):
  """Attention over channels, of values that see their neighbours.

  Attributes:
    heads: that the channels divide among.
    is_depthwise: each channel sees its own neighbours only (Restormer's), or
      all of them (that of CDDFuse's base).
    dtype: type of the products.
  """

  heads: int
  is_depthwise: bool = True
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    c, dtype = x.shape[-1], self.dtype
    if c % self.heads:
      raise ValueError(f"{c} channels do not divide among {self.heads} heads")
    temperature = self.param("temperature", nn.initializers.ones, self.heads)
    qkv = blocks.Dense(3 * c, use_bias=False, dtype=dtype, name="qkv")(x)
    if self.is_depthwise:
      qkv = blocks.DepthwiseConv(use_bias=False, dtype=dtype, name="near")(qkv)
    else:
      near = blocks.Conv(3 * c, use_bias=False, dtype=dtype, name="near")
      qkv = near(qkv)
    y = attend_channels(qkv, temperature)
    return blocks.Dense(c, use_bias=False, dtype=dtype, name="out")(y)


class GatedPerceptron(nn.Module):
  """gelu(a) b of two halves that see their neighbours.

  Attributes:
    hidden: channels of each half.
    is_depthwise: each channel sees its own neighbours only, or those of the
      one beside it too (that of CDDFuse's base).
    dtype: type of the products.
  """

  hidden: int
  is_depthwise: bool = True
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    c, dtype = x.shape[-1], self.dtype
    x = blocks.Dense(2 * self.hidden, use_bias=False, dtype=dtype, name="in")(x)
    near = blocks.DepthwiseConv(use_bias=False, dtype=dtype, name="near")
    if self.is_depthwise:
      x = near(x)
    else:
      beside = x.reshape(*x.shape[:3], -1, 2)[..., ::-1].reshape(x.shape)
      own, other = jnp.split(near(jnp.concatenate([x, beside], -1)), 2, -1)
      x = own + other
    gate, value = jnp.split(x, 2, axis=-1)
    x = activations.gelu(gate) * value
    return blocks.Dense(c, use_bias=False, dtype=dtype, name="out")(x)


class Block(nn.Module):
  """Attention over channels and a gated perceptron, each with a skip.

  Attributes:
    heads: of the attention.
    factor: channels within the perceptron over those of the block.
    is_depthwise: of both.
    dtype: type of the products.
  """

  heads: int
  factor: float | int = 2
  is_depthwise: bool = True
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    kind: Any = dict(is_depthwise=self.is_depthwise, dtype=self.dtype)
    hidden = int(x.shape[-1] * self.factor)
    y = blocks.LayerNorm(1e-5, name="norm_0")(x)
    x = x + ChannelAttention(self.heads, name="attention", **kind)(y)
    y = blocks.LayerNorm(1e-5, name="norm_1")(x)
    return x + GatedPerceptron(hidden, name="perceptron", **kind)(y)


class Bottleneck(nn.Module):
  """Widens twice, sees the neighbours, mirrored at walls, and narrows.

  It begins small, so that a fresh module is near a turn.
  """

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Field) -> Field:
    c = x.shape[-1]
    options: Any = dict(use_bias=False, dtype=self.dtype)
    x = nn.relu6(blocks.Dense(2 * c, name="in", **options)(x))
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    x = blocks.DepthwiseConv(name="near", **options)(x)[:, 1:-1, 1:-1]
    options["kernel_init"] = blocks.small_init
    return blocks.Dense(c, name="out", **options)(nn.relu6(x))


class InvertibleModule(nn.Module):
  """One step of the detail features and, exactly, its inverse.

  Attributes:
    width: channels, an even number.
    dtype: type of the products of phi, rho and eta.
  """

  width: int
  dtype: DTypeLike = jnp.float32

  def setup(self):
    # A turn: its inverse is as well conditioned as a matrix can be.
    init = nn.initializers.orthogonal()
    self.mix = blocks.Affine(self.width, kernel_init=init)
    self.phi = Bottleneck(self.dtype)
    self.rho = Bottleneck(self.dtype)
    self.eta = Bottleneck(self.dtype)

  def __call__(self, z: Field) -> Field:
    kernel, bias = self.mix(self.width)
    first, second = jnp.split(_multiply(z, kernel) + bias, 2, axis=-1)
    second = second + self.phi(first)
    first = first * jnp.exp(self.rho(second)) + self.eta(second)
    return jnp.concatenate([first, second], axis=-1)

  def inverse(self, z: Field) -> Field:
    """Returns what the module makes z of."""
    first, second = jnp.split(z, 2, axis=-1)
    first = (first - self.eta(second)) * jnp.exp(-self.rho(second))
    second = second - self.phi(first)
    kernel, bias = self.mix(self.width)
    mixed = jnp.concatenate([first, second], axis=-1) - bias
    return _multiply(mixed, jnp.linalg.inv(kernel))


def _multiply(x, kernel):
  return jnp.matmul(x, kernel, precision="highest")


class Encoder(nn.Module):
  """The field -> `Features`; the attributes are those of `Inn`."""

  width: int = 64
  heads: int = 8
  blocks: int = 4
  factor: float | int = 2
  nodes: int = 3
  dtype: DTypeLike = jnp.float32

  def setup(self):
    if self.width % 2:
      raise ValueError(f"width {self.width} does not divide into two halves")
    options: Any = dict(heads=self.heads, dtype=self.dtype)
    self.head = blocks.Conv(self.width, use_bias=False, dtype=self.dtype)
    self.shared = [
      Block(factor=self.factor, name=f"block_{i}", **options)
      for i in range(self.blocks)
    ]
    self.base = Block(factor=1, is_depthwise=False, **options)
    self.details = [
      InvertibleModule(self.width, self.dtype, name=f"node_{i}")
      for i in range(self.nodes)
    ]

  def __call__(self, x: Float[Array, "b h w d"]) -> Features:
    x = self.head(x)
    for block in self.shared:
      x = block(x)
    z, details = x, []
    for node in self.details:
      z = node(z)
      details.append(z)
    return Features(x, self.base(x), tuple(details))

  def inverse(self, detail: Field) -> Field:
    """Returns `Features.shared` of the last of `Features.details`."""
    for node in reversed(self.details):
      detail = node.inverse(detail)
    return detail


class Decoder(nn.Module):
  """Base and detail -> the field; the attributes are those of `Inn`."""

  channels: int
  heads: int = 8
  blocks: int = 4
  factor: float | int = 2
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, base: Field, detail: Field) -> Float[Array, "b h w d"]:
    width = base.shape[-1]
    options: Any = dict(use_bias=False, dtype=self.dtype)
    x = jnp.concatenate([base, detail], axis=-1)
    x = blocks.Dense(width, name="reduce", **options)(x)
    for i in range(self.blocks):
      name = f"block_{i}"
      x = Block(self.heads, self.factor, dtype=self.dtype, name=name)(x)
    x = blocks.Conv(width // 2, name="narrow", **options)(x)
    x = nn.leaky_relu(x, 0.01)
    return blocks.Conv(self.channels, name="last", **options)(x)


class Inn(nn.Module):
  """Encoder and decoder: the field given back, read at any query points.

  Attributes:
    channels: variables of the field.
    width: channels of the features, an even number.
    heads: of every attention; they divide the width.
    blocks: of the encoder, before base and detail part.
    decoder_blocks: of the decoder.
    factor: channels within a perceptron over the width.
    nodes: how many invertible modules there are.
    residual: the decoder's answer is added to the field, as CDDFuse does; the
      features then need not hold it.
    is_bounded: the answer is put between 0 and 1, as CDDFuse does.
    has_decoder: whether there is one; a file may hold the encoder alone.
    periodic: which of (y, x) close on themselves; for reading only.
    dtype: type of the products.
  """

  channels: int = 1
  width: int = 64
  heads: int = 8
  blocks: int = 4
  decoder_blocks: int = 4
  factor: float | int = 2
  nodes: int = 3
  residual: bool = False
  is_bounded: bool = False
  has_decoder: bool = True
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def setup(self):
    self.encoder = Encoder(
      width=self.width,
      heads=self.heads,
      blocks=self.blocks,
      factor=self.factor,
      nodes=self.nodes,
      dtype=self.dtype,
    )
    if self.has_decoder:
      self.decoder = Decoder(
        self.channels,
        heads=self.heads,
        blocks=self.decoder_blocks,
        factor=self.factor,
        dtype=self.dtype,
      )

  def features(self, field: Float[Array, "b h w d"]) -> Features:
    """Returns what the encoder makes of a field.

    Raises:
      ValueError: wrong number of channels.
    """
    blocks.require_channels(field, self.channels)
    return self.encoder(field)

  def inverse(self, detail: Field) -> Field:
    """Returns `Features.shared` of the last detail features, exactly."""
    return self.encoder.inverse(detail)

  def decode(
    self, base: Field, detail: Field, field: Float[Array, "b h w d"]
  ) -> Float[Array, "b h w d"]:
    """Returns the field that features are of; `field` is what they are of."""
    x = self.decoder(base, detail)
    x = x + field if self.residual else x
    return nn.sigmoid(x) if self.is_bounded else x

  def __call__(
    self, lowres: Field, coords: grids.Coords, cell: Float[Array, "b 2"]
  ) -> Float[Array, "b H W c"]:
    """Returns the field given back, at the query points.

    Raises:
      ValueError: wrong number of channels, or there is no decoder.
    """
    del cell
    features = self.features(lowres)
    if self.has_decoder:
      lowres = self.decode(features.base, features.details[-1], lowres)
    elif not self.is_initializing():
      raise ValueError("this inn is an encoder alone and gives no field back")
    return jnp.asarray(fixed_scale.read(lowres, coords, self.periodic))
