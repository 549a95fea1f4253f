"""The first convolutional networks of super-resolution: SRCNN and ESPCN."""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import resize
from hinote_jax.models.single_scale import fixed_scale


class Srcnn(fixed_scale.FixedScale):
  """Cubic interpolation, then three convolutions (Dong et al., ECCV 2014).

  Attributes:
    registration: of the interpolation, see `resize.matrix`. The released
      network has "nodes": it moves the field by up to half a coarse cell.
  """

  registration: str = "cells"

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    _, h, w, _ = lowres.shape
    edges = resize.boundaries(self.periodic, "edge")
    x = lazy.resample(
      lowres,
      (h * self.scale, w * self.scale),
      method="cubic_torch",
      antialias=False,
      boundary=edges,
      registration=self.registration,
    )
    x = lazy.pointwise(nn.relu, self._conv(64, "conv_0", 9)(x))
    x = lazy.pointwise(nn.relu, self._conv(32, "conv_1", 5)(x))
    return self._conv(self.channels, "conv_2", 5, dtype=jnp.float32)(x)


class Espcn(fixed_scale.FixedScale):
  """Convolutions, one pixel shuffle (Shi et al., CVPR 2016; with ReLU)."""

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    x = lowres
    for i, (width, size) in enumerate([(128, 5), (128, 3), (64, 3)]):
      x = lazy.pointwise(nn.relu, self._conv(width, f"conv_{i}", size)(x))
    x = self._conv(self.channels * self.scale**2, "conv_3", dtype=jnp.float32)(
      x
    )
    return lazy.pixel_shuffle(x, self.scale)
