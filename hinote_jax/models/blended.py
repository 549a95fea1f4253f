"""Any model, blended with interpolations at scales that it was not trained at.

Beyond its scales a network answers, but nothing has taught it how far its
answer is to be trusted. How far is measured on held-out fields, see
`evaluate.far`, and kept as weights:

    highres = z + sum_k w_k(s) (I_k lowres - z)

with z the model's answer, I_k an interpolation and w_k linear in log s between
the scales that it was measured at, held beyond the last. No weight is negative
and their sum is at most one. The model's own parameters are all there are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic


class Blended(nn.Module):
  """A model that trusts itself as far as `blend` says.

  Attributes:
    plain: the model.
    blend: "methods" of `resize`, "scales" in order, and "weights" at these
      [k c m], a number a scale, variable and method.
    channels: variables of the field; None for any number.
    periodic: which of (y, x) close on themselves.
  """

  plain: nn.Module
  blend: Mapping[str, Sequence[Any]]
  channels: int | None = None
  periodic: Periodic = (False, False)

  def setup(self):
    # A name that no model has for a part: they share one scope.
    self.blended = self.plain.clone(periodic=self.periodic)
    nn.share_scope(self, self.blended)

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    **extras: Any,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points; `extras` as the model."""
    z = self.blended(lowres, coords, cell, **extras)
    rules = resize.boundaries(self.periodic, "edge")
    weights = self._weights(grids.scale_of(cell, grids.pair(lowres.shape[1:3])))
    moved = z
    for k, method in enumerate(self.blend["methods"]):
      other = lazy.interpolate(lowres, coords, method=method, boundary=rules)
      moved = moved + (other - z) * weights[..., k]
    return moved

  @nn.nowrap
  def _weights(self, scale: Float[Array, "b 2"]):
    """Returns how much each variable takes of each method, [b 1 1 c m]."""
    octaves = jnp.log2(jnp.asarray(scale)).mean(-1)
    nodes = jnp.log2(jnp.asarray(self.blend["scales"], jnp.float32))
    weights = jnp.asarray(self.blend["weights"], jnp.float32)
    index = jnp.interp(octaves, nodes, jnp.arange(len(nodes), dtype="float32"))
    below = jnp.clip(jnp.floor(index).astype(int), 0, max(len(nodes) - 2, 0))
    above = jnp.minimum(below + 1, len(nodes) - 1)
    part = (index - below)[:, None, None]
    mixed = (1.0 - part) * weights[below] + part * weights[above]
    return mixed[:, None, None]
