"""Coordinates of NetCDF that are refined: on the sphere, turned, along."""

import numpy as np
import pytest

from hinote_jax import io
from tests.io import headers

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")


def _curvilinear(turn):
  """Latitude and longitude on a plane that touches the north pole."""
  x, y = np.meshgrid(np.linspace(-0.2, 0.2, 9), np.linspace(-0.1, 0.3, 9))
  lat = 90.0 - np.rad2deg(2 * np.arctan(np.hypot(x, y) / 2))
  lon = np.rad2deg(np.arctan2(y, x)) % 360.0 - turn
  return lat, lon


@pytest.mark.parametrize("turn", [0.0, 180.0])
def test_coordinates_of_two_dimensions_are_refined_on_the_sphere(
  tmp_path, turn
):
  # The plane has the pole on one of its points and the date line below it.
  lat, lon = _curvilinear(turn)
  dataset = xarray.Dataset(
    {
      "u": (("y", "x"), np.ones((9, 9)), {"coordinates": "lat lon depth"}),
      "lat": (("y", "x"), lat, {"units": "degrees_north"}),
      "lon": (("x", "y"), lon.T.astype(np.float32), {"units": "degrees_east"}),
      "depth": (("x",), np.arange(9.0) ** 2, {"units": "m"}),
    }
  )
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  assert header.names == ("u",)
  io.save(
    tmp_path / "b.nc", headers.refined(header, 3), np.ones((1, 27, 27, 1), "f4")
  )
  raw = headers.raw(tmp_path / "b.nc")
  assert raw.u.attrs["coordinates"] == "lat lon depth"
  got_lat, got_lon = raw.lat.values, raw.lon.transpose("y", "x").values
  assert raw.lon.dims == ("x", "y") and raw.lon.dtype == np.float32
  # Each coarse point is the middle of three fine ones; the rest is between.
  np.testing.assert_allclose(got_lat[1::3, 1::3], lat, atol=1e-6)
  np.testing.assert_allclose(got_lon[1::3, 1::3], lon, atol=1e-4)
  step = 0.05 / 3
  j = (np.arange(27) - 1) * step
  x, y = np.meshgrid(-0.2 + j, -0.1 + j)
  far = np.rad2deg(2 * np.arctan(np.hypot(x, y) / 2))
  # In km: bent between points 0.05 apart, by 0.05^2 / 8 of their radius.
  bend = 6371 * 0.05**2 / 4
  assert np.abs(90.0 - got_lat - far).max() * 111.2 < bend
  angle = np.deg2rad(got_lon + turn)
  off = np.hypot(
    *(
      np.deg2rad(90 - got_lat) * f(angle)
      - np.deg2rad(far) * g / np.hypot(x, y).clip(1e-12)
      for f, g in ((np.cos, x), (np.sin, y))
    )
  )
  assert off.max() * 6371 < bend
  assert np.abs(got_lat).max() <= 90.0
  want = np.interp(np.arange(27), 1 + 3 * np.arange(9), np.arange(9.0) ** 2)
  np.testing.assert_allclose(raw.depth.values[1:-1], want[1:-1], atol=1e-9)
  assert raw.depth.values[0] == pytest.approx(-1 / 3)  # continued


def test_coordinates_go_with_a_grid_that_is_turned(tmp_path):
  # Onto a grid from the south and from -180 degrees: the same functions of it.
  dataset = xarray.Dataset(
    {
      "u": (("lat", "lon"), np.ones((5, 8)), {"coordinates": "a b"}),
      "a": (("lat",), 3.0 * np.arange(5)),
      "b": (("lat", "lon"), np.add.outer(np.arange(5.0), np.zeros(8))),
    },
    {"lat": np.linspace(90.0, -90.0, 5), "lon": 45.0 * np.arange(8)},
  )
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  y = io.Axis.of("lat", np.linspace(-90.0, 90.0, 9), "degrees_north")
  x = io.Axis.of("lon", np.arange(-180.0, 180.0, 22.5), "degrees_east")
  fine = header.on(header.y.onto(y)[0], header.x.onto(x)[0])
  io.save(tmp_path / "b.nc", fine, np.ones((1, 9, 16, 1), np.float32))
  raw = headers.raw(tmp_path / "b.nc")
  np.testing.assert_array_equal(raw.lat.values, y.values)
  np.testing.assert_array_equal(raw.lon.values, x.values)
  np.testing.assert_allclose(raw.a.values, np.linspace(12.0, 0.0, 9))
  want = np.add.outer(np.linspace(4.0, 0.0, 9), np.zeros(16))
  np.testing.assert_allclose(raw.b.values, want)


