"""Half-quadratic splitting: the loop of USRNet with a denoiser of its own.

    x_0 = y, every cell s x s times
    z_i = argmin |(k * z) read at coarse cells - y|^2 + alpha_i |z - x_{i-1}|^2
    x_i = denoiser(z_i, sigma_i)

Nothing is trained for it: sigma_i falls from `largest` to the noise of the
input, evenly in its logarithm, and alpha_i = 0.23 sigma^2 / sigma_i^2 (Zhang et
al., Plug-and-play image restoration with deep denoiser prior, TPAMI 2022).
"""

from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.models.unfolding import steps
from hinote_jax.nn import blocks

_WEIGHT = 0.23
# Of white, where `largest` is 49 of 255: the smallest noise that is believed.
_LEAST = 1.0 / 49.0


class Splitting(nn.Module):
  """A denoiser plugged into the data step; it has the denoiser's parameters.

  Attributes:
    denoiser: a module with channels and `denoise(x, noise [b])`.
    iterations: how often both steps are done.
    largest: noise that the first step takes away, in units of the input.
    scale: of `usrnet.UsrNet`, as are kernel, noise, registration and walls.
    channels: variables of the field.
    periodic: which of (y, x) close on themselves.
  """

  denoiser: nn.Module
  iterations: int = 8
  largest: float = 49.0 / 255.0
  scale: int | tuple[int, int] | None = None
  channels: int = 1
  kernel: Any = None
  noise: float | int = 0.0
  registration: str = "cells"
  walls: str = "mirror"
  periodic: Periodic = (False, False)

  def setup(self):
    self.plugged = self.denoiser.clone(periodic=self.periodic)
    nn.share_scope(self, self.plugged)

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    *,
    kernel: Any = None,
    noise: Any = None,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points; arguments as of `usrnet.UsrNet`.

    Raises:
      ValueError: wrong number of channels, or no such kernel.
    """
    del cell
    blocks.require_channels(lowres, self.channels)
    known = self.kernel if kernel is None else None
    scale = steps.scale(self.scale, lowres, coords, known)
    step, noise = steps.of_model(self, lowres, scale, kernel, noise)
    noise = jnp.maximum(noise, _LEAST * self.largest)
    # As published: no lower than the scale in steps of 255.
    last = jnp.maximum(noise, max(scale) * _LEAST * self.largest)
    x = lazy.repeat(lowres, scale)
    for i in range(self.iterations):
      part = i / max(self.iterations - 1, 1)
      level = self.largest ** (1.0 - part) * last**part
      z = step(x, _WEIGHT * (noise / level) ** 2)
      x = lazy.stored(self.plugged.denoise(z, level))
    return fixed_scale.read(x, coords, self.periodic)
