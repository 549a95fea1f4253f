"""Files of fields: read with all that they say, written finer.

A file is told by its suffix, a picture by its first bytes: NetCDF, Zarr,
GeoTIFF, NIfTI, HDF5, npy, npz, PNG, TIFF; JPEG, WebP and BMP are only read.
What is written appears whole or not at all.

There is one reader, for training as for upscaling. Its fields are [h w c]:

    npy           [h w], [h w c], [t h w] or [t h w c]; of three dimensions the
                  last is channels where it is at most 4, else columns
    npz           an array a variable, [.. h w]; positions of y and x beside
    NetCDF, Zarr  y and x by units, standard_name, axis or name, else the last
                  two dimensions but time; all others come before them
    others        as their format says; pages, slices and times are counted

    field = io.read("coarse.nc", variables=["t2m"])   # in memory
    reader = io.open("coarse.nc")                      # a field at a time
    io.write("copy.zarr", field)
"""

from collections.abc import Sequence
import dataclasses
import importlib
import os
import pathlib
from typing import Any

from hinote_jax.fields import Axis, Field, Header, Reader
from hinote_jax.io import files, formats, inputs, room

__all__ = [
  "Axis",
  "Field",
  "Header",
  "Reader",
  "open",
  "read",
  "save",
  "series",
  "write",
]

_Registration = str | tuple[str | None, str | None] | None
_Periodic = tuple[bool | None, bool | None] | None


def open(
  path: str | os.PathLike,
  variables: Sequence[str] | None = None,
  *,
  registration: _Registration = None,
  periodic: _Periodic = None,
  follow_links: bool = False,
) -> Reader:
  """Opens a file; its fields are read one at a time, when asked for.

  Args:
    path: of the file; its suffix tells the format.
    variables: which to take, in this order; None takes all on one grid.
    registration: of (y, x), "cells" or "nodes"; one name is for both, but a
      periodic axis keeps its cells. None finds out (`Axis.of`).
    periodic: which of (y, x) close on themselves; None finds out.
    follow_links: read the other files that an HDF5 or NetCDF file or a Zarr
      store shows; what shows them is passed over or refused otherwise.

  Raises:
    FileNotFoundError: there is no such file.
    ModuleNotFoundError: the package that reads this format is missing.
    OSError: the file cannot be read.
    ValueError: the suffix or a variable is unknown, or the file does not hold
      fields on an even grid.

  Examples:
    >>> import numpy as np
    >>> np.save("three.npy", np.zeros((3, 4, 5), np.float32))
    >>> reader = open("three.npy")
    >>> len(reader), reader.read(0).shape
    (3, (4, 5, 1))
  """
  reader = _opened(path, variables, follow_links)
  header = reader.header
  header.y.require_even(path)
  header.x.require_even(path)
  closes = (None, None) if periodic is None else periodic
  y, x = (
    _registered(axis, registration, i, closes[i])
    for i, axis in enumerate((header.y, header.x))
  )
  return dataclasses.replace(reader, header=header.on(y, x))


def _opened(
  path: str | os.PathLike,
  variables: Sequence[str] | None,
  follow_links: bool = False,
) -> Reader:
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(f"no file at {path}: check the path")
  with inputs.reading(path):
    module = formats.reader_of(path)
    options = {}
    if follow_links and getattr(module, "SHOWS_OTHERS", False):
      options["follow_links"] = True
    return module.open(path, variables, **options)


def series(
  path: str | os.PathLike, variables: Sequence[str] | None = None
) -> Reader:
  """Opens a file as fields of one series, as training takes it.

  The fields are those of `open`, in the same order. Of NetCDF and Zarr they
  must be one series in time: dimensions of length 1 go, and `Reader.times` are
  the dates. Steps of y and x may be uneven, for nothing is refined.

  Args:
    path: as of `open`.
    variables: as of `open`.

  Raises:
    ValueError: as of `open`; or the file has several times or levels.

  Examples:
    >>> import numpy as np
    >>> np.save("times.npy", np.zeros((3, 4, 5), np.float32))
    >>> series("times.npy").header.shape
    (4, 5)
  """
  reader = _opened(path, variables)
  if reader.header.kind != "xarray_files":
    return reader
  with inputs.reading(path):
    return importlib.import_module("hinote_jax.io.cf_times").series(reader)


