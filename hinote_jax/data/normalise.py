"""Zero mean and unit deviation per variable, fitted on the training part."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from hinote_jax.core.typing import Array


@dataclasses.dataclass(frozen=True)
class Normaliser:
  """Statistics of each channel over the training part, in physical units.

  Attributes:
    mean: [c].
    std: [c], above 0.
    minimum: [c].
    maximum: [c].
  """

  mean: tuple[float, ...]
  std: tuple[float, ...]
  minimum: tuple[float, ...]
  maximum: tuple[float, ...]

  @classmethod
  def fit(
    cls,
    values: np.ndarray,
    indices: Sequence[int],
    *,
    names: Sequence[str] = (),
  ) -> "Normaliser":
    """Returns the statistics of some fields of a series.

    Sums in float64, field by field, so a memory map is read once.

    Args:
      values: [t H W c], NaN where missing, which counts for nothing.
      indices: which times to use: those of the training part.
      names: names of the channels, for error messages.

    Raises:
      ValueError: no times, or a channel that is constant.
    """
    if not len(indices):
      raise ValueError("no times to fit the normaliser on: training is empty")
    channels = np.shape(values)[-1]
    mean, squares, count = (np.zeros(channels) for _ in range(3))
    minimum, maximum = np.full(channels, np.inf), np.full(channels, -np.inf)
    for i in indices:
      field = np.asarray(values[i], np.float64)
      field = field.reshape(-1, field.shape[-1])
      is_known = ~np.isnan(field)
      added = is_known.sum(0)
      total = np.maximum(count + added, 1)
      own = np.where(is_known, field, 0.0).sum(0) / np.maximum(added, 1)
      # Chan, Golub, LeVeque 1979: no cancellation, whatever the offset.
      step = np.where(added > 0, own - mean, 0.0)
      off = np.where(is_known, field - own, 0.0)
      squares = squares + (off**2).sum(0)
      squares = squares + step**2 * (count * added / total)
      mean = mean + step * (added / total)
      count = count + added
      minimum = np.fmin(minimum, np.fmin.reduce(field, axis=0))
      maximum = np.fmax(maximum, np.fmax.reduce(field, axis=0))
    for c in np.flatnonzero(maximum <= minimum).tolist():
      name = repr(names[c]) if len(names) else f"of channel {c}"
      raise ValueError(
        f"variable {name} is constant ({float(minimum[c]) + 0.0:g}) over the "
        f"{len(indices)} training times: leave it out"
      )
    std = np.sqrt(squares / np.maximum(count, 1))
    return cls(*(tuple(s.tolist()) for s in (mean, std, minimum, maximum)))

  @property
  def data_range(self) -> np.ndarray:
    """Maximum minus minimum of the training part, [c] float64."""
    return np.asarray(self.maximum) - np.asarray(self.minimum)

  def normalise(self, x: Array) -> Array:
    """Maps physical values [.. c] to zero mean and unit deviation."""
    return (x - _like(self.mean, x)) / _like(self.std, x)

  def denormalise(self, x: Array) -> Array:
    """Maps normalised values [.. c] back to physical units."""
    return x * _like(self.std, x) + _like(self.mean, x)

  def to_dict(self) -> dict[str, list[float]]:
    """Returns plain lists; JSON keeps them to the last bit."""
    return {k: list(v) for k, v in dataclasses.asdict(self).items()}

  @classmethod
  def from_dict(cls, state: dict[str, list[float]]) -> "Normaliser":
    """Returns the normaliser that `to_dict` described."""
    return cls(**{k: tuple(v) for k, v in state.items()})


def _like(statistic: tuple[float, ...], x: Array) -> np.ndarray:
  """A statistic as float32, or float64 beside float64; checks the channels."""
  if x.shape[-1] != len(statistic):
    raise ValueError(
      f"the field has {x.shape[-1]} channels and the normaliser was fitted "
      f"on {len(statistic)}"
    )
  return np.asarray(statistic, np.float64 if x.dtype == "float64" else "f4")
