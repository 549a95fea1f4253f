"""Coordinates over y and x together, refined with the grid.

Latitude and longitude lie on the sphere, where neither the date line nor a
pole is a seam: points between others are found in space. Others are
interpolated linearly. Each may have further dimensions, such as time; the
corners of cells, four of each, make a lattice that finer cells divide.
"""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax import fields
from hinote_jax.io import cf, cf_packing, cf_references
from hinote_jax.io.coordinates import Taps, in_turn, index_of

# Counterclockwise as CF has them: whether each lies high along y and along x.
_PLACES = ((0, 0), (0, 1), (1, 1), (1, 0))
# How far corners of neighbours may lie apart, of the size of a cell.
_GAP = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
  """A coordinate over y and x on a fine grid, in blocks of rows.

  Attributes:
    variable: what it is and how it is packed.
    packed_as: attributes of its packing as they were read.
    dims: its dimensions, in the order of the file.
    others: sizes of those that are neither y nor x.
    rows: of an index along each of these, some rows, [r W] float64.
  """

  variable: fields.Variable
  packed_as: dict[str, Any]
  dims: tuple[str, ...]
  others: Mapping[str, int]
  rows: Callable[[tuple[int, ...], slice], np.ndarray]


def planes(header: fields.Header, layout: cf.Layout) -> Iterator[Plane]:
  """Yields the coordinates over y and x, refined with the grid."""
  dims = header.y.name, header.x.name
  wide = {n: r for n, r in layout.grid.items() if set(dims) <= set(r.dims)}
  if not wide:
    return
  both = [(header.y, layout.coarse[0]), (header.x, layout.coarse[1])]
  sphere = {}
  for latitude, longitude in cf_references.pairs(wide):
    centres = _Places(wide[latitude], wide[longitude], dims, both)
    bounds = [
      cf_references.bounds_of(wide[n], wide) for n in (latitude, longitude)
    ]
    sphere |= {latitude: centres.latitude, longitude: centres.longitude}
    if all(bounds):
      raw = [wide[str(name)] for name in bounds]
      corners = _Corners(raw[0], raw[1], dims, both, centres)
      sphere |= {bounds[0]: corners.latitude, bounds[1]: corners.longitude}
  taps = [Taps.of(fine, coarse) for fine, coarse in both]
  for name, raw in wide.items():
    # What bounds the values of a coordinate does not bound finer ones.
    variable = cf_packing.variable_of(name, raw)
    yield Plane(
      dataclasses.replace(variable, valid=(None, None)),
      cf_packing.packing_of(raw),
      raw.dims,
      {dim: size for dim, size in raw.sizes.items() if dim not in dims},
      sphere.get(name) or functools.partial(_plain_rows, raw, dims, taps),
    )


def _values(raw, dims, others, at) -> Float[np.ndarray, "h w"]:
  """Returns one plane of a variable, float64, NaN where missing."""
  plane = raw.isel(dict(zip(others, at, strict=True))).transpose(*dims)
  return np.asarray(cf_packing.plain("", plane), np.float64)


def _plain_rows(raw, dims, taps, at, rows) -> Float[np.ndarray, "r W"]:
  others = [dim for dim in raw.dims if dim not in dims]
  y, x = taps
  return _linear(_values(raw, dims, others, at), y, x, rows)


def _linear(
  values: Float[np.ndarray, "h w *c"], y: Taps, x: Taps, rows: slice
) -> Float[np.ndarray, "r W *c"]:
  """Returns rows of a coordinate between the values of a coarse grid."""
  turned = np.swapaxes(y.rows(rows).across(values), 0, 1)
  return np.swapaxes(x.across(turned), 0, 1)


