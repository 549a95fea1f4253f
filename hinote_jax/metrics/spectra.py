"""Radial power spectra, and where a reconstruction parts from the truth.

Wavenumbers are in cycles per fine cell: 0.5 is the Nyquist wavenumber of the
grid, 0.5 / s that of an input s times coarser, 1 / wavenumber a wavelength in
cells.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

from hinote_jax.core.typing import Array, Periodic

NYQUIST = 0.5
# Of the target's variance. Ring powers below it are float32 rounding noise.
_FLOOR = 1e-12


def radial_spectrum(
  field: Array,
  *,
  periodic: Periodic,
  weight: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns how much variance a field has at every radial wavenumber.

  Modes are Fourier's along periodic axes and the cosine modes of the
  half-sample mirrored field (DCT-II) along the others, so a wall adds no jump.
  Ring i holds the modes whose radius rounds to i fundamentals, the fundamental
  being the larger of the two axes' (1/n periodic, 1/(2n) with walls); ring 1
  also holds anything longer. The mean is left out. Rings go on to the corner
  of the grid at 0.707; those beyond `NYQUIST` are incomplete circles. The sum
  over all rings is the variance (Parseval). White noise gives a power that
  grows with the circumference of the ring.

  Args:
    field: real values, [b H W c].
    periodic: whether the (y, x) axis closes on itself.
    weight: factor of each mode's power, from its wavenumbers along y and x in
      cycles per cell, which broadcast; finite at (0, 0) too, the same for a
      mode and its mirror images. None is 1.

  Returns:
    wavenumber [k] in cycles per cell, power [b k c] in the field's unit
    squared.

  Examples:
    >>> wave = np.cos(2 * np.pi * np.arange(8) / 4) * np.ones((8, 1))
    >>> waves, power = radial_spectrum(
    ...   wave[None, ..., None], periodic=(True, True)
    ... )
    >>> float(waves[power[0, :, 0].argmax()])  # a wavelength of 4 cells
    0.25
  """
  values = np.asarray(field, np.float64)
  values = values - values.mean(axis=(1, 2), keepdims=True)
  modes, (ky, kx), (count_y, count_x) = _modes(values, periodic)
  power = np.abs(modes) ** 2 * (count_y[:, None] * count_x)[..., None]
  b, rows, columns, c = values.shape
  step, ky = fundamental((rows, columns), periodic), ky[:, None]
  if weight is not None:
    power *= weight(ky, kx)[..., None]
  ring = np.floor(np.hypot(ky, kx) / step + 0.5).astype(int).ravel()
  ring = np.maximum(ring, 1) - 1
  flat = power.reshape(b, -1, c).transpose(0, 2, 1).reshape(b * c, -1)
  rings = np.stack([np.bincount(ring, one) for one in flat])
  rings = rings.reshape(b, c, -1).transpose(0, 2, 1)
  return step * np.arange(1, rings.shape[1] + 1), rings


