"""FFT bookkeeping and band-limited resampling, the one place that pads spectra.

A field is taken as the trigonometric polynomial through its cell centres: its
own period where an axis is periodic, the half-sample mirror extension (hence
cosines, no jump at a wall) where it is not. Resampling evaluates that
polynomial at other cell centres. It is exact for band-limited fields at any
ratio, on even and odd sizes.

The same operator comes in two forms which the tests hold against each other:
one real matrix per axis, for any query points, and padded FFTs for whole grids.
"""

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import grids
from hinote_jax.core import resize as resizing
from hinote_jax.core.typing import Array, Periodic


def dirichlet(t: Array, n: int, band: int) -> Array:
  """Returns the periodic band-limited kernel of n samples at offset t.

  K(t) = (1/n) sum_{|k| <= band/2} exp(2 pi i k t / n), where for an even band
  the two modes k = +-band/2 count one half each (the Nyquist split).

  Args:
    t: offsets in samples, any shape.
    n: period in samples.
    band: number of modes kept, at most n.
  """
  xp = jnp if isinstance(t, jax.Array) else np
  t = t - n * xp.round(t / n)  # the nearest image: small, accurate angles
  angle = np.pi * t / n
  at_zero = xp.abs(t) < 1e-6
  safe = xp.where(at_zero, 0.5, angle)
  ratio = xp.sin(band * safe) / xp.sin(safe)
  if band % 2 == 0:
    ratio = ratio * xp.cos(safe)
  return xp.where(at_zero, 1.0 * band, ratio) / n


def weights(u: Array, n: int, *, periodic: bool, count: int) -> Array:
  """Returns the matrix that evaluates an axis at positions u, [.. n].

  Args:
    u: positions in input index, [..].
    n: cells of the axis.
    periodic: whether the axis closes on itself; otherwise it is mirrored.
    count: cells of the output grid over the same extent; its Nyquist limits
      the band when it is coarser than the input.
  """
  xp = jnp if isinstance(u, jax.Array) else np
  index = xp.arange(n)
  band = min(n, count)
  near = u[..., None] - index
  if periodic:
    return dirichlet(near, n, band)
  image = u[..., None] + index + 1.0
  kernel = dirichlet(near, 2 * n, 2 * band)
  return kernel + dirichlet(image, 2 * n, 2 * band)


def matrix(n: int, count: int, *, periodic: bool) -> np.ndarray:
  """Returns the [count n] matrix of band-limited resizing of one axis."""
  u = resizing.centers(n, count)
  return np.asarray(weights(u, n, periodic=periodic, count=count))


def sample(
  x: Array, coords: grids.Coords, *, periodic: Periodic = (False, False)
) -> jax.Array:
  """Evaluates a field's trigonometric polynomial at query points.

  This is R(a) of the loss prior (paper, section on the frequency-aware prior)
  for any window of the target grid.

  Args:
    x: [b h w c].
    coords: `grids.Axes` or [(b) H W 2].
    periodic: which of (y, x) close on themselves.

  Returns:
    [b H W c].
  """
  b, h, w, _ = x.shape
  coords = grids.batched(coords, b)
  if isinstance(coords, grids.Axes):
    y, x_ = (
      weights(grids.to_index(c, n), n, periodic=p, count=n)
      for c, n, p in zip(coords, (h, w), periodic, strict=True)
    )
    return resizing.apply(x, y, x_)
  along_y, along_x = (
    weights(grids.to_index(coords[..., i], n), n, periodic=p, count=n)
    for i, (n, p) in enumerate(zip((h, w), periodic, strict=True))
  )
  return jnp.einsum(
    "bHWh,bhwc,bHWw->bHWc", along_y, x, along_x, precision="highest"
  )


def forward(x: Array, *, periodic: Periodic) -> jax.Array:
  """Returns the half spectrum of a field, mirrored where it is not periodic.

  Args:
    x: real, [b h w c].
    periodic: which of (y, x) close on themselves.

  Returns:
    complex64 [b H' W'/2+1 c], H' = h or 2h and W' = w or 2w.
  """
  for axis, closed in zip((1, 2), periodic, strict=True):
    if not closed:
      x = jnp.concatenate([x, jnp.flip(x, axis)], axis)
  return jnp.fft.rfft2(x.astype(jnp.float32), axes=(1, 2))


