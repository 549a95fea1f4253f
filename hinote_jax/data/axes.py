"""Which axes of an xarray variable are time, y and x, and their values."""

import os
from typing import Any

import numpy as np

from hinote_jax import io
from hinote_jax.data import fields

_TIME_NAMES = ("time", "valid_time", "step", "t", "date")


def ordered(path: str | os.PathLike, array: Any) -> Any:
  """Brings an xarray variable to (time, y, x); drops other axes of length 1.

  Args:
    path: of the file, for error messages.
    array: an xarray.DataArray, not loaded by this.

  Raises:
    ValueError: it has other axes, or which one is time cannot be told.
  """
  sizes, time = dict(array.sizes), _time_axis(path, array)
  if time is None:
    time = _single_time(array) or "time"
    array = array.expand_dims(time)
  rest = [d for d in array.dims if d != time]
  single = [d for d in rest if array.sizes[d] == 1 and not _in_space(array, d)]
  array = array.squeeze(single[: max(len(rest) - 2, 0)])
  if array.ndim != 3:
    raise ValueError(
      f"{path}: {array.name!r} has axes {sizes} and time, y, x are needed: "
      "select one level first"
    )
  y, x = (d for d in array.dims if d != time)
  is_turned = io.axes.is_longitude(coordinate(array, y))
  if is_turned or io.axes.is_latitude(coordinate(array, x)):
    y, x = x, y
  return array.transpose(time, y, x)


def _time_axis(path, array):
  """Returns which axis of an xarray variable is time, None where none is.

  The one that has dates or such a name; else the one beside latitude and
  longitude; else, where no axis is known, the one before the last two.
  """
  candidates = [d for d in array.dims if _is_time(array, d)]
  if not candidates and not _single_time(array):
    known = [d for d in array.dims if _in_space(array, d)]
    if len(known) == 1 and array.ndim > 2:
      raise ValueError(
        f"{path}: {array.name!r} has axes {dict(array.sizes)} and which one is "
        "time cannot be told: name it 'time'"
      )
    others = [d for d in array.dims if d not in known]
    candidates = others if known else others[:-2]
  several = [d for d in candidates if array.sizes[d] > 1]
  if len(several) > 1:
    raise ValueError(
      f"{path}: {array.name!r} has axes {dict(array.sizes)} and each of "
      f"{', '.join(map(str, several))} may be time: select one level first, or "
      "name the time 'time'"
    )
  return next(iter(several or candidates), None)


def _in_space(array, dim) -> bool:
  axis = coordinate(array, dim)
  return io.axes.is_latitude(axis) or io.axes.is_longitude(axis)


def _is_time(array, name) -> bool:
  """Says whether an axis or a coordinate is time by its values or its name."""
  return str(name).lower() in _TIME_NAMES or (
    name in array.coords and _has_dates(array[name])
  )


def _has_dates(array) -> bool:
  kind = array.dtype.kind
  # Dates of cftime are objects: they have calendars that numpy has not.
  some = np.ravel(array.values)[:1] if kind == "O" else ()
  return kind == "M" or any(hasattr(date, "calendar") for date in some)


def _single_time(array):
  """Returns the name of a time that the whole of a variable has, or None."""
  single = [c for c in array.coords if array[c].ndim == 0]
  # A forecast has when it began, its step, and the date it is for, valid_time.
  single.sort(key=lambda c: (not _has_dates(array[c]), c != "valid_time"))
  return next((c for c in single if _is_time(array, c)), None)


def times(path: str | os.PathLike, array: Any, time: Any) -> np.ndarray | None:
  """Returns the dates along an axis, else its coordinate, if it has one.

  Raises:
    ValueError: one is missing.
  """
  along = [c for c in array.coords.values() if c.dims == (time,)]
  along.sort(key=lambda c: (not _has_dates(c), c.name != time))
  # Dates may lie beside the axis: valid_time beside the steps of a forecast.
  if not along or not (_has_dates(along[0]) or along[0].name == time):
    return None
  found = along[0]
  missing = np.flatnonzero(found.isnull())
  if len(missing):
    raise ValueError(
      f"{path}: the time at index {missing[0]} of {time!r} is missing"
    )
  return found.values


def coordinate(array: Any, dim: Any) -> fields.Coordinate:
  """Returns the coordinate of an axis; cells are counted where it has none."""
  if dim not in array.coords:
    return fields.Coordinate(str(dim), "cell", np.arange(array.sizes[dim]))
  units = str(array[dim].attrs.get("units", ""))
  return fields.Coordinate(str(dim), units, np.asarray(array[dim].values))
