"""Volumes of scanners as slices, with what a series of them needs."""

from collections.abc import Callable, Sequence
import dataclasses
import pathlib

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes as positions


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
  """One scan.

  Attributes:
    path: of its file.
    name: of its variable.
    subject: who was scanned.
    count: number of slices.
    shape: (H, W) of a slice.
    spacing: (y, x) mm from cell to cell; None where the file does not say.
    read: gives slice i as [H W].
  """

  path: pathlib.Path
  name: str
  subject: str
  count: int
  shape: tuple[int, int]
  spacing: tuple[float, float] | None
  read: Callable[[int], np.ndarray]

  def maximum(self) -> float:
    """Returns the largest value of the volume; what is missing is none.

    Raises:
      ValueError: it is not above 0.
    """
    each = (self.read(i) for i in range(self.count))
    largest = max(np.max(v, initial=0.0, where=~np.isnan(v)) for v in each)
    if not largest > 0.0:
      raise ValueError(
        f"{self.path} has no value above 0, so it has no maximum to scale by"
      )
    return float(largest)


def slices(
  volume: Volume, part: tuple[float | int, float | int], every: int
) -> range:
  """Returns which slices of a volume to take.

  Args:
    volume: has them.
    part: from which fraction of its slices to which.
    every: each so many-th of those.

  Raises:
    ValueError: the volume has one slice, or none are asked for.
  """
  if volume.count < 2:
    raise ValueError(
      f"{volume.path} has {volume.count} slice and a volume is needed: name "
      "another plane, or take single pictures by the data 'files'"
    )
  low, high = part
  first, last = round(low * volume.count), round(high * volume.count)
  if not (0.0 <= low < high <= 1.0 and every >= 1) or first >= last:
    raise ValueError(
      f"slices {low:g} to {high:g}, each {every}th, of {volume.count} in "
      f"{volume.path} are none: give fractions in order, from 0 to 1"
    )
  return range(first, last, every)


def common_shape(
  scans: Sequence[Volume], shape: tuple[int, int] | None
) -> tuple[int, int]:
  """Returns the shape that slices are brought to.

  Raises:
    ValueError: none is asked for and the volumes differ.
  """
  if shape is not None:
    return (int(shape[0]), int(shape[1]))
  first = scans[0]
  for other in scans:
    if other.shape != first.shape:
      raise ValueError(
        f"{other.path} has slices of {other.shape} and {first.path} of "
        f"{first.shape}: give config.data.shape, to which all are cropped or "
        "padded with zeros about their middle"
      )
  return first.shape


def axes(
  scans: Sequence[Volume], shape: tuple[int, int]
) -> tuple[fields.Axis, fields.Axis]:
  """Returns y and x in mm from the middle, or cells where these differ."""
  known = [volume.spacing for volume in scans if volume.spacing is not None]
  first = np.asarray(known[0] if known else (np.nan, np.nan))
  is_one = len(known) == len(scans) and all(
    np.all(np.abs(np.asarray(spacing) - first) <= 0.01 * first)
    for spacing in known
  )
  y, x = map(positions.counted, "yx", shape)
  if not is_one:
    return y, x
  y, x = (
    fields.Axis(axis.name, step * (axis.values - axis.values.mean()), "mm")
    for axis, step in zip((y, x), first, strict=True)
  )
  return y, x


def fitted(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Returns a slice cropped or padded with zeros about its middle.

  Args:
    values: [h w].
    shape: (H, W) wanted.
  """
  for axis, (n, wanted) in enumerate(zip(values.shape, shape, strict=True)):
    if n > wanted:
      start = (n - wanted) // 2
      values = values.take(range(start, start + wanted), axis=axis)
    elif n < wanted:
      before = (wanted - n) // 2
      margin = [(0, 0), (0, 0)]
      margin[axis] = (before, wanted - n - before)
      values = np.pad(values, margin)
  return values