def _registered(
  axis: Axis, registration: _Registration, i: int, is_periodic: bool | None
) -> Axis:
  """Returns axis i of a file registered as asked for; None keeps it."""
  is_periodic = axis.is_periodic if is_periodic is None else is_periodic
  if isinstance(registration, str):
    wanted = "cells" if is_periodic else registration
  else:
    wanted = registration[i] if registration else None
  return axis.registered(wanted or axis.registration, is_periodic)


def read(
  path: str | os.PathLike,
  variables: Sequence[str] | None = None,
  *,
  registration: _Registration = None,
  periodic: _Periodic = None,
  follow_links: bool = False,
) -> Field:
  """Reads a file into memory; arguments and errors as of `open`.

  Examples:
    >>> import numpy as np
    >>> np.savez("pair.npz", u=np.ones((4, 5)), v=np.zeros((4, 5)))
    >>> field = read("pair.npz", ["v", "u"])
    >>> field.header.names, field.values.shape
    (('v', 'u'), (4, 5, 2))
  """
  reader = open(
    path,
    variables,
    registration=registration,
    periodic=periodic,
    follow_links=follow_links,
  )
  header = reader.header
  cells = (header.count, *header.shape, len(header.variables))
  room.require_memory(path, "all fields", cells)
  return Field.of(reader)


def write(
  path: str | os.PathLike, field: Field, *, overwrite: bool = False
) -> None:
  """Writes fields that are in memory; arguments and errors as of `save`.

  Examples:
    >>> import numpy as np
    >>> from hinote_jax import fields
    >>> y, x = Axis.of("y", [0, 1], "m"), Axis.of("x", [0, 1, 2], "m")
    >>> header = Header((fields.Variable("depth", "m"),), y, x)
    >>> values = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    >>> write("depth.npz", Field(header, values))
    >>> read("depth.npz").values[1, :, 0].tolist()
    [3.0, 4.0, 5.0]
  """
  header = field.header
  shape = (header.count, *header.shape, len(header.variables))
  if field.values.size == 0 or field.values.shape[-3:] != shape[1:]:
    raise ValueError(
      f"{path}: values of shape {field.values.shape} are not the fields of "
      f"their header, {header.lead_shape + shape[1:]}"
    )
  save(path, header, field.values.reshape(shape), overwrite=overwrite)


def save(
  path: str | os.PathLike,
  header: Header,
  values: Any,
  *,
  overwrite: bool = False,
) -> None:
  """Writes a file, whole or not at all, in memory of a few blocks of rows.

  Args:
    path: of the file; its suffix tells the format.
    header: what the file is to say.
    values: [count H W c] float32 in the units of the variables, NaN where
      missing: an array, a memory map, anything that is read by
      values[i, rows].
    overwrite: replace the file that is there.

  Raises:
    FileExistsError: the file is there and not to be overwritten.
    FileNotFoundError: there is no such folder.
    ModuleNotFoundError: the package that writes this format is missing.
    OSError: it cannot be written; the disk is full.
    ValueError: the suffix is unknown, or the format cannot hold the fields.

  Examples:
    >>> import numpy as np
    >>> from hinote_jax import fields
    >>> y, x = Axis.of("y", [0, 1]), Axis.of("x", [0, 1, 2])
    >>> header = Header((fields.Variable("a"),), y, x)
    >>> save("a.npy", header, np.zeros((1, 2, 3, 1), np.float32))
    >>> save("a.npy", header, np.zeros((1, 2, 3, 1), np.float32))
    Traceback (most recent call last):
    FileExistsError: a.npy exists: give another name, or say that it is to ...
  """
  path = pathlib.Path(path)
  module = formats.writer_of(path, header)
  if path.exists() and not overwrite:
    raise FileExistsError(
      f"{path} exists: give another name, or say that it is to be overwritten"
    )
  if not path.parent.is_dir():
    raise FileNotFoundError(f"no folder {path.parent}: create it first")
  shape = (header.count, *header.shape, len(header.variables))
  if tuple(values.shape) != shape:
    raise ValueError(
      f"{path}: values of shape {tuple(values.shape)} are not the fields of "
      f"their header, {shape}"
    )
  try:
    with files.whole(path, formats.suffix(path)) as partial:
      module.save(partial, header, values)
  except (OSError, RuntimeError) as error:
    raise OSError(f"cannot write {path} ({inputs.line(error)})") from error
