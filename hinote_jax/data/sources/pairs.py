"""Fields paired with a coarser series of their own, in place of a degradation.

Both cover the same extent: coarse cell i covers the fine cells [i s, (i+1) s)
of an axis, where the scale s is the ratio of the two grids.
"""

import dataclasses
import hashlib

import numpy as np

from hinote_jax.data import series

# Ends of both grids may be apart by this much of a coarse cell.
_TOLERANCE = 0.1


def pair(source: series.Source, lowres: series.Source) -> series.Source:
  """Returns a series with its coarser counterpart in `lowres`.

  Raises:
    ValueError: variables, units or times differ, or the grids do not cover
      the same extent at one scale.
  """
  for what, fine, coarse in (
    ("variables", *([v.name for v in s.variables] for s in (source, lowres))),
    ("units", *([v.units for v in s.variables] for s in (source, lowres))),
  ):
    if fine != coarse:
      raise ValueError(
        f"the low resolution of {source.name} has {what} {coarse} and the "
        f"high one {fine}: both must have the same"
      )
  _check_times(source, lowres)
  scale(source.shape, lowres.shape)
  for fine, coarse in ((source.y, lowres.y), (source.x, lowres.x)):
    _check_extent(source.name, fine, coarse)
  digests = source.fingerprint + lowres.fingerprint
  return dataclasses.replace(
    source,
    lowres=lowres,
    fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
  )


def scale(shape: tuple[int, int], coarse: tuple[int, int]) -> float:
  """Returns how many fine cells a coarse one covers along either axis.

  Args:
    shape: (H, W) of the fine grid.
    coarse: (h, w) of the coarse one.

  Raises:
    ValueError: it is below 1, or differs between the axes.
  """
  along_y, along_x = (n / m for n, m in zip(shape, coarse, strict=True))
  if abs(along_y - along_x) > 1e-9 * along_x or along_x < 1.0:
    raise ValueError(
      f"fields of {shape[0]} x {shape[1]} cells are paired with "
      f"{coarse[0]} x {coarse[1]}, a scale of {along_y:.4g} along y and "
      f"{along_x:.4g} along x: it must be one and at least 1, so crop or "
      "regrid one of them"
    )
  return along_x


def _check_times(source, lowres):
  if len(source.times) != len(lowres.times):
    raise ValueError(
      f"{source.name} has {len(source.times)} fields of high and "
      f"{len(lowres.times)} of low resolution: pairs are needed"
    )
  for i, (fine, coarse) in enumerate(
    zip(source.times, lowres.times, strict=True)
  ):
    if fine != coarse:
      raise ValueError(
        f"{source.name}: field {i} is of {fine} and its low resolution of "
        f"{coarse}: give both for the same times"
      )


def _check_extent(name, fine, coarse):
  """Refuses axes with positions that do not cover the same extent."""
  if "cell" in (fine.units, coarse.units) or min(len(fine), len(coarse)) < 2:
    return
  ends = np.array([_ends(fine), _ends(coarse)])
  step = abs(ends[1, 1] - ends[1, 0]) / len(coarse)
  if np.abs(ends[0] - ends[1]).max() > _TOLERANCE * step:
    raise ValueError(
      f"{name}: {fine.name} covers {ends[0, 0]:g} to {ends[0, 1]:g} in high "
      f"and {ends[1, 0]:g} to {ends[1, 1]:g} in low resolution: crop or "
      "regrid one of them to the extent of the other"
    )


def _ends(axis) -> tuple[float, float]:
  """Returns the outer edges of the cells of an axis."""
  return axis.registered("cells", axis.is_periodic).extent
