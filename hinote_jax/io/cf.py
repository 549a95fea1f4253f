"""What an xarray dataset says by the CF conventions, not decoded.

Which variables are fields on one grid, which dimensions are y and x, and what
else lies on the grid or beside it. Numbers and attributes are as in the file.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes, packing
from hinote_jax.io import cf_packing, cf_references, inputs, projections

KIND = "xarray_files"
TIME_NAMES = ("time", "valid_time", "step", "t", "date")

_STANDARD = (
  ("latitude", "grid_latitude", "projection_y_coordinate"),
  ("longitude", "grid_longitude", "projection_x_coordinate"),
)
_NAMES = (
  ("y", "rlat", "yc", "nj", "j", "row", "rows", "south_north", "northing"),
  ("x", "rlon", "xc", "ni", "i", "col", "cols", "west_east", "easting"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
  """How a dataset is arranged: what it takes to write its like again.

  Attributes:
    dims: of each field, in the order of the file.
    packing: of each field, the attributes that say how it is packed.
    coarse: y and x as read.
    coordinates: names of the variables that hold y and x; None where the
      dimension has none.
    grid: variables along y and x that are refined with them: the coordinates,
      their bounds, further coordinates.
    passed: variables that do not lie on the grid.
    unlimited: dimensions that may grow.
    zarr_format: 2 or 3.
    group: path of the group that holds all this, "" for the root.
    above: attributes of the groups that it lies in.
    left_behind: variables over y and x that belong to the fields and are not
      refined.
  """

  dims: Mapping[str, tuple[str, ...]]
  packing: Mapping[str, Mapping[str, Any]]
  coarse: tuple[axes.Axis, axes.Axis]
  coordinates: tuple[str | None, str | None]
  grid: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  passed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  unlimited: frozenset[str] = frozenset()
  zarr_format: int = 3
  group: str = ""
  above: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  left_behind: tuple[str, ...] = ()


def layout_of(header: fields.Header) -> Layout:
  """Returns the arrangement a header was read with, or a plain one."""
  if header.kind == KIND:
    return header.extra["layout"]
  # Cells that are only counted need no coordinate.
  y, x = (
    None if axis.units == "cell" else axis.name for axis in (header.y, header.x)
  )
  return Layout(
    dims={}, packing={}, coarse=(header.y, header.x), coordinates=(y, x)
  )


def dims_of(
  header: fields.Header, layout: Layout, name: str
) -> tuple[str, ...]:
  """Returns the dimensions of a field in the order in which it was read.

  Where it has others by now, they are the leads, y and x.
  """
  leads = (lead.name for lead in header.leads)
  plain = (*leads, header.y.name, header.x.name)
  dims = layout.dims.get(name, plain)
  return dims if set(dims) == set(plain) else plain


def header_of(
  dataset: Any,
  variables: Sequence[str] | None,
  where: object,
  *,
  is_ordered: bool = True,
) -> fields.Header:
  """Returns what a dataset says of its fields.

  Args:
    dataset: an xarray.Dataset, opened with decode_cf=False.
    variables: names; None takes all on the grid of the first.
    where: the file, for messages.
    is_ordered: whether the dataset has its variables in an order; they are
      taken in that of their names if not.

  Raises:
    ValueError: it has no such fields, they lie on different grids, or a
      coordinate is unsorted or uneven.
  """
  names, y, x = _chosen(dataset, variables, where, is_ordered)
  first = dataset.variables[names[0]]
  # One level of some of the variables is no dimension of all.
  shared = set.intersection(*(set(dataset.variables[n].dims) for n in names))
  along = [d for d in first.dims if d in shared - {y, x}]
  crs = projections.named(dataset, first, (y, x))
  both = _axis(dataset, y, where, crs), _axis(dataset, x, where, crs)
  leads = tuple(_lead(dataset, dim) for dim in along)
  taken = {name for lead in leads for name in lead.coordinates}
  taken |= set(names)
  rest = {k: v for k, v in dataset.variables.items() if k not in taken}
  grid = dict(_on_grid(dataset, rest, names, {y, x}))
  left_behind = tuple(_left_behind(dataset, rest, grid, names, {y, x}))
  layout = Layout(
    dims={name: dataset.variables[name].dims for name in names},
    packing={
      name: cf_packing.packing_of(dataset.variables[name], f"{where}: {name!r}")
      for name in names
    },
    coarse=both,
    coordinates=(coordinate_of(dataset, y), coordinate_of(dataset, x)),
    grid=grid,
    passed={
      str(name): raw.to_base_variable().drop_encoding()
      for name, raw in rest.items()
      if not {y, x} & set(raw.dims) and not _is_field(dataset, name)
    },
    unlimited=frozenset(dataset.encoding.get("unlimited_dims", ())),
    left_behind=left_behind,
  )
  return fields.Header(
    variables=tuple(
      cf_packing.variable_of(n, dataset.variables[n], where) for n in names
    ),
    y=both[0],
    x=both[1],
    leads=leads,
    attributes=dict(dataset.attrs),
    kind=KIND,
    extra={"layout": layout, "left_behind": left_behind},
  )


def coordinate_of(dataset: Any, dim: str) -> str | None:
  """Returns the name of the variable that says where a dimension lies."""
  along = [
    str(name)
    for name, raw in dataset.variables.items()
    if raw.dims == (dim,) and raw.dtype.kind in "iuf"
  ]
  if dim in along:
    return str(dim)
  return next((name for name in along if _declared_role(dataset, name)), None)


def _declared_role(dataset, name) -> str:
  """Returns "y" or "x" by what a variable says of itself, "" if nothing."""
  attrs = dataset.variables[name].attrs
  axis = str(attrs.get("axis", "")).lower()
  standard, units = attrs.get("standard_name", ""), str(attrs.get("units", ""))
  if axis == "y" or standard in _STANDARD[0] or axes.is_latitude(name, units):
    return "y"
  if axis == "x" or standard in _STANDARD[1] or axes.is_longitude(name, units):
    return "x"
  return ""


def _role(dataset, dim) -> str:
  """Returns which axis a dimension is: "y", "x", or "" for neither."""
  name = coordinate_of(dataset, dim)
  role = _declared_role(dataset, name) if name is not None else ""
  return role or role_of(str(dim))


def role_of(name: str) -> str:
  """Returns which axis a name stands for: "y", "x", or "" for neither."""
  if name.lower() in _NAMES[0] or axes.is_latitude(name):
    return "y"
  return "x" if name.lower() in _NAMES[1] or axes.is_longitude(name) else ""


def _plane(dataset, dims) -> tuple[str, str, bool] | None:
  """Returns y and x of a variable's dimensions, and whether both are known."""
  roles = {_role(dataset, dim): dim for dim in dims}
  if "y" in roles and "x" in roles:
    return roles["y"], roles["x"], True
  if len(dims) < 2:
    return None
  known = roles.get("y", roles.get("x"))
  others = [dim for dim in dims if dim != known]
  # Time is neither, wherever it stands, unless there is nothing else.
  others.sort(key=lambda dim: not is_time(dataset, dim))
  if "y" in roles:
    return roles["y"], others[-1], False
  if "x" in roles:
    return others[-1], roles["x"], False
  return *others[-2:], False


