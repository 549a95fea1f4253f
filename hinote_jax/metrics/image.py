"""Pointwise errors and structural similarity, one per image and channel."""

import numpy as np
from scipy import ndimage

from hinote_jax.core.typing import Array
from hinote_jax.metrics import field

WINDOW = 11  # side of the windows of `ssim`, cells
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def mse(pred: Array, target: Array) -> np.ndarray:
  """Returns the mean squared error, in the unit of the field squared, [b c].

  Examples:
    >>> target = np.zeros((1, 2, 2, 1))
    >>> mse(target + 3, target)
    array([[9.]])
  """
  pred, target = field.pair(pred, target)
  return np.mean((pred - target) ** 2, axis=(1, 2))


def max_error(pred: Array, target: Array) -> np.ndarray:
  """Returns the largest absolute error, in the unit of the field, [b c].

  Examples:
    >>> target = np.zeros((1, 1, 2, 1))
    >>> max_error(np.array([-3.0, 1.0]).reshape(1, 1, 2, 1), target)
    array([[3.]])
  """
  pred, target = field.pair(pred, target)
  return np.max(np.abs(pred - target), axis=(1, 2))


def psnr(
  pred: Array, target: Array, *, data_range: float | int | Array
) -> np.ndarray:
  """Returns the peak signal-to-noise ratio in dB, [b c].

  A table prints the mean of these over images, which is not the PSNR of the
  mean MSE. Infinite for a perfect prediction.

  Args:
    pred: [b H W c].
    target: [b H W c].
    data_range: the span of values that counts as full scale, in the unit of
      the field: a number or one per channel, [c].

  Raises:
    ValueError: `data_range` is not positive.

  Examples:
    >>> target = np.zeros((1, 2, 2, 1))
    >>> psnr(target + 0.1, target, data_range=1.0).round(3)
    array([[20.]])
  """
  span = _data_range(data_range)
  with np.errstate(divide="ignore"):
    return 10.0 * np.log10(span**2 / mse(pred, target))


def ssim(
  pred: Array,
  target: Array,
  *,
  data_range: float | int | Array,
  known: Array | None = None,
) -> np.ndarray:
  """Returns the structural similarity, 1 for equal fields, [b c].

  Gaussian window of 11 x 11 cells with sigma 1.5, population covariances, mean
  over the windows that lie wholly inside the field (Wang et al. 2004). It
  compares local means relative to their size: adding a constant to both fields
  changes it.

  Args:
    pred: [b H W c].
    target: [b H W c].
    data_range: as in `psnr`.
    known: where the target was not missing, [b H W c]: a window counts by the
      weight of its cells that are known. None: everywhere.

  Raises:
    ValueError: `data_range` is not positive, or a side is below 11 cells.

  Examples:
    >>> target = np.random.default_rng(0).random((1, 12, 12, 1))
    >>> ssim(target, target, data_range=1.0).round(6)
    array([[1.]])
  """
  similar = ssim_map(pred, target, data_range=data_range)
  if known is None:
    return np.mean(similar, axis=(1, 2))
  weight = share_known(known)
  return np.sum(similar * weight, axis=(1, 2)) / np.sum(weight, axis=(1, 2))


def ssim_map(
  pred: Array, target: Array, *, data_range: float | int | Array
) -> np.ndarray:
  """Returns the similarity of every window of `ssim`, [b H-10 W-10 c].

  The first is centred at the sixth cell of the sixth row. Arguments and errors
  are those of `ssim`.

  Examples:
    >>> target = np.zeros((1, 12, 14, 2))
    >>> ssim_map(target, target, data_range=1.0).shape
    (1, 2, 4, 2)
  """
  span = _data_range(data_range)
  pred, target = field.pair(pred, target)
  if min(pred.shape[1:3]) < WINDOW:
    raise ValueError(
      f"ssim needs at least {WINDOW} x {WINDOW} cells, got "
      f"{pred.shape[1]} x {pred.shape[2]}"
    )
  mean_p, mean_t = _blur(pred), _blur(target)
  var_p = _blur(pred**2) - mean_p**2
  var_t = _blur(target**2) - mean_t**2
  covariance = _blur(pred * target) - mean_p * mean_t
  c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
  similar = (2.0 * mean_p * mean_t + c1) * (2.0 * covariance + c2)
  largest = (mean_p**2 + mean_t**2 + c1) * (var_p + var_t + c2)
  return similar / largest


def share_known(known: Array) -> np.ndarray:
  """Returns what each window of `ssim` weighs of known cells, [b H-10 W-10 c].

  Args:
    known: where a field is not missing, [b H W c].

  Examples:
    >>> share_known(np.ones((1, 11, 12, 1))).round(6).ravel().tolist()
    [1.0, 1.0]
  """
  return _blur(np.asarray(known, np.float64))


def _data_range(data_range: float | int | Array) -> np.ndarray:
  span = np.asarray(data_range, np.float64)
  if not np.all(np.isfinite(span) & (span > 0)):
    raise ValueError(f"data_range must be positive, got {data_range}")
  return span


def _blur(x: np.ndarray) -> np.ndarray:
  """Weighs the 11 x 11 windows of a field, [b H-10 W-10 c]."""
  offset = np.arange(WINDOW) - WINDOW // 2
  weight = np.exp(-0.5 * (offset / _SIGMA) ** 2)
  weight /= weight.sum()
  inside = slice(WINDOW // 2, -(WINDOW // 2))
  rows = ndimage.correlate1d(x, weight, axis=1)[:, inside]
  return ndimage.correlate1d(rows, weight, axis=2)[:, :, inside]