def _points(
  latitude: Float[np.ndarray, "h w"], longitude: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
  """Returns places in degrees as points on the unit sphere."""
  phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
  flat = np.cos(phi)
  return np.stack([flat * np.cos(lam), flat * np.sin(lam), np.sin(phi)], -1)


class _Places:
  """Points given by latitude and longitude, and those between them."""

  def __init__(self, latitude: Any, longitude: Any, dims, both):
    """Takes two variables over y, x and the same other dimensions.

    Args:
      latitude: in degrees.
      longitude: in degrees.
      dims: names of y and x.
      both: the fine and the coarse axis of each.
    """
    self._raw, self._dims, self._both = (latitude, longitude), dims, both
    self._others = [d for d in latitude.dims if d not in dims]
    self.taps = [Taps.of(fine, coarse) for fine, coarse in both]
    self._held: tuple[Any, Any] = (None, None)

  def degrees(self, at: tuple[int, ...]) -> list[np.ndarray]:
    """Returns latitude and longitude of the coarse points, [h w]."""
    return [_values(raw, self._dims, self._others, at) for raw in self._raw]

  def points(self, at: tuple[int, ...]) -> Float[np.ndarray, "h w 3"]:
    """Returns the coarse points in space."""
    return self._once(at, lambda: _points(*self.degrees(at)))

  def _once(self, at, make):
    """Returns what was made for the last index, or makes it."""
    if self._held[0] != at:
      self._held = at, make()
    return self._held[1]

  def between(self, at, rows) -> Float[np.ndarray, "r W 3"]:
    """Returns some rows of fine points in space."""
    y, x = self.taps
    return _linear(self.points(at), y, x, rows)

  def latitude(self, at, rows) -> Float[np.ndarray, "r W"]:
    """Returns some rows of latitude, in degrees."""
    east, north, up = np.moveaxis(self.between(at, rows), -1, 0)
    return np.rad2deg(np.arctan2(up, np.hypot(east, north)))

  def longitude(self, at, rows) -> Float[np.ndarray, "r W"]:
    """Returns some rows of longitude, in degrees; see `in_turn`."""
    east, north, _ = np.moveaxis(self.between(at, rows), -1, 0)
    angle = np.rad2deg(np.arctan2(north, east))
    y, x = (taps.nearest() for taps in self.taps)
    coarse = self.degrees(at)[1]
    return in_turn(angle, coarse[np.ix_(y[rows], x)], coarse)


class _Corners(_Places):
  """Corners of cells: a lattice of points, or what lies between centres."""

  def __init__(self, latitude: Any, longitude: Any, dims, both, centres):
    """Takes two variables of corners, and the centres of the cells."""
    super().__init__(latitude, longitude, dims, both)
    self._centres = centres
    self._ends = [
      dim
      for dim in self._others
      if latitude.sizes[dim] == cf_references.CORNERS
    ]
    self._axis = self._others.index(
      next(d for d in self._ends if d not in centres._others)
    )

  def _split(self, at) -> tuple[tuple[int, ...], int]:
    """Returns the index without the corner, and the corner."""
    return at[: self._axis] + at[self._axis + 1 :], at[self._axis]

  def _lattice(self, at):
    """Returns the lattice, None where there is none; and where corners lie."""
    where, _ = self._split(at)
    k = self._axis
    corners = [
      _points(*self.degrees((*where[:k], c, *where[k:])))
      for c in range(cf_references.CORNERS)
    ]
    return lattice(np.stack(corners, axis=2))

  def between(self, at, rows) -> Float[np.ndarray, "r W 3"]:
    """Returns some rows of one corner of fine cells in space."""
    where, c = self._split(at)
    points, places = self._once(where, lambda: self._lattice(at))
    is_lattice, taps = points is not None, []
    for (fine, coarse), is_high in zip(self._both, places[c], strict=True):
      index, step = index_of(fine, coarse)
      n, index = len(coarse), index + (is_high - 0.5) * step
      if is_lattice:
        index = (index + 0.5) % n if coarse.is_periodic else index + 0.5
      is_closed = coarse.is_periodic and not is_lattice
      taps.append(Taps.at(index, n + is_lattice, is_closed))
    if not is_lattice:
      points = self._centres.points(where)
    y, x = taps
    return _linear(points, y, x, rows)


def lattice(
  corners: Float[np.ndarray, "h w 4 3"],
) -> tuple[Float[np.ndarray, "h1 w1 3"] | None, tuple[tuple[int, int], ...]]:
  """Returns the points that the corners of cells share, and which is which.

  Args:
    corners: of each cell, in space.

  Returns:
    the lattice, None where neighbours do not share their corners; whether each
    corner lies high along y and along x.
  """
  middle = corners.mean(axis=2)
  if min(middle.shape[:2]) < 2:
    return None, _PLACES
  along = np.gradient(middle, axis=(0, 1))
  off = corners - middle[:, :, None]
  # Of off = a along[0] + b along[1], the least squares.
  gram = [[np.sum(a * b, -1)[..., None] for b in along] for a in along]
  on = [np.sum(off * a[:, :, None], -1) for a in along]
  high = (
    np.nanmean(on[0] * gram[1][1] - on[1] * gram[0][1], (0, 1)) > 0,
    np.nanmean(on[1] * gram[0][0] - on[0] * gram[0][1], (0, 1)) > 0,
  )
  places = tuple((int(a), int(b)) for a, b in zip(*high, strict=True))
  if set(places) != set(_PLACES):
    return None, _PLACES
  h, w = middle.shape[:2]
  points = np.empty((h + 1, w + 1, 3))
  for c, (i, j) in sorted(enumerate(places), key=lambda one: -sum(one[1])):
    points[i : h + i, j : w + j] = corners[:, :, c]
  size = np.sqrt(min(np.nanmin(gram[0][0]), np.nanmin(gram[1][1])))
  apart = max(
    np.abs(points[i : h + i, j : w + j] - corners[:, :, c]).max()
    for c, (i, j) in enumerate(places)
  )
  return (points if apart <= _GAP * size else None), places
