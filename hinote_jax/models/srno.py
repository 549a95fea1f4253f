"""SRNO, the super-resolution neural operator (Wei and Zhang, CVPR 2023)."""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import grids
from hinote_jax.models import (
  activations,
  blocks,
  galerkin,
  implicit,
  samplers,
)
from hinote_jax.typing import Array


class Srno(implicit.Implicit):
  """Sampler, lifting, Galerkin blocks, projection, linear interpolation.

  Attributes:
    width: channels of the operator.
    heads: attention heads of each block.
    blocks: Galerkin blocks.
    hidden: channels of the projection's hidden layer.
    max_scale: beyond this scale the query cell is held, the code's option
      `mcell` at 4; infinity for never, its default.
  """

  hidden: tuple[int, ...] = (256,)
  width: int = 256
  heads: int = 16
  blocks: int = 2
  max_scale: float = jnp.inf

  @nn.compact
  def __call__(
    self,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points.

    The answer at a point depends on which others are asked for: attention
    averages over all of them.

    Raises:
      ValueError: wrong number of channels, or heads do not divide the width.
    """
    feats = self._encode(lowres)
    rel_cell = samplers.relative_cell(cell, feats.shape[1:3], 1, self.max_scale)
    x = samplers.SampledDense(
      self.width,
      self.periodic,
      halve_at_walls=True,
      dtype=self.dtype,
      name="lift",
    )(feats, coords, rel_cell)
    for i in range(self.blocks):
      x = galerkin.GalerkinBlock(
        self.heads,
        self.dtype,
        norm="published",
        activate=activations.gelu,
        most=self.most,
        name=f"galerkin_{i}",
      )(x)
    for i, width in enumerate(self.hidden):
      dense = blocks.Dense(width, dtype=self.dtype, name=f"layer_{i}")
      x = activations.gelu(dense(x))
    x = blocks.Dense(self.channels, name=f"layer_{len(self.hidden)}")(
      x.astype(jnp.float32)
    )
    return x + self._skip(lowres, coords)


build = Srno
