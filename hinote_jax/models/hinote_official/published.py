"""The oddities of the released HiNOTE code, one function each.

They are kept number for number, for its checkpoints; no other model of the
zoo uses them. Each docstring says what is odd and where the right way is.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax import lazy
from hinote_jax.core import grids, naming, resize, taps
from hinote_jax.core.typing import Array
from hinote_jax.nn import activations, bands

# Moduli below this count as 0 in gradients: their squares underflow.
_TINY = 1e-20
_SHIFT = 1e-6  # the released sampler's, in coordinates


def activation(name: str) -> Callable:
  """Returns the function that the release means by a name of its table.

  Odd: `True` is given as the first argument of every class, where "in place"
  was meant. The slope of LeakyReLU is then 1, it is the identity; RReLU cannot
  be made at all.

  Raises:
    ValueError: the name is unknown, or "RReLU".
  """
  known = {
    "GELU": activations.gelu,
    "ReLU": jax.nn.relu,
    "LeakyReLU": lambda x: x,
    "ELU": jax.nn.elu,
    "SELU": jax.nn.selu,
    "RReLU": None,
  }
  function = naming.look_up("non_act", name, known)
  if function is None:
    raise ValueError(
      "non_act 'RReLU' cannot be had: the released code fails to build it "
      "(its lower slope 1 is above the upper 1/3); use another one"
    )
  return function


@jax.custom_jvp
def polar(
  real: Float[Array, "..."], imag: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
  """Returns modulus and angle in (-pi, pi] of complex numbers.

  Both gradients are 0 at 0, as PyTorch has them, and where the modulus is
  below 1e-20, where PyTorch's are not numbers.
  """
  return jnp.hypot(real, imag), jnp.arctan2(imag, real)


@polar.defjvp
def _polar_jvp(primals, tangents):
  (real, imag), (d_real, d_imag) = primals, tangents
  size, angle = polar(real, imag)
  is_tiny = size < _TINY
  inverse = jnp.where(is_tiny, 0.0, 1.0 / jnp.where(is_tiny, 1.0, size))
  cos, sin = real * inverse, imag * inverse
  d_size = cos * d_real + sin * d_imag
  d_angle = (cos * d_imag - sin * d_real) * inverse
  return (size, angle), (d_size, d_angle)


def spectrum(
  x: Float[Array, "b h w c"],
) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w c"]]:
  """Returns amplitude and phase of a real field's whole 2-D spectrum.

  Odd: the phase of the bins that are their own mirror image (the mean and the
  Nyquist modes) is 0 or pi, and the release lets the sign of a rounding error
  choose between pi and -pi, which its LeakyReLU then tells apart. Here it is
  always pi, as PyTorch has it where the sides are powers of two.
  """
  _, h, w, _ = x.shape
  transform = jnp.fft.fft2(x, axes=(1, 2))
  y, x_ = (2 * np.arange(n) % n == 0 for n in (h, w))
  is_real = (y[:, None] & x_[None])[:, :, None]
  return polar(transform.real, jnp.where(is_real, 0.0, transform.imag))


def folded(
  amplitude: Float[Array, "b h w c"], phase: Float[Array, "b h w c"]
) -> Float[Array, "b h w c"]:
  """Returns |inverse transform| of a spectrum given by amplitude and phase.

  Odd: the spectrum is no real field's, since amplitude and phase went through
  layers of their own; the modulus of the complex field loses its sign.
  """
  both = jax.lax.complex(amplitude * jnp.cos(phase), amplitude * jnp.sin(phase))
  field = jnp.fft.ifft2(both, axes=(1, 2))
  return polar(field.real, field.imag)[0]


def corner(
  amplitude: Float[Array, "b h w c"], phase: Float[Array, "b h w c"]
) -> Float[Array, "b H W c"]:
  """Doubles by a zero-padded spectrum, as `fourier_up="Corner"`.

  Odd: a Nyquist row or column is doubled and halved in amplitude, which is
  right, but in phase too; there is no gain of 4; samples lie on the corners
  of the cells, a quarter of an input cell off the bilinear branch.
  `spectral.inverse` has it right.
  """
  for axis in (1, 2):
    amplitude = _spread(amplitude, axis)
    phase = _spread(phase, axis)
  return folded(amplitude, phase)


def _spread(values, axis):
  """Moves the two halves of a spectrum apart; an even Nyquist is halved."""
  n = values.shape[axis]
  low = jax.lax.slice_in_dim(values, 0, (n + 1) // 2, axis=axis)
  high = jax.lax.slice_in_dim(values, n // 2 + 1, n, axis=axis)
  middle = list(values.shape)
  middle[axis] = n
  parts = [low, jnp.zeros(middle, values.dtype), high]
  if n % 2 == 0:
    nyquist = 0.5 * jax.lax.slice_in_dim(values, n // 2, n // 2 + 1, axis=axis)
    middle[axis] = n - 1
    parts[1:2] = [nyquist, jnp.zeros(middle, values.dtype), nyquist]
  return jnp.concatenate(parts, axis)


def periodic(
  amplitude: Float[Array, "b h w c"], phase: Float[Array, "b h w c"]
) -> Float[Array, "b H W c"]:
  """Doubles by a repeated spectrum, as `fourier_up="Periodic"`.

  Odd: a spectrum repeated in both directions is the field itself with a zero
  between any two samples, so that is what is made here.
  """
  return _interleaved(folded(amplitude, phase), np.zeros)


def area(
  amplitude: Float[Array, "b h w c"], phase: Float[Array, "b h w c"]
) -> Float[Array, "b H W c"]:
  """Doubles by a spectrum with every mode twice, as `fourier_up="Area"`.

  Odd: it is the field, periodically twice, under a cosine window of that
  length, of which the quarters at the corners are kept and enlarged by
  repetition. The window is 1 at the first sample, falls to 0.7 in the middle,
  and rises to 1 at the end.
  """
  field = folded(amplitude, phase)
  _, h, w, _ = field.shape
  field = field * (_window(h)[:, None] * _window(w))[:, :, None]
  return _interleaved(field, np.ones)


def _window(n):
  j = np.arange(n)
  # The second half is read n samples further on, in the window's other end.
  j = np.where(j < n // 2, j, n + j)
  return np.abs(np.cos(np.pi * j / (2 * n))).astype(np.float32)


def _interleaved(field, between):
  """Puts a sample times `between` after each sample, along both axes."""
  pair = between(2, np.float32)
  pair[0] = 1.0
  b, h, w, c = field.shape
  pairs = field[:, :, None, :, None] * (pair[:, None, None] * pair)[..., None]
  return pairs.reshape(b, 2 * h, 2 * w, c)


FOURIER_UPS = {"Corner": corner, "Area": area, "Periodic": periodic}


def sinc_filter(cutoff: float, size: int) -> np.ndarray:
  """Returns the fixed filter of the alias-free activation, [size size].

  Odd: it is off the centre, by half a sample (floor(-size / 2) to
  floor(size / 2) in `size` steps); sin(2 pi f r) / (pi r) of the radius is not
  the low-pass of a disk; it is not tapered, and at the cutoff the gain is 4.
  `taps.KERNELS["sinc"]` is a sound one.

  Args:
    cutoff: in cycles a sample; 0.25 in the release.
    size: taps an axis; 31 in the release.
  """
  t = np.linspace(-size // 2, size // 2, size)
  radius = np.hypot(t[:, None], t) + 1e-10
  kernel = np.sin(2.0 * np.pi * cutoff * radius) / (np.pi * radius)
  return (kernel / kernel.sum()).astype(np.float32)


def nodes(
  x: Float[lazy.Grid, "b h w c"], shape: tuple[int, int]
) -> Float[lazy.Grid, "b H W c"]:
  """Resizes linearly between the end samples of each axis.

  Odd: all other interpolations of the network are between the cell edges.
  """
  return lazy.resample(
    x,
    shape,
    method="linear",
    antialias=False,
    boundary=("edge", "edge"),
    registration="nodes",
  )


def alias_free(
  function: Callable,
  x: Float[lazy.Grid, "b h w c"],
  *,
  up: int = 2,
  size: int = 31,
  values_at_once: int | None = None,
) -> Float[lazy.Grid, "b h w c"]:
  """Applies a pointwise function on a finer grid and filters, as the release.

  Odd: zeros beyond the filter's edges brighten a constant field by a third in
  one corner and darken it at the opposite edges; see `sinc_filter` and `nodes`
  too. `hierarchy.alias_free` has it right.

  Channels are independent: of arrays some are done at a time, to bound the
  memory.

  Args:
    function: applied to every value.
    x: the field.
    up: how many times finer; the filter's cutoff is the Nyquist frequency of
      the given grid.
    size: taps of the filter along an axis.
    values_at_once: on the finer grid, of a channel at least; None: 256 for
      each point of `bands.points_at_once`.
  """
  b, h, w, c = x.shape
  kernel = sinc_filter(0.5 / up, size)

  def filtered(x):
    fine = lazy.pointwise(function, nodes(x, (up * h, up * w)))
    reach = len(kernel) // 2
    return nodes(lazy.local(_correlated, kernel, fine, reach=reach), (h, w))

  if isinstance(x, lazy.LazyGrid):
    return filtered(x)
  if values_at_once is None:
    values_at_once = 256 * bands.points_at_once(None)
  most = min(c, max(1, values_at_once // (b * up * h * up * w)))
  width = next(n for n in range(most, 0, -1) if c % n == 0)
  groups = jnp.moveaxis(x.reshape(b, h, w, c // width, width), 3, 0)
  groups = jax.lax.map(jax.checkpoint(filtered), groups)
  return jnp.moveaxis(groups, 0, 3).reshape(x.shape)


def _correlated(kernel, x):
  return correlated(x, kernel)


def correlated(
  x: Float[Array, "b h w c"], kernel: Float[Array, "k k"]
) -> Float[Array, "b h w c"]:
  """Slides one odd square kernel over every channel, zeros beyond the edges.

  What a depthwise convolution of a network is, by FFT: 31 taps an axis cost
  nothing then, and the rounding is that of float32.
  """
  halo = len(kernel) // 2
  _, h, w, _ = x.shape
  shape = tuple(_composite(max(n + halo, len(kernel))) for n in (h, w))
  # The tap at distance d goes where a convolution has -d.
  turned = jnp.zeros(shape, jnp.float32)
  turned = turned.at[: len(kernel), : len(kernel)].set(kernel[::-1, ::-1])
  turned = jnp.roll(turned, (-halo, -halo), axis=(0, 1))
  response = jnp.fft.rfft2(turned)[:, :, None]
  spectrum_ = jnp.fft.rfft2(x.astype(jnp.float32), s=shape, axes=(1, 2))
  result = jnp.fft.irfft2(spectrum_ * response, s=shape, axes=(1, 2))
  return result[:, :h, :w].astype(x.dtype)


def _composite(n):
  """Returns the least even number from n on without a factor above 5."""

  def rest(m):
    for factor in (2, 3, 5):
      while m % factor == 0:
        m //= factor
    return m

  n += n % 2
  while rest(n) > 1:
    n += 2
  return n


def blurred_ensemble(
  feats: Float[Array, "b h w c"],
  coords: Float[Array, "b H W 2"],
  rel_cell: Float[Array, "b 2"],
  method: str,
) -> Float[Array, "b H W k"]:
  """Returns the sampler's tokens where the neighbours are interpolated.

  Odd: the positions are interpolated as the features are. A neighbour then
  says that it is exactly a cell away, wherever the query lies in its own, and
  all weigh alike (with "cubic_torch", nearly); beyond the outer cell centres
  features and positions fade to 0.
  `samplers.local_ensemble` is the other case, "nearest".

  Args:
    feats: features.
    coords: query points.
    rel_cell: query cell in feature cells times 2.
    method: of `resize`.
  """
  shape = np.array(feats.shape[1:3], np.float32)
  read, offsets = [], []
  for y, x in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
    points = coords + np.array([y, x]) / shape + _SHIFT
    points = jnp.clip(points, -1 + _SHIFT, 1 - _SHIFT)
    read.append(
      resize.sample(feats, points, method=method, boundary=("zero", "zero"))
    )
    (off_y, beyond_y), (off_x, beyond_x) = (
      _off_centres(coords[..., i], points[..., i], feats.shape[1 + i], method)
      for i in (0, 1)
    )
    # A position fades with the weights along both axes.
    off_y = off_y * (1.0 - beyond_x) + coords[..., 0] * beyond_x
    off_x = off_x * (1.0 - beyond_y) + coords[..., 1] * beyond_y
    offsets.append(jnp.stack([off_y, off_x], -1) * shape)
  areas = [jnp.abs(o[..., 0] * o[..., 1]) + 1e-9 for o in offsets]
  total = sum(areas)
  weighted = [
    f * (a / total)[..., None]
    for f, a in zip(read, reversed(areas), strict=True)
  ]
  cell = jnp.broadcast_to(rel_cell[:, None, None], coords.shape)
  return jnp.concatenate([*offsets, *weighted, cell], -1)


def _off_centres(coord, point, n, method):
  """Returns how far a query is from where it reads, along an axis of n cells.

  The differences are summed, not the positions: a sum of positions is rounded
  to 1e-7, and there are n cells in a coordinate.

  Args:
    coord: of the query, [..].
    point: where cell centres are interpolated, 0 beyond the axis, [..].
    n: cells.
    method: of `resize`.

  Returns:
    [..], and how much of the interpolation's weight lies beyond the axis.
  """
  index, weight = taps.at(grids.to_index(point, n), method=method)
  is_beyond = (index < 0) | (index >= n)
  centre = jnp.asarray(grids.axis_centers(n))[jnp.clip(index, 0, n - 1)]
  centre = jnp.where(is_beyond, 0.0, centre)
  off = jnp.sum(weight * (coord[..., None] - centre), -1)
  return off, jnp.sum(jnp.where(is_beyond, weight, 0.0), -1)
