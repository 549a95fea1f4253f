"""Coordinates over y and x: with time, with corners, or left behind."""

import numpy as np
import pytest

from hinote_jax import infer, io
from hinote_jax.infer import batch, jobs, progress
from hinote_jax.io import curvilinear
from tests.io import refined

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")

_CORNERS = ((-1, -1), (-1, 1), (1, 1), (1, -1))
_STEP = 0.02


def _places(y, x, turn=180.0):
  """A plane that touches the globe where the date line crosses 40 degrees."""
  y, x = np.broadcast_arrays(y, x)
  p, c = np.deg2rad(40.0), np.arctan(np.hypot(y, x))
  rho = np.maximum(np.hypot(y, x), 1e-12)
  up = np.cos(c) * np.sin(p) + y * np.sin(c) * np.cos(p) / rho
  east = np.arctan2(
    x * np.sin(c), rho * np.cos(p) * np.cos(c) - y * np.sin(p) * np.sin(c)
  )
  longitude = (np.rad2deg(east) + turn + 180.0) % 360.0 - 180.0
  return np.rad2deg(np.arcsin(up)), longitude


def _apart(a, b):
  return np.abs((a - b + 180.0) % 360.0 - 180.0).max()


def _file(path, corners=_CORNERS, gap=1.0):
  y, x = _STEP * np.arange(-4, 5.0)[:, None], _STEP * np.arange(-5, 6.0)
  lat, lon = _places(y, x)
  cells = [
    _places(y + gap * 0.5 * _STEP * a, x + gap * 0.5 * _STEP * b)
    for a, b in corners
  ]
  dims = ("y", "x")
  variables = {
    "u": (
      ("time", *dims),
      np.ones((2, 9, 11), np.float32),
      {
        "coordinates": "lat lon",
        "ancillary_variables": "flag",
        "cell_measures": "area: size",
      },
    ),
    "flag": (dims, np.zeros((9, 11), np.int8)),
    "size": (dims, np.ones((9, 11))),
  }
  for k, (name, units) in enumerate(
    (("lat", "degrees_north"), ("lon", "degrees_east"))
  ):
    # The second time is the first one moved, as a nest that moves.
    moved = np.stack([(lat, lon)[k], (lat + 1.0, lon)[k]])
    attrs = {"units": units, "bounds": f"{name}_bounds"}
    variables[name] = ("time", *dims), moved, attrs
    both = np.stack([cell[k] for cell in cells], -1)
    variables[f"{name}_bounds"] = ("time", *dims, "n"), np.stack([both, both])
  xarray.Dataset(variables).to_netcdf(path)


@pytest.mark.parametrize("first, gap", [(0, 1.0), (3, 1.0), (2, 0.5)])
def test_places_and_corners_are_refined_across_the_date_line(
  tmp_path, first, gap
):
  corners = _CORNERS[first:] + _CORNERS[:first]
  _file(tmp_path / "a.nc", corners, gap)
  header = io.open(tmp_path / "a.nc").header
  assert header.names == ("u",)
  fine = refined.header(header, 2)
  io.save(tmp_path / "b.nc", fine, np.ones((2, 18, 22, 1), np.float32))
  raw = io.inputs.load_xarray(tmp_path / "b.nc", decode_cf=False)
  assert raw.lat.dims == ("time", "y", "x") and raw.lat.shape == (2, 18, 22)
  y, x = (
    _STEP * (axis.values - n)
    for axis, n in zip((fine.y, fine.x), (4, 5), strict=True)
  )
  y = y[:, None]
  # In degrees: the plane is bent by step^2 / 8, an eighth more beyond centres.
  bend = np.rad2deg(_STEP**2)
  lat, lon = _places(y, x)
  assert _apart(raw.lat.values[0], lat) < bend
  assert _apart(raw.lon.values[0], lon) < bend
  assert np.abs(raw.lon.values).max() <= 180.0
  moved = raw.lat.values[1] - raw.lat.values[0]
  np.testing.assert_allclose(moved, 1.0, atol=10 * bend)
  # Cells that do not share corners get those between the centres.
  for c, (a, b) in enumerate(corners):
    lat, lon = _places(y + 0.25 * _STEP * a, x + 0.25 * _STEP * b)
    assert _apart(raw.lat_bounds.values[0, ..., c], lat) < bend
    assert _apart(raw.lon_bounds.values[0, ..., c], lon) < bend
  assert set(raw.u.attrs) == {"coordinates", "_FillValue"}


def test_what_is_left_behind_is_said(tmp_path, capsys):
  _file(tmp_path / "a.nc")
  request = jobs.Request(
    str(tmp_path / "a.nc"), str(tmp_path / "b.nc"), "nearest", scale=2.0
  )
  batch.run([request], infer.load("nearest"), progress.Progress())
  said = capsys.readouterr().err
  assert "a.nc: flag, size belong to the grid of the input" in said


def test_corners_of_one_row_have_no_lattice():
  points, places = curvilinear.lattice(np.zeros((1, 5, 4, 3)))
  assert points is None and places == ((0, 0), (0, 1), (1, 1), (1, 0))


def test_wrf_says_its_finer_step(tmp_path):
  variables = {
    "T2": (("Time", "south_north", "west_east"), np.ones((1, 4, 6), "f4"))
  }
  attrs = {"MAP_PROJ": 1, "DX": 9000.0, "DY": 6000.0}
  attrs |= {"WEST-EAST_GRID_DIMENSION": 7, "SOUTH-NORTH_GRID_DIMENSION": 5}
  xarray.Dataset(variables, attrs=attrs).to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  fine = refined.header(header, 3)
  io.save(tmp_path / "b.nc", fine, np.ones((1, 12, 18, 1), np.float32))
  got = io.inputs.load_xarray(tmp_path / "b.nc", decode_cf=False).attrs
  assert (got["DX"], got["DY"]) == pytest.approx((3000.0, 2000.0))
  assert got["WEST-EAST_GRID_DIMENSION"] == 19
  assert got["SOUTH-NORTH_GRID_DIMENSION"] == 13


def test_an_affine_of_the_file_is_that_of_the_finer_grid(tmp_path):
  dataset = xarray.Dataset(
    {
      "u": (("y", "x"), np.ones((3, 4)), {"grid_mapping": "spatial_ref"}),
      "spatial_ref": ((), 0, {"GeoTransform": "0.0 10.0 0.0 30.0 0.0 -10.0"}),
    },
    {"y": [25.0, 15.0, 5.0], "x": [5.0, 15.0, 25.0, 35.0]},
  )
  for name in ("y", "x"):
    dataset[name].attrs["units"] = "m"
  dataset.to_netcdf(tmp_path / "a.nc")
  fine = refined.header(io.open(tmp_path / "a.nc").header, 2)
  io.save(tmp_path / "b.nc", fine, np.ones((1, 6, 8, 1), np.float32))
  raw = io.inputs.load_xarray(tmp_path / "b.nc", decode_cf=False)
  numbers = raw.spatial_ref.attrs["GeoTransform"].split()
  want = [0.0, 5.0, 0.0, 30.0, 0.0, -5.0]
  np.testing.assert_allclose(list(map(float, numbers)), want, atol=1e-12)