def _modes(values, periodic: Periodic):
  """Returns modes [b ky kx c], wavenumbers by axis, and how many each is."""
  sides, modes = values.shape[1:3], values
  waves = [np.fft.fftfreq(n) for n in sides]
  counts = [np.ones(n) for n in sides]
  around = [axis for axis in (0, 1) if periodic[axis]]
  for axis, n in enumerate(sides):
    if not periodic[axis]:
      # The mirrored field has all but the mean twice, as one cosine.
      modes = np.asarray(fft.dct(modes, axis=axis + 1, norm="forward"))
      waves[axis], counts[axis][1:] = np.fft.rfftfreq(2 * n)[:n], 2.0
  if not around:
    return modes, waves, counts
  # A real transform keeps one of each pair of conjugate modes.
  last, n = around[-1], sides[around[-1]]
  waves[last], counts[last] = np.fft.rfftfreq(n), np.ones(n // 2 + 1)
  counts[last][1 : (n + 1) // 2] = 2.0
  axes = [axis + 1 for axis in around]
  modes = np.asarray(fft.rfftn(modes, axes=axes, norm="forward"))
  return modes, waves, counts


def log_distance(
  wavenumber: np.ndarray,
  power: np.ndarray,
  reference: np.ndarray,
  *,
  weight: np.ndarray | None = None,
) -> np.ndarray:
  """Returns the log spectral distance of two fields in dB, [b c].

  sqrt(mean over rings up to `NYQUIST` of (10 log10(P_pred / P_target))^2): 0
  for equal spectra, 3 where the power is off by a factor of two everywhere.
  Blind to phase: a shifted field scores 0. Powers are taken as at least 1e-12
  of the target's variance.

  Args:
    wavenumber: [k], cycles per cell.
    power: of the prediction, [b k c].
    reference: of the target, [b k c].
    weight: of the rings, [b k c], of which only the shares count; None: alike.

  Examples:
    >>> waves, power = np.array([0.25, 0.5]), np.ones((1, 2, 1))
    >>> log_distance(waves, 10 * power, power)
    array([[10.]])
  """
  least, inside = floor(reference), resolved(wavenumber)
  ratio = np.maximum(power, least) / np.maximum(reference, least)
  squared = (10.0 * np.log10(ratio[:, inside])) ** 2
  if weight is None:
    return np.sqrt(np.mean(squared, axis=1))
  weight = weight[:, inside]
  total = np.maximum(weight.sum(axis=1), np.finfo(np.float64).tiny)
  return np.sqrt(np.sum(weight * squared, axis=1) / total)


def parting(
  wavenumber: np.ndarray, error: np.ndarray, reference: np.ndarray
) -> np.ndarray:
  """Returns where a prediction parts from the target, cycles per cell, [b c].

  The smallest wavenumber at which the power of pred - target reaches half the
  power of the target, whatever comes after it; `NYQUIST` when none does. Unlike
  `log_distance` it sees phase. Its inverse, a wavelength in cells, is the
  effective resolution in the sense of Ballarotta et al. (2019).

  Args:
    wavenumber: [k], cycles per cell.
    error: power of pred - target, [b k c].
    reference: power of the target, [b k c].

  Examples:
    >>> waves = np.array([0.125, 0.25, 0.5])
    >>> error = np.array([0.0, 0.1, 0.9]).reshape(1, 3, 1)
    >>> parting(waves, error, np.ones((1, 3, 1)))
    array([[0.5]])
  """
  inside = resolved(wavenumber)
  is_lost = (error >= 0.5 * reference) & (error > floor(reference))
  is_lost = is_lost[:, inside]
  first = wavenumber[inside][np.argmax(is_lost, axis=1)]
  return np.where(is_lost.any(axis=1), first, NYQUIST)


def fundamental(shape: tuple[int, int], periodic: Periodic) -> float:
  """Returns the width of a ring of a field of H x W cells, cycles per cell.

  Examples:
    >>> fundamental((8, 16), (True, True))
    0.125
  """
  sides = zip(shape, periodic, strict=True)
  return max(1.0 / (n if is_periodic else 2 * n) for n, is_periodic in sides)


def resolved(wavenumber: np.ndarray) -> np.ndarray:
  """Returns which rings lie at or below `NYQUIST`, [k] of bool.

  Examples:
    >>> resolved(np.array([0.25, 0.5, 0.7])).tolist()
    [True, True, False]
  """
  return wavenumber <= NYQUIST * (1.0 + 1e-9)


def floor(reference: np.ndarray) -> np.ndarray:
  """Returns the power that counts as none beside a spectrum [b k c], [b 1 c].

  1e-12 of its variance, which is what rounding to float32 leaves.

  Examples:
    >>> float(floor(np.full((1, 4, 1), 0.25))[0, 0, 0])
    1e-12
  """
  variance = reference.sum(axis=1, keepdims=True)
  return np.maximum(_FLOOR * variance, np.finfo(np.float64).tiny)
