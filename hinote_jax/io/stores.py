"""NetCDF files and Zarr stores whose large arrays are written in regions.

All that is small is written by xarray at once; a large array is made empty, in
chunks of one field, and filled a region at a time.
"""

import base64
from collections.abc import Iterator, Mapping
import itertools
import json
import pathlib
import struct
from typing import Any
import warnings

import numpy as np

from hinote_jax.fields import packing
from hinote_jax.io import cf, inputs

# Of a chunk before it is compressed: between 1 and 4 MB.
_CHUNK_BYTES = 2 << 20


def chunks(
  shape: tuple[int, int], channels: int, itemsize: int
) -> tuple[int, int]:
  """Returns the (rows, columns) of the chunks of a field.

  A row of chunks of all channels is no more than a block in memory.
  """
  height, width = shape
  cells = _CHUNK_BYTES // itemsize
  fitting = max(packing.BLOCK_BYTES // (4 * width * channels), 1)
  rows = min(height, fitting, int(cells**0.5))
  columns = min(width, cells // rows)
  return min(height, fitting, max(rows, cells // columns)), columns


def chunk_files(
  array: Any, index: tuple[int | slice, ...]
) -> Iterator[pathlib.Path]:
  """Yields the files of the chunks of a region of a Zarr array."""
  root = pathlib.Path(array.store.root) / array.path
  spans = [
    range(at.start // n, -(-at.stop // n))
    if isinstance(at, slice)
    else (at // n,)
    for at, n in zip(index, array.chunks, strict=True)
  ]
  for place in itertools.product(*spans):
    yield root / array.metadata.encode_chunk_key(place)


def require_whole(
  path: pathlib.Path, name: str, index: tuple[int | slice, ...]
) -> None:
  """Refuses chunks that are cut short, beyond whose end Blosc would read.

  Args:
    path: of a Zarr store.
    name: of an array in it.
    index: of the region that is to be read.

  Raises:
    ValueError: a chunk is.
  """
  array = inputs.require("zarr", "io").open_array(path / name, mode="r")
  is_packed = any("blosc" in repr(c).lower() for c in array.compressors)
  if not is_packed or array.shards is not None:
    return
  for file in chunk_files(array, index):
    if not file.exists():
      continue
    with file.open("rb") as stream:
      head = stream.read(16)
    size = int.from_bytes(head[12:], "little")
    if len(head) < 16 or size > file.stat().st_size:
      raise ValueError(f"cannot read {path} ({file.name} of it is cut short)")


class NetCDF:
  """A new NetCDF-4 file, open for writing."""

  def __init__(self, path: pathlib.Path, small: Any, layout: cf.Layout):
    """Writes all but the large arrays.

    Args:
      path: of the file.
      small: an xarray.Dataset of the rest, as it goes into the file.
      layout: which dimensions may grow, and the group of all this.
    """
    library = inputs.require("netCDF4", "io")
    small = _bare(small, _netcdf_attributes)
    known = [dim for dim in small.sizes if dim in layout.unlimited]
    group = layout.group
    small.to_netcdf(
      path, engine="netcdf4", unlimited_dims=known, group=group or None
    )
    self._file = library.Dataset(path, "a")
    self._group = self._file[group] if group else self._file
    for name, attributes in layout.above.items():
      above = self._file[name] if name else self._file
      above.setncatts(_netcdf_attributes(attributes))
    self._layout = layout

  def create(
    self,
    name: str,
    sizes: Mapping[str, int],
    dtype: np.dtype,
    attributes: Mapping[str, Any],
    chunk: tuple[int, ...],
  ) -> Any:
    """Makes an array to be filled by array[index] = numbers.

    Args:
      name: of the variable.
      sizes: of its dimensions, in order.
      dtype: of its numbers.
      attributes: with those of its packing.
      chunk: shape of a chunk.

    Raises:
      ValueError: NetCDF has no such type.
    """
    if dtype == np.float16:
      raise ValueError(f"NetCDF has no {dtype}: save {name} as float32")
    for dim, size in sizes.items():
      if dim not in self._group.dimensions:
        is_fixed = dim not in self._layout.unlimited
        self._group.createDimension(dim, size if is_fixed else None)
    attributes = _netcdf_attributes(attributes)
    array = self._group.createVariable(
      name.removeprefix(f"{self._layout.group}/"),
      dtype,
      tuple(sizes),
      fill_value=attributes.pop("_FillValue", None),
      chunksizes=chunk,
      compression="zlib",
      complevel=1,
    )
    array.set_auto_maskandscale(False)
    array.setncatts(attributes)
    return array

  def close(self) -> None:
    """Writes what is held back."""
    self._file.close()


class Zarr:
  """A new Zarr store on a disk."""

  def __init__(self, path: pathlib.Path, small: Any, layout: cf.Layout):
    """Writes all but the large arrays.

    Args:
      path: of the folder.
      small: an xarray.Dataset of the rest, as it goes into the store.
      layout: version of the format, 2 or 3, and the group of all this.
    """
    library = inputs.require("zarr", "io")
    small = _bare(small, _json_attributes)
    if layout.zarr_format == 3:
      # Of texts of one length it has no specification.
      texts = {n: r for n, r in small.variables.items() if r.dtype.kind == "U"}
      small = small.assign({n: r.astype(object) for n, r in texts.items()})
    options = {"zarr_format": layout.zarr_format, "consolidated": False}
    small.to_zarr(path, mode="w-", group=layout.group or None, **options)
    self._path, self._version = path, layout.zarr_format
    self._group = library.open_group(path, mode="r+")
    for name, attributes in layout.above.items():
      above = self._group[name] if name else self._group
      above.attrs.update(_json_attributes(attributes))

  def create(
    self,
    name: str,
    sizes: Mapping[str, int],
    dtype: np.dtype,
    attributes: Mapping[str, Any],
    chunk: tuple[int, ...],
  ) -> Any:
    """Makes an array to be filled by array[index] = numbers, as of NetCDF."""
    attributes, options = dict(attributes), {}
    fill = attributes.pop("_FillValue", None)
    if self._version == 2:
      attributes["_ARRAY_DIMENSIONS"] = list(sizes)
      if fill == 0:  # or else it is only what a store begins with
        attributes["_FillValue"] = np.asarray(fill).item()
    else:
      options["dimension_names"] = tuple(sizes)
      if fill is not None:
        attributes["_FillValue"] = _coded(fill)
    # What is not written yet is missing, where the type can say so.
    empty = np.nan if dtype.kind == "f" else 0 if self._version == 3 else None
    return self._group.create_array(
      name,
      shape=tuple(sizes.values()),
      dtype=dtype,
      chunks=chunk,
      fill_value=empty if fill is None else fill,
      attributes=_json_attributes(attributes),
      **options,
    )

  def close(self) -> None:
    """Gathers the metadata in one place, for those who read from afar."""
    with warnings.catch_warnings():
      # Version 3 has no word on it yet; xarray writes and reads it so.
      warnings.filterwarnings("ignore", "Consolidated metadata")
      inputs.require("zarr", "io").consolidate_metadata(self._path)
    name = "zarr.json" if self._version == 3 else ".zmetadata"
    _order(pathlib.Path(self._path, name))


def _order(path: pathlib.Path) -> None:
  """Orders gathered metadata by depth and name, as Zarr does since 3.1.2.

  Earlier ones leave them as they come: the same store twice is not the same.
  """
  whole = json.loads(path.read_text())
  holder = whole.get("consolidated_metadata", whole)
  metadata = holder["metadata"]
  names = sorted(
    metadata, key=lambda name: (name.count("/"), name.casefold(), name)
  )
  if names != list(metadata):
    holder["metadata"] = {name: metadata[name] for name in names}
    path.write_text(json.dumps(whole, indent=2))


def _bare(small, attributes):
  """Returns a copy of a dataset that xarray writes as it is."""
  small = small.copy()
  small.attrs = attributes(small.attrs)
  small.encoding = {}
  for raw in small.variables.values():
    raw.attrs = attributes(raw.attrs)
    # Or else numbers without a fill value would be given NaN.
    is_bare = raw.dtype.kind in "fc" and "_FillValue" not in raw.attrs
    raw.encoding = {"_FillValue": None} if is_bare else {}
  return small


def _coded(fill):
  """Returns a fill value as xarray has it in the JSON of Zarr 3."""
  if fill.dtype.kind != "f":
    return int(fill)
  return base64.standard_b64encode(struct.pack("<d", float(fill))).decode()


def _netcdf_attributes(attributes) -> dict[str, Any]:
  """Returns attributes as NetCDF has them: text and numbers."""
  plain = {}
  for key, value in attributes.items():
    if isinstance(value, bool | np.bool_):
      value = np.int8(value)
    is_plain = isinstance(value, str | int | float | np.generic | np.ndarray)
    plain[key] = value if is_plain or isinstance(value, list) else str(value)
  return plain


def _json_attributes(attributes) -> dict[str, Any]:
  """Returns attributes as JSON has them; fill values stay what they are."""
  return {
    key: value
    if key == "_FillValue" or not isinstance(value, np.generic | np.ndarray)
    else value.tolist()
    for key, value in attributes.items()
  }
