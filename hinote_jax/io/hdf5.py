"""HDF5 in the layouts of SEVIR and SuperBench, and plain datasets.

A plain file holds each variable as a dataset [.. y x]; dimension scales, where
there are any, say where its cells lie, and the attributes of CF how it is
packed and what is missing. `sevir` and `superbench` describe the others; in
each, describe(path, file, datasets, variables) gives the header of an open file
and what gives the planes of a field, and refuses variables that are missing or
on different grids, and create(file, header) makes the datasets of a file.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import io
import pathlib
import types
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import packing
from hinote_jax.io import (
  cf_packing,
  datasets,
  inputs,
  links,
  sevir,
  superbench,
)

KIND = "hdf5"
SHOWS_OTHERS = True

_LAYOUTS = {"sevir": sevir, "superbench": superbench}
# An event of SEVIR's visible images in one chunk is 58 MB, and is read frame by
# frame.
_CACHE_BYTES = 128 << 20


@inputs.guarded
def open(
  path: pathlib.Path,
  variables: Sequence[str] | None = None,
  *,
  layout: str = "",
  follow_links: bool = False,
) -> fields.Reader:
  """Opens an HDF5 file.

  Args:
    path: of the file.
    variables: image types of SEVIR, channels of SuperBench, or paths of other
      datasets. None takes all that have the grid of the first; where other
      datasets differ in shape, names are needed.
    layout: "sevir" or "superbench", which it must have, or "plain", by which
      it is read whatever it has; "" finds out.
    follow_links: read the other files that this one shows.

  Raises:
    ModuleNotFoundError: h5py is missing.
    OSError: the file cannot be opened.
    ValueError: it cannot be read, lacks a variable or the layout, or the
      variables have different grids.
  """
  h5py = inputs.require("h5py", "io")
  if not follow_links:
    links.require_own(path, variables, links.shown(path))
  file = h5py.File(path, "r", rdcc_nbytes=_CACHE_BYTES)
  held = datasets.of_numbers(file, follow_links=follow_links)
  fitting = [name for name, m in _LAYOUTS.items() if m.is_like(held)]
  if layout == "plain":
    fitting = []
  elif layout and layout not in fitting[:1]:
    raise ValueError(
      f"{path} is not as {_LAYOUTS[layout].NAME} has it: it holds no "
      f"{_LAYOUTS[layout].HOLDS}"
    )
  layout = fitting[0] if fitting else "plain"
  describe = _LAYOUTS[layout].describe if fitting else _describe
  header, get = describe(path, file, held, variables)
  header = dataclasses.replace(
    header,
    attributes=datasets.attributes(file.attrs),
    kind=KIND,
    extra={**header.extra, "layout": layout},
  )

  def read(i: int) -> np.ndarray:
    planes = list(map(packing.unpack, get(i), header.variables))
    return np.stack(planes, axis=-1)

  return fields.Reader(header, read, str(path))


def _describe(
  path: pathlib.Path,
  file: Any,
  held: Mapping[str, Any],
  variables: Sequence[str] | None,
) -> tuple[fields.Header, Callable[[int], list[np.ndarray]]]:
  """Returns the header of a plain file, and what gives planes of a field."""
  if not held:
    raise ValueError(f"{path} holds no dataset of numbers over y and x")
  if variables is None and len({d.shape for d in held.values()}) > 1:
    listed = ", ".join(f"{name} {d.shape}" for name, d in held.items())
    raise ValueError(f"{path} holds {listed}: name the variables to take")
  names = inputs.choose(variables, held, path)
  datasets.require_one_grid(path, [held[name] for name in names])
  first = held[names[0]]
  raw = {name: _raw(held[name]) for name in names}
  leads = [datasets.lead_of(first, d) for d in range(first.ndim - 2)]
  header = fields.Header(
    variables=tuple(
      cf_packing.variable_of(name, raw[name], path) for name in names
    ),
    y=datasets.axis_of(path, first, first.ndim - 2),
    x=datasets.axis_of(path, first, first.ndim - 1),
    leads=tuple(lead for lead, _ in leads),
    extra={
      "packing": {name: cf_packing.packing_of(raw[name]) for name in names},
      "lead_attributes": {
        name: attrs for _, by_name in leads for name, attrs in by_name.items()
      },
      "groups": {
        parent.name: datasets.attributes(parent.attrs)
        for parent, _ in datasets.parents([held[name] for name in names])
        if parent.name != "/"
      },
    },
  )

  def get(i: int) -> list[np.ndarray]:
    index = np.unravel_index(i, first.shape[:-2]) if header.leads else ()
    at = tuple(map(int, index))
    return [
      cf_packing.numbers(held[name][at], header.extra["packing"][name])
      for name in names
    ]

  return header, get


def _raw(dataset: Any) -> Any:
  """Returns what `cf_packing` reads of a dataset."""
  default = cf_packing.default_fill(dataset.dtype)
  # The NetCDF library says to HDF5 what it fills with.
  is_filled = default is not None and dataset.fillvalue == default
  return types.SimpleNamespace(
    attrs=datasets.attributes(dataset.attrs),
    dtype=dataset.dtype,
    encoding={cf_packing.IS_FILLED: is_filled},
  )


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes an HDF5 file in the layout that was read, or a plain one.

  Chunks are of one frame, or of some of its rows where it is large.

  Args:
    path: of the file.
    header: of the fields.
    values: [count h w c] real, read as values[i, r0:r1].

  Raises:
    OSError: it cannot be written.
    ValueError: a value does not fit its type.
  """
  h5py = inputs.require("h5py", "io")
  layout = header.extra["layout"] if header.kind == KIND else "plain"
  create = _LAYOUTS[layout].create if layout in _LAYOUTS else _create
  with _Output(path, "w+") as output:
    with h5py.File(output, "w", track_order=True) as file:
      datasets.put(file.attrs, header.attributes)
      place = create(file, header)
      step = datasets.chunk_rows(header)
      for i, rows, block in packing.field_blocks(header, values, step):
        for c, variable in enumerate(header.variables):
          plane = block[..., c]
          if layout == "sevir":
            plane = packing.clip(plane, variable)
          dataset, index = place(i, rows, c)
          dataset[index] = packing.pack(plane, variable)
        output.require_written()
    output.require_written()