@pytest.mark.parametrize(
  "first, step", [(-180.0, 45.0), (0.0, 45.0), (180.0, -45.0)]
)
def test_longitudes_keep_their_turn(tmp_path, first, step):
  dataset = xarray.Dataset(
    {"u": (("lat", "lon"), np.ones((3, 8)))},
    {"lat": [10.0, 0.0, -10.0], "lon": first + step * np.arange(8)},
  )
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  assert header.x.is_periodic
  io.save(
    tmp_path / "b.nc", headers.refined(header, 2), np.ones((1, 6, 16, 1), "f4")
  )
  got = headers.raw(tmp_path / "b.nc")
  assert not got.lon.attrs and not got.lat.attrs
  want = first - step / 4 + step / 2 * np.arange(16)
  np.testing.assert_allclose(got.lon.values, want)
  np.testing.assert_allclose(got.lat.values, 12.5 - 5.0 * np.arange(6))


@pytest.mark.parametrize("first, count", [(0.0, 36), (100.0, 16)])
def test_longitudes_along_an_axis_go_the_short_way_around(
  tmp_path, first, count
):
  # All around the globe, where the last is beside the first, and a part of it.
  lon = first + 10.0 * np.arange(count)
  along = {
    "a": ("lon", (lon + 180.0) % 360.0 - 180.0, {"units": "degrees_east"}),
    "b": ("lon", lon % 360.0, {"standard_name": "longitude"}),
  }
  u = (("lat", "lon"), np.ones((3, count)), {"coordinates": "a b"})
  dataset = xarray.Dataset(
    {"u": u, **along}, {"lat": [1.0, 0.0, -1.0], "lon": lon}
  )
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  assert header.x.is_periodic == (count == 36)
  values = np.ones((1, 6, 2 * count, 1), np.float32)
  io.save(tmp_path / "b.nc", headers.refined(header, 2), values)
  raw = headers.raw(tmp_path / "b.nc")
  want = first - 2.5 + 5.0 * np.arange(2 * count)
  np.testing.assert_allclose(raw.a, (want + 180.0) % 360.0 - 180.0)
  np.testing.assert_allclose(raw.b, want % 360.0)


def test_what_counts_along_a_globe_does_not_close_on_itself(tmp_path):
  lon, turn = 45.0 * np.arange(8), np.pi / 4 * np.arange(8)
  u = (("lat", "lon"), np.ones((3, 8)), {"coordinates": "col wave"})
  dataset = xarray.Dataset(
    {"u": u, "col": ("lon", np.arange(8.0)), "wave": ("lon", np.cos(turn))},
    {"lat": [10.0, 0.0, -10.0], "lon": lon},
  )
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  fine = headers.refined(header, 2)
  values = np.ones((1, 6, 16, 1), np.float32)
  io.save(tmp_path / "b.nc", fine, values)
  raw = headers.raw(tmp_path / "b.nc")
  np.testing.assert_allclose(raw.col, np.arange(16) / 2 - 0.25)
  # A wave does: between its last value and its first.
  assert raw.wave.values[0] == pytest.approx(0.75 + 0.25 * np.sqrt(0.5))
  # Onto -180 to 180 the same numbers, of the same places.
  x = io.Axis.of("lon", np.arange(-180.0, 180.0, 22.5), "degrees_east")
  turned = header.on(fine.y, header.x.onto(x)[0])
  io.save(tmp_path / "c.nc", turned, values)
  col = headers.raw(tmp_path / "c.nc").col.values
  np.testing.assert_allclose(col[[0, 7, 8, 15]], [4.0, -0.5, 0.0, 3.5])