def is_time(dataset: Any, dim: Any) -> bool:
  """Says whether a dimension is time, by its name or dates along it."""
  is_dated = dim in dataset.variables and has_dates(dataset.variables[dim])
  return str(dim).lower() in TIME_NAMES or is_dated


def has_dates(raw: Any) -> bool:
  """Says whether the numbers of a variable stand for dates."""
  return " since " in str(raw.attrs.get("units", ""))


def _is_field(dataset, name) -> bool:
  """Says whether a variable is numbers over known y and x."""
  raw = dataset.variables[name]
  plane = _plane(dataset, raw.dims) if raw.dtype.kind in "iuf" else None
  return plane is not None and plane[2]


def _referenced(dataset) -> set[str]:
  """Returns the variables that others name: bounds, coordinates, areas."""
  names = set(str(dataset.attrs.get("coordinates", "")).split())
  for raw in dataset.variables.values():
    names |= cf_references.named_by(raw.attrs)
  return names


def names(dataset: Any) -> tuple[str, ...]:
  """Returns the variables that are fields of their own, on whatever grids."""
  return _usual(dataset, _planes(dataset))


def _planes(dataset) -> dict[str, tuple[str, str, bool]]:
  """Returns y and x of all that may be a field, and whether both are known."""
  return {
    str(name): plane
    for name, raw in dataset.variables.items()
    if raw.dtype.kind in "iuf" and 0 not in raw.shape
    if raw.ndim > 1 and (plane := _plane(dataset, raw.dims)) is not None
  }


def _chosen(
  dataset, variables, where, is_ordered
) -> tuple[tuple[str, ...], str, str]:
  """Returns the names of the fields, and their y and x."""
  planes = _planes(dataset)
  if variables is None:
    ordered = planes if is_ordered else dict(sorted(planes.items()))
    usual = _usual(dataset, ordered)
    names = tuple(n for n in usual if planes[n][:2] == planes[usual[0]][:2])
  else:
    names = inputs.choose(variables, planes, where)
  if not names:
    raise ValueError(f"{where} has no variable of numbers over y and x")
  first = dataset.variables[names[0]]
  for name in names[1:]:
    other = dataset.variables[name]
    unshared = set(first.sizes.items()) ^ set(other.sizes.items())
    is_one_grid = planes[name][:2] == planes[names[0]][:2]
    if not is_one_grid or any(size > 1 for _, size in unshared):
      a, b = (
        f"{n!r} ({', '.join(f'{d} {s}' for d, s in v.sizes.items())})"
        for n, v in ((names[0], first), (name, other))
      )
      raise ValueError(
        f"{where}: {a} and {b} are two variables of different grids: name "
        "variables that share all dimensions longer than 1"
      )
  return names, *planes[names[0]][:2]


