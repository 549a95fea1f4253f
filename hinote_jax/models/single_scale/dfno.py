"""DFNO: a Fourier neural operator behind convolutions (Yang et al., 2023)."""

import dataclasses
import functools
import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax import lazy
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
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w d"]:
    _, h, w, c = x.shape
    # The product then has about the variance of the kept modes.
    init = nn.initializers.normal(1.0 / math.sqrt(2 * c))
    shape = (*self.modes, c, self.features, 2)
    positive = self.param("positive", init, shape)
    negative = self.param("negative", init, shape)
    up, down = (min(self.modes[0], n) for n in ((h + 1) // 2, h // 2))
    along_x = min(self.modes[1], w // 2 + 1)
    first = self.modes[0] - down
    kernels = positive[:up, :along_x], negative[first:, :along_x]
    local = blocks.Dense(self.features, name="local")(x)
    if not isinstance(x, lazy.LazyGrid):
      return _filtered(x, *kernels) + local
    modes = _Modes((h, w), up, down, along_x)
    spectrum = lazy.total(lazy.bind(_Modes.spectrum, modes), (), x)
    kept = lazy.placed(lazy.bind(_Modes.field, modes), (spectrum, kernels), x)
    return kept + local


def _filtered(x, positive, negative):
  """Returns x through a matrix for each kept mode, by FFTs of the whole."""
  b, h, w, _ = x.shape
  (up, along_x), down = positive.shape[:2], len(negative)
  spectrum = jnp.fft.rfft2(x.astype(jnp.float32), axes=(1, 2))[:, :, :along_x]
  low = _multiply(spectrum[:, :up], positive)
  high = _multiply(spectrum[:, h - down :], negative)
  zeros = jnp.zeros((b, h - up - down, *low.shape[2:]), low.dtype)
  # One axis after the other: what a two-dimensional inverse does with the
  # part of the column kx = 0 that no real field has depends on the machine.
  columns = jnp.fft.ifft(jnp.concatenate([low, zeros, high], axis=1), axis=1)
  return jnp.fft.irfft(columns, w, axis=2).astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class _Modes:
  """The kept modes of a grid: few, so they are products with waves.

  A sum over all cells one way, and the other way a value at any cell; so a
  tile needs no transform of the whole.

  Attributes:
    shape: (h, w) of the grid.
    up: modes ky = 0 .. up - 1.
    down: modes ky = -down .. -1.
    along_x: modes kx = 0 .. along_x - 1.
  """

  shape: tuple[int, int]
  up: int
  down: int
  along_x: int

  def _waves(self, index, axis):
    """Returns exp(2 pi i k index / n) of the kept modes, [cells modes]."""
    n = self.shape[axis]
    modes = np.arange(self.along_x)
    if axis == 0:
      modes = np.concatenate([np.arange(self.up), np.arange(-self.down, 0)])
    # Whole turns are left out in integers, where nothing is rounded.
    turns = (index[:, None] * modes) % n
    return jnp.exp(2j * jnp.pi / n * turns)

  def spectrum(self, params, patch, inside=None):
    """Returns the share of a patch in the spectrum, [b ky kx c]."""
    del params
    values = patch.values.astype(jnp.float32)
    if inside is not None:
      values = values * inside[..., None]
    y, x = (
      jnp.conj(self._waves(start + jnp.arange(count), axis))
      for axis, (start, count) in enumerate(
        zip(patch.start, values.shape[1:3], strict=True)
      )
    )
    return _exact("bhwc,hk,wl->bklc", values, y, x)

  def field(self, params, window, values):
    """Returns the filtered field of a window, [b h w d]."""
    spectrum, (positive, negative) = params
    low = _multiply(spectrum[:, : self.up], positive)
    high = _multiply(spectrum[:, self.up :], negative)
    both = jnp.concatenate([low, high], axis=1)
    y, x = (self._waves(window.indices(axis), axis) for axis in (0, 1))
    columns = _exact("hk,bklc->bhlc", y, both)
    # A real field has every wave twice but the mean and the Nyquist.
    k = np.arange(self.along_x)
    twice = np.where((k == 0) | (2 * k == self.shape[1]), 1.0, 2.0)
    field = _exact("wl,bhlc->bhwc", x * twice, columns).real
    return (field / math.prod(self.shape)).astype(values.dtype)


_exact = functools.partial(jnp.einsum, precision="highest", optimize="optimal")


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
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    _, h, w, _ = lowres.shape
    options = (self.residual_scale, self.periodic, self.dtype)
    x = blocks.Trunk(self.width, self.blocks, *options, name="trunk")(lowres)
    shape = (h * self.scale, w * self.scale)
    x = lazy.resample(
      lazy.stored(x),
      shape,
      method="cubic_torch",
      antialias=False,
      boundary=resize.boundaries(self.periodic, "edge"),
    )
    x = self._conv(self.features, "last")(x)
    x = lazy.placed(_with_place, (), x)
    x = blocks.Dense(self.fourier_width, name="lift")(x)
    modes = (self.modes1, self.modes2)
    for i in range(self.layers):
      x = FourierLayer(self.fourier_width, modes, name=f"layer_{i}")(
        lazy.stored(x)
      )
      x = lazy.pointwise(nn.relu, x) if i < self.layers - 2 else x
    x = lazy.pointwise(
      nn.relu, blocks.Dense(self.head_width, name="project_0")(x)
    )
    return blocks.Dense(self.channels, name="project_1")(x)


def _with_place(params, window, x):
  """Adds two channels: 0 on the first row or column and 1 on the last."""
  del params
  along = [
    window.indices(axis) / max(1, window.domain.shape[axis] - 1)
    for axis in (0, 1)
  ]
  place = jnp.stack(jnp.meshgrid(*along, indexing="ij"), axis=-1)
  place = jnp.broadcast_to(place.astype(x.dtype), (len(x), *place.shape))
  return jnp.concatenate([x, place], axis=-1)