def inverse(
  spectrum: Array,
  shape: tuple[int, int],
  new_shape: tuple[int, int],
  *,
  periodic: Periodic,
) -> jax.Array:
  """Returns the field of a half spectrum on another grid, [b H W c] float32.

  Pads or cuts the spectrum, splits or merges the Nyquist modes in halves, and
  turns phases so that both grids' cell centres cover the same extent.

  Args:
    spectrum: what `forward` gave for a field of `shape`, possibly filtered.
    shape: (h, w) of that field.
    new_shape: (H, W) of the result.
    periodic: as given to `forward`.
  """
  factor = [1 if closed else 2 for closed in periodic]
  (h, w), (height, width) = (
    [n * f for n, f in zip(s, factor, strict=True)] for s in (shape, new_shape)
  )
  spectrum = _pad_half_axis(spectrum, w, width)
  spectrum = _pad_full_axis(spectrum, h, height)
  gain = height * width / (h * w)
  field = jnp.fft.irfft2(gain * spectrum, s=(height, width), axes=(1, 2))
  return field[:, : new_shape[0], : new_shape[1]]


def _phase(k: np.ndarray, n: int, count: int) -> np.ndarray:
  """Shifts mode k from the cell centres of n cells to those of count cells."""
  return np.exp(2j * np.pi * k * (0.5 / count - 0.5 / n)).astype(np.complex64)


def _pad_half_axis(spectrum: Array, n: int, count: int) -> jax.Array:
  """Pads or cuts the last (half) frequency axis, axis 2."""
  band = min(n, count)
  k = np.arange(band // 2 + 1)
  weight = _phase(k, n, count)
  if band % 2 == 0 and count > n:
    weight[-1] *= 0.5  # the Nyquist mode now has a conjugate partner
  kept = spectrum[:, :, : band // 2 + 1] * weight[:, None]
  missing = count // 2 + 1 - kept.shape[2]
  return jnp.pad(kept, ((0, 0), (0, 0), (0, missing), (0, 0)))


def _pad_full_axis(spectrum: Array, n: int, count: int) -> jax.Array:
  """Pads or cuts the full frequency axis, axis 1."""
  band = min(n, count)
  inner = (band - 1) // 2
  k = np.arange(inner + 1)
  low = spectrum[:, : inner + 1] * _phase(k, n, count)[:, None, None]
  k = np.arange(-inner, 0)
  high = spectrum[:, n - inner :] * _phase(k, n, count)[:, None, None]
  nyquist = []
  if band % 2 == 0:
    plus, minus = _phase(np.array([band // 2, -(band // 2)]), n, count)
    up = 0.5 * plus * spectrum[:, band // 2][:, None]
    down = 0.5 * minus * spectrum[:, n - band // 2][:, None]
    nyquist = [up + down] if count == band else [up, down]
  middle = count - 2 * inner - 1 - len(nyquist)
  shape = (low.shape[0], middle, *low.shape[2:])
  zeros = jnp.zeros(shape, low.dtype)
  parts = [low, *nyquist[:1], zeros, *nyquist[1:], high]
  return jnp.concatenate(parts, axis=1)


def resize_rows(
  x: Array, count: int, *, is_periodic: bool, is_turned: bool = False
) -> jax.Array:
  """Resizes the rows of a field by their spectra, [b h w c] -> [b h W c].

  Args:
    x: real.
    count: W, at least w.
    is_periodic: rows close on themselves; else they are mirrored.
    is_turned: multiply the half spectrum by i, which turns every mode by a
      quarter of its period and takes the mean away.
  """
  n, factor = x.shape[2], 1 if is_periodic else 2
  if not is_periodic:
    x = jnp.concatenate([x, jnp.flip(x, 2)], 2)
  spectrum = jnp.fft.rfft(x.astype(jnp.float32), axis=2)
  spectrum = _pad_half_axis(spectrum, n * factor, count * factor)
  spectrum = spectrum * (1j if is_turned else 1.0) * (count / n)
  return jnp.fft.irfft(spectrum, count * factor, axis=2)[:, :, :count]


def resize(
  x: Array, shape: tuple[int, int], *, periodic: Periodic = (True, True)
) -> jax.Array:
  """Resizes a field by its spectrum, [b h w c] -> [b H W c].

  Exact for band-limited fields: resizing up and back is the identity, but for
  the Nyquist mode of an even periodic axis. Finer grids hold it as two modes;
  coming back, each counts one half, and what was its phase there is lost.
  """
  spectrum = forward(x, periodic=periodic)
  was = grids.pair(x.shape[1:3])
  return inverse(spectrum, was, shape, periodic=periodic)


def roughness(values: Array) -> np.ndarray:
  """Returns how rough fields are from cell to cell, whatever their unit, [c].

  The energy of second differences along y and x over that of first ones: the
  mean of 4 sin^2(k / 2) over wavenumbers k in radians a cell, weighted by the
  energy of first differences. 0 is smooth, 3 is white noise, 4 a chessboard.

  Args:
    values: fields [b h w c], NaN where missing.
  """
  values = np.asarray(values, np.float64)
  first, second = (
    np.nansum(np.diff(values, n, axis=1) ** 2, axis=(0, 1, 2))
    + np.nansum(np.diff(values, n, axis=2) ** 2, axis=(0, 1, 2))
    for n in (1, 2)
  )
  return second / np.where(first > 0, first, np.inf)
