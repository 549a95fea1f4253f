"""GeoTIFF through rasterio: bands of one field on a map.

The axes hold the centres of the pixels, also where the file says that its
positions are points (AREA_OR_POINT=Point): rasterio gives the edges of pixels
either way, and writes back what the file said. Where the affine is rotated or
the georeference is by control points or RPCs the axes count pixels, and the
georeference of the file is refined by where the finer ones lie. Bands coloured
red, green, blue or alpha are clipped to what their type holds, as a network
overshoots beside black and white; in others a value that does not fit is
refused.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import copy
import dataclasses
import pathlib
from typing import Any
import warnings

import numpy as np

from hinote_jax import fields
from hinote_jax.fields import axes, packing
from hinote_jax.io import inputs, room

KIND = "geotiff"

_TILE = 256  # rows and columns
_COLOURS = ("red", "green", "blue", "alpha")
_UNITS = {"metre": "m", "meter": "m", "unknown": ""}
# Of the values that were there before.
_STATISTICS = "STATISTICS_"


def is_georeferenced(path: pathlib.Path) -> bool:
  """Says whether a TIFF file says where on a map it lies.

  False where rasterio cannot open it.

  Raises:
    ModuleNotFoundError: rasterio is missing.
  """
  rasterio = inputs.require("rasterio", "io")
  try:
    with _quiet(), rasterio.open(path, driver="GTiff") as file:
      has_affine = not file.transform.is_identity
      return bool(has_affine or file.crs or file.gcps[0] or file.rpcs)
  except rasterio.errors.RasterioIOError:
    return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps rasterio from warning of what is expected here."""
  errors = inputs.require("rasterio.errors", "io")
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", errors.NotGeoreferencedWarning)
    yield


@inputs.guarded
def open(
  path: pathlib.Path, variables: Sequence[str] | None = None
) -> fields.Reader:
  """Opens a GeoTIFF, its bands as variables.

  Args:
    path: of the file.
    variables: descriptions of bands, "band1" and so on where there is none;
      all of them by default.

  Raises:
    ModuleNotFoundError: rasterio is missing.
    ValueError: the file cannot be read or lacks a variable; a band is complex
      or an index into a palette.
  """
  with _reading(path) as file:
    room.require_claimed(path, (*file.shape, file.count))
    known = _names(file)
    names = inputs.choose(variables, known, path)
    bands = [known.index(name) + 1 for name in names]
    header = _header(path, file, names, bands)

  def read(i: int) -> np.ndarray:
    with _reading(path) as file:
      raw = file.read(bands)
      planes = list(map(packing.unpack, raw, header.variables))
      values = np.stack(planes, axis=-1)
      if header.extra["has_mask"]:
        values[file.dataset_mask() == 0] = np.nan
    return values

  return fields.Reader(header, read, str(path))


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[Any]:
  """Yields an open dataset."""
  rasterio = inputs.require("rasterio", "io")
  with _quiet(), rasterio.open(path, driver="GTiff") as file:
    yield file


def _names(file: Any) -> list[str]:
  """Returns the descriptions of bands, or their numbers."""
  names = [name or f"band{b}" for b, name in enumerate(file.descriptions, 1)]
  if len(set(names)) < len(names):
    return [f"band{b}" for b in file.indexes]
  return names


def _header(
  path: pathlib.Path, file: Any, names: Sequence[str], bands: Sequence[int]
) -> fields.Header:
  """Returns what a dataset says of some of its bands."""
  flags = {flag.name for band in file.mask_flag_enums for flag in band}
  pairs = list(zip(names, bands, strict=True))
  y, x = _axes(path, file)
  points, points_crs = file.gcps
  return fields.Header(
    variables=tuple(_variable(path, file, *pair) for pair in pairs),
    y=y,
    x=x,
    attributes=file.tags(),
    kind=KIND,
    extra={
      "crs": file.crs,
      "affine": file.transform,
      "points": points,
      "points_crs": points_crs,
      "rpcs": file.rpcs,
      "colours": {name: file.colorinterp[band - 1] for name, band in pairs},
      "has_mask": "per_dataset" in flags and "alpha" not in flags,
    },
  )


