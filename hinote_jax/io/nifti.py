"""NIfTI through nibabel: a volume as slices, its head kept in place.

An image is [i j k t ..], i fastest in the file. Two of i, j, k are in the plane
that is refined, the slower one as y and the faster as x; the third and the
others are leads. The axes count voxels, and the affines of the file are refined
by where the finer ones lie: the voxel at y = 2.5 is half way between the third
and the fourth of the file, wherever these are in space.

In saving, integers are rounded and clipped to what their type holds, as a
network overshoots beside the edges of the head.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import gzip
import math
import pathlib
from typing import Any, BinaryIO

import numpy as np

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.fields import axes, packing
from hinote_jax.io import inputs, room

KIND = "nifti"

_DIMENSIONS = "ijktuvw"
_PLANES = {"ij": (0, 1), "ik": (0, 2), "jk": (1, 2)}
# A dimension of a NIfTI-1 header is an int16.
_LARGEST = 32767
_UNITS = {"mm": "mm", "m": "meter", "um": "micron"}


@inputs.guarded
def open(
  path: pathlib.Path,
  variables: Sequence[str] | None = None,
  *,
  plane: str | None = None,
) -> fields.Reader:
  """Opens a NIfTI image, its slices and times as leads.

  Args:
    path: of the file.
    variables: its only one is called "intensity".
    plane: "ij", "ik" or "jk"; None takes the two axes of the smallest voxels,
      i before j before k where these are equal to 1 %.

  Raises:
    ModuleNotFoundError: nibabel is missing.
    OSError: the file cannot be opened.
    ValueError: it cannot be read, is no image of real numbers, or lacks a
      variable.
  """
  image = _image(path)
  head = image.header
  shape, dtype = image.shape, head.get_data_dtype()
  inputs.choose(variables, ("intensity",), path)
  if len(shape) < 2 or min(shape) < 1 or dtype.kind not in "iuf":
    raise ValueError(
      f"{path} holds {dtype} of shape {shape} and at least two dimensions of "
      "real numbers are needed"
    )
  x, y = _plane(head, shape, plane)
  # Slowest first; the slice is the last, so that volume follows volume.
  others = [d for d in range(len(shape) - 1, -1, -1) if d not in (x, y)]
  header = fields.Header(
    variables=(
      fields.Variable(
        "intensity",
        dtype=dtype.newbyteorder("=").name,
        scale=float(image.dataobj.slope),
        offset=float(image.dataobj.inter),
      ),
    ),
    y=axes.counted(_DIMENSIONS[y], shape[y]),
    x=axes.counted(_DIMENSIONS[x], shape[x]),
    leads=tuple(fields.Dimension(_DIMENSIONS[d], shape[d]) for d in others),
    kind=KIND,
    extra={"header": head, "plane": (x, y)},
  )
  read = _reader(path, image, header)
  return fields.Reader(header, read, str(path))


def _image(path: pathlib.Path) -> Any:
  nibabel = inputs.require("nibabel", "io")
  image = nibabel.load(path)
  if not isinstance(image, nibabel.nifti1.Nifti1Pair):
    raise ValueError(f"cannot read {path} (it is {type(image).__name__})")
  return image


def _plane(head: Any, shape: Sequence[int], plane: str | None):
  """Returns which array axes are x and y, x first."""
  if plane is not None:
    x, y = naming.look_up("plane", plane, _PLANES)
    if y >= len(shape):
      raise ValueError(f"plane {plane!r} of an image of shape {shape}")
    return x, y
  sizes = np.abs(head.get_zooms()[: min(3, len(shape))])
  wide = [d for d in range(len(sizes)) if shape[d] > 1]
  candidates = wide if len(wide) > 1 else range(len(sizes))
  smallest = min(sizes[d] for d in candidates) or 1.0
  by_size = sorted(candidates, key=lambda d: round(sizes[d] / smallest, 2))
  return tuple(sorted(by_size[:2]))


def _reader(
  path: pathlib.Path, image: Any, header: fields.Header
) -> Callable[[int], np.ndarray]:
  """Returns what reads field i, a volume of the file at a time at most."""
  proxies = inputs.require("nibabel.arrayproxy", "io")
  offset, dtype = image.dataobj.offset, image.header.get_data_dtype()
  is_packed = path.suffix.lower() == ".gz"
  needed = offset + math.prod(image.shape) * dtype.itemsize
  size = path.stat().st_size
  room.require_memory(path, "a volume", image.shape[:3])
  if is_packed:
    room.require_packed(path, "it", needed, size)
  elif size < needed:
    raise ValueError(
      f"cannot read {path} (it is cut short: {size} bytes of {needed})"
    )
  # Without slope and intercept it gives the numbers of the file.
  proxy = proxies.ArrayProxy(
    path, (image.shape, dtype, offset), keep_file_open=is_packed
  )
  spatial, later = image.shape[:3], image.shape[3:]

  sound = functools.cache(functools.partial(_require_sound, path))

  @functools.lru_cache(maxsize=1)
  def volume(t: int) -> np.ndarray:
    index = np.unravel_index(t, later[::-1])[::-1] if later else ()
    if not is_packed:
      return np.asanyarray(proxy)[(..., *map(int, index))]
    sound()
    return proxy[(..., *map(int, index))]

  third = set(range(len(spatial))) - set(header.extra["plane"])
  slices = math.prod(spatial[d] for d in third)

  def read(i: int) -> np.ndarray:
    t, s = divmod(i, slices)
    values = volume(t)
    for d in third:
      # take() would copy the whole volume into another order.
      values = np.moveaxis(values, d, 0)[s]
    values = np.ascontiguousarray(values.T)
    return packing.unpack(values[..., None], header.variables[0])

  return read


def _require_sound(path: pathlib.Path) -> None:
  """Reads a compressed file to its end, where its check is."""
  with gzip.open(path) as file:
    while file.read(1 << 20):
      pass


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes a NIfTI image in the order of its file.

  A header of another format gets an affine of its axes, x and y of the file as
  x and y of space, and its last lead as k.

  Args:
    path: of the file; it is compressed where it ends in ".gz".
    header: of one variable.
    values: [count h w 1] real, read as values[i, r0:r1].

  Raises:
    OSError: it cannot be written.
    ValueError: there are several variables or too many leads, or a value is
      missing that the type cannot do without.
  """
  if len(header.variables) > 1 or len(header.leads) > len(_DIMENSIONS) - 2:
    raise ValueError(
      f"NIfTI holds one variable of at most {len(_DIMENSIONS)} dimensions, and "
      f"there are {', '.join(header.names)} with {len(header.leads)} leads: "
      "name one variable, or save them as .nc"
    )
  is_own = header.kind == KIND
  head, variable = (_own if is_own else _foreign)(header)
  plane = header.extra["plane"] if is_own else _PLANES["ij"]
  dtype = head.get_data_dtype()
  with _file(path) as file:
    head["vox_offset"] = 0  # for nibabel to choose
    head.write_to(file)
    file.write(bytes(int(head["vox_offset"]) - file.tell()))
    for block in _blocks(header, values, plane):
      clipped = packing.clip(block, variable)
      file.write(packing.pack(clipped, variable).astype(dtype).tobytes())


