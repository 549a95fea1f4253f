"""A small dataset as ERA5 comes: packed, global, with what surrounds it."""

import numpy as np
import xarray

_PACKING = {
  "scale_factor": 0.01,
  "add_offset": 280.0,
  "_FillValue": np.int16(-32767),
  "missing_value": np.int16(-32767),
}


def dataset(leads=("time", "level")):
  """A global dataset packed as ERA5 is: both poles, 0 to 360 degrees."""
  sizes = {"time": 2, "level": 3}
  shape = (*(sizes[d] for d in leads), 7, 12)
  rng = np.random.default_rng(0)
  fields = {
    name: (
      (*leads, "latitude", "longitude"),
      rng.integers(-3000, 3000, shape).astype(np.int16),
      {"units": "K", "long_name": name, "grid_mapping": "crs", **_PACKING},
    )
    for name in ("t2m", "d2m")
  }
  edges = np.linspace(105.0, -105.0, 8).clip(-90.0, 90.0)
  return xarray.Dataset(
    {
      **fields,
      "crs": ((), np.int32(0), {"grid_mapping_name": "latitude_longitude"}),
      "time_bnds": (("time", "nv"), np.arange(4).reshape(2, 2)),
      "lat_bnds": (
        ("latitude", "nv"),
        np.stack([edges[:-1], edges[1:]], -1).astype(np.float32),
      ),
      "number": ((), np.int64(4), {"standard_name": "realization"}),
    },
    coords={
      "time": (
        "time",
        np.asarray([1051200, 1051206], np.int32),
        {
          "units": "hours since 1900-01-01",
          "calendar": "noleap",
          "bounds": "time_bnds",
          "axis": "T",
        },
      ),
      "level": ("level", np.asarray([1000, 850, 500]), {"positive": "down"}),
      "latitude": (
        "latitude",
        np.linspace(90.0, -90.0, 7, dtype=np.float32),
        {"units": "degrees_north", "bounds": "lat_bnds"},
      ),
      "longitude": (
        "longitude",
        np.arange(0.0, 360.0, 30.0),
        {"units": "degrees_east"},
      ),
    },
    attrs={"Conventions": "CF-1.8", "history": "made"},
  )


def write(dataset, path):
  """Writes a dataset as NetCDF or Zarr, fill values only where it has them."""
  for raw in dataset.variables.values():
    raw.encoding = {} if "_FillValue" in raw.attrs else {"_FillValue": None}
  if path.suffix == ".nc":
    known = [dim for dim in ("time",) if dim in dataset.sizes]
    dataset.to_netcdf(path, unlimited_dims=known)
  else:
    dataset.to_zarr(path, consolidated=False, zarr_format=2)
  return path
