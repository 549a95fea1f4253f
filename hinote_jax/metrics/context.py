"""What the metrics of a science need to know beside the values."""

from collections.abc import Mapping
import dataclasses
from typing import NamedTuple

import numpy as np

from hinote_jax.core.typing import Periodic

# Units of axes that are only counted: their first row is the top one.
COUNTED = ("", "cell")

# What is summed over fields before a metric is taken of the sums.
Parts = Mapping[str, np.ndarray]


class Metric(NamedTuple):
  """How a report shows a metric.

  Attributes:
    title: "%" stands for the unit, "{}" for what follows "@" in the key.
    sign: +1 where larger is better, -1 where closer to 0 is, 0 where
      differences say nothing.
    text: one line on what it means.
    digits: format of a value.
  """

  title: str
  sign: int
  text: str
  digits: str = ".4g"


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
  """What a dataset says of its fields, and what they are compared with.

  Attributes:
    names: of the variables, c of them.
    units: of the variables.
    long_names: of the variables, for people.
    periodic: which of (y, x) close on themselves.
    data_range: full scale of each variable, [c].
    latitude: of the rows in degrees, [H]; None where they are no latitudes.
    longitude: of the columns in degrees, [W], or None.
    step: signed distance from a row to the next and from a column to the
      next, in one unit; (1, 1) where cells are only counted.
    positions: of the rows, [H], and of the columns, [W], in that unit; None
      along an axis whose steps are even.
    climatology: the mean of the training part, [H W c], or None.
    thresholds: of each variable, label -> value in its unit.
    known: where the field that is scored was not missing, [H W c]; None:
      everywhere. Elsewhere truth and prediction are filled alike.
  """

  names: tuple[str, ...]
  units: tuple[str, ...]
  long_names: tuple[str, ...]
  periodic: Periodic
  data_range: np.ndarray
  latitude: np.ndarray | None = None
  longitude: np.ndarray | None = None
  step: tuple[float, float] = (1.0, 1.0)
  positions: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
  climatology: np.ndarray | None = None
  thresholds: tuple[Mapping[str, float], ...] = ()
  known: np.ndarray | None = None

  @property
  def between(self) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Of (y, x), what `flow.derivative` takes: a step, or uneven positions."""
    y, x = (
      step if own is None else own
      for step, own in zip(self.step, self.positions, strict=True)
    )
    return y, x

  def within(self, rows: slice, columns: slice) -> "Context":
    """Returns what it says of a part of the fields.

    An axis that is not taken whole, as slice(None), no longer closes on itself.

    Examples:
      >>> whole = Context(("t",), ("K",), ("",), (True, True), np.ones(1),
      ...                 latitude=np.array([60.0, 50.0, 40.0]))
      >>> part = whole.within(slice(1, 3), slice(None))
      >>> part.latitude.tolist(), part.periodic
      ([50.0, 40.0], (False, True))
    """
    box = rows, columns

    def cut(values):
      return None if values is None else values[box]

    (latitude, longitude), positions = (
      tuple(
        None if values is None else values[own]
        for values, own in zip(axes, box, strict=True)
      )
      for axes in ((self.latitude, self.longitude), self.positions)
    )
    first, second = (
      is_periodic and part == slice(None)
      for is_periodic, part in zip(self.periodic, box, strict=True)
    )
    return dataclasses.replace(
      self,
      periodic=(first, second),
      latitude=latitude,
      longitude=longitude,
      positions=positions,
      climatology=cut(self.climatology),
      known=cut(self.known),
    )


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
  """Returns over / under, NaN where `under` is 0: there is no meaning."""
  over, under = np.broadcast_arrays(over, under)
  result = np.full(over.shape, np.nan)
  return np.divide(over, under, out=result, where=under != 0.0)
