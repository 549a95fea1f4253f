"""The layout of SuperBench: turbulence, weather, cosmology.

Ren et al., arXiv 2306.14070, and the loader of its repository: one dataset,
`fields`, [time channel y x] float32. Three channels are u, v and vorticity of
turbulence; on 721 x 1440 cells, or 720 without the last row, they are kinetic
energy, temperature and water vapour of ERA5. Its rows are taken to begin at the
north pole and its columns at 0 degrees east, as those of ECMWF do. Two channels
are temperature and baryon density of cosmological runs, as logarithms by their
published means. A box of turbulence is periodic, a window of one is not, and
the file does not tell them apart: it is taken for a window.
"""

from collections.abc import Callable, Mapping, Sequence
import pathlib
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import datasets, inputs

NAME, HOLDS = "SuperBench", "dataset 'fields' of [time channel y x]"
_FIELDS = "fields"
_NAMES, _UNITS = "variables", "units"
_GLOBES = ((720, 1440), (721, 1440))
_STEP = 0.25  # degrees
_ERA5 = {"kinetic_energy": "", "temperature": "K", "water_vapour": "kg m-2"}
_CHANNELS = {
  2: {"temperature": "", "baryon_density": ""},
  3: {"u": "", "v": "", "vorticity": ""},
}


def is_like(held: Mapping[str, Any]) -> bool:
  """Says whether a file holds fields as SuperBench has them."""
  return _FIELDS in held and held[_FIELDS].ndim == 4


def describe(
  path: pathlib.Path,
  file: Any,
  held: Mapping[str, Any],
  variables: Sequence[str] | None,
) -> tuple[fields.Header, Callable[[int], list[np.ndarray]]]:
  """Returns the header, and what gives the planes of a field; see `hdf5`."""
  dataset = held[_FIELDS]
  known = _channels(dataset)
  names = inputs.choose(variables, known, path)
  numbers = [list(known).index(name) for name in names]
  dtype = dataset.dtype.newbyteorder("=").name
  y, x = datasets.axis_of(path, dataset, 2), datasets.axis_of(path, dataset, 3)
  if known == _ERA5 and y.is_counted and dataset.shape[2:] in _GLOBES:
    y, x = _globe(dataset.shape[2])
  attributes = datasets.attributes(dataset.attrs, (_NAMES, _UNITS))
  header = fields.Header(
    variables=tuple(
      fields.Variable(name, known[name], dtype=dtype) for name in names
    ),
    y=y,
    x=x,
    leads=(fields.Dimension("time", dataset.shape[0]),),
    extra={"attributes": attributes},
  )
  return header, lambda i: [dataset[i, c] for c in numbers]


def _channels(dataset: Any) -> dict[str, str]:
  """Returns name -> units of the channels, in order."""
  _, count, *grid = dataset.shape
  names = dataset.attrs.get(_NAMES, ())
  units = dataset.attrs.get(_UNITS, ())
  if len(names) == len(units) == count:
    pairs = zip(names, units, strict=True)
    return {datasets.text(name): datasets.text(unit) for name, unit in pairs}
  if count == len(_ERA5) and tuple(grid) in _GLOBES:
    return _ERA5
  return _CHANNELS.get(count, {f"channel{c}": "" for c in range(count)})


def _globe(height: int) -> tuple[axes.Axis, axes.Axis]:
  """Returns latitude and longitude of ERA5.

  Without the south pole, too, the rows have a node at the north pole.
  """
  latitudes = 90.0 - _STEP * np.arange(height)
  longitudes = _STEP * np.arange(_GLOBES[0][1])
  return (
    axes.Axis.of("latitude", latitudes, "degrees_north", registration="nodes"),
    axes.Axis.of("longitude", longitudes, "degrees_east"),
  )


def create(file: Any, header: fields.Header) -> datasets.Place:
  """Makes the dataset of a file."""
  times, (height, width) = header.count, header.shape
  shape = (times, len(header.variables), height, width)
  chunk = (1, 1, datasets.chunk_rows(header), width)
  dataset = datasets.create(file, header.variables[0], shape, chunk, _FIELDS)
  attributes = {
    **header.extra["attributes"],
    _NAMES: list(header.names),
    _UNITS: [variable.units for variable in header.variables],
  }
  datasets.put(dataset.attrs, attributes)
  datasets.put_axes(file, header, [dataset])
  return lambda i, rows, c: (dataset, (i, c, rows))
