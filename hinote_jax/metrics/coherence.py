"""How much of the truth's structure a prediction shares, scale by scale."""

from jaxtyping import Float
import numpy as np

from hinote_jax.metrics import spectra

# Coherence at which half of the variance is shared.
HALF = 0.5


def coherence(
  power: Float[np.ndarray, "b k c"],
  reference: Float[np.ndarray, "b k c"],
  error: Float[np.ndarray, "b k c"],
) -> np.ndarray:
  """Returns the magnitude-squared coherence by ring, within [0, 1], [b k c].

  |S_pt|^2 / (S_pp S_tt): the share of the truth's variance in a ring that a
  linear filter of the prediction could give. It sees phase and, unlike the
  error, no amplitude: a damped field is as coherent as a sharp one. The
  cross-spectrum of real fields, summed over a ring, is real, so that it is
  half of S_pp + S_tt - S_ee.

  Spectra are averaged over fields first; of a single field it is biased high in
  rings of few modes. Powers below 1e-12 of the truth's variance are none: where
  the error has none the coherence is 1, else where either field has none 0.

  Args:
    power: spectrum of the prediction, [b k c].
    reference: spectrum of the truth.
    error: spectrum of their difference.

  Examples:
    >>> power = np.ones((1, 2, 1))
    >>> coherence(power, power, 0 * power)[0, :, 0].tolist()
    [1.0, 1.0]
    >>> coherence(power, power, 2 * power)[0, :, 0].tolist()  # nothing shared
    [0.0, 0.0]
  """
  floor = spectra.floor(reference)
  cross = 0.5 * (power + reference - error)
  both = np.maximum(power * reference, np.finfo(np.float64).tiny)
  shared = np.clip(cross**2 / both, 0.0, 1.0)
  shared = np.where((power <= floor) | (reference <= floor), 0.0, shared)
  return np.where(error <= floor, 1.0, shared)


def effective_resolution(
  wavenumber: Float[np.ndarray, " k"], shared: Float[np.ndarray, "b k c"]
) -> np.ndarray:
  """Returns the shortest wavelength that is resolved, in fine cells, [b c].

  1 / the wavenumber at which the coherence first falls to 0.5, interpolated
  between rings: 2, Nyquist's, where it never does, and the longest wavelength
  of the spectrum where it begins below.

  Args:
    wavenumber: [k], cycles per cell.
    shared: the coherence, [b k c].

  Examples:
    >>> waves = np.array([0.125, 0.25, 0.5])
    >>> shared = np.array([1.0, 0.5, 0.0]).reshape(1, 3, 1)
    >>> effective_resolution(waves, shared)
    array([[4.]])
  """
  inside = spectra.resolved(wavenumber)
  waves, shared = wavenumber[inside], shared[:, inside]
  is_lost = shared < HALF
  last = np.argmax(is_lost, axis=1)
  first = np.maximum(last - 1, 0)
  high = np.take_along_axis(shared, first[:, None], axis=1)[:, 0]
  low = np.take_along_axis(shared, last[:, None], axis=1)[:, 0]
  drop = np.where(high > low, high - low, 1.0)
  share = np.clip((high - HALF) / drop, 0.0, 1.0)
  limit = waves[first] + share * (waves[last] - waves[first])
  return 1.0 / np.where(is_lost.any(axis=1), limit, spectra.NYQUIST)