def _usual(dataset, planes) -> tuple[str, ...]:
  """Returns what is not a coordinate, bounds or the like of others."""
  besides = _referenced(dataset) | {
    name for name in planes if _declared_role(dataset, name)
  }
  usual = [name for name in planes if name not in besides]
  # Known axes go before the last two dimensions.
  return tuple(sorted(usual, key=lambda name: not planes[name][2]))


def _axis(dataset, dim, where, crs) -> axes.Axis:
  name = coordinate_of(dataset, dim)
  if name is None:
    return axes.counted(str(dim), dataset.sizes[dim])
  variable = cf_packing.variable_of(name, dataset.variables[name])
  # What bounds the values of a coordinate does not bound a finer one.
  bounds = dataset.variables.get(variable.attributes.get("bounds"))
  is_number = bounds is not None and bounds.dtype.kind in "iuf"
  axis = axes.Axis.of(
    str(dim),
    _positions(name, dataset.variables[name], variable),
    _units(name, variable),
    attributes=variable.attributes,
    bounds=cf_packing.plain("", bounds) if is_number else None,
    may_be_uneven=True,
    where=where,
  )
  return dataclasses.replace(axis, crs=crs)


def _positions(name, raw, variable) -> np.ndarray:
  """Returns the numbers of a coordinate, none of which may be missing."""
  if variable.scale == 1 and variable.offset == 0:
    return raw.values
  known = dataclasses.replace(variable, fill=None, missing=())
  known = dataclasses.replace(known, valid=(None, None))
  return packing.unpack(raw.values, known, np.float64)


def _units(name: str, variable: fields.Variable) -> str:
  """Returns the units of a coordinate; of degrees, also which they are."""
  standard = variable.attributes.get("standard_name", "")
  if variable.units not in ("", "degrees", "degree"):
    return variable.units
  if standard == "latitude" or axes.is_latitude(name):
    return "degrees_north"
  if standard == "longitude" or axes.is_longitude(name):
    return "degrees_east"
  return variable.units


def _lead(dataset, dim) -> fields.Dimension:
  along = {
    str(name): raw.to_base_variable().drop_encoding()
    for name, raw in dataset.variables.items()
    if raw.dims == (dim,)
  }
  return fields.Dimension(str(dim), dataset.sizes[dim], along)


def _on_grid(dataset, rest, names, plane) -> Iterator[tuple[str, Any]]:
  """Yields what lies along y and x and is refined with them.

  Their coordinates and bounds, and further coordinates that the fields or the
  file name or that are latitude or longitude.
  """
  named = " ".join(
    str(attrs.get("coordinates", ""))
    for attrs in (dataset.attrs, *(dataset.variables[n].attrs for n in names))
  ).split()
  own = {name for dim in plane if (name := coordinate_of(dataset, dim))}
  own |= {dataset.variables[name].attrs.get("bounds") for name in own}
  wide = {}
  for name, raw in rest.items():
    is_coordinate = name in named or bool(_declared_role(dataset, name))
    dims = set(raw.dims)
    is_along = bool(dims) and (dims <= plane or plane <= dims)
    if name in own or (
      is_coordinate and is_along and cf_references.is_smooth(raw)
    ):
      yield str(name), cf_references.bare(raw)
      wide |= {str(name): raw} if plane <= dims else {}
  for pair in cf_references.pairs(wide):
    bounds = [wide[name].attrs.get("bounds") for name in pair]
    held = {name: rest[name] for name in bounds if name in rest}
    if all(cf_references.bounds_of(wide[name], held) for name in pair):
      yield from ((name, cf_references.bare(raw)) for name, raw in held.items())


def _left_behind(dataset, rest, grid, names, plane) -> Iterator[str]:
  """Yields what is named or a place, lies on the grid and is not refined."""
  named = set(str(dataset.attrs.get("coordinates", "")).split())
  for raw in (*(dataset.variables[name] for name in names), *grid.values()):
    named |= cf_references.named_by(raw.attrs)
  for name, raw in rest.items():
    is_meant = name in named or bool(_declared_role(dataset, name))
    dims = set(raw.dims)
    is_on_grid = bool(dims) and (dims <= plane or plane <= dims)
    if is_meant and is_on_grid and name not in grid:
      yield str(name)
