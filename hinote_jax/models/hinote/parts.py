"""What HiNOTE is put together from: encoder, pointwise head, query decoder."""

from collections.abc import Mapping
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.nn import blocks, galerkin, hierarchy, samplers, upsampling


class Encoder(nn.Module):
  """Trunk and hybrid upsampling, [b h w c] -> [b u*h u*w C].

  Attributes:
    width: channels C of the features.
    blocks: residual blocks of the trunk.
    upsample: u, a power of two; log2(u) hybrid stages.
  """

  width: int
  blocks: int
  upsample: int = 1
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W d"]:
    x = self._trunk()(x)
    for double in self._doublings():
      x = double(x)
    return x

  @nn.nowrap
  def _options(self):
    return dict(periodic=self.periodic, dtype=self.dtype)

  @nn.nowrap
  def _trunk(self):
    return blocks.Trunk(
      self.width, self.blocks, name="trunk", **self._options()
    )

  @nn.nowrap
  def _doublings(self):
    for i in range(int(math.log2(self.upsample))):
      yield upsampling.HybridDoubling(name=f"double_{i}", **self._options())

  @nn.nowrap
  def planes(
    self, run: planes.Run, params: Mapping[str, Any], x: planes.Plane
  ) -> planes.Plane:
    """Returns the same as a call of a plane, stored; see `planes`."""
    trunk = self._trunk()

    apply = plane_ops.applied(trunk)
    x = run.store(plane_ops.local(x, apply, params["trunk"], trunk.reach))
    for double in self._doublings():
      x = run.store(double.planes(run, params[double.name], x))
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

  @nn.nowrap
  def block(self) -> galerkin.GalerkinBlock:
    """Returns the Galerkin block; only where there are heads."""
    return galerkin.GalerkinBlock(self.heads, self.dtype, name="galerkin")

  @nn.compact
  def __call__(self, feats, coords, rel_cell, part=None, integral=None):
    """Returns the decoder's answer at the query points, [b H W c].

    Args:
      feats: the encoder's features, or a window of them.
      coords: query points.
      rel_cell: query cell in feature cells times 2.
      part: where `feats` lies on its grid; None: it is the grid.
      integral: of the Galerkin block; None: of `feats`.
    """
    x = samplers.SampledDense(
      self.width, periodic=self.periodic, dtype=self.dtype, name="lift"
    )(feats, coords, rel_cell, part)
    if self.heads:
      x = self.block()(x, feats, integral)
    for i in range(1, self.depth):
      x = blocks.Dense(self.width, dtype=self.dtype, name=f"hidden_{i}")(
        jax.nn.gelu(x)
      )
    return _project(self.channels, jax.nn.gelu(x))


def _project(channels: int, x: Float[Array, "b H W c"]):
  """The last pointwise layer, in float32, small but not zero when fresh."""
  return blocks.Dense(channels, kernel_init=blocks.small_init, name="project")(
    x.astype(jnp.float32)
  )


class QueryDecoder(nn.Module):
  """The paper's decoder: lifting, hierarchy, projection on the query grid."""

  hierarchy: hierarchy.Hierarchy
  channels: int

  @nn.compact
  def stage(self, name: str, *args: Any) -> jax.Array:
    """Returns what one of the stages makes of its arguments."""
    return getattr(self, name)(*args)

  def lift(self, feats, coords, rel_cell, part=None):
    """Returns the tokens' layer at the query points."""
    options = dict(periodic=self.hierarchy.periodic, dtype=self.hierarchy.dtype)
    return samplers.SampledDense(
      self.hierarchy.widths[0], name="lift", **options
    )(feats, coords, rel_cell, part)

  def finish(self, x):
    """Returns the answer of the hierarchy's features."""
    return _project(self.channels, jax.nn.gelu(x))

  def __call__(self, feats, coords, rel_cell):
    x = self.stage("lift", feats, coords, rel_cell)
    return self.stage("finish", self.hierarchy(x))
