"""Datasets of xarray made finer: `dataset.hinote.upscale(...)`.

Importing this module is what gives datasets the accessor. What is read of a
dataset, and what of it the finer one says again, is as of files: `io`.
"""

from collections.abc import Sequence
import threading
from typing import Any

import numpy as np
import xarray
from xarray import conventions

from hinote_jax import fields, infer
from hinote_jax.fields import packing
from hinote_jax.infer import upscaling
from hinote_jax.io import cf, cf_packing, coordinates, curvilinear, inputs

_WHERE = "the dataset"
# What says how numbers in a file were packed, which they no longer are.
_PACKED = ("scale_factor", "add_offset")
_OF_PACKED = ("valid_range", "valid_min", "valid_max", "missing_value")
_KEPT = ("coordinates", "grid_mapping", "units", "calendar")
# A network is used by one thread at a time.
_LOCK = threading.Lock()


@xarray.register_dataset_accessor("hinote")
class Accessor:
  """What this package does with a dataset.

  Examples:
    >>> import numpy as np, xarray
    >>> import hinote_jax.xarray
    >>> y = xarray.Variable("lat", [2.0, 1.0, 0.0], {"units": "degrees_north"})
    >>> t2m = ("time", "lat", "lon"), np.ones((2, 3, 4), np.float32)
    >>> coarse = xarray.Dataset({"t2m": t2m}, {"lat": y})
    >>> fine = coarse.hinote.upscale(scale=2, checkpoint="bicubic")
    >>> dict(fine.t2m.sizes)
    {'time': 2, 'lat': 6, 'lon': 8}
  """

  def __init__(self, dataset: xarray.Dataset):
    """Called by xarray."""
    self._dataset = dataset

  def upscale(
    self,
    *,
    checkpoint: Any,
    scale: float | int | tuple[float | int, float | int] | None = None,
    shape: tuple[int, int] | None = None,
    like: xarray.Dataset | None = None,
    variables: Sequence[str] | None = None,
    which: str = "best",
    **options: Any,
  ) -> xarray.Dataset:
    """Returns the dataset on a finer grid; give one of scale, shape and like.

    Fields on Dask arrays stay so: each is a task of its own, made when it is
    asked for, and needs one field of the input. Others are made at once.

    Args:
      checkpoint: what `infer.load` takes, or a predictor.
      scale: how many times finer, at least 1; or one for y and one for x.
      shape: rows and columns.
      like: another dataset, whose grid to take.
      variables: which to take for those of the network, in its order, by any
        names; None takes those of its names, or all on the grid of the first.
      which: checkpoint of a run, "best" or "latest".
      **options: of `upscaling.Options`: memory="1GB", clip=(0, None), ...

    Raises:
      FileNotFoundError: there is no such checkpoint.
      ValueError: the dataset has no such fields, the network is of others, or
        what is asked cannot be done on this grid.
    """
    predictor = checkpoint
    if not isinstance(checkpoint, infer.Predictor):
      predictor = infer.load(checkpoint, which)
    names = tuple(variables or predictor.names) or None
    dataset, header = _read(self._dataset, names)
    other = None if like is None else _read(like, None)[1]
    goal = upscaling.target(header, scale=scale, shape=shape, like=other)
    options.setdefault("is_renamed", bool(variables))
    make = upscaling.Upscaler(
      predictor, header, goal, upscaling.Options(**options)
    )
    values = _made(dataset, header, make)
    return _written(self._dataset, make.header, values)


def _read(
  dataset: xarray.Dataset, names: Sequence[str] | None
) -> tuple[xarray.Dataset, fields.Header]:
  """Returns a dataset as a file would hold it, not packed, and its header."""
  plain = dataset.copy(deep=False)
  for variable in plain.variables.values():
    known = variable.encoding
    if any(key in known for key in _PACKED):
      attributes = variable.attrs.items()
      variable.attrs = {k: v for k, v in attributes if k not in _OF_PACKED}
    variable.encoding = {k: v for k, v in known.items() if k in _KEPT}
  raw, attributes = conventions.encode_dataset_coordinates(plain)
  encoded = xarray.Dataset(
    {n: conventions.encode_cf_variable(v, name=n) for n, v in raw.items()},
    attrs=attributes,
  )
  header = cf.header_of(encoded, names, _WHERE)
  for axis in (header.y, header.x):
    axis.require_even(_WHERE)
  return encoded, header


def _made(dataset: xarray.Dataset, header: fields.Header, make: Any) -> Any:
  """Returns the finer fields, [*lead H W c]; of Dask where the coarse are."""
  packed_as = cf.layout_of(header).packing
  order = [*(lead.name for lead in header.leads), header.y.name, header.x.name]

  def field(index, *planes):
    numbers = [
      packing.unpack(
        cf_packing.numbers(np.asarray(plane), packed_as[v.name]), v
      )
      for v, plane in zip(header.variables, planes, strict=True)
    ]
    with _LOCK:
      return make.field(np.stack(numbers, axis=-1), index=index)

  arrays = []
  for name in header.names:
    raw = dataset.variables[name]
    raw = raw.isel({dim: 0 for dim in raw.dims if dim not in order})
    arrays.append(raw.transpose(*order).data)
  shape = (*make.header.shape, len(header.variables))
  places = list(np.ndindex(header.lead_shape))
  if all(dataset.variables[name].chunks is None for name in header.names):
    results = [
      field(n, *(array[i] for array in arrays)) for n, i in enumerate(places)
    ]
    return np.stack(results).reshape(*header.lead_shape, *shape)
  dask = inputs.require("dask", "dask")
  array_of = inputs.require("dask.array", "dask").from_delayed
  task = dask.delayed(field, pure=True)
  results = [
    array_of(task(n, *(array[i] for array in arrays)), shape, np.float32)
    for n, i in enumerate(places)
  ]
  stack = inputs.require("dask.array", "dask").stack
  return stack(results).reshape(*header.lead_shape, *shape)


def _written(
  source: xarray.Dataset, header: fields.Header, values: Any
) -> xarray.Dataset:
  """Returns fields and all that lies beside them as a dataset."""
  layout = cf.layout_of(header)
  variables = dict(coordinates.small(header, layout).variables)
  both = header.y.name, header.x.name
  for plane in curvilinear.planes(header, layout):
    others = tuple(plane.others.values())
    rows = [plane.rows(i, slice(None)) for i in np.ndindex(*others)]
    sizes = (*others, *header.shape)
    variables[plane.variable.name] = xarray.Variable(
      (*plane.others, *both),
      np.stack(rows).reshape(sizes),
      _attributes(plane.variable),
    ).transpose(*plane.dims)
  order = [*(lead.name for lead in header.leads), *both]
  for c, variable in enumerate(header.variables):
    upscaled = xarray.Variable(order, values[..., c], _attributes(variable))
    dims = cf.dims_of(header, layout, variable.name)
    variables[variable.name] = upscaled.transpose(*dims)
  attributes = coordinates.small(header, layout).attrs
  has_spans = any(v.dtype.kind == "m" for v in source.variables.values())
  fine = xarray.decode_cf(
    xarray.Dataset(variables, attrs=attributes), decode_timedelta=has_spans
  )
  return fine.set_coords([name for name in source.coords if name in fine])


def _attributes(variable: fields.Variable) -> dict[str, Any]:
  units = {"units": variable.units} if variable.units else {}
  return {**variable.attributes, **units}
