"""Hybrid upsampling: an aligned spatial and a Fourier branch, concatenated."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import spectral
from hinote_jax.models import blocks
from hinote_jax.typing import Array, Periodic


class FourierDoubling(nn.Module):
  """Doubles the grid in Fourier space after a complex mixing of channels.

  Band-limited input is carried exactly: gain 4, Nyquist split, real output,
  samples at the cell centres of the finer grid; walls are mirrored. Fresh, the
  mixing is close to the identity. Float32 throughout, whatever the dtype.
  """

  features: int
  periodic: Periodic = (False, False)

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W d"]:
    _, h, w, c = x.shape
    real = self.param("real", _near_identity, (c, self.features))
    imag = self.param("imag", blocks.small_init, (c, self.features))
    spectrum = spectral.forward(x, periodic=self.periodic)
    mixing = jax.lax.complex(real, imag)
    spectrum = jnp.matmul(spectrum, mixing, precision="highest")
    return spectral.inverse(
      spectrum, (h, w), (2 * h, 2 * w), periodic=self.periodic
    )


def _near_identity(key, shape, dtype=jnp.float32):
  return jnp.eye(*shape, dtype=dtype) + blocks.small_init(key, shape, dtype)


class HybridDoubling(nn.Module):
  """Doubles the grid: [conv, pixel shuffle | Fourier] then a 1x1 mixing.

  Both branches place their samples on the same cell centres (paper, section
  3.3, with the quarter-cell misregistration of its released code removed).
  """

  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    c = x.shape[-1]
    local = blocks.Conv(
      4 * c, periodic=self.periodic, dtype=self.dtype, name="local"
    )(x)
    local = blocks.pixel_shuffle(local, 2)
    world = FourierDoubling(c, self.periodic, name="fourier")(x)
    both = jnp.concatenate([local, world.astype(self.dtype)], axis=-1)
    return blocks.Dense(c, dtype=self.dtype, name="mix")(both)
