"""SRNO, the super-resolution neural operator (Wei and Zhang, CVPR 2023)."""

import functools

from flax import linen as nn
import jax.numpy as jnp

from hinote_jax.lazy import planes
from hinote_jax.models.implicit import base as implicit
from hinote_jax.nn import activations, bands, blocks, galerkin, samplers


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

  def answer(self, feats, part, lowres, coords, cell):
    x = self.lift(feats, part, coords, cell)
    for i in range(self.blocks):
      x = self._block(i)(x)
    return self.finish(x, lowres, coords)

  def lift(self, feats, part, coords, cell):
    """Returns the features at the query points, [b H W width]."""
    rel_cell = samplers.relative_cell(cell, part.shape, 1, self.max_scale)
    return samplers.SampledDense(
      self.width,
      self.periodic,
      halve_at_walls=True,
      dtype=self.dtype,
      name="lift",
    )(feats, coords, rel_cell, part)

  @nn.nowrap
  def _block(self, i):
    return galerkin.GalerkinBlock(
      self.heads,
      self.dtype,
      norm="published",
      activate=activations.gelu,
      most=self.most,
      name=f"galerkin_{i}",
    )

  def finish(self, x, lowres, coords):
    """Returns the field of the last features, [b H W c]."""
    layers = self._layers(self.width, (*self.hidden, self.channels))

    def project(points):
      for kernel, bias in layers[:-1]:
        y = blocks.multiply(points, kernel, self.dtype) + bias
        points = activations.gelu(y)
      kernel, bias = layers[-1]
      return blocks.multiply(points, kernel, jnp.float32) + bias

    x = bands.pointwise(project, x, bands.at_once(self.most))
    return x + self._skip(lowres, coords)

  @nn.nowrap
  def planes(self, run, variables, lowres, queries):
    blocks.require_channels(lowres, self.channels)
    feats, ratio = self._feats(run, variables, lowres)
    run_stage = functools.partial(self.apply, method="stage")

    def lift(params, points, feats):
      variables, cell = params
      values, place = feats.values, feats.place
      return run_stage(variables, "lift", values, place, points, cell)

    def finish(params, points, x):
      variables, lowres = params
      return run_stage(variables, "finish", x.values, lowres, points)

    inputs = queries.on(feats, ratio)
    x = queries.plane(lift, (variables, queries.cell), inputs)
    for i in range(self.blocks):
      block = self._block(i)
      x = galerkin.attend(run, block, variables["params"][block.name], x)
    return queries.plane(finish, (variables, lowres), planes.same(x))


build = Srno
