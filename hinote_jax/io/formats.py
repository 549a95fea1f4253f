"""Which module reads and writes a file: a table by suffix.

A module of the table has `open(path, variables)` and `save(path, header,
values)`, `REFUSES_OVERFLOW = True` where `save` never clips nor changes the
type of the header, and `SHOWS_OTHERS = True` where `open` takes `follow_links`;
it is imported when the first of its files comes. The name of the module is the
`kind` of the headers that it gives.
"""

import importlib
import pathlib
import types

from hinote_jax import fields
from hinote_jax.core import naming

MODULES = {
  ".npy": "arrays",
  ".npz": "arrays",
  ".nc": "xarray_files",
  ".nc4": "xarray_files",
  ".zarr": "xarray_files",
  ".nii": "nifti",
  ".nii.gz": "nifti",
  ".h5": "hdf5",
  ".hdf5": "hdf5",
  ".png": "images",
  ".tif": "images",
  ".tiff": "images",
  ".jpg": "images",
  ".jpeg": "images",
  ".webp": "images",
  ".bmp": "images",
}
# JPEG and WebP throw away what upscaling adds.
READ_ONLY = (".jpg", ".jpeg", ".webp", ".bmp")
_TIFF = (".tif", ".tiff")


def suffix(path: pathlib.Path) -> str:
  """Returns the suffix of a path, as long as the table has it, lower case.

  Raises:
    ValueError: it is not in the table.
  """
  name = path.name.lower()
  fitting = [s for s in MODULES if name.endswith(s)]
  if not fitting:
    raise ValueError(
      f"cannot tell the format of {path}: "
      f"{naming.hint(path.suffix.lower(), MODULES)}"
    )
  return max(fitting, key=len)


def reader_of(path: pathlib.Path) -> types.ModuleType:
  """Returns the module that reads a file.

  Raises:
    ValueError: the suffix is unknown.
  """
  ending = suffix(path)
  return _load(_tiff(path) if ending in _TIFF else MODULES[ending])


def writer_of(path: pathlib.Path, header: fields.Header) -> types.ModuleType:
  """Returns the module that writes fields to a path of this suffix.

  Raises:
    ValueError: the suffix is unknown or files of it are only read.
  """
  ending = suffix(path)
  if ending in READ_ONLY:
    known = ", ".join(s for s in MODULES if s not in READ_ONLY)
    raise ValueError(
      f"{path}: files of {ending} are read and not written; write one of "
      f"{known}"
    )
  if ending not in _TIFF:
    return _load(MODULES[ending])
  is_placed = not (header.y.units == "cell" and header.x.units == "cell")
  return _load("geotiff" if header.kind == "geotiff" or is_placed else "images")


def _tiff(path: pathlib.Path) -> str:
  """Returns which module reads a TIFF: a place on Earth makes it a GeoTIFF."""
  return "geotiff" if _load("geotiff").is_georeferenced(path) else "images"


def _load(name: str) -> types.ModuleType:
  return importlib.import_module(f"hinote_jax.io.{name}")
