"""NetCDF files and Zarr stores by the CF conventions, through xarray.

Numbers and attributes of what is not a field on the grid are passed through as
they are: times are not decoded. Fields are written in regions, and a Zarr store
may be filled by several processes, in any order and more than once.
"""

from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import functools
import pathlib
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax import fields
from hinote_jax.fields import packing
from hinote_jax.io import (
  cf,
  cf_packing,
  cf_references,
  coordinates,
  curvilinear,
  files,
  groups,
  inputs,
  links,
  stores,
)

# Numbers are packed as the header says, and what does not fit is refused.
REFUSES_OVERFLOW = True
SHOWS_OTHERS = True

_ALL = slice(None)


@inputs.guarded
def open(
  path: pathlib.Path,
  variables: Sequence[str] | None,
  *,
  follow_links: bool = False,
) -> fields.Reader:
  """Opens a NetCDF file or a Zarr store.

  y and x are known by units, standard_name, axis or name, else they are the
  last two dimensions; all others are leads, in any order. Fields that are not
  taken are not passed through. Those of a group have its path in their names.

  Args:
    path: of the file or store.
    variables: which to take, in this order; None takes all that lie on the grid
      of the first field, as the file has them, or by name of a store.
    follow_links: read the other files that this one shows.

  Raises:
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: the file cannot be read, the variables lie on different grids,
      or a coordinate is unsorted or uneven.
  """
  others = {} if follow_links else links.shown(path)
  links.require_own(path, variables, others)
  dataset, group = groups.opened(path, variables, others)
  opened = reader(dataset, variables, path)
  if not group:
    return opened
  above = groups.attributes_above(path, group)
  layout = dataclasses.replace(
    cf.layout_of(opened.header), group=group, above=above
  )
  extra = {**opened.header.extra, "layout": layout}
  header = dataclasses.replace(opened.header, extra=extra)
  return dataclasses.replace(opened, header=header)


def reader(
  dataset: Any, variables: Sequence[str] | None, path: pathlib.Path
) -> fields.Reader:
  """Returns the reader of a file that has been loaded; see `open`."""
  # A folder has no order of its own.
  is_file = path.is_file()
  header = cf.header_of(dataset, variables, path, is_ordered=is_file)
  if (path / ".zgroup").exists():
    layout = dataclasses.replace(header.extra["layout"], zarr_format=2)
    extra = {**header.extra, "layout": layout}
    header = dataclasses.replace(header, extra=extra)
  read = functools.partial(_read, dataset, header, path)
  return fields.Reader(header, read, str(path))


def _read(dataset, header, path, i: int) -> np.ndarray:
  """Returns field i, [h w c] float32, NaN where missing."""
  layout = cf.layout_of(header)
  at, plane_dims = _at(header, i), (header.y.name, header.x.name)
  planes = []
  for variable in header.variables:
    raw = dataset.variables[variable.name]
    # Further dimensions have the length 1.
    rest = {dim: 0 for dim in raw.dims if dim not in (*at, *plane_dims)}
    if path.is_dir():
      whole = {dim: slice(0, n) for dim, n in raw.sizes.items()} | at | rest
      stores.require_whole(path, variable.name, tuple(whole.values()))
    plane = raw.isel(at | rest).transpose(*plane_dims).values
    plane = cf_packing.numbers(plane, layout.packing[variable.name])
    planes.append(packing.unpack(plane, variable))
  return np.stack(planes, axis=-1)


def _at(header, i) -> dict[str, int]:
  """Returns the index along each lead of field i."""
  index = map(int, np.unravel_index(i, header.lead_shape))
  return dict(zip((lead.name for lead in header.leads), index, strict=True))