def _variable(path, file: Any, name: str, band: int) -> fields.Variable:
  """Returns what a dataset says of a band, counted from 1."""
  colour, dtype = file.colorinterp[band - 1].name, file.dtypes[band - 1]
  if colour == "palette":
    raise ValueError(
      f"{path}: {name} holds numbers of a palette: expand it to RGB first"
    )
  if dtype.startswith("complex"):
    raise ValueError(
      f"{path}: {name} is complex: save its parts as bands of their own first"
    )
  tags = file.tags(band)
  more = {k: v for k, v in tags.items() if not k.startswith(_STATISTICS)}
  return fields.Variable(
    name,
    units=file.units[band - 1] or "",
    attributes=more | ({"role": "alpha"} if colour == "alpha" else {}),
    dtype=dtype,
    scale=file.scales[band - 1],
    offset=file.offsets[band - 1],
    fill=_nodata(file.nodatavals[band - 1], np.dtype(dtype)),
  )


def _nodata(number: float | int | None, dtype: np.dtype) -> float | int | None:
  """Returns a number for missing values; None where no value can be it."""
  if number is None or np.isnan(number):
    return None
  if dtype.kind == "f":
    return number
  ends = np.iinfo(dtype)
  is_held = number == int(number) and ends.min <= number <= ends.max
  return int(number) if is_held else None


def _axes(path: pathlib.Path, file: Any) -> tuple[axes.Axis, axes.Axis]:
  """Returns the centres of rows and columns, counted where they are turned."""
  affine, (height, width) = file.transform, file.shape
  is_plain = affine.b == affine.d == 0 and not affine.is_identity
  # The step of a single row cannot be told from its position.
  if not is_plain or min(height, width) < 2:
    return axes.counted("y", height), axes.counted("x", width)
  y = affine.f + affine.e * (np.arange(height) + 0.5)
  x = affine.c + affine.a * (np.arange(width) + 0.5)
  units = file.crs.linear_units if file.crs else ""
  named = ("y", y, _UNITS.get(units, units)), ("x", x, _UNITS.get(units, units))
  crs = file.crs.to_wkt() if file.crs else ""
  # Degrees from a pole that is moved are neither latitude nor longitude.
  is_moved = "DERIVINGCONVERSION" in crs
  if file.crs and file.crs.is_geographic and not is_moved:
    named = ("latitude", y, "degrees_north"), ("longitude", x, "degrees_east")
  one, other = (axes.Axis.of(*axis, where=path) for axis in named)
  return dataclasses.replace(one, crs=crs), dataclasses.replace(other, crs=crs)


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes a GeoTIFF in compressed tiles.

  A header of another format gets the affine of its axes, and EPSG:4326 where
  these are latitude and longitude.

  Args:
    path: of the file.
    header: of one field.
    values: [1 h w c] real, read as values[0, r0:r1].

  Raises:
    OSError: it cannot be written.
    ValueError: there are several fields, or a value does not fit its type.
  """
  rasterio = inputs.require("rasterio", "io")
  if header.count > 1:
    raise ValueError(
      f"GeoTIFF holds one field and there are {header.count}: save them as .nc"
    )
  extra = header.extra if header.kind == KIND else _foreign(header)
  stored = _stored(header.variables)
  profile = _profile(header, stored, extra)
  with _quiet(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
    with rasterio.open(path, "w", **profile) as file:
      _describe(file, header, stored, extra)
      _fill(file, stored, extra, values)
    # GDAL writes the last of it on closing and says nothing where it cannot.
    with rasterio.open(path, driver="GTiff") as file:
      for band in file.indexes:
        file.checksum(band)


def _foreign(header: fields.Header) -> dict[str, Any]:
  """Returns the georeference of a header that is of another format."""
  crs = inputs.require("rasterio.crs", "io").CRS
  is_globe = header.y.is_latitude and header.x.is_longitude
  return {
    "crs": crs.from_epsg(4326) if is_globe else None,
    "points": [],
    "rpcs": None,
    "colours": {},
    "has_mask": False,
  }


def _stored(variables: Sequence[fields.Variable]) -> list[fields.Variable]:
  """Returns how bands are stored: in one type, with one number for nodata."""
  if len({(v.dtype, v.fill) for v in variables}) > 1:
    variables = [variable.unpacked() for variable in variables]
  known = inputs.require("rasterio.dtypes", "io").dtype_rev
  if variables[0].dtype not in known:
    raise ValueError(
      f"GeoTIFF does not hold {variables[0].dtype}, the type of "
      f"{variables[0].name}: save it as .nc"
    )
  return list(variables)


def _profile(header, stored, extra: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the options that a file is created with."""
  height, width = header.shape
  dtype, fill = stored[0].dtype, stored[0].fill
  is_float = np.dtype(dtype).kind == "f"
  return {
    "driver": "GTiff",
    "height": height,
    "width": width,
    "count": len(stored),
    "dtype": dtype,
    "crs": None if extra["points"] else extra["crs"],
    "transform": None if extra["points"] else _affine(header, extra),
    "nodata": np.nan if is_float and fill is None else fill,
    "tiled": True,
    "blockxsize": _TILE,
    "blockysize": _TILE,
    "compress": "deflate",
    "predictor": 3 if is_float else 2,
    "BIGTIFF": "IF_SAFER",
  }


