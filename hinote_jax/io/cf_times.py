"""The fields of a dataset as one series in time, with the dates of each.

Time is the dimension that has dates or is called so; where none is, the only
one beside y and x that is longer than 1. A dataset of a single time may say it
by a coordinate without dimensions, as forecasts say which date they are for.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.io import cf, inputs


def series(reader: fields.Reader) -> fields.Reader:
  """Returns the fields of a reader along time alone, with their times.

  Dimensions of length 1 go; fields and their order stay.

  Args:
    reader: of a dataset by the CF conventions.

  Raises:
    ValueError: there are several times or levels, so that the fields are no
      one series, or a date is missing or cannot be read.
  """
  header = reader.header
  single = _single_time(header)
  leads = {dim.name: dim for dim in header.leads}
  candidates = [d for d in header.leads if _is_time(d)]
  if not candidates and single is None:
    candidates = list(header.leads)
  several = [d.name for d in candidates if d.size > 1]
  if len(several) > 1:
    raise ValueError(
      f"{_axes(reader)} and each of {', '.join(several)} may be time: select "
      "one level first, or name the time 'time'"
    )
  time = next(iter(several or [d.name for d in candidates]), None)
  is_plane = not {header.y.name, header.x.name} & set(cf.TIME_NAMES)
  for name, dim in leads.items():
    if name != time:
      is_plane = is_plane and dim.size == 1
      reader = reader.at(name, 0)
  if not is_plane:
    raise ValueError(
      f"{_axes(dataclasses.replace(reader, header=header))} and time, y, x are "
      "needed: select one level first"
    )
  raw = single if time is None else _dates(leads[time])
  times = None if raw is None else _decoded(raw, reader.path)
  return dataclasses.replace(reader, times=times)


def dates(header: fields.Header, path: str = "the file") -> np.ndarray | None:
  """Returns the date of every field, [count] datetime64; None without dates.

  None too where a calendar has days that the year has not, as 30 February. Of
  all leads it is time that tells; a file of one time says it by itself.

  Args:
    header: of a dataset by the CF conventions, or of another file.
    path: of it, for messages.

  Raises:
    ValueError: a date is missing or cannot be read.
  """
  if header.kind != cf.KIND:
    return None
  along = [d for d, lead in enumerate(header.leads) if _is_time(lead)]
  raw = _dates(header.leads[along[0]]) if along else _single_time(header)
  if raw is None:
    return None
  decoded = _decoded(raw, path)
  decoded = _of_the_year(decoded)
  if decoded is None:
    return None
  if not along:
    return np.repeat(decoded, header.count)
  places = np.indices(header.lead_shape)[along[0]]
  return decoded[places.ravel()]


def _of_the_year(decoded: np.ndarray) -> np.ndarray | None:
  """Returns dates of any calendar as datetime64, None where there is none."""
  if np.issubdtype(decoded.dtype, np.datetime64):
    return decoded
  if not all(hasattr(date, "isoformat") for date in decoded):
    return None
  try:
    return np.array([date.isoformat() for date in decoded], "datetime64[s]")
  except ValueError:  # a day of a calendar of 360
    return None


def _axes(reader: fields.Reader) -> str:
  """Returns what a file has along which axes, to begin a message with."""
  header = reader.header
  sizes = {dim.name: dim.size for dim in header.leads}
  sizes |= {axis.name: len(axis) for axis in (header.y, header.x)}
  return f"{reader.path}: {header.names[0]!r} has axes {sizes}"


def _is_time(dim: fields.Dimension) -> bool:
  raw = dim.coordinates.get(dim.name)
  is_dated = raw is not None and cf.has_dates(raw)
  return dim.name.lower() in cf.TIME_NAMES or is_dated


def _dates(dim: fields.Dimension) -> Any:
  """Returns the dates along a dimension, else its coordinate, if it has one.

  Dates may lie beside it: valid_time beside the steps of a forecast.
  """
  along = dim.coordinates
  dated = [name for name, raw in along.items() if cf.has_dates(raw)]
  dated.sort(key=lambda name: name != dim.name)
  return along.get(next(iter(dated), dim.name))


def _single_time(header: fields.Header) -> Any:
  """Returns the time that a whole file has, or None."""
  times = [
    (name, raw)
    for name, raw in _scalars(header)
    if name.lower() in cf.TIME_NAMES or cf.has_dates(raw)
  ]
  # A forecast has when it began, its step, and the date it is for, valid_time.
  times.sort(key=lambda one: (not cf.has_dates(one[1]), one[0] != "valid_time"))
  return next((raw for _, raw in times), None)


def _scalars(header: fields.Header) -> Iterator[tuple[str, Any]]:
  """Yields the coordinates without dimensions."""
  every = (header, *header.variables)
  named = " ".join(str(one.attributes.get("coordinates", "")) for one in every)
  for name, raw in cf.layout_of(header).passed.items():
    if raw.ndim == 0 and name in named.split():
      yield name, raw


def _decoded(raw: Any, path: str) -> np.ndarray:
  """Returns dates, or numbers where there are none, [t]."""
  xarray = inputs.require("xarray", "io")
  try:
    decoded = xarray.decode_cf(xarray.Dataset({"time": raw}))["time"]
  except (ValueError, OverflowError) as error:
    raise ValueError(f"cannot read {path} ({inputs.line(error)})") from error
  missing = np.flatnonzero(np.ravel(decoded.isnull()))
  if len(missing):
    raise ValueError(
      f"{path}: the time at index {missing[0]} of {raw.dims[0]!r} is missing"
    )
  return decoded.values.reshape(-1)
