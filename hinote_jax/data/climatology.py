"""What a place is usually like: mean and spread of the training part.

While training, the field itself and its neighbours in time are left out of its
own climatology: with them a network learns to read the answer off it.
"""

from collections.abc import Sequence

import numpy as np

from hinote_jax.degradations import pipeline

NEIGHBOURS = 1  # fields on each side that are left out with a field
LEAST = 8  # training fields, without which a spread says nothing
_FLOOR = 1e-3  # of a spread, in units of the variable's deviation


class Climatology:
  """Mean and logarithm of the spread of normalised fields, by place."""

  def __init__(self, values: np.ndarray, train: Sequence[int], normaliser):
    """Sums up the training part, once, in float64.

    Args:
      values: [t H W c].
      train: times of the training part.
      normaliser: of the variables.

    Raises:
      ValueError: there are too few times.
    """
    self._train = frozenset(int(i) for i in train)
    if len(self._train) < LEAST:
      raise ValueError(
        f"config.data.static: a climatology needs {LEAST} training fields or "
        f"more and there are {len(self._train)}"
      )
    self._values, self._normaliser = np.asarray(values), normaliser
    self._sums = np.zeros((2, *self._values.shape[1:]))
    for i in sorted(self._train):
      field = np.asarray(normaliser.normalise(self._values[i]), np.float64)
      self._sums += field, field**2

  @property
  def count(self) -> int:
    """Number of fields, those of all parts."""
    return len(self._values)

  def whole(self) -> np.ndarray:
    """Returns the climatology of all training fields, [H W 2*c]."""
    return _statistics(self._sums, len(self._train))

  def without(self, field: int, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """Returns that of the others at rows and columns, [m n 2*c]."""
    near = range(field - NEIGHBOURS, field + NEIGHBOURS + 1)
    left_out = [i for i in near if i in self._train]
    first, second = (pipeline.take(self._sums[k], iy, ix) for k in (0, 1))
    for i in left_out:
      cells = pipeline.take(self._values[i], iy, ix)
      cells = np.asarray(self._normaliser.normalise(cells), np.float64)
      first, second = first - cells, second - cells**2
    return _statistics((first, second), len(self._train) - len(left_out))


def _statistics(sums, count: int) -> np.ndarray:
  mean = sums[0] / count
  spread = np.sqrt(np.maximum(sums[1] / count - mean**2, 0.0))
  both = [mean, np.log(spread + _FLOOR)]
  return np.concatenate(both, axis=-1).astype(np.float32)
