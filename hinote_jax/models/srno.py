"""SRNO, the super-resolution neural operator (Wei and Zhang, CVPR 2023)."""

import jax.numpy as jnp

from hinote_jax.models import (
  activations,
  bands,
  blocks,
  galerkin,
  implicit,
  samplers,
)


class Srno(implicit.Implicit):
  """Sampler, lifting, Galerkin blocks, projection, linear interpolation.

  The answer at a point depends on which others are asked for: attention
  averages over all of them.

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

  def answer(self, feats, lowres, coords, cell):
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
    layers = self._layers(self.width, (*self.hidden, self.channels))

    def project(points):
      for kernel, bias in layers[:-1]:
        y = blocks.multiply(points, kernel, self.dtype) + bias
        points = activations.gelu(y)
      kernel, bias = layers[-1]
      return blocks.multiply(points, kernel, jnp.float32) + bias

    x = bands.pointwise(project, x, bands.at_once(self.most))
    return x + self._skip(lowres, coords)


build = Srno
