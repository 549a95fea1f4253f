"""What lies along y and x besides the fields, refined with the grid.

The positions of y and x, their bounds, and further coordinates of one or two
dimensions, which are interpolated linearly; latitude and longitude of two
dimensions on the sphere, where neither the date line nor a pole is a seam.
"""

from collections.abc import Callable, Iterator
import dataclasses
import functools
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import cf, cf_packing, inputs


@dataclasses.dataclass(frozen=True, eq=False)
class Taps:
  """Between which positions of a coarse axis those of a fine one lie.

  Attributes:
    low: index of one of the two, [n].
    high: index of the other, [n].
    part: how far from the one to the other, [n]; below 0 or above 1 half a
      step beyond the ends.
  """

  low: np.ndarray
  high: np.ndarray
  part: np.ndarray

  @classmethod
  def of(cls, fine: axes.Axis, coarse: axes.Axis) -> "Taps":
    """Returns where a fine axis lies on a coarse one.

    Raises:
      ValueError: it does not (`Axis.onto`).
    """
    _, line, is_flipped = coarse.onto(fine)
    n = len(coarse)
    index = line.index()[::-1] if is_flipped else line.index()
    # A position that rounding has moved from one of the others is that one.
    whole = np.rint(index)
    index = np.where(np.abs(index - whole) < 1e-9 * n, whole, index)
    low = np.floor(index)
    if not coarse.is_periodic:
      low = np.clip(low, 0, max(n - 2, 0))
    part, low = index - low, low.astype(np.int64)
    high = low + 1
    if coarse.is_periodic:
      return cls(low % n, high % n, part)
    return cls(low, np.minimum(high, n - 1), part)

  def rows(self, rows: slice) -> "Taps":
    """Returns some of the positions."""
    return Taps(self.low[rows], self.high[rows], self.part[rows])

  def across(self, values: np.ndarray) -> np.ndarray:
    """Returns values [m ..] of coarse positions at the fine ones, [n ..]."""
    part = self.part.reshape(-1, *[1] * (values.ndim - 1))
    return (1.0 - part) * values[self.low] + part * values[self.high]

  def nearest(self) -> np.ndarray:
    """Returns the index of the nearest coarse position, [n]."""
    return np.where(self.part < 0.5, self.low, self.high)


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
  """A coordinate of two dimensions on a fine grid, in blocks of rows.

  Attributes:
    variable: what it is and how it is packed.
    packed_as: attributes of its packing as they were read.
    dims: its dimensions, in the order of the file.
    rows: gives some rows, [r W] float64.
  """

  variable: fields.Variable
  packed_as: dict[str, Any]
  dims: tuple[str, ...]
  rows: Callable[[slice], np.ndarray]


def small(header: fields.Header, layout: cf.Layout) -> Any:
  """Returns all that a file holds but the fields and what has their size.

  Returns:
    an xarray.Dataset of numbers and attributes as they go into the file.
  """
  xarray = inputs.require("xarray", "io")
  variables = dict(layout.passed)
  for lead in header.leads:
    for name, value in lead.coordinates.items():
      is_ready = isinstance(value, xarray.Variable)
      variables[name] = value if is_ready else xarray.Variable(lead.name, value)
  for i, axis in enumerate((header.y, header.x)):
    for name, raw in layout.grid.items():
      if raw.dims == (axis.name,) and name != layout.coordinates[i]:
        taps = Taps.of(axis, layout.coarse[i])
        values = taps.across(cf_packing.plain(name, raw))
        attributes = cf_packing.variable_of(name, raw).attributes
        variables[name] = xarray.Variable(raw.dims, values, attributes)
    if layout.coordinates[i] is not None:
      variables |= _positions(axis, layout.coordinates[i], layout)
  return xarray.Dataset(variables, attrs=dict(header.attributes))


def _positions(axis, name, layout) -> dict[str, Any]:
  """Returns the coordinate of an axis and its bounds, if it had any."""
  xarray = inputs.require("xarray", "io")
  raw = layout.grid.get(name)
  attributes, dtype = dict(axis.attributes), np.dtype(np.float64)
  if axis.units and raw is None:
    attributes.setdefault("units", axis.units)
  if raw is not None and not {"scale_factor", "add_offset"} & set(raw.attrs):
    is_kept = raw.dtype.kind == "f" or _are_whole(axis.labels())
    dtype = raw.dtype if is_kept else dtype
  variables = {
    name: xarray.Variable(axis.name, axis.labels().astype(dtype), attributes)
  }
  bounds = layout.grid.get(attributes.get("bounds"))
  if bounds is not None and bounds.ndim == 2 and bounds.dims[0] == axis.name:
    dtype = bounds.dtype if bounds.dtype.kind == "f" else np.float64
    kept = cf_packing.variable_of(attributes["bounds"], bounds).attributes
    variables[attributes["bounds"]] = xarray.Variable(
      bounds.dims, axis.bounds().astype(dtype), kept
    )
  return variables


def _are_whole(values: np.ndarray) -> bool:
  return np.array_equal(values, np.rint(values))


def planes(header: fields.Header, layout: cf.Layout) -> Iterator[Plane]:
  """Yields the coordinates of two dimensions, refined with the grid."""
  dims = (header.y.name, header.x.name)
  wide = {n: r for n, r in layout.grid.items() if set(r.dims) == set(dims)}
  if not wide:
    return
  y, x = (
    Taps.of(fine, coarse)
    for fine, coarse in zip((header.y, header.x), layout.coarse, strict=True)
  )
  plain = {
    n: cf_packing.plain(n, raw.transpose(*dims)) for n, raw in wide.items()
  }
  described = {n: cf_packing.variable_of(n, raw) for n, raw in wide.items()}
  latitude, longitude = (
    next((n for n in described if is_such(n, described[n].units)), "")
    for is_such in (axes.is_latitude, axes.is_longitude)
  )
  points = None
  if latitude and longitude:
    points = _points(plain[latitude], plain[longitude])
  for name, raw in wide.items():
    if points is not None and name == latitude:
      rows = functools.partial(_latitude, points, y, x)
    elif points is not None and name == longitude:
      rows = functools.partial(_longitude, points, plain[name], y, x)
    else:
      rows = functools.partial(_linear, plain[name], y, x)
    yield Plane(described[name], cf_packing.packing_of(raw), raw.dims, rows)


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
  phi, lam = (np.deg2rad(v.astype(np.float64)) for v in (latitude, longitude))
  flat = np.cos(phi)
  return np.stack([flat * np.cos(lam), flat * np.sin(lam), np.sin(phi)], -1)


def _latitude(points, y, x, rows) -> Float[np.ndarray, "r W"]:
  """Returns rows of latitude, in degrees, of points between others."""
  east, north, up = np.moveaxis(_linear(points, y, x, rows), -1, 0)
  return np.rad2deg(np.arctan2(up, np.hypot(east, north)))


def _longitude(points, longitude, y, x, rows) -> Float[np.ndarray, "r W"]:
  """Returns rows of longitude, in degrees, of points between others.

  It is given as near as can be to that of the nearest of the others, so that
  0..360 and -180..180 stay what they are.
  """
  east, north, _ = np.moveaxis(_linear(points, y, x, rows), -1, 0)
  angle = np.rad2deg(np.arctan2(north, east))
  near = longitude[np.ix_(y.rows(rows).nearest(), x.nearest())]
  return near + (angle - near + 180.0) % 360.0 - 180.0
