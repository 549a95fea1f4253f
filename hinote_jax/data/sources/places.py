"""Fields divided by place: trained on here, scored there.

Every field comes once for each place and is missing elsewhere, so that what is
drawn, normalised by and scored is of one place alone; `splits.by_group` then
divides the places among the parts. What no place covers is a gap.
"""

from collections.abc import Sequence
import dataclasses
import hashlib

import numpy as np

from hinote_jax.data import series
from hinote_jax.fields import axes, positions


def divide(source: series.Source, places: Sequence[str]) -> series.Source:
  """Returns a series with a group for each place, in their order.

  Args:
    source: the fields.
    places: ranges of x in its units, "120:240" or several of one place,
      "120:240,310:370", from the first up to before the second; along
      longitudes they may go around.

  Raises:
    ValueError: a range is none, has no cells, or two places share some.
  """
  inside = np.stack([_inside(source.x, place) for place in places])
  if (shared := np.flatnonzero(inside.sum(0) > 1)).size:
    where = source.x.values[shared[0]]
    both = [p for p, own in zip(places, inside, strict=True) if own[shared[0]]]
    raise ValueError(
      f"config.data.places: {' and '.join(both)} share {source.x.name} "
      f"{where:g}: what is trained on would be tested on; leave a gap"
    )
  count = len(source)
  digest = hashlib.sha256(f"{source.fingerprint} {list(places)}".encode())

  def reader(i: int) -> np.ndarray:
    values = np.array(source.reader(i % count), np.float32)
    values[:, ~inside[i // count]] = np.nan
    return values

  return dataclasses.replace(
    source,
    # Not dates alone: the same times are in all parts, by design.
    times=tuple(f"{place} at {t}" for place in places for t in source.times),
    groups=tuple(place for place in places for _ in range(count)),
    fingerprint=digest.hexdigest(),
    reader=reader,
  )


def _inside(x: axes.Axis, place: str) -> np.ndarray:
  """Returns which columns lie in a place, [W]."""
  inside = np.zeros(len(x), bool)
  for part in place.split(","):
    try:
      low, high = map(float, part.split(":"))
    except ValueError as error:
      raise ValueError(
        f"config.data.places: {part!r} is no range: give them as "
        "'120:240' or '120:240,310:370'"
      ) from error
    turn = positions.TURN if x.is_longitude else np.inf
    own = np.mod(x.values - low, turn) < high - low
    if not own.any():
      raise ValueError(
        f"config.data.places: no cell lies in {part}: {x.name} goes from "
        f"{x.values[0]:g} to {x.values[-1]:g} {x.units}".rstrip()
      )
    inside |= own
  return inside
