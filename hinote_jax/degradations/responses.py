"""What a degradation leaves of each wave: its transfer function."""

import numpy as np

from hinote_jax.degradations import pipeline


def response(
  degradation: pipeline.Degradation,
  wavenumber: np.ndarray,
  *,
  scale: float | int,
  axis: int = 1,
) -> np.ndarray:
  """Returns the gain of waves along one axis, [..] complex.

  A wave exp(2 pi i f j) over the fine cells j becomes the gain times its value
  at each coarse centre, far from walls. Beyond f = 1/(2 scale) what is left of
  it aliases. Symmetric kernels have real gains; "uniform" at an even scale
  reads half a cell late. Where the gain depends on where a coarse centre lies
  between fine cells, as without antialias at scale 2.5, it is the mean over
  them. Closed form for truncate and kspace (there of faint waves on bright
  ground), else from the weights themselves; noise is left out.

  Args:
    degradation: any.
    wavenumber: f, cycles per fine cell, at most 1/2, [..].
    scale: fine cells per coarse cell, along both axes.
    axis: along which the waves run, 0 for y and 1 for x.

  Raises:
    ValueError: a wavenumber is beyond 1/2, or the scale below 1.

  Examples:
    >>> from hinote_jax import degradations
    >>> area = degradations.parse("area")
    >>> gain = response(area, np.array([0.0, 0.5]), scale=2)
    >>> np.abs(gain).round(6).tolist()  # the mean of two cells
    [1.0, 0.0]
  """
  wavenumber = np.asarray(wavenumber, np.float64)
  if not np.all(np.abs(wavenumber) <= 0.5):
    raise ValueError(
      "wavenumbers are in cycles per fine cell, at most 1/2, got "
      f"{np.abs(wavenumber).max():g}"
    )
  if not 1.0 <= scale < np.inf:
    raise ValueError(f"scale must be finite and at least 1, got {scale}")
  gain = degradation.gain(wavenumber, scale, axis)
  if not degradation.blur:
    return gain
  profiles = degradation.blur.profiles((scale, scale))
  along, across = profiles[axis], profiles[1 - axis]
  reach = along.shape[1] // 2
  angle = 2.0 * np.pi * np.arange(-reach, reach + 1)
  waves = np.exp(1j * np.multiply.outer(wavenumber, angle))
  return gain * (waves @ (across.sum(1) @ along))