@dataclasses.dataclass(frozen=True, eq=False)
class _Slot:
  """An array of a file, to be filled in regions of the grid."""

  variable: fields.Variable
  packed_as: Mapping[str, Any]
  dims: tuple[str, ...]
  array: Any

  def put(self, at: Mapping[str, slice | int], values: np.ndarray) -> None:
    """Packs values [.. ..], rows first, and writes them where `at` says.

    Args:
      at: index along each dimension, y before x.
      values: in the units of the variable, NaN where missing.
    """
    packed = packing.pack(values, self.variable)
    packed = packed.view(cf_packing.stored_type(self.variable, self.packed_as))
    order = [d for d in at if isinstance(at[d], slice)]
    is_turned = self.dims.index(order[0]) > self.dims.index(order[1])
    self.array[tuple(at[d] for d in self.dims)] = (
      packed.T if is_turned else packed
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Regions:
  """A store whose fields are written in regions, in any order.

  Regions end where chunks do, so that several processes may write at once, and
  to write one again changes nothing.

  Attributes:
    header: what the store says of its fields.
    chunks: (rows, columns) of a chunk.
    slots: the arrays, one a variable.
  """

  header: fields.Header
  chunks: tuple[int, int]
  slots: tuple[_Slot, ...]

  def write(
    self,
    i: int,
    rows: slice,
    columns: slice,
    values: Float[np.ndarray, "r k c"],
  ) -> None:
    """Packs and writes a region of field i.

    Args:
      i: of the field, row-major over the leads.
      rows: where the region lies.
      columns: where it lies.
      values: [r k c] float32, in the units of the variables, NaN where missing.

    Raises:
      ValueError: the region does not end where chunks do, has another shape,
        or a value does not fit the type of its variable.
    """
    both = (rows, columns)
    spans = [
      s.indices(n)[:2] for s, n in zip(both, self.header.shape, strict=True)
    ]
    for (start, stop), chunk, n in zip(
      spans, self.chunks, self.header.shape, strict=True
    ):
      if start % chunk or (stop % chunk and stop != n):
        raise ValueError(
          f"the region {start} to {stop} of {n} does not end where chunks of "
          f"{chunk} do: another process may write the same chunk"
        )
    shape = (*(b - a for a, b in spans), len(self.slots))
    if values.shape != shape:
      raise ValueError(
        f"values of shape {values.shape} do not fit a region of shape {shape}"
      )
    self.put(i, slice(*spans[0]), slice(*spans[1]), values)

  def put(
    self, i: int, rows: slice, columns: slice, values: np.ndarray
  ) -> None:
    """Writes a region of field i wherever it ends; for one process alone."""
    at = _at(self.header, i)
    at |= {self.header.y.name: rows, self.header.x.name: columns}
    for c, slot in enumerate(self.slots):
      slot.put(at, values[..., c])


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes a NetCDF-4 file or a Zarr store, in blocks of rows.

  Args:
    path: of the file or folder, which is not there yet.
    header: what it is to say.
    values: [count H W c] float32, read by values[i, rows].

  Raises:
    ModuleNotFoundError: what writes this format is missing.
    ValueError: a value does not fit the type of its variable.
  """
  with _created(path, header, None) as regions:
    step = regions.chunks[0]
    for i, rows, block in packing.field_blocks(header, values, step):
      regions.put(i, rows, _ALL, block)


def create(
  path: pathlib.Path,
  header: fields.Header,
  *,
  chunks: tuple[int, int] | None = None,
) -> Regions:
  """Makes a Zarr store with all its metadata and coordinates and no values.

  It appears whole or not at all. Fields that are not written are missing, or
  0 where integers have no fill value.

  Args:
    path: of the folder, which is not there yet.
    header: what it is to say.
    chunks: (rows, columns) of a chunk; None takes about 2 MB.

  Raises:
    FileExistsError: it is there: `open_regions` goes on with it.
    ModuleNotFoundError: zarr or xarray is missing.
    ValueError: the path is not one of a Zarr store.
  """
  if path.suffix != ".zarr":
    raise ValueError(
      f"{path}: only Zarr stores are written in any order: .zarr"
    )
  if path.exists():
    raise FileExistsError(f"{path} exists: open its regions to go on with it")
  with files.whole(path, ".zarr") as partial:
    with _created(partial, header, chunks):
      pass
  return open_regions(path, header.names)


def open_regions(path: pathlib.Path, variables: Sequence[str]) -> Regions:
  """Opens a Zarr store to write regions of its fields.

  Args:
    path: of the folder, as `create` has made it.
    variables: the fields, in the order of the channels, which a store does not
      keep: the names of the header that it was made with.

  Raises:
    ModuleNotFoundError: zarr or xarray is missing.
    ValueError: it is no such store.
  """
  header = open(path, variables).header
  layout = cf.layout_of(header)
  group = inputs.require("zarr", "io").open_group(path, mode="r+")
  slots = tuple(
    _Slot(v, layout.packing[v.name], layout.dims[v.name], group[v.name])
    for v in header.variables
  )
  return Regions(header, _chunks_of(slots[0], header), slots)


def _chunks_of(slot, header) -> tuple[int, int]:
  shape = slot.array.chunks
  return tuple(
    shape[slot.dims.index(axis.name)] for axis in (header.y, header.x)
  )


@contextlib.contextmanager
def _created(path, header, chunks):
  """Yields the regions of a new file in which all else is written."""
  layout = cf.layout_of(header)
  small = coordinates.small(header, layout)
  planes = tuple(curvilinear.planes(header, layout))
  if chunks is None:
    itemsize = max(np.dtype(v.dtype).itemsize for v in header.variables)
    chunks = stores.chunks(header.shape, len(header.variables), itemsize)
  if path.suffix == ".zarr":
    store = stores.Zarr(path, small, layout)
  else:
    store = stores.NetCDF(path, small, layout)
  known = {*map(str, small.variables), *(p.variable.name for p in planes)}
  sizes = {lead.name: lead.size for lead in header.leads}
  sizes |= {axis.name: len(axis) for axis in (header.y, header.x)}
  for plane in planes:
    sizes = {**plane.others, **sizes}
  make = functools.partial(_slot, store, header, chunks, known, sizes)
  with contextlib.closing(store):
    for plane in planes:
      _fill(make(plane.variable, plane.packed_as, plane.dims), plane, header)
    slots = tuple(
      make(
        v, layout.packing.get(v.name, {}), cf.dims_of(header, layout, v.name)
      )
      for v in header.variables
    )
    yield Regions(header, chunks, slots)


def _slot(
  store, header, chunks, known, sizes, variable, packed_as, dims
) -> _Slot:
  """Makes an empty array for a variable.

  Args:
    store: of `stores`.
    header: of the file.
    chunks: (rows, columns).
    known: the coordinates that the file has.
    sizes: of all dimensions.
    variable: what is to be stored.
    packed_as: attributes of its packing as they were read.
    dims: its dimensions, in order.
  """
  both = (header.y.name, header.x.name)
  spans = dict(zip(both, chunks, strict=True))
  attributes = cf_references.without(
    variable.attributes, cf.layout_of(header).left_behind, known
  )
  if variable.units:
    attributes["units"] = variable.units
  array = store.create(
    variable.name,
    {dim: sizes[dim] for dim in dims},
    cf_packing.stored_type(variable, packed_as),
    attributes | cf_packing.packing_for(variable, packed_as),
    tuple(min(spans.get(dim, 1), sizes[dim]) for dim in dims),
  )
  return _Slot(variable, packed_as, dims, array)


def _fill(slot, plane, header) -> None:
  """Writes a coordinate over y and x, in blocks of rows."""
  for index in np.ndindex(*plane.others.values()):
    for rows in packing.blocks(len(header.y), 8 * len(header.x)):
      at = dict(zip(plane.others, index, strict=True))
      at |= {header.y.name: rows, header.x.name: _ALL}
      slot.put(at, plane.rows(index, rows))