@contextlib.contextmanager
def _file(path: pathlib.Path) -> Iterator[BinaryIO | gzip.GzipFile]:
  """Yields a file to write to, compressed where its name says so."""
  with path.open("wb") as file:
    if path.suffix.lower() != ".gz":
      yield file
      return
    # The same bytes whenever and under whatever name it is written.
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
      yield packed


def _sized(head: Any, shape: Sequence[int]) -> Any:
  """Returns a header with a shape, of NIfTI-2 where NIfTI-1 has no room."""
  if max(shape) > _LARGEST:
    head = inputs.require("nibabel", "io").Nifti2Header.from_header(head)
  head.set_data_shape(shape)
  return head


def _own(header: fields.Header) -> tuple[Any, fields.Variable]:
  """Returns the header of a file with the plane refined, and its variable."""
  head = header.extra["header"].copy()
  pairs = list(zip(header.extra["plane"], (header.x, header.y), strict=True))
  shape, finer = list(head.get_data_shape()), np.eye(4)
  for d, axis in pairs:
    shape[d] = len(axis)
    finer[d, d], finer[d, 3] = axis.step, axis.values[0]
  for lead in header.leads:
    shape[_DIMENSIONS.index(lead.name)] = lead.size
  sform, sform_code = head.get_sform(coded=True)
  qform, qform_code = head.get_qform(coded=True)
  head = _sized(head, shape)
  for d, axis in pairs:
    head["pixdim"][1 + d] *= axis.step
  if sform_code:
    head.set_sform(sform @ finer, code=int(sform_code))
  if qform_code:
    # Its rotation is that of the file, to the last bit.
    for name, value in zip("xyz", (qform @ finer)[:3, 3], strict=True):
      head[f"qoffset_{name}"] = value
  if head.get_dim_info()[2] in header.extra["plane"]:
    # Times of slices that are no longer there.
    for key in ("slice_start", "slice_end", "slice_code", "slice_duration"):
      head[key] = 0
  variable = header.variables[0]
  head.set_slope_inter(variable.scale, variable.offset)
  return head, variable


def _foreign(header: fields.Header) -> tuple[Any, fields.Variable]:
  """Returns a header of a field of another format, and its variable."""
  nibabel = inputs.require("nibabel", "io")
  head, variable = nibabel.Nifti1Header(), header.variables[0]
  try:
    head.set_data_dtype(variable.dtype)
    is_held = variable.fill is None
  except nibabel.spatialimages.HeaderDataError:
    is_held = False
  variable = variable if is_held else variable.unpacked()
  # The slope of a file is a float32.
  slope, inter = map(float, map(np.float32, (variable.scale, variable.offset)))
  variable = dataclasses.replace(variable, scale=slope, offset=inter)
  head.set_data_dtype(variable.dtype)
  shape = (len(header.x), len(header.y), *header.lead_shape[::-1])
  head = _sized(head, shape)
  # As thick as wide, or another plane would be refined the next time.
  sizes = abs(header.x.step), abs(header.y.step)
  affine = np.diag([header.x.step, header.y.step, max(sizes), 1.0])
  affine[:2, 3] = header.x.values[0], header.y.values[0]
  head.set_sform(affine, code="aligned")
  head["pixdim"][1:4] = *sizes, max(sizes)
  head.set_xyzt_units(_UNITS.get(header.x.units, "unknown"))
  head.set_slope_inter(variable.scale, variable.offset)
  return head, variable


def _blocks(
  header: fields.Header, values: Any, plane: tuple[int, int]
) -> Iterator[np.ndarray]:
  """Yields the values in the order of the file, in blocks of rows."""
  height, width = header.shape
  if plane == _PLANES["ij"]:
    for *_, block in packing.field_blocks(header, values):
      yield block[..., 0]
    return
  # The slices vary faster than the rows: a block has some rows of all.
  slices = header.leads[-1].size
  axis = 1 if plane == _PLANES["ik"] else 2
  for first in range(0, header.count, slices):
    for rows in packing.blocks(height, 4 * width * slices):
      parts = [values[first + s, rows] for s in range(slices)]
      yield np.stack([np.asarray(part)[..., 0] for part in parts], axis=axis)
