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
  """Mean and logarithm of the spread of normalised fields, by place.

  Of all fields together, or of those of an hour of the day or a month apart.
  """

  def __init__(
    self,
    values: np.ndarray,
    train: Sequence[int],
    normaliser,
    groups: Sequence[int] | None = None,
    kind: str = "",
  ):
    """Sums up the training part, once, in float64.

    Args:
      values: [t H W c].
      train: times of the training part.
      normaliser: of the variables.
      groups: which climatology each field belongs to, [t]; None: all to 0.
      kind: what groups are, "hour" or "month", for messages.

    Raises:
      ValueError: there are too few times, or none of a group of other parts.
    """
    self._values, self._normaliser = np.asarray(values), normaliser
    self._groups = [0] * len(values) if groups is None else list(groups)
    self._train: dict[int, list[int]] = {key: [] for key in self._groups}
    for i in sorted(map(int, train)):
      self._train[self._groups[i]].append(i)
    for key, members in sorted(self._train.items()):
      if len(members) < LEAST:
        of_group = f" of {kind} {key}" if kind else ""
        raise ValueError(
          f"config.data.static: a climatology{of_group} needs {LEAST} training "
          f"fields or more and there are {len(members)}"
        )
    # Neighbours in time: hours of a day are a day apart from their like.
    self._reach = {
      key: NEIGHBOURS * max(1, int(np.median(np.diff(members))))
      for key, members in self._train.items()
    }
    self._sums = {
      key: np.zeros((2, *self._values.shape[1:])) for key in self._train
    }
    for key, members in self._train.items():
      for i in members:
        field = np.asarray(normaliser.normalise(self._values[i]), np.float64)
        self._sums[key] += field, field**2

  def whole(self) -> dict[int, np.ndarray]:
    """Returns group -> climatology of its training fields, [H W 2*c]."""
    return {
      key: _statistics(self._sums[key], len(members))
      for key, members in sorted(self._train.items())
    }

  def without(self, field: int, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """Returns that of the others at rows and columns, [m n 2*c]."""
    key = self._groups[field]
    members, reach = self._train[key], self._reach[key]
    left_out = [i for i in members if abs(i - field) <= reach]
    first, second = (pipeline.take(self._sums[key][k], iy, ix) for k in (0, 1))
    for i in left_out:
      cells = pipeline.take(self._values[i], iy, ix)
      cells = np.asarray(self._normaliser.normalise(cells), np.float64)
      first, second = first - cells, second - cells**2
    return _statistics((first, second), len(members) - len(left_out))


def _statistics(sums, count: int) -> np.ndarray:
  mean = sums[0] / count
  spread = np.sqrt(np.maximum(sums[1] / count - mean**2, 0.0))
  both = [mean, np.log(spread + _FLOOR)]
  return np.concatenate(both, axis=-1).astype(np.float32)
