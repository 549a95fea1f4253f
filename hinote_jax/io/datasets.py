"""What the layouts of HDF5 files have in common: datasets and their scales."""

from collections.abc import Callable, Mapping, Sequence
import pathlib
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import inputs, links

# Field, rows, channel -> dataset, and which part of it they are.
Place = Callable[[int, slice, int], tuple[Any, tuple]]

_REGISTRATION = "registration"
_LIBRARY = (
  "CLASS",
  "DIMENSION_LABELS",
  "DIMENSION_LIST",
  "NAME",
  "REFERENCE_LIST",
  "_NCProperties",
  "_Netcdf4Coordinates",
  "_Netcdf4Dimid",
)
# Bytes that are no text are spelled out: all formats hold it.
_CODE = ("utf-8", "backslashreplace")
_CHUNK_BYTES = 16 << 20


def of_numbers(file: Any, *, follow_links: bool = False) -> dict[str, Any]:
  """Returns the datasets of real numbers over two dimensions or more.

  In the order in which they were made, if the file has kept it, or by name;
  those that show other files only where links are followed.
  """
  return {
    name: item
    for name, item, other in links.walk(file, follow_links=follow_links)
    if not other and _is_field(item)
  }


def _is_field(item: Any) -> bool:
  try:
    kind = item.dtype.kind
  except TypeError:
    return False  # a type that NumPy does not have
  is_plane = item.shape is not None and item.ndim > 1 and 0 not in item.shape
  return kind in "iuf" and is_plane and not item.is_scale


def attributes(attrs: Any, but: Sequence[str] = ()) -> dict[str, Any]:
  """Returns attributes without those of the library and some others.

  Texts are texts, also where the file holds bytes, and several are a list.
  """
  h5py = inputs.require("h5py", "io")
  known, skipped = {}, {*_LIBRARY, *but}
  for key in attrs:
    # A reference points into the file that it was read from.
    if key in skipped or h5py.check_ref_dtype(attrs.get_id(key).dtype):
      continue
    try:
      value = attrs[key]
    except (OSError, TypeError, ValueError):
      continue  # of a type that h5py has no word for
    kinds = {type(one) for one in np.ravel(np.asarray(value, object))}
    if not isinstance(value, h5py.Empty) and not kinds & {np.ndarray, np.void}:
      known[key] = _decoded(value)
  return known


def _decoded(value: Any) -> Any:
  """Returns a value of an attribute with texts for bytes."""
  if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
    return [text(one) for one in value.flat]
  return text(value) if isinstance(value, bytes | str) else value


def text(value: Any) -> str:
  """Returns a text of an attribute, which may be bytes."""
  if not isinstance(value, bytes):
    value = str(value).encode("utf-8", "surrogateescape")  # as h5py gives them
  return value.decode(*_CODE)


def require_one_grid(path: pathlib.Path, chosen: Sequence[Any]) -> None:
  """Refuses datasets of different shapes.

  Raises:
    ValueError: they differ.
  """
  if len({dataset.shape for dataset in chosen}) > 1:
    listed = ", ".join(f"{d.name[1:]} {d.shape}" for d in chosen)
    raise ValueError(
      f"{path} holds variables of different grids, {listed}: name those of one"
    )


def axis_of(path: pathlib.Path, dataset: Any, d: int) -> axes.Axis:
  """Returns where cells lie along a dimension; counted where none says so.

  Raises:
    ValueError: the positions are unsorted or uneven.
  """
  scale = _scale(dataset, d)
  if scale is None or scale.dtype.kind not in "iuf":
    label = dataset.dims[d].label or "yx"[d - dataset.ndim]
    return axes.counted(label, dataset.shape[d])
  attrs = attributes(scale.attrs)
  bounds = scale.parent.get(text(attrs.get("bounds", "")) or "/")
  return axes.Axis.of(
    _name(scale),
    scale[()],
    text(attrs.get("units", "")),
    registration=attrs.pop(_REGISTRATION, None),
    attributes=attrs,
    bounds=bounds[()] if getattr(bounds, "ndim", 0) == 2 else None,
    may_be_uneven=True,
    where=path,
  )


def lead_of(dataset: Any, d: int) -> tuple[fields.Dimension, dict[str, Any]]:
  """Returns a dimension that is passed through, and what is said along it.

  That is the attributes of its coordinates, by name.
  """
  scale, size = _scale(dataset, d), dataset.shape[d]
  if scale is None:
    return fields.Dimension(dataset.dims[d].label or f"dim{d}", size), {}
  lead_attributes = {_name(scale): attributes(scale.attrs)}
  along = {_name(scale): _values(scale)}
  for key in ("bounds", "climatology"):
    name = text(lead_attributes[_name(scale)].get(key, ""))
    beside: Any = scale.parent.get(name) if name else None
    if getattr(beside, "shape", ())[:1] == (size,):
      along[name] = _values(beside)
      lead_attributes[name] = attributes(beside.attrs)
  return fields.Dimension(_name(scale), size, along), lead_attributes


