"""A run on a projection told of a file on another: the same by every way."""

import dataclasses
import functools

import numpy as np
import pytest

from hinote_jax import infer, io, models
from hinote_jax.fields import field
from hinote_jax.train import run_data, static_run
from tests import runs

rasterio = pytest.importorskip("rasterio")
xarray = pytest.importorskip("xarray")


def _write(folder):
  """Writes fields in LAEA, 20 km, and heights in degrees, with a hole."""
  y, x = 2.7e6 - 2e4 * np.arange(40), 4.0e6 + 2e4 * np.arange(48)
  rng = np.random.default_rng(0)
  places = {n: (n, v, {"units": "m"}) for n, v in (("y", y), ("x", x))}
  values = 280 + np.cumsum(rng.normal(size=(12, 40, 48)), 1).astype("f4")
  named = {"units": "K", "grid_mapping": "crs"}
  time = ("time", np.arange(12), {"units": "days since 2020-01-01"})
  data = xarray.Dataset(
    {"t2m": (("time", "y", "x"), values, named)}, {"time": time, **places}
  )
  data["crs"] = ((), np.int32(0), {"crs_wkt": "EPSG:3035"})
  data.to_netcdf(folder / "t2m.nc")
  data.isel(time=slice(1)).to_netcdf(folder / "one.nc")
  height = rng.normal(500, 100, size=(1, 150, 180)).astype("f4")
  height[0, 70, 80] = -9999
  with rasterio.open(
    folder / "dem.tif",
    "w",
    driver="GTiff",
    height=150,
    width=180,
    count=1,
    dtype="float32",
    crs="EPSG:4326",
    nodata=-9999,
    transform=rasterio.Affine(0.1, 0, 4.0, 0, -0.1, 52.0),
  ) as file:
    file.write(height)


def test_tiles_a_part_and_another_grid_have_the_values_of_the_whole(
  tmp_path, caplog
):
  _write(tmp_path)
  config = runs.tiny_config(tmp_path / "t2m.nc", tmp_path / "cache")
  config.data.variables = ("t2m",)
  config.data.static = ("latitude", "climatology", f"{tmp_path}/dem.tif:band1")
  config.split.update(validation=1, test=1)
  data = run_data.make(config, tmp_path)
  assert "dem.tif:band1: 0.0037 % is missing" in caplog.text
  module, variables = static_run.regression(data, batches=2)
  predictor = infer.Predictor(
    module,
    variables,
    normaliser=data.normaliser,
    spec=models.spec(static_run.REGRESSION),
    extras_of=functools.partial(static_run.extras, data.static),
  )
  source = io.read(tmp_path / "one.nc")
  whole = predictor(source, scale=2)
  size = 1e-5 * whole.values.std()
  tiled = predictor(source, scale=2, memory="1GB", side=24).values
  np.testing.assert_allclose(tiled, whole.values, atol=size)
  y, x = whole.header.y, whole.header.x
  part = whole.header.on(
    dataclasses.replace(y, values=y.values[8:40]),
    dataclasses.replace(x, values=x.values[10:50]),
  )
  values = predictor(source, like=field.Field(part, whole.values)).values
  want = whole.values[..., 8:40, 10:50, :]
  np.testing.assert_allclose(values, want, atol=size)
  assert np.isfinite(whole.values).all()
