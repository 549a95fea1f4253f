"""Arrays of NumPy: .npy with channels last, .npz with an array a variable.

They say nothing but numbers: fields and cells are counted. An archive may hold
positions of y and x, arrays of one dimension under names that are known.
"""

import builtins
from collections.abc import Sequence
import functools
import math
import pathlib
from typing import Any
import zipfile

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes, packing
from hinote_jax.io import cf, inputs, room

KIND = "arrays"

# Of three dimensions, a longer last one is columns and not channels.
_MOST_CHANNELS = 4


@inputs.guarded
def open(path: pathlib.Path, variables: Sequence[str] | None) -> fields.Reader:
  """Opens an array or an archive of arrays.

  An npy file is [h w], [h w c], [t h w] or [t h w c]. Of three dimensions it is
  [h w c] where the last one is at most 4, else [t h w]. An npz file has an
  array a variable, [.. h w], all of one shape; arrays of fewer dimensions are
  passed through.

  Args:
    path: of the file.
    variables: of an npz file, which to take, in this order; of an npy file,
      which of channel0, channel1 .., or other names, one a channel.

  Raises:
    ValueError: the file cannot be read, does not hold real numbers on one grid,
      or has no such variable.
  """
  opener = _open_npz if path.suffix.lower() == ".npz" else _open_npy
  return opener(path, variables)


def _open_npy(path, variables):
  values = inputs.load_numpy(path, mmap_mode="r")
  _require_numbers(path, "the array", values.dtype)
  arrangement = _arrangement(path, values.shape)
  if "t" not in arrangement:
    values = values[None]
  if "c" not in arrangement:
    values = values[..., None]
  count, height, width, channels = values.shape
  names = [f"channel{c}" for c in range(channels)]
  taken = list(range(channels))
  if variables is not None and set(names).isdisjoint(variables):
    names = _renamed(path, variables, channels)
  elif variables is not None:
    taken = [names.index(n) for n in inputs.choose(variables, names, path)]
  header = fields.Header(
    variables=tuple(
      fields.Variable(names[c], dtype=str(values.dtype)) for c in taken
    ),
    y=axes.counted("y", height),
    x=axes.counted("x", width),
    leads=(fields.Dimension("t", count),) if "t" in arrangement else (),
    kind=KIND,
    extra={"arrangement": arrangement},
  )
  return fields.Reader(
    header, lambda i: values[i][..., taken].astype(np.float32), str(path)
  )


def _renamed(path, variables, channels) -> list[str]:
  if len(variables) != channels:
    raise ValueError(
      f"{path} has {channels} channels and {len(variables)} names were given: "
      f"{', '.join(variables)}"
    )
  return list(variables)


def _arrangement(path, shape) -> str:
  """Returns the dimensions of an npy file of a shape."""
  rank = len(shape)
  if rank not in (2, 3, 4) or 0 in shape:
    raise ValueError(
      f"{path}: the array has shape {shape} and [h w], [h w c], [t h w] or "
      "[t h w c] is needed"
    )
  if rank == 3:
    return "h w c" if shape[-1] <= _MOST_CHANNELS else "t h w"
  return "h w" if rank == 2 else "t h w c"


def _require_numbers(path, what, dtype) -> None:
  if dtype.kind not in "iuf":
    raise ValueError(
      f"{path}: {what} holds {dtype} and real numbers are needed"
    )


def _open_npz(path, variables):
  heads, is_compressed = _heads(path)
  known = [n for n, (shape, _) in heads.items() if len(shape) > 1]
  if not known:
    raise ValueError(f"{path} has no array of two dimensions, [.. h w]")
  names = inputs.choose(variables, known, path)
  shape = heads[names[0]][0]
  for name in names:
    _require_numbers(path, repr(name), heads[name][1])
    if heads[name][0] != shape or 0 in shape:
      raise ValueError(
        f"{path}: {names[0]!r} {shape} and {name!r} {heads[name][0]} are two "
        "variables of different grids: name variables of one shape, [.. h w]"
      )
  archive = inputs.load_numpy(path)
  passed = {n: archive[n] for n, (s, _) in heads.items() if len(s) < 2}
  leads = ["t"] if len(shape) == 3 else [f"t{k}" for k in range(len(shape) - 2)]
  header = fields.Header(
    variables=tuple(
      fields.Variable(name, dtype=str(heads[name][1])) for name in names
    ),
    y=_axis(path, "y", shape[-2], passed),
    x=_axis(path, "x", shape[-1], passed),
    leads=tuple(map(fields.Dimension, leads, shape[:-2])),
    kind=KIND,
    extra={"passed": passed, "is_compressed": is_compressed},
  )

  @functools.cache
  def load(name: str) -> np.ndarray:
    return archive[name].reshape(-1, *shape[-2:])

  def read(i: int) -> np.ndarray:
    return np.stack([load(n)[i] for n in names], axis=-1, dtype=np.float32)

  return fields.Reader(header, read, str(path))


