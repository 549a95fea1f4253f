"""What lies along y or x besides the fields, refined with the grid.

The positions of y and x, their bounds, and further coordinates of one
dimension, which are interpolated linearly; `curvilinear` has those of two. What
else a file says of its grid is made to hold of the finer one.
"""

import dataclasses
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes, positions
from hinote_jax.io import cf, cf_packing, cf_references, inputs

_ROUNDING = 1e-6  # of degrees
_WRF = (
  ("DY", "SOUTH-NORTH_GRID_DIMENSION"),
  ("DX", "WEST-EAST_GRID_DIMENSION"),
)


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
    index, _ = index_of(fine, coarse)
    return cls.at(index, len(coarse), coarse.is_periodic)

  @classmethod
  def at(
    cls, index: Float[np.ndarray, " n"], count: int, is_periodic: bool
  ) -> "Taps":
    """Returns where fractional indices lie among `count` positions."""
    # A position that rounding has moved from one of the others is that one.
    whole = np.rint(index)
    index = np.where(np.abs(index - whole) < 1e-9 * count, whole, index)
    low = np.floor(index)
    if not is_periodic:
      low = np.clip(low, 0, max(count - 2, 0))
    part, low = index - low, low.astype(np.int64)
    high = low + 1
    if is_periodic:
      return cls(low % count, high % count, part)
    return cls(low, np.minimum(high, count - 1), part)

  def rows(self, rows: slice) -> "Taps":
    """Returns some of the positions."""
    return Taps(self.low[rows], self.high[rows], self.part[rows])

  def across(self, values: np.ndarray) -> np.ndarray:
    """Returns values [m ..] of coarse positions at the fine ones, [n ..]."""
    part = self.part.reshape(-1, *[1] * (values.ndim - 1))
    return (1.0 - part) * values[self.low] + part * values[self.high]

  def longitudes(self, values: Float[np.ndarray, " m"]) -> np.ndarray:
    """Returns longitudes, [m] degrees, at the fine ones, [n].

    The short way around lies between two; see `in_turn`.
    """
    low = values[self.low]
    between = low + self.part * positions.turned(values[self.high] - low)
    return in_turn(between, values[self.nearest()], values)

  def nearest(self) -> np.ndarray:
    """Returns the index of the nearest coarse position, [n]."""
    return np.where(self.part < 0.5, self.low, self.high)


def in_turn(
  fine: np.ndarray, near: np.ndarray, coarse: np.ndarray
) -> np.ndarray:
  """Returns longitudes as near as can be to those of the nearest coarse points.

  So that 0..360 and -180..180 stay what they are, and are not left.

  Args:
    fine: degrees, of any turn.
    near: those of the nearest coarse points, of the same shape.
    coarse: all that there are.
  """
  fine = near + positions.turned(fine - near)
  low, high = np.nanmin(coarse), np.nanmax(coarse)
  if -180.0 <= low < 0.0 and high <= 180.0:
    return _within(fine, -180.0)
  return _within(fine, 0.0) if low >= 0.0 and 180.0 < high <= 360.0 else fine


def _within(longitude: np.ndarray, start: float) -> np.ndarray:
  """Returns longitudes within a whole turn from `start` on, both ends in it."""
  low, high = longitude < start - _ROUNDING, longitude > start + 360 + _ROUNDING
  return np.clip(longitude + 360.0 * low - 360.0 * high, start, start + 360.0)


def index_of(
  fine: axes.Axis, coarse: axes.Axis
) -> tuple[Float[np.ndarray, " n"], float]:
  """Returns the index of fine positions on a coarse axis, and their step.

  Raises:
    ValueError: they do not lie on it (`Axis.onto`).
  """
  _, line, is_flipped = coarse.onto(fine)
  return line.index()[:: -1 if is_flipped else 1], float(line.step)


