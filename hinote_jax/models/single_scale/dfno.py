"""DFNO: a Fourier neural operator behind convolutions (Yang et al., 2023)."""

import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax.core import resize
from hinote_jax.core.typing import Array
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks


class FourierLayer(nn.Module):
  """A matrix for each of the lowest Fourier modes, plus one for every point.

  All other modes of the first term are zero (Li et al., ICLR 2021, eq. 2, 5).
  Both axes are taken as periodic. Mode k has k waves over the extent on any
  grid; those that a small grid does not have are left out.

  Parameters `positive` and `negative` [m_y m_x c d 2] hold real and imaginary
  parts: of the modes ky = 0 .. m_y - 1 and ky = -m_y .. -1, at kx = 0 .. m_x-1.

  Attributes:
    features: output channels d.
    modes: (m_y, m_x), how many modes are kept.
  """

  features: int
  modes: tuple[int, int]

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    b, h, w, c = x.shape
    # The product then has about the variance of the kept modes.
    init = nn.initializers.normal(1.0 / math.sqrt(2 * c))
    shape = (*self.modes, c, self.features, 2)
    positive = self.param("positive", init, shape)
    negative = self.param("negative", init, shape)
    up, down = (min(self.modes[0], n) for n in ((h + 1) // 2, h // 2))
    along_x = min(self.modes[1], w // 2 + 1)
    spectrum = jnp.fft.rfft2(x.astype(jnp.float32), axes=(1, 2))[:, :, :along_x]
    low = _multiply(spectrum[:, :up], positive[:up, :along_x])
    first = self.modes[0] - down
    high = _multiply(spectrum[:, h - down :], negative[first:, :along_x])
    zeros = jnp.zeros((b, h - up - down, *low.shape[2:]), low.dtype)
    # One axis after the other: what a two-dimensional inverse does with the
    # part of the column kx = 0 that no real field has depends on the machine.
    columns = jnp.fft.ifft(jnp.concatenate([low, zeros, high], axis=1), axis=1)
    kept = jnp.fft.irfft(columns, w, axis=2).astype(x.dtype)
    return kept + blocks.Dense(self.features, name="local")(x)


def _multiply(spectrum: Array, kernel: Array) -> jax.Array:
  kernel = jax.lax.complex(kernel[..., 0], kernel[..., 1])
  return jnp.einsum("byxc,yxcd->byxd", spectrum, kernel, precision="highest")


class Dfno(fixed_scale.FixedScale):
  """Trunk, cubic interpolation, a convolution, Fourier layers on the fine grid.

  As HiNOTE's authors run it. The Fourier layers know each cell's coordinates,
  0 on the first row and column and 1 on the last, and take both axes as
  periodic; `periodic` is of what comes before. All but the last two Fourier
  layers have a ReLU.

  Attributes:
    width: channels of the trunk.
    blocks: residual blocks of the trunk.
    residual_scale: of what each block adds.
    features: channels given to the Fourier layers beside the coordinates.
    fourier_width: channels of the Fourier layers.
    modes1: Fourier modes that are kept along y.
    modes2: the same along x.
    layers: Fourier layers.
    head_width: channels before the output.
  """

  width: int = 64
  blocks: int = 16
  residual_scale: float | int = 0.1
  features: int = 64
  fourier_width: int = 32
  modes1: int = 12
  modes2: int = 12
  layers: int = 5
  head_width: int = 128

  @nn.compact
  def enlarge(self, lowres: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    b, h, w, _ = lowres.shape
    options = (self.residual_scale, self.periodic, self.dtype)
    x = blocks.Trunk(self.width, self.blocks, *options, name="trunk")(lowres)
    shape = (h * self.scale, w * self.scale)
    edges = resize.boundaries(self.periodic, "edge")
    options = dict(method="cubic_torch", antialias=False, boundary=edges)
    x = resize.resize(x, shape, **options)
    x = self._conv(self.features, "last")(x)
    along = [np.linspace(0.0, 1.0, n, dtype=np.float32) for n in shape]
    where = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
    where = jnp.broadcast_to(where.astype(x.dtype), (b, *where.shape))
    x = jnp.concatenate([x, where], axis=-1)
    x = blocks.Dense(self.fourier_width, name="lift")(x)
    modes = (self.modes1, self.modes2)
    for i in range(self.layers):
      x = FourierLayer(self.fourier_width, modes, name=f"layer_{i}")(x)
      x = nn.relu(x) if i < self.layers - 2 else x
    x = nn.relu(blocks.Dense(self.head_width, name="project_0")(x))
    return blocks.Dense(self.channels, name="project_1")(x)
