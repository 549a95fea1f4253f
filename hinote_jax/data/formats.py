"""Opening files as series of fields on a grid.

npy, npz, NetCDF and Zarr have a time here; all other formats of `io` are fields
that are counted.
"""

from collections.abc import Callable, Sequence
import dataclasses
import pathlib
from typing import Any

import numpy as np

from hinote_jax import io
from hinote_jax.core import naming
from hinote_jax.data import axes, fields


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
  """The fields of one file; attributes as in `fields.Source`.

  Attributes:
    count: number of fields.
    times: [t] dates or other values to sort by; None where the file has none.
  """

  variables: tuple[fields.Variable, ...]
  count: int
  times: np.ndarray | None
  y: fields.Coordinate
  x: fields.Coordinate
  read: Callable[[int], np.ndarray]

  @property
  def grid(self) -> tuple[int, int]:
    """(H, W)."""
    return len(self.y), len(self.x)

  def __str__(self) -> str:
    names = ", ".join(variable.name for variable in self.variables)
    return f"{len(self.y)} x {len(self.x)} cells of {names}"


def open_series(path: pathlib.Path, variables: Sequence[str] | None) -> Series:
  """Opens one file by its suffix, without reading the fields where it can.

  Raises:
    ModuleNotFoundError: a package that reads this format is missing.
    ValueError: the suffix is unknown, the file cannot be read, or it does not
      hold the variables as series of fields.
  """
  suffix = next((s for s in _OPENERS if path.name.endswith(s)), path.suffix)
  if suffix not in _OPENERS:
    raise ValueError(
      f"cannot tell the format of {path}: {naming.hint(suffix, _OPENERS)}"
    )
  return _OPENERS[suffix](path, variables)


choose, require = io.inputs.choose, io.inputs.require


def _open_npy(path, variables):
  values = io.inputs.load_numpy(path, mmap_mode="r")
  if values.ndim == 2:
    values = values[None]
  if values.ndim == 3:
    values = values[..., None]
  _check_array(path, "the array", values, ndim=4)
  count = values.shape[-1]
  names = [f"channel{c}" for c in range(count)]
  names = names if variables is None else list(variables)
  if len(names) != count:
    raise ValueError(
      f"{path} has {count} channels and {len(names)} names were given: "
      f"{', '.join(names)}"
    )
  return _plain_series(names, values.shape[:3], lambda i: values[i])


def _open_npz(path, variables):
  archive = io.inputs.load_numpy(path)
  names = choose(variables, archive.files, path)
  arrays = {}
  for name in names:
    array = archive[name]
    arrays[name] = array[None] if array.ndim == 2 else array
    _check_array(path, repr(name), arrays[name], ndim=3)
  shape = _common_shape(path, arrays)
  return _plain_series(
    names, shape, lambda i: np.stack([arrays[n][i] for n in names], axis=-1)
  )


def _open_xarray(path, variables):
  return of_xarray(path, io.inputs.load_xarray(path), variables)


def of_xarray(
  path: pathlib.Path, dataset: Any, variables: Sequence[str] | None
) -> Series:
  """Returns an xarray.Dataset as a series of fields; it is not loaded.

  Raises:
    ValueError: a variable is missing, its axes are not time, y and x, or the
      variables differ in shape.
  """
  names = choose(variables, map(str, dataset.data_vars), path)
  arrays = {name: axes.ordered(path, dataset[name]) for name in names}
  for name, array in arrays.items():
    _check_array(path, repr(name), array, ndim=3)
  _common_shape(path, arrays)
  first = arrays[names[0]]
  time, y, x = first.dims
  return Series(
    variables=tuple(
      fields.Variable(
        name,
        str(a.attrs.get("units", "")),
        str(a.attrs.get("long_name", "")),
      )
      for name, a in arrays.items()
    ),
    count=first.shape[0],
    times=axes.times(path, first, time),
    y=axes.coordinate(first, y),
    x=axes.coordinate(first, x),
    read=lambda i: np.stack([a[i].values for a in arrays.values()], axis=-1),
  )


def _open_fields(path, variables):
  """Opens a format that training has no other view of than all the rest."""
  reader = io.open(path, variables)
  header = reader.header
  y, x = (
    fields.Coordinate(axis.name, axis.units, axis.values)
    for axis in (header.y, header.x)
  )
  return Series(
    variables=tuple(
      fields.Variable(v.name, v.units, str(v.attributes.get("long_name", "")))
      for v in header.variables
    ),
    count=header.count,
    times=None,
    y=y,
    x=x,
    read=reader.read,
  )


_OPENERS = {
  ".npy": _open_npy,
  ".npz": _open_npz,
  ".nc": _open_xarray,
  ".nc4": _open_xarray,
  ".zarr": _open_xarray,
}
_OPENERS |= {
  suffix: _open_fields
  for suffix in io.formats.MODULES
  if suffix not in _OPENERS and suffix not in io.formats.READ_ONLY
}


def _check_array(path, what, values, *, ndim):
  if values.dtype.kind not in "iuf":
    raise ValueError(
      f"{path}: {what} holds {values.dtype} and real numbers are needed"
    )
  if values.ndim != ndim or 0 in values.shape:
    shapes = "[t H W] or [t H W c]" if ndim == 4 else "[t H W]"
    raise ValueError(
      f"{path}: {what} has shape {values.shape} and {shapes} is needed"
    )


def _common_shape(path, arrays):
  shapes = {name: tuple(a.shape) for name, a in arrays.items()}
  if len(set(shapes.values())) > 1:
    listed = ", ".join(f"{n} {s}" for n, s in shapes.items())
    raise ValueError(
      f"{path}: variables must have one shape (t, H, W), got {listed}"
    )
  return next(iter(shapes.values()))


def _plain_series(names, shape, read):
  """A series without coordinates: times and cells are counted."""
  t, height, width = shape
  return Series(
    variables=tuple(fields.Variable(name) for name in names),
    count=t,
    times=None,
    y=fields.Coordinate("y", "cell", np.arange(height)),
    x=fields.Coordinate("x", "cell", np.arange(width)),
    read=read,
  )
