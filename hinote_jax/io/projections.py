"""The projections that files name, as rasterio knows them.

A text of PROJ or WKT as it is, or the attributes of a grid mapping of CF as
JSON. Where these hold no such text GDAL reads them, from a file of that alone.
"""

from collections.abc import Mapping, Sequence
import functools
import json
import pathlib
import tempfile
from typing import Any
import warnings

import numpy as np
from scipy import io as scipy_io

from hinote_jax.io import inputs

GLOBE = "EPSG:4326"
_TEXTS = ("crs_wkt", "spatial_ref", "proj4", "proj4_params", "epsg_code")
# What GDAL does not assume.
_NORTH = {"north_pole_grid_longitude": 0.0}
_WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}


def named(dataset: Any, raw: Any, dims: Sequence[str]) -> str:
  """Returns the projection that a variable names, "" for none.

  Args:
    dataset: an xarray.Dataset, opened with decode_cf=False.
    raw: the variable.
    dims: its y and x, which tell one of several grid mappings.
  """
  mapping, *words = str(raw.attrs.get("grid_mapping", "")).split() or [""]
  for word in words:
    if word in dims:
      break
    mapping = word if word.endswith(":") else mapping
  known = dataset.variables.get(mapping.rstrip(":"))
  return "" if known is None else text(known.attrs)


def text(attributes: Mapping[str, Any]) -> str:
  """Returns the attributes of a grid mapping as `parse` takes them."""
  return json.dumps(dict(attributes), default=lambda value: value.tolist())


@functools.cache
def parse(text: str) -> Any:
  """Returns the rasterio.crs.CRS of a text, None where it is unknown.

  Raises:
    ModuleNotFoundError: rasterio is missing.
  """
  rasterio = inputs.require("rasterio", "io")
  errors = inputs.require("rasterio.errors", "io")
  make = inputs.require("rasterio.crs", "io").CRS.from_user_input
  attributes = json.loads(text) if text.startswith("{") else {_TEXTS[0]: text}
  with rasterio.Env():  # which takes what PROJ prints
    for key in _TEXTS:
      try:
        crs = make(str(attributes[key])) if key in attributes else None
      except errors.CRSError:
        continue
      if crs and (crs.is_projected or crs.is_geographic):
        return crs
    return (
      _of_mapping(attributes) if "grid_mapping_name" in attributes else None
    )


def _of_mapping(attributes: Mapping[str, Any]) -> Any:
  """Returns what GDAL makes of the attributes of a grid mapping, or None."""
  rasterio = inputs.require("rasterio", "io")
  has_shape = {"earth_radius", "semi_major_axis"} & set(attributes)
  known = _NORTH | ({} if has_shape else _WGS84) | dict(attributes)
  with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    path = pathlib.Path(folder) / "mapping.nc"
    with scipy_io.netcdf_file(path, "w") as file:
      file.createDimension("y", 2)
      file.createDimension("x", 2)
      file.createVariable("v", "d", ("y", "x")).grid_mapping = "crs"
      mapping = file.createVariable("crs", "i", ())
      for key, value in known.items():
        if isinstance(value, str) and value.isascii():
          setattr(mapping, key, value)
        elif np.asarray(value).dtype.kind in "iuf":
          setattr(mapping, key, np.asarray(value, np.float64))
    with rasterio.open(f"netcdf:{path}:v") as file:
      crs = file.crs
  # Of a name that it does not know GDAL takes the ellipsoid alone.
  is_globe = "latitude_longitude" in str(attributes["grid_mapping_name"])
  return crs if crs and (crs.is_projected or is_globe) else None
