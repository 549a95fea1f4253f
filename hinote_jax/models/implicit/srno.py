"""SRNO, the super-resolution neural operator (Wei and Zhang, CVPR 2023)."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import DTypeLike

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.models.implicit import base
from hinote_jax.nn import activations, bands, blocks, galerkin, samplers


class Srno(base.Implicit):
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

  hidden: Sequence[int] = (256,)
  width: int = 256
  heads: int = 16
  blocks: int = 2
  max_scale: float = jnp.inf

  def answer(self, feats, lowres, coords, cell):
    shape = grids.pair(feats.shape[1:3])
    rel_cell = samplers.relative_cell(cell, shape, 1, self.max_scale)
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
        points_at_once=self.points_at_once,
        name=f"galerkin_{i}",
      )(x)
    layers = self._layers(self.width, (*self.hidden, self.channels))
    project = lazy.bind(_project, self.dtype, self.points_at_once)
    residual = lazy.pointwise(project, x, params=layers)
    return residual + self._skip(lowres, coords)


def _project(dtype: DTypeLike, points_at_once: int | None, layers, x):
  """Pointwise layers from the operator's features to the field."""

  def project(points):
    for kernel, bias in layers[:-1]:
      y = blocks.multiply(points, kernel, dtype) + bias
      points = activations.gelu(y)
    kernel, bias = layers[-1]
    return blocks.multiply(points, kernel, jnp.float32) + bias

  return bands.pointwise(project, x, bands.points_at_once(points_at_once))


build = Srno