class _Output(io.FileIO):
  """A file that takes all that HDF5 gives it, and says later what was lost.

  The library cannot close a file after it has failed to write, as on a full
  disk: it ends the process.
  """

  _error: OSError | None = None

  def write(self, data: Any) -> int:
    rest = memoryview(data).cast("B")
    count = len(rest)
    try:
      while rest:
        rest = rest[super().write(rest) :]
    except OSError as error:
      self._error = self._error or error
    return count

  def truncate(self, size: int | None = None) -> int:
    try:
      return super().truncate(size)
    except OSError as error:
      self._error = self._error or error
      return 0 if size is None else size

  def require_written(self) -> None:
    """Raises the OSError of what could not be written, if any."""
    if self._error is not None:
      raise self._error


def _create(file: Any, header: fields.Header) -> datasets.Place:
  """Makes the datasets of a plain file."""
  shape = (*header.lead_shape, *header.shape)
  chunk = (*(1 for _ in header.leads), datasets.chunk_rows(header), shape[-1])
  created = []
  extra = header.extra if header.kind == KIND else {}
  for variable in header.variables:
    dataset = datasets.create(file, variable, shape, chunk)
    packed_as = extra.get("packing", {}).get(variable.name, {})
    # The numbers are written as what they stand for.
    packed_as = {} if cf_packing.is_unsigned(packed_as) else packed_as
    units = {"units": variable.units} if variable.units else {}
    datasets.put(
      dataset.attrs,
      {**variable.attributes, **units}
      | cf_packing.packing_for(variable, packed_as),
    )
    created.append(dataset)
  for name, attributes in extra.get("groups", {}).items():
    datasets.put(file[name].attrs, attributes)
  for group, inside in datasets.parents(created):
    datasets.put_leads(group, header, inside, extra.get("lead_attributes", {}))
    datasets.put_axes(group, header, inside)

  def place(i: int, rows: slice, c: int) -> tuple[Any, tuple]:
    index = np.unravel_index(i, header.lead_shape) if header.leads else ()
    return created[c], (*map(int, index), rows)

  return place