def _affine(header: fields.Header, extra: Mapping[str, Any]) -> Any:
  """Returns the map from (column, row) of pixel edges to positions."""
  affine = inputs.require("rasterio", "io").Affine
  y, x = header.y, header.x
  if header.kind == KIND and _is_counted(header):
    coarse = extra["affine"]
    (row, dy), (column, dx) = _edges(y), _edges(x)
    c, f = (
      coarse.a * column + coarse.b * row + coarse.c,
      coarse.d * column + coarse.e * row + coarse.f,
    )
    return affine(
      coarse.a * dx, coarse.b * dy, c, coarse.d * dx, coarse.e * dy, f
    )
  left, top = x.values[0] - 0.5 * x.step, y.values[0] - 0.5 * y.step
  return affine(x.step, 0.0, float(left), 0.0, y.step, float(top))


def _is_counted(header: fields.Header) -> bool:
  return header.y.units == "cell" and header.x.units == "cell"


def _edges(axis: axes.Axis) -> tuple[float, float]:
  """Returns where edge 0 lies among those of the file, and the step."""
  return float(axis.values[0]) + 0.5 - 0.5 * axis.step, axis.step


def _describe(file, header, stored, extra: Mapping[str, Any]) -> None:
  """Writes all but the values."""
  enums = inputs.require("rasterio.enums", "io")
  file.update_tags(**{k: str(v) for k, v in header.attributes.items()})
  file.units = [v.units for v in stored]
  file.scales = [float(v.scale) for v in stored]
  file.offsets = [float(v.offset) for v in stored]
  colours = list(file.colorinterp)
  for b, variable in enumerate(stored, 1):
    if variable.name != f"band{b}":
      file.set_band_description(b, variable.name)
    more = {k: v for k, v in variable.attributes.items() if k != "role"}
    file.update_tags(b, **{k: str(v) for k, v in more.items()})
    if variable.attributes.get("role") == "alpha":
      colours[b - 1] = enums.ColorInterp.alpha
    colours[b - 1] = extra["colours"].get(variable.name, colours[b - 1])
  file.colorinterp = colours
  if extra["points"]:
    file.gcps = _points(header, extra["points"]), extra["points_crs"]
  if extra["rpcs"]:
    file.rpcs = _rpcs(header, extra["rpcs"])


def _points(header: fields.Header, points: Sequence[Any]) -> list[Any]:
  """Returns control points at the same places of finer pixels."""
  control = inputs.require("rasterio.control", "io").GroundControlPoint
  (row, dy), (column, dx) = _edges(header.y), _edges(header.x)
  return [
    control(
      (p.row - row) / dy, (p.col - column) / dx, p.x, p.y, p.z, p.id, p.info
    )
    for p in points
  ]


def _rpcs(header: fields.Header, rpcs: Any) -> Any:
  """Returns rational polynomials of finer pixels, counted at centres."""
  finer = copy.copy(rpcs)
  y, x = header.y, header.x
  finer.line_off = (rpcs.line_off - float(y.values[0])) / y.step
  finer.samp_off = (rpcs.samp_off - float(x.values[0])) / x.step
  finer.line_scale = rpcs.line_scale / y.step
  finer.samp_scale = rpcs.samp_scale / x.step
  return finer


def _fill(file, stored, extra: Mapping[str, Any], values: Any) -> None:
  """Writes the values, whole rows of tiles at a time."""
  windows = inputs.require("rasterio.windows", "io")
  height, width = file.shape
  for rows in packing.blocks(height, 4 * width * len(stored), _TILE):
    window = windows.Window(0, rows.start, width, rows.stop - rows.start)
    block = np.asarray(values[0, rows])
    if extra["has_mask"]:
      missing = np.any(np.isnan(block), axis=-1, keepdims=True)
      file.write_mask(~missing[..., 0], window=window)
      block = np.where(missing, 0.0, block)
    planes = []
    for c, variable in enumerate(stored):
      plane = block[..., c]
      if file.colorinterp[c].name in _COLOURS:
        plane = packing.clip(plane, variable)
      planes.append(packing.pack(plane, variable))
    file.write(np.stack(planes), window=window)
