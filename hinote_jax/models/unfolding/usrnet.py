"""USRNet (Zhang, Van Gool and Timofte, CVPR 2020): deep unfolding.

    x_0 = y, every cell s x s times
    z_i = argmin |(k * z) read at coarse cells - y|^2 + alpha_i |z - x_{i-1}|^2
    x_i = prior(z_i, beta_i)

The first step has a closed form and no parameters, the second is a network that
all iterations share; alpha_i and beta_i are made of the noise level and the
scale. One set of parameters serves any kernel, noise and whole scale.
"""

import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.models.unfolding import prior, steps, unfolding

SIZES = {
  "full": dict(iterations=8, hyper_width=64, widths=(64, 128, 256, 512)),
  "tiny": dict(iterations=6, hyper_width=32, widths=(16, 32, 64, 64)),
}


class HyperParameters(nn.Module):
  """alpha and beta of every iteration, of the noise level and the scale.

  Attributes:
    iterations: how many there are.
    width: of the two hidden layers.
  """

  iterations: int
  width: int

  @nn.compact
  def __call__(self, noise: Float[Array, " b"], scale: float) -> Any:
    """Returns [b 2 n]: n of alpha, then n of beta, above 1e-6."""
    x = jnp.stack([noise, jnp.full_like(noise, scale)], -1)
    x = jax.nn.relu(nn.Dense(self.width, name="first")(x))
    x = jax.nn.relu(nn.Dense(self.width, name="second")(x))
    x = jax.nn.softplus(nn.Dense(2 * self.iterations, name="third")(x)) + 1e-6
    return x.reshape(-1, 2, self.iterations)


class UsrNet(unfolding.Unfolding):
  """The unfolded network; attributes as of `Unfolding`, and its own.

  Attributes:
    hyper_width: of `HyperParameters`.
    widths: of `prior.ResUNet`; blocks, act_mode, downsample_mode and
      upsample_mode are its own too.
    residual: the prior says what to add to z, not what is in its place, so
      that an untrained network is nearly the closed form. False is published.
    dtype: type of the prior's products; those of its last layer are float32.
  """

  hyper_width: int = 64
  widths: tuple[int, ...] = (64, 128, 256, 512)
  blocks: int = 2
  act_mode: str = "R"
  downsample_mode: str = "strideconv"
  upsample_mode: str = "convtranspose"
  residual: bool = False
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def enlarge(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    scale: tuple[int, int],
    kernel: Any = None,
    noise: Any = None,
    taps: bool = False,
  ) -> Any:
    """Returns the field on the grid `scale` times finer.

    With `taps`, also alpha and beta and what each step gives.
    """
    step, noise = steps.of_model(self, lowres, scale, kernel, noise)
    hyper = HyperParameters(self.iterations, self.hyper_width, name="hyper")(
      noise, math.sqrt(scale[0] * scale[1])
    )
    denoise = prior.ResUNet(
      self.widths,
      self.blocks,
      self.channels,
      self.act_mode,
      self.downsample_mode,
      self.upsample_mode,
      self.periodic,
      self.dtype,
      name="prior",
    )
    x, seen = lazy.repeat(lowres, scale), []
    for i in range(self.iterations):
      z = step(x, hyper[:, 0, i])
      level = lazy.constant(hyper[:, 1, i, None], z)
      x = lazy.stored(denoise(lazy.concatenate([z, level])))
      x = z + x if self.residual else x
      seen += [z, x]
    return (x, hyper, seen) if taps else x


def build(size: str = "full", **kwargs: Any) -> UsrNet:
  """Returns a `UsrNet` of a size, "full" or "tiny", any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return UsrNet(**{**naming.look_up("size of usrnet", size, SIZES), **kwargs})