def _values(dataset: Any) -> np.ndarray:
  """Returns the numbers of a small dataset, or its texts."""
  h5py = inputs.require("h5py", "io")
  if h5py.check_string_dtype(dataset.dtype) is None:
    return dataset[()]
  return dataset.asstr(*_CODE)[()].astype(str)


def _scale(dataset: Any, d: int) -> Any:
  """Returns the dimension scale of a dimension, or None."""
  scales = dataset.dims[d]
  scale = scales[0] if len(scales) else None
  is_fit = scale is not None and scale.shape == (dataset.shape[d],)
  return scale if is_fit else None


def _name(scale: Any) -> str:
  return scale.name.rsplit("/", 1)[-1]


def chunk_rows(header: fields.Header) -> int:
  """Returns how many rows of a field are in a chunk."""
  height, width = header.shape
  size = max(np.dtype(v.dtype).itemsize for v in header.variables)
  return min(height, max(1, _CHUNK_BYTES // (width * size)))


def parents(datasets: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
  """Returns each group that holds some of the datasets, and those of it."""
  groups = {dataset.parent.name: dataset.parent for dataset in datasets}
  return [
    (group, [dataset for dataset in datasets if dataset.parent.name == name])
    for name, group in groups.items()
  ]


def create(
  file: Any,
  variable: fields.Variable,
  shape: Sequence[int],
  chunk: Sequence[int],
  name: str | None = None,
) -> Any:
  """Makes a compressed dataset of the type of a variable."""
  return file.create_dataset(
    name or variable.name,
    shape=tuple(shape),
    dtype=variable.dtype,
    chunks=tuple(chunk),
    compression="gzip",
    shuffle=True,
  )


def put(attrs: Any, values: Mapping[str, Any]) -> None:
  """Writes attributes."""
  h5py = inputs.require("h5py", "io")
  for key, value in values.items():
    is_text = np.asarray(value).dtype.kind in "UO"
    attrs.create(key, value, dtype=h5py.string_dtype() if is_text else None)


def put_leads(
  file: Any,
  header: fields.Header,
  datasets: Sequence[Any],
  lead_attributes: Mapping[str, Any],
) -> None:
  """Writes what is said of the leads, which are the first dimensions.

  Args:
    file: or the group of the datasets.
    header: of the fields.
    datasets: the datasets.
    lead_attributes: attributes of coordinates, by name.
  """
  for d, lead in enumerate(header.leads):
    for dataset in datasets:
      dataset.dims[d].label = lead.name
    for name, value in lead.coordinates.items():
      numbers = np.asarray(getattr(value, "values", value))
      is_along = numbers.shape[:1] == (lead.size,)
      if not is_along or numbers.dtype.kind not in "biufSU":
        continue
      scale = _put_small(file, name, numbers)
      put(scale.attrs, getattr(value, "attrs", lead_attributes.get(name, {})))
      if name == lead.name:
        _attach(scale, datasets, d)


def _put_small(file: Any, name: str, values: np.ndarray) -> Any:
  """Writes a small dataset."""
  h5py = inputs.require("h5py", "io")
  if values.dtype.kind == "U":
    return file.create_dataset(
      name, data=values.astype(object), dtype=h5py.string_dtype()
    )
  return file.create_dataset(name, data=values)


def put_axes(file: Any, header: fields.Header, datasets: Sequence[Any]) -> None:
  """Writes y and x, the last two dimensions, where they do not just count."""
  both = (header.y, header.x)
  for d, axis in enumerate(both, datasets[0].ndim - 2):
    for dataset in datasets:
      dataset.dims[d].label = axis.name
    if axis.units == "cell":
      continue
    scale = file.create_dataset(axis.name, data=axis.labels())
    put(scale.attrs, axis.attributes)
    if bounds := text(axis.attributes.get("bounds", "")):
      file.create_dataset(bounds, data=axis.bounds())
    scale.attrs["units"] = axis.units
    scale.attrs[_REGISTRATION] = axis.registration
    _attach(scale, datasets, d)


def _attach(scale: Any, datasets: Sequence[Any], d: int) -> None:
  scale.make_scale(_name(scale))
  for dataset in datasets:
    dataset.dims[d].attach_scale(scale)
