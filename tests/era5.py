"""A file as reanalyses are: packed, from pole to pole, around the globe."""

import pathlib

import numpy as np
import pytest

xarray = pytest.importorskip("xarray")

FILL = np.int16(-32767)
SCALE, OFFSET = 0.002, 273.0


def temperature(
  time: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
  """Returns a smooth field in K, periodic along longitude, [t y x] float64."""
  t = np.asarray(time, np.float64)[:, None, None]
  phi = np.deg2rad(np.asarray(latitude, np.float64))[:, None]
  lam = np.deg2rad(np.asarray(longitude, np.float64))
  return 270.0 + 25.0 * np.cos(phi) + 8.0 * np.sin(phi + t) * np.cos(2 * lam)


def is_missing(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
  """Returns a mask [y x] that goes across the first meridian."""
  turned = (np.asarray(longitude) + 180.0) % 360.0 - 180.0
  rows = (np.asarray(latitude) > 10.0) & (np.asarray(latitude) < 40.0)
  return rows[:, None] & (np.abs(turned) < 20.0)


def dataset(times: int = 2, step: float = 3.0) -> xarray.Dataset:
  """Returns two variables over time, latitude falling, and longitude from 0."""
  time = np.arange(times)
  latitude = np.arange(90.0, -90.0 - step / 2, -step, dtype=np.float32)
  longitude = np.arange(0.0, 360.0, step, dtype=np.float32)
  values = temperature(time, latitude, longitude)
  packed = np.rint((values - OFFSET) / SCALE).astype(np.int16)
  packed[:, is_missing(latitude, longitude)] = FILL
  dims = ("time", "latitude", "longitude")
  packing = {"scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": FILL}
  return xarray.Dataset(
    {
      "t2m": (
        dims,
        packed,
        {"units": "K", "long_name": "2 metre temperature", **packing},
      ),
      "d2m": (dims, values.astype(np.float32) - 5, {"units": "K"}),
    },
    {
      "time": ("time", time, {"units": "hours since 2020-01-01"}),
      "latitude": ("latitude", latitude, {"units": "degrees_north"}),
      "longitude": ("longitude", longitude, {"units": "degrees_east"}),
    },
    {"Conventions": "CF-1.8", "history": "made"},
  )


def write(path: pathlib.Path, data: xarray.Dataset) -> pathlib.Path:
  """Writes a dataset that is packed as its attributes say; returns the path."""
  data = data.copy()
  for raw in data.variables.values():
    raw.encoding = {} if "_FillValue" in raw.attrs else {"_FillValue": None}
  if path.suffix == ".zarr":
    data.to_zarr(path, consolidated=False)
  else:
    data.to_netcdf(path)
  return path


def raw(path: pathlib.Path) -> xarray.Dataset:
  """Reads a file as it is, nothing decoded, into memory."""
  if path.suffix == ".zarr":
    return xarray.open_zarr(path, decode_cf=False, consolidated=False).load()
  with xarray.open_dataset(path, decode_cf=False) as data:
    return data.load()