def _heads(path) -> tuple[dict[str, tuple[tuple[int, ...], np.dtype]], bool]:
  """Returns shapes and types of the arrays of an archive, and if it is packed.

  Reads no numbers.
  """
  heads = {}
  with zipfile.ZipFile(path) as archive:
    for entry in archive.infolist():
      what, size = repr(entry.filename), entry.file_size
      room.require_packed(path, what, size, entry.compress_size)
      with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
          read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
      heads[entry.filename.removesuffix(".npy")] = shape, dtype
    is_compressed = any(e.compress_type for e in archive.infolist())
  return heads, is_compressed


def _axis(path, role, count, passed) -> axes.Axis:
  """Takes the positions of y or x out of `passed`; counts if there are none."""
  for name, values in passed.items():
    if cf.role_of(name) == role and values.shape == (count,):
      break
  else:
    return axes.counted(role, count)
  units = "degrees_north" if axes.is_latitude(name) else ""
  units = "degrees_east" if axes.is_longitude(name) else units
  positions = passed.pop(name)
  return axes.Axis.of(name, positions, units, may_be_uneven=True, where=path)


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes an array or an archive in the arrangement and types it was read in.

  Fields of another format become [h w], [h w c] or [t h w c] in an npy file,
  all leads in one, and packed numbers become float32 with NaN.

  Args:
    path: of the file.
    header: what it is to say.
    values: [count H W c] float32, read by values[i, rows].

  Raises:
    ValueError: a value does not fit the type of its variable.
  """
  writer = _save_npz if path.suffix.lower() == ".npz" else _save_npy
  writer(path, header, values)


def _save_npy(path, header, values):
  variables = tuple(map(_plain, header.variables))
  kinds = {np.dtype(variable.dtype) for variable in variables}
  # The common type of one type is in the byte order of the machine.
  dtype = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds)
  with builtins.open(path, "wb") as stream:
    _write_head(stream, _shape(header), dtype)
    for *_, block in packing.field_blocks(header, values):
      packed = [packing.pack(block[..., c], v) for c, v in enumerate(variables)]
      block = np.stack(packed, axis=-1).astype(dtype)
      stream.write(np.ascontiguousarray(block).data)


def _save_npz(path, header, values):
  others = dict(header.extra.get("passed", {})) if header.kind == KIND else {}
  for axis in (header.y, header.x):
    if axis.units != "cell":
      others[axis.name] = axis.labels()
  for lead in header.leads:
    for name, coordinate in lead.coordinates.items():
      others[name] = np.asarray(getattr(coordinate, "values", coordinate))
  is_packed = header.kind == KIND and header.extra.get("is_compressed")
  method = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
  with zipfile.ZipFile(path, "w", method) as archive:
    # What cannot be written is found out before the fields are made.
    for name, array in others.items():
      with archive.open(f"{name}.npy", "w") as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)
    for c, variable in enumerate(map(_plain, header.variables)):
      with archive.open(
        f"{variable.name}.npy", "w", force_zip64=True
      ) as stream:
        shape = (*header.lead_shape, *header.shape)
        _write_head(stream, shape, np.dtype(variable.dtype))
        for *_, block in packing.field_blocks(header, values):
          packed = packing.pack(block[..., c], variable)
          stream.write(np.ascontiguousarray(packed).data)


def _plain(variable: fields.Variable) -> fields.Variable:
  """Returns a variable as an array holds it, which says nothing of packing."""
  return variable if variable.is_plain else fields.Variable(variable.name)


def _shape(header) -> tuple[int, ...]:
  """Returns the shape of an npy file."""
  sizes = {"t": header.count, "h": len(header.y), "w": len(header.x)}
  sizes["c"] = len(header.variables)
  if header.kind == KIND and "arrangement" in header.extra:
    arrangement = header.extra["arrangement"]
  elif header.leads or sizes["c"] > _MOST_CHANNELS:
    arrangement = "t h w c"
  else:
    arrangement = "h w c" if sizes["c"] > 1 else "h w"
  shape = tuple(sizes[dim] for dim in arrangement.split())
  # Fields that have been picked out of a file may have other dimensions.
  whole = tuple(sizes.values())
  return shape if math.prod(shape) == math.prod(whole) else whole


def _write_head(stream, shape, dtype) -> None:
  head = {
    "descr": np.lib.format.dtype_to_descr(dtype),
    "fortran_order": False,
    "shape": shape,
  }
  np.lib.format.write_array_header_2_0(stream, head)
