"""The layout of SEVIR: storms seen by radar and satellite.

Veillette et al., NeurIPS 2020, and the tutorial of its repository: one dataset
an image type, [event y x frame], beside the names of the events, `id`. An event
covers 384 km x 384 km in 49 frames, 5 minutes apart. `vis`, `ir069` and `ir107`
are int16 in steps of 1e-4 (reflectance) and 1e-2 (degrees C), -32768 where
missing. `vil` is uint8, 0 to 254, and 255 where missing; its numbers are taken
as they are, for they are not proportional to kg m-2. In saving, values are
clipped to these ranges, as a network overshoots beside clear sky.
"""

from collections.abc import Callable, Mapping, Sequence
import pathlib
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import datasets, inputs

NAME, HOLDS = "SEVIR", "image type of [event y x frame]"
_EXTENT_KM = 384.0
# Units, step, type and number for missing, as published.
_TYPES = {
  "vis": ("1", 1e-4, "int16", -32768),
  "ir069": ("degC", 1e-2, "int16", -32768),
  "ir107": ("degC", 1e-2, "int16", -32768),
  "vil": ("", 1.0, "uint8", 255),
}
_ID = "id"


def is_like(held: Mapping[str, Any]) -> bool:
  """Says whether a file holds an image type."""
  return any(n in _TYPES and d.ndim == 4 for n, d in held.items())


def describe(
  path: pathlib.Path,
  file: Any,
  held: Mapping[str, Any],
  variables: Sequence[str] | None,
) -> tuple[fields.Header, Callable[[int], list[np.ndarray]]]:
  """Returns the header, and what gives the planes of a field; see `hdf5`."""
  known = {n: d for n, d in held.items() if n in _TYPES and d.ndim == 4}
  if variables is None:
    grid = next(iter(known.values())).shape
    variables = [name for name, d in known.items() if d.shape == grid]
  names = inputs.choose(variables, known, path)
  datasets.require_one_grid(path, [known[name] for name in names])
  events, height, width, frames = known[names[0]].shape
  header = fields.Header(
    variables=tuple(_variable(name, known[name].dtype) for name in names),
    y=_axis("y", height),
    x=_axis("x", width),
    leads=(
      fields.Dimension("event", events, _names(file, events)),
      fields.Dimension("frame", frames),
    ),
    extra={
      "attributes": {n: datasets.attributes(known[n].attrs) for n in names}
    },
  )

  def get(i: int) -> list[np.ndarray]:
    event, frame = divmod(i, frames)
    return [known[name][event, :, :, frame] for name in names]

  return header, get


def _names(file: Any, events: int) -> dict[str, np.ndarray]:
  """Returns the names of the events, bytes, if there are any."""
  if _ID not in file or file[_ID].shape != (events,):
    return {}
  names = file[_ID][()]
  # The type of the library says more than that these are bytes.
  return {_ID: np.array(names.tolist()).astype("S")}


def _variable(name: str, dtype: np.dtype) -> fields.Variable:
  """Returns an image type; what is no longer as published is taken as it is."""
  units, scale, published, fill = _TYPES[name]
  if dtype != published:
    return fields.Variable(name, dtype=dtype.newbyteorder("=").name)
  return fields.Variable(name, units, {}, published, scale, 0.0, fill)


def _axis(name: str, count: int) -> axes.Axis:
  positions = (np.arange(count) + 0.5) * (_EXTENT_KM / count)
  return axes.Axis.of(name, positions, "km")


def create(file: Any, header: fields.Header) -> datasets.Place:
  """Makes the datasets of a file, and writes the names of the events."""
  (events, frames), (height, width) = header.lead_shape, header.shape
  chunk = (1, datasets.chunk_rows(header), width, 1)
  created = []
  for variable in header.variables:
    shape = (events, height, width, frames)
    created.append(datasets.create(file, variable, shape, chunk))
    datasets.put(created[-1].attrs, header.extra["attributes"][variable.name])
  names = header.leads[0].coordinates.get(_ID)
  if names is not None:
    file.create_dataset(_ID, data=names)

  def place(i: int, rows: slice, c: int) -> tuple[Any, tuple]:
    event, frame = divmod(i, frames)
    return created[c], (event, rows, slice(None), frame)

  return place
