"""What HiNOTE is put together from: encoder, pointwise head, query decoder."""

from collections.abc import Mapping
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models import encoders
from hinote_jax.nn import blocks, galerkin, hierarchy, samplers, upsampling


class Encoder(nn.Module):
  """Trunk and hybrid upsampling, [b h w c] -> [b u*h u*w C].

  Attributes:
    width: channels C of the features.
    blocks: residual blocks of the trunk "edsr".
    upsample: u, a power of two; log2(u) hybrid stages.
    kind: a name of `encoders`.
    trunk_options: attributes of that encoder that differ from its own.
  """

  width: int
  blocks: int
  upsample: int = 1
  kind: str = "edsr"
  trunk_options: Mapping[str, Any] = nn.FrozenDict()
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W d"]:
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    own = dict(blocks=self.blocks) if self.kind == "edsr" else {}
    trunk = encoders.make(
      self.kind,
      {**own, **self.trunk_options},
      features=self.width,
      name="trunk",
      **options,
    )
    x = lazy.stored(trunk(x))
    for i in range(int(math.log2(self.upsample))):
      double = upsampling.HybridDoubling(name=f"double_{i}", **options)
      x = lazy.stored(double(x))
    return x


class Head(nn.Module):
  """A pointwise network on the sampled tokens: the light query side.

  Attributes:
    width: channels of the hidden layers.
    depth: hidden layers, the sampled one included.
    channels: variables of the result.
    heads: attention heads of one Galerkin block whose keys and values are the
      encoder's features; 0 for none.
  """

  width: int
  depth: int
  channels: int
  heads: int = 0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    feats: Float[lazy.Grid, "b h w d"],
    coords: lazy.Coords,
    rel_cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the decoder's answer at the query points.

    Args:
      feats: the encoder's features.
      coords: query points.
      rel_cell: query cell in feature cells times 2.
    """
    x = samplers.SampledDense(
      self.width, periodic=self.periodic, dtype=self.dtype, name="lift"
    )(feats, coords, rel_cell)
    if self.heads:
      block = galerkin.GalerkinBlock(self.heads, self.dtype, name="galerkin")
      x = block(x, feats)
    for i in range(1, self.depth):
      layer = blocks.Dense(self.width, dtype=self.dtype, name=f"hidden_{i}")
      x = layer(lazy.pointwise(jax.nn.gelu, x))
    return _project(self.channels, lazy.pointwise(jax.nn.gelu, x))


def _project(channels: int, x: Float[lazy.Grid, "b H W c"]):
  """The last pointwise layer, in float32, small but not zero when fresh."""
  project = blocks.Dense(
    channels, kernel_init=blocks.small_init, name="project"
  )
  return project(lazy.pointwise(blocks.as_float32, x))


class QueryDecoder(nn.Module):
  """The paper's decoder: lifting, hierarchy, projection on the query grid."""

  hierarchy: hierarchy.Hierarchy
  channels: int

  @nn.compact
  def __call__(
    self,
    feats: Float[lazy.Grid, "b h w d"],
    coords: lazy.Coords,
    rel_cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
    x = samplers.SampledDense(
      self.hierarchy.widths[0],
      name="lift",
      periodic=self.hierarchy.periodic,
      dtype=self.hierarchy.dtype,
    )(feats, coords, rel_cell)
    x = self.hierarchy(x)
    return _project(self.channels, lazy.pointwise(jax.nn.gelu, x))
