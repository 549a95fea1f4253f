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
from hinote_jax.models.unfolding import steps, unfolding

_WEIGHT = 0.23
# Of white, where `largest` is 49 of 255: the smallest noise that is believed.
_LEAST = 1.0 / 49.0


class Splitting(unfolding.Unfolding):
  """A denoiser plugged into the data step; it has the denoiser's parameters.

  Attributes are those of `Unfolding`, and:
    denoiser: a module with channels and `denoise(x, noise [b])`.
    largest: noise that the first step takes away, in units of the input.
  """

  denoiser: Any = None
  largest: float = 49.0 / 255.0

  def setup(self):
    self.plugged = self.denoiser.clone(periodic=self.periodic)
    nn.share_scope(self, self.plugged)

  def enlarge(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    scale: tuple[int, int],
    kernel: Any = None,
    noise: Any = None,
  ) -> Any:
    """Returns the field on the grid `scale` times finer."""
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
    return x
