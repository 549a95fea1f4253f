"""Means of a raster over cells on another projection than its own.

A cell is divided along its sides into as many parts as it has cells of the
raster there. Each part takes the box of its size around its centre, so that
where both grids are parallel the mean is the exact one; a cell finer than the
raster's is widened to it, which is linear interpolation.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from hinote_jax.fields import axes, positions
from hinote_jax.io import inputs, projections, units

_BLOCK = 1 << 18  # points at once
_MOST = 32  # parts of a cell along a side
_BEYOND = 0.01  # cells that a centre may lie outside of a raster

Grid = tuple[axes.Axis, axes.Axis]


class Place(NamedTuple):
  """A rasterio.crs.CRS, and what the units of y and x are in its own."""

  crs: Any
  units: tuple[float, float] = (1.0, 1.0)

  @property
  def title(self) -> str:
    """Its name for messages."""
    code = self.crs.to_epsg()
    return f"EPSG:{code}" if code else self.crs.to_wkt().split('"')[1]


def place(grid: Grid) -> Place | None:
  """Returns the projection of a grid, None where it is not known."""
  crs = projections.parse(grid[0].crs) if grid[0].crs else None
  if _is_globe(grid):
    known = crs and crs.is_geographic
    return Place(crs if known else projections.parse(projections.GLOBE))
  sizes = [_unit(axis.units, crs) for axis in grid if crs is not None]
  y, x = sizes or (None, None)
  return None if y is None or x is None else Place(crs, (y, x))


def _is_globe(grid: Grid) -> bool:
  return grid[0].is_latitude and grid[1].is_longitude


def _unit(name: str, crs: Any) -> float | None:
  """Returns a unit of positions in that of a projection, None if it is none."""
  if crs.is_geographic:
    return 1.0 if not name or name.startswith("degree") else None
  own, size = crs.linear_units_factor
  pair = (size, 0) if name in ("", own) else units.conversion(name, "m")
  return None if pair is None else pair[0] / size


def is_closed(axis: axes.Axis) -> bool:
  """Says whether an axis goes once around."""
  return axis.is_periodic or (axis.is_longitude and axes.is_cyclic(axis))


def between(name: str, own: Grid, other: Grid) -> tuple[Place, Place] | None:
  """Returns the projections of a raster and of fields, None if there is one.

  Positions of one kind are compared as they are where one of the projections
  is not known.

  Raises:
    ModuleNotFoundError: rasterio is missing.
    ValueError: a projection is not known, and the positions are of two kinds.
  """
  is_same = all(map(axes.is_alike, own, other))
  if is_same and (_is_globe(own) or own[0].crs == other[0].crs):
    return None
  is_named = all(grid[0].crs or _is_globe(grid) for grid in (own, other))
  ours, theirs = map(place, (own, other)) if is_named else (None, None)
  if ours and theirs:
    return None if is_same and ours == theirs else (ours, theirs)
  for a, b in zip(own, other, strict=True):
    if not axes.is_alike(a, b):
      raise ValueError(
        f"{name}: its {a.name} is in {a.units!r} and {b.name} of the fields in "
        f"{b.units!r}: give it on the same coordinates, or the projections of"
        f" both (its is {_title(own)}, theirs {_title(other)}) by the CRS of a "
        "GeoTIFF or a grid_mapping of NetCDF"
      )
  return None


def _title(grid: Grid) -> str:
  if not grid[0].crs:
    return "latitude and longitude" if _is_globe(grid) else "not named"
  known = place(grid)
  return known.title if known else f"not known, {grid[0].crs[:60]!r}"


def moved(
  name: str, source: Place, target: Place, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns positions of fields in the coordinates of another projection.

  Raises:
    ValueError: one has no place there; says what is asked for by its name.
  """
  warp = inputs.require("rasterio.warp", "io")
  refused = inputs.require("rasterio._err", "io").CPLE_BaseError
  y, x = np.broadcast_arrays(y, x)
  out = np.empty((2, y.size))
  flat = np.stack([x.ravel() * source.units[1], y.ravel() * source.units[0]])
  for start in range(0, y.size, _BLOCK):
    some = slice(start, start + _BLOCK)
    try:
      out[:, some] = warp.transform(source.crs, target.crs, *flat[:, some])
    except refused:
      out[:, some] = np.inf
  if not np.isfinite(out).all():
    raise ValueError(
      f"{name}: {target.title} does not cover the fields ({source.title}), of "
      f"y from {y.min():.7g} to {y.max():.7g} and x from {x.min():.7g} to "
      f"{x.max():.7g}: crop them"
    )
  ours_x, ours_y = out.reshape(2, *y.shape)
  return ours_y / target.units[0], ours_x / target.units[1]


