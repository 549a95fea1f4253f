"""Errors of a field relative to its own size, and its mean error."""

import chex
import numpy as np

from hinote_jax.core.typing import Array


def pair(pred: Array, target: Array) -> tuple[np.ndarray, np.ndarray]:
  """Returns both fields in float64, [b H W c].

  Raises:
    AssertionError: the shapes differ or are not of rank 4.

  Examples:
    >>> one, _ = pair(np.ones((1, 2, 2, 1), np.float32), np.ones((1, 2, 2, 1)))
    >>> one.dtype
    dtype('float64')
  """
  chex.assert_equal_shape([pred, target])
  chex.assert_rank(pred, 4)
  return np.asarray(pred, np.float64), np.asarray(target, np.float64)


def relative_l2(pred: Array, target: Array) -> np.ndarray:
  """Returns ||pred - target|| / ||target||, without unit, [b c].

  The norm includes the mean of the field, so a temperature in kelvin scores far
  better than the same field in degrees Celsius. Infinite where the target is
  zero everywhere and the prediction is not.

  Examples:
    >>> target = np.full((1, 2, 2, 1), 4.0)
    >>> relative_l2(target + 1, target)
    array([[0.25]])
  """
  pred, target = pair(pred, target)
  error = np.sqrt(np.sum((pred - target) ** 2, axis=(1, 2)))
  norm = np.sqrt(np.sum(target**2, axis=(1, 2)))
  with np.errstate(divide="ignore", invalid="ignore"):
    return np.where(error == 0.0, 0.0, error / norm)


def bias(pred: Array, target: Array) -> np.ndarray:
  """Returns the mean of pred - target, in the unit of the field, [b c].

  Examples:
    >>> target = np.zeros((1, 2, 2, 1))
    >>> bias(target - 0.5, target)
    array([[-0.5]])
  """
  pred, target = pair(pred, target)
  return np.mean(pred - target, axis=(1, 2))


def mean_error(pred: Array, target: Array) -> np.ndarray:
  """Returns the error of the mean over the deviation of the target, [b c].

  What a prediction adds to or takes from the whole of a field, without unit; 0
  where the mean is kept, infinite where the target is constant and it is not.

  Examples:
    >>> target = np.array([-1.0, 1.0]).reshape(1, 1, 2, 1)
    >>> mean_error(target + 0.5, target)
    array([[0.5]])
  """
  pred, target = pair(pred, target)
  error = np.mean(pred - target, axis=(1, 2))
  with np.errstate(divide="ignore", invalid="ignore"):
    return np.where(error == 0.0, 0.0, error / np.std(target, axis=(1, 2)))
