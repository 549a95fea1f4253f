"""Hybrid upsampling: an aligned spatial and a Fourier branch, concatenated."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import spectral
from hinote_jax.core.typing import Periodic
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
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W d"]:
    _, h, w, c = x.shape
    real = self.param("real", _near_identity, (c, self.features))
    imag = self.param("imag", blocks.small_init, (c, self.features))
    if isinstance(x, lazy.LazyGrid):
      return _doubled_by_lines(x, real, imag, self.periodic)
    spectrum = spectral.forward(x, periodic=self.periodic)
    mixing = jax.lax.complex(real, imag)
    spectrum = jnp.matmul(spectrum, mixing, precision="highest")
    return spectral.inverse(
      spectrum, (h, w), (2 * h, 2 * w), periodic=self.periodic
    )


def _doubled_by_lines(x: lazy.LazyGrid, real, imag, periodic: Periodic):
  """Returns what `FourierDoubling` makes of a lazy grid, in two passes.

  Resizing is a product of one operator an axis, D_y and D_x, both real, and
  mixing commutes with both. Multiplied by i, a half spectrum along x is the
  field turned by a quarter period, H_x: the answer is
  D_x (D_y x) R + H_x (D_y x) M for the mixing R + i M.
  """
  _, h, w, _ = x.shape
  tall = lazy.along(
    lazy.bind(_resized_columns, 2 * h, periodic[0]), (), x, axis=0, count=2 * h
  )
  mix = lazy.bind(_resized_rows, 2 * w, periodic[1])
  return lazy.along(mix, (real, imag), tall, axis=1, count=2 * w)


def _resized_columns(count: int, is_periodic: bool, params, x):
  del params
  turned = spectral.resize_rows(
    jnp.swapaxes(x, 1, 2), count, is_periodic=is_periodic
  )
  return jnp.swapaxes(turned, 1, 2)


def _resized_rows(count: int, is_periodic: bool, params, x):
  plain, turned = (
    spectral.resize_rows(
      jnp.matmul(x, matrix, precision="highest"),
      count,
      is_periodic=is_periodic,
      is_turned=is_turned,
    )
    for matrix, is_turned in zip(params, (False, True), strict=True)
  )
  return plain + turned


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
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W c"]:
    c = x.shape[-1]
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    conv = blocks.Conv(4 * c, name="local", **options)
    local = lazy.pixel_shuffle(conv(x), 2)
    world = FourierDoubling(c, self.periodic, name="fourier")(x)
    both = lazy.pointwise(lazy.bind(_joined, self.dtype), local, world)
    return blocks.Dense(c, dtype=self.dtype, name="mix")(both)


def _joined(dtype: DTypeLike, local, world):
  return jnp.concatenate([local, world.astype(dtype)], axis=-1)
