"""Hybrid upsampling: an aligned spatial and a Fourier branch, concatenated."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import spectral
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.nn import blocks


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

  @nn.nowrap
  def in_groups(
    self, params: Mapping[str, Any], x: Float[Array, "b h w c"], size: int = 4
  ) -> Float[Array, "b H W d"]:
    """Returns the same as a call, some channels of the result at a time.

    Mixing commutes with the transform, so it goes before, to real fields.

    Args:
      params: of this module.
      x: the field.
      size: channels at a time.
    """
    _, h, w, _ = x.shape
    size = next(n for n in range(size, 0, -1) if self.features % n == 0)

    def group(mixing):
      real, imag = (
        spectral.forward(
          jnp.matmul(x, m, precision="highest"), periodic=self.periodic
        )
        for m in mixing
      )
      return spectral.inverse(
        real + 1j * imag, (h, w), (2 * h, 2 * w), periodic=self.periodic
      )

    mixing = jnp.stack([params["real"], params["imag"]])
    mixing = mixing.reshape(2, x.shape[-1], -1, size)
    parts = jax.lax.map(group, jnp.moveaxis(mixing, 2, 0))
    parts = jnp.moveaxis(parts, 0, -2)
    return parts.reshape(*parts.shape[:-2], self.features)


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
    local = blocks.pixel_shuffle(self._local(c)(x), 2)
    return self._mix(c)(self._both(local, self._fourier(c)(x)))

  @nn.nowrap
  def _local(self, c):
    return blocks.Conv(
      4 * c, periodic=self.periodic, dtype=self.dtype, name="local"
    )

  @nn.nowrap
  def _fourier(self, c):
    return FourierDoubling(c, self.periodic, name="fourier")

  @nn.nowrap
  def _mix(self, c):
    return blocks.Dense(c, dtype=self.dtype, name="mix")

  def _both(self, local, world):
    return jnp.concatenate([local, world.astype(self.dtype)], axis=-1)

  @nn.nowrap
  def planes(
    self, run: planes.Run, params: Mapping[str, Any], x: planes.Plane
  ) -> planes.Plane:
    """Returns the same as a call of a plane; see `planes`.

    The Fourier branch is of the whole grid, and made at once.
    """
    c = params["mix"]["bias"].shape[0]
    fourier = self._fourier(c)
    world = run.call(fourier.in_groups, params["fourier"], run.whole(x))
    world = run.hold(world, x.grid.periodic)

    def local(params, values):
      values = self._local(c).apply({"params": params}, values)
      return blocks.pixel_shuffle(values, 2)

    def mix(params, here, local, world):
      del here
      both = self._both(local.values, world.values)
      return self._mix(c).apply({"params": params}, both)

    local = plane_ops.local(x, local, params["local"], reach=1, ratio=2)
    inputs = planes.same(local), planes.same(world)
    return planes.Plane(local.grid, inputs, mix, params["mix"])