@functools.lru_cache(maxsize=4)
def degrees(
  name: str, y: axes.Axis, x: axes.Axis
) -> tuple[np.ndarray, np.ndarray]:
  """Returns latitudes and longitudes of the centres of cells.

  Args:
    name: of the static field they are for: "latitude" and "longitude" take one
      of both alone.
    y: rows.
    x: columns.

  Returns:
    [H 1] and [1 W], or [H W] each where the axes are on another projection.

  Raises:
    ValueError: the axes tell none.
  """
  both = y.values[:, None], x.values[None]
  known = {"latitude": y.is_latitude, "longitude": x.is_longitude}
  if known.get(name, all(known.values())):
    return both
  if (own := place((y, x))) is None:
    wanted = name if name in known else " and ".join(known)
    raise ValueError(
      f"static field {name!r}: the fields lie on {y.name} [{y.units}] and "
      f"{x.name} [{x.units}], which tell no {wanted}"
    )
  globe = Place(projections.parse(projections.GLOBE))
  return moved(f"static field {name!r}", own, globe, *both)


@dataclasses.dataclass(frozen=True, eq=False)
class Reprojected:
  """A raster as cells on another projection have it.

  Attributes:
    name: for messages.
    integral: of its values up to the corners of its cells, [h+1 w+1 c].
    own: its grid.
    other: that of the cells.
    places: the projections of both, of `between`.
  """

  name: str
  integral: np.ndarray
  own: Grid
  other: Grid
  places: tuple[Place, Place]

  def means(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns the means, [H W c], and of how many rows and columns they are.

    What is made of a cell depends on it alone: windows of a grid have the
    values of the whole.

    Raises:
      ValueError: the cells reach beyond the raster.
    """
    y, x = (
      positions.edges(a.values, a.extent, a.step, is_latitude=a.is_latitude)
      for a in self.other
    )
    out = np.empty((len(y), len(x), self.integral.shape[-1]), np.float32)
    spans = np.empty((len(y), len(x), 2), np.float32)
    step = max(1, _BLOCK // len(x))
    for start in range(0, len(y), step):
      rows = slice(start, start + step)
      out[rows], spans[rows] = self._block(y[rows], x)
    return out, np.median(spans, axis=(0, 1))

  def _block(self, y, x) -> tuple[np.ndarray, np.ndarray]:
    """Returns the means over cells of edges y [r 2], x [s 2], and sizes."""
    self._require_within(y.mean(-1)[:, None], x.mean(-1))
    down, right = self._sides(y, x)
    span = np.hypot(down, right)
    parts = np.ceil(np.stack([down.max(-1), right.max(-1)], -1) - 1e-6)
    parts = np.clip(parts, 1, _MOST).reshape(-1, 2)
    out = np.empty((len(parts), self.integral.shape[-1]))
    for rows, columns in np.unique(parts, axis=0).astype(int):
      size = np.hypot(down / rows, right / columns) + np.maximum(1 - span, 0)
      half = 0.5 * size.reshape(-1, 2, 1, 1)
      cells = np.flatnonzero((parts == (rows, columns)).all(-1))
      count = max(1, _BLOCK // (rows * columns))
      for some in np.split(cells, range(count, len(cells), count)):
        i, j = np.divmod(some, len(x))
        centres = self._at(
          _middles(y[i], rows)[:, :, None], _middles(x[j], columns)[:, None]
        )
        out[some] = self._mean(centres, np.swapaxes(half[some], 0, 1))
    return out.reshape(*span.shape[:2], -1), span

  def _at(self, y, x) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns of the raster, from its first edges."""
    ours, theirs = self.places
    both = moved(self.name, theirs, ours, y, x)
    iy, ix = (
      (values - axis.values[0]) / axis.step + 0.5
      for values, axis in zip(both, self.own, strict=True)
    )
    half = len(self.own[1]) / 2
    return iy, half + self._near(ix - half)

  def _near(self, columns: np.ndarray) -> np.ndarray:
    """Returns how far columns lie apart, the shorter way around the globe."""
    turn = positions.TURN / abs(self.own[1].step)
    is_round = self.own[1].is_longitude
    return columns - np.rint(columns / turn) * turn if is_round else columns

  def _sides(self, y, x) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns along both sides of the cells, [r s 2] each."""
    y, x = (np.append(edges[:, 0], edges[-1, 1]) for edges in (y, x))
    iy, ix = self._at(y[:, None], x)
    down, right = (
      np.abs([np.diff(iy, axis=axis), self._near(np.diff(ix, axis=axis))])
      for axis in (0, 1)
    )
    down, right = down[:, :, 1:] + down[:, :, :-1], right[:, 1:] + right[:, :-1]
    return np.moveaxis(0.5 * down, 0, -1), np.moveaxis(0.5 * right, 0, -1)

  def _require_within(self, y, x) -> None:
    """Refuses cells whose centres y [r 1], x [s] lie outside of the raster."""
    is_within = np.ones((len(y), len(x)), bool)
    for index, axis in zip(self._at(y, x), self.own, strict=True):
      is_on = (index > -_BEYOND) & (index < len(axis) + _BEYOND)
      is_within &= is_on | is_closed(axis)
    if is_within.all():
      return
    warp = inputs.require("rasterio.warp", "io")
    i, j = np.argwhere(~is_within)[0]
    (ours, theirs), (a, b) = self.places, (axis.name for axis in self.other)
    ends = [axis.extent for axis in self.own] * np.c_[ours.units]
    (bottom, top), (left, right) = np.sort(ends)
    box = warp.transform_bounds(ours.crs, theirs.crs, left, bottom, right, top)
    left, bottom, right, top = np.divide(box, theirs.units[::-1] * 2)
    raise ValueError(
      f"{self.name} ({ours.title}) covers {a} from {bottom:.7g} to {top:.7g} "
      f"and {b} from {left:.7g} to {right:.7g}, and not the cell of the fields "
      f"({theirs.title}) at {a} {y[i, 0]:.7g}, {b} {x[j]:.7g}: give one that "
      "covers them"
    )

  def _mean(self, centres, half) -> np.ndarray:
    """Returns the means of boxes around points, [n c].

    Args:
      centres: rows and columns of the points, [n k l] each.
      half: half of the height and the width of the boxes, [2 n 1 1].
    """
    ends = []
    for axis, index, size in zip(self.own, centres, half, strict=True):
      pair = index - size, index + size
      is_open = not is_closed(axis)
      ends.append(np.clip(pair, 0, len(axis)) if is_open else pair)
    (up, down), (left, right) = ends
    area = ((down - up) * (right - left)).sum((1, 2))
    total = self._up_to(down, right) - self._up_to(down, left)
    total += self._up_to(up, left) - self._up_to(up, right)
    return total.sum((1, 2)) / area[:, None]

  def _up_to(self, iy, ix) -> np.ndarray:
    """Returns the integral up to points, also beyond a turn, [.. c]."""
    n = len(self.own[1])
    turns = np.floor(ix / n) if is_closed(self.own[1]) else np.zeros_like(ix)
    out = []
    for plane in np.moveaxis(self.integral, -1, 0):
      part = ndimage.map_coordinates(plane, [iy, ix - turns * n], order=1)
      if turns.any():
        whole = ndimage.map_coordinates(plane[:, n], [iy], order=1)
        part = part + turns * whole
      out.append(part)
    return np.stack(out, axis=-1)


def _middles(edges: np.ndarray, count: int) -> np.ndarray:
  """Returns the middles of even parts between edges [n 2], [n count]."""
  low, high = edges[:, :1], edges[:, 1:]
  return low + (np.arange(count) + 0.5) / count * (high - low)