def small(header: fields.Header, layout: cf.Layout) -> Any:
  """Returns all that a file holds but the fields and what has their size.

  Returns:
    an xarray.Dataset of numbers and attributes as they go into the file.
  """
  xarray = inputs.require("xarray", "io")
  variables = dict(layout.passed)
  for name, raw in layout.passed.items():
    if "GeoTransform" in raw.attrs and not header.x.is_counted:
      raw = raw.copy(deep=False)
      raw.attrs = {**raw.attrs, "GeoTransform": _geotransform(header)}
      variables[name] = raw
  # Attributes of what HDF5 has along a lead.
  lead_attributes = header.extra.get("lead_attributes", {})
  for lead in header.leads:
    for name, value in lead.coordinates.items():
      if not isinstance(value, xarray.Variable):
        more = (f"{name}{d}" for d in range(1, np.ndim(value)))
        value = xarray.Variable(
          (lead.name, *more), value, lead_attributes.get(name)
        )
      variables[name] = value
  for i, axis in enumerate((header.y, header.x)):
    for name, raw in layout.grid.items():
      if raw.dims == (axis.name,) and name != layout.coordinates[i]:
        values = _along(name, raw, axis, layout.coarse[i])
        attributes = cf_packing.variable_of(name, raw).attributes
        variables[name] = xarray.Variable(raw.dims, values, attributes)
    if layout.coordinates[i] is not None:
      variables |= _positions(axis, layout.coordinates[i], layout)
  return xarray.Dataset(variables, attrs=_attributes(header, layout))


def _along(
  name: str, raw: Any, fine: axes.Axis, coarse: axes.Axis
) -> Float[np.ndarray, " n"]:
  """Returns a further coordinate of an axis at finer positions.

  On an axis that closes on itself it closes too where its step across the seam
  is no longer than the others; what counts does not, and goes on as at a wall.
  """
  values, n = cf_packing.plain(name, raw), len(coarse)
  if cf_references.is_longitude(name, raw):
    return Taps.of(fine, coarse).longitudes(values)
  steps = np.abs(np.diff(values, append=values[:1]))
  if not coarse.is_periodic or steps[-1] <= 1.01 * steps[:-1].max(initial=0.0):
    return Taps.of(fine, coarse).across(values)
  index, _ = index_of(fine, coarse)
  return Taps.at((index + 0.5) % n - 0.5, n, False).across(values)


def _geotransform(header: fields.Header) -> str:
  """Returns the affine of the grid as GDAL has it."""
  y, x = header.y, header.x
  numbers = (x.extent[0], x.step, 0.0, y.extent[0], 0.0, y.step)
  return " ".join(map(repr, numbers))


def _attributes(header: fields.Header, layout: cf.Layout) -> dict[str, Any]:
  """Returns the attributes of a file, with what they say of its grid."""
  fine, coarse = (header.y, header.x), layout.coarse
  if all(len(a) == len(b) for a, b in zip(fine, coarse, strict=True)):
    return dict(header.attributes)
  attributes = {
    key: value
    for key, value in header.attributes.items()
    if not (key.startswith("geospatial_") and key.endswith("_resolution"))
  }
  if "MAP_PROJ" not in attributes:
    return attributes
  # WRF: the step in metres, and staggered points.
  for a, b, keys in zip(fine, coarse, _WRF, strict=True):
    step, count = (attributes.get(key) for key in keys)
    if step is not None:
      attributes[keys[0]] = type(step)(step * abs(a.step / b.step))
    if count is not None:
      attributes[keys[1]] = type(count)(len(a) + 1)
  return attributes


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
  variables = {}
  bounds = layout.grid.get(attributes.get("bounds"))
  if bounds is None or bounds.ndim != 2 or bounds.dims[0] != axis.name:
    attributes.pop("bounds", None)
  else:
    dtype = bounds.dtype if bounds.dtype.kind == "f" else np.float64
    bounds_attributes = cf_packing.variable_of(
      attributes["bounds"], bounds
    ).attributes
    variables[attributes["bounds"]] = xarray.Variable(
      bounds.dims, axis.bounds().astype(dtype), bounds_attributes
    )
  variables[name] = xarray.Variable(
    axis.name, axis.labels().astype(dtype), attributes
  )
  return variables


def _are_whole(values: np.ndarray) -> bool:
  return np.array_equal(values, np.rint(values))
