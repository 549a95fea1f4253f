"""Static fields on another projection than the fields: means and refusals."""

import dataclasses
import sys

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.data import calendar, rasters, reprojection, static
from hinote_jax.fields import axes
from hinote_jax.io import projections

rasterio = pytest.importorskip("rasterio")
warp = pytest.importorskip("rasterio.warp")

_GLOBE, _UTM, _LAEA, _POLAR = (
  f"EPSG:{code}" for code in (4326, 32633, 3035, 3413)
)


def _grid(crs, y, x):
  """Returns axes from, to before and in steps of, on a projection."""
  named = (("y", "m"), ("x", "m"))
  if crs == _GLOBE:
    named = (("latitude", "degrees_north"), ("longitude", "degrees_east"))
  both = (
    axes.Axis.of(name, np.arange(*ends), units)
    for (name, units), ends in zip(named, (y, x), strict=True)
  )
  return tuple(dataclasses.replace(axis, crs=crs) for axis in both)


def _centres(grid, crs):
  """Returns y and x of the centres of cells on another projection, [H W]."""
  y, x = np.meshgrid(*(axis.values for axis in grid), indexing="ij")
  moved = warp.transform(grid[0].crs, crs, x.ravel(), y.ravel())
  return tuple(np.reshape(values, y.shape) for values in moved[::-1])


def _of_degrees(latitude, longitude):
  return latitude - 0.5 * longitude + 0.02 * latitude * longitude


_DEM = _grid(_UTM, (5.42e6, 5.2e6, -2e3), (3.9e5, 5.6e5, 2e3))


@pytest.mark.parametrize(
  "step, tolerance", [(0.01, 2e-4), (0.1, 1e-3)], ids=["finer", "coarser"]
)
def test_a_low_function_of_degrees_in_utm_is_that_on_degrees(step, tolerance):
  values = _of_degrees(*_centres(_DEM, _GLOBE))[..., None]
  cells = _grid(_GLOBE, (48.6, 47.6, -step), (14.0, 15.4, step))
  got = rasters.Raster("dem", values, *_DEM).on(*cells)[..., 0]
  # Between the 2 km (.03 degrees) of the raster it is linear; over cells of
  # several of them it is flat in each, and the outer ones are cut.
  want = _of_degrees(cells[0].values[:, None], cells[1].values)
  np.testing.assert_allclose(got, want, atol=tolerance)


@pytest.mark.parametrize(
  "own, cells",
  [
    (_DEM, _grid(_GLOBE, (48.4, 47.8, -0.2), (14.1, 15.1, 0.25))),
    (
      _grid(_GLOBE, (48.0, 51.0, 0.02), (17.0, 21.0, 0.03)),
      _grid(_LAEA, (2.93e6, 2.85e6, -2.5e4), (4.9e6, 5.0e6, 2.5e4)),
    ),
  ],
  ids=["from utm", "to laea"],
)
def test_means_of_noise_are_those_of_many_points_of_each_cell(own, cells):
  shape = len(own[0]), len(own[1]), 2
  values = np.random.default_rng(0).normal(size=shape)
  got = rasters.Raster("noise", values, *own).on(*cells)
  count = 120
  fine = tuple(
    dataclasses.replace(axis, values=axis.refined(count * len(axis))[0].values)
    for axis in cells
  )
  index = (
    np.rint((place - axis.values[0]) / axis.step).astype(int)
    for place, axis in zip(_centres(fine, own[0].crs), own, strict=True)
  )
  points = values[tuple(index)].reshape(
    len(cells[0]), count, len(cells[1]), count, 2
  )
  want = points.mean((1, 3), dtype=np.float64)
  assert np.std(got - want) < 0.07 * want.std()


def test_there_and_back_is_the_same_field():
  globe = _grid(_GLOBE, (46.5, 50.0, 0.02), (12.0, 18.0, 0.03))
  y, x = (axis.values for axis in globe)
  values = np.sin(2 * y)[:, None] * np.cos(3 * x)
  there = rasters.Raster("wave", values[..., None], *globe).on(*_DEM)
  cells = _grid(_GLOBE, (48.4, 47.8, -0.02), (14.1, 15.1, 0.03))
  back = rasters.Raster("back", there, *_DEM).on(*cells)[..., 0]
  want = np.sin(2 * cells[0].values)[:, None] * np.cos(3 * cells[1].values)
  np.testing.assert_allclose(back, want, atol=5e-3)


def test_globe_has_no_seam_at_the_date_line_nor_at_the_pole():
  globe = _grid(_GLOBE, (-89.0, 90.0, 2.0), (1.0, 360.0, 2.0))
  latitude, longitude = (np.deg2rad(axis.values) for axis in globe)
  # Of places in space, which a pole does not tear.
  space = np.stack(
    np.broadcast_arrays(
      np.sin(latitude)[:, None],
      np.cos(latitude)[:, None] * np.cos(longitude),
      np.cos(latitude)[:, None] * np.sin(longitude),
    ),
    axis=-1,
  )
  cells = _grid(_POLAR, (2e6, -2.1e6, -1e5), (-2e6, 2.1e6, 1e5))
  got = rasters.Raster("space", space, *globe).on(*cells)
  sine, turn = static.raw("latitude", *cells), static.raw("longitude", *cells)
  cosine = np.sqrt(1 - sine**2)
  want = np.concatenate(
    [sine, cosine * turn[..., 1:], cosine * turn[..., :1]], -1
  )
  # Longitudes lie close at the pole, where boxes of them are wide.
  np.testing.assert_allclose(got, want, atol=0.01)


def test_window_has_the_values_of_the_whole_and_same_projections_are_as_ever():
  shape = len(_DEM[0]), len(_DEM[1]), 1
  values = np.random.default_rng(1).normal(size=shape)
  raster = rasters.Raster("noise", values, *_DEM)
  y, x = _grid(_GLOBE, (48.4, 47.8, -0.05), (14.1, 15.1, 0.05))
  whole = raster.on(y, x)
  part = (dataclasses.replace(axis, values=axis.values[3:8]) for axis in (y, x))
  np.testing.assert_allclose(raster.on(*part), whole[3:8, 3:8], atol=1e-6)
  y, x = _grid(_UTM, (5.4e6, 5.3e6, -7e3), (4e5, 5e5, 3e3))
  bare = [dataclasses.replace(axis, crs="") for axis in (*_DEM, y, x)]
  want = rasters.Raster("bare", values, *bare[:2]).on(*bare[2:])
  np.testing.assert_array_equal(raster.on(y, x), want)


def test_built_in_fields_and_the_sun_are_known_on_a_projection():
  y, x = _grid(_LAEA, (2.7e6, 2.5e6, -2e4), (4.1e6, 4.4e6, 2e4))
  latitude, longitude = _centres((y, x), _GLOBE)
  got = static.raw("latitude", y, x)[..., 0]
  np.testing.assert_allclose(got, np.sin(np.deg2rad(latitude)), atol=1e-6)
  noon = np.datetime64("2020-06-21T12:00")
  want = calendar.zenith_cosine(noon, latitude, longitude)
  np.testing.assert_allclose(calendar.sun(noon, y, x)[..., 0], want, atol=1e-6)
  height = static.raw("earth:orography", y, x)
  alps = height.max()
  assert 1500 < alps < 4000 and height.min() > 0


def _utm_raster():
  return rasters.Raster(
    "dem.tif:z", np.zeros((len(_DEM[0]), len(_DEM[1]), 1)), *_DEM
  )


def test_what_does_not_cover_or_has_no_projection_is_refused(monkeypatch):
  raster, metres = _utm_raster(), _grid("", (0.0, 5.0), (0.0, 5.0))
  with pytest.raises(
    ValueError,
    match=r"dem.tif:z \(EPSG:32633\) covers latitude from 46.9\d+ to 48.9\d+ "
    r"and longitude from 13.\d+ to 15.\d+, .* \(EPSG:4326\) at latitude 52, ",
  ):
    raster.on(*_grid(_GLOBE, (52.0, 48.0, -0.5), (14.0, 15.0, 0.5)))
  globe = rasters.Raster(
    "dem.nc:z", np.zeros((4, 8, 1)), *_grid(_GLOBE, (-60, 60, 30), (0, 360, 45))
  )
  with pytest.raises(
    ValueError,
    match="dem.nc:z: .* in 'm': .* EPSG:4326, theirs not named",
  ):
    globe.on(*metres)
  strange = _grid("EPSG:4", (0.0, 5.0), (0.0, 5.0))
  with pytest.raises(ValueError, match="theirs not known, 'EPSG:4'"):
    globe.on(*strange)
  counted = [axes.counted(name, 5) for name in "yx"]
  with pytest.raises(ValueError, match="EPSG:32633, theirs not named"):
    raster.on(*counted)
  # As ever where both are in one unit and one is of no known projection.
  inside = _grid("", (5.4e6, 5.3e6, -1e4), (4e5, 5e5, 1e4))
  assert raster.on(*inside).shape == (10, 10, 1)
  projections.parse.cache_clear()
  monkeypatch.setitem(sys.modules, "rasterio", None)
  with pytest.raises(ModuleNotFoundError, match=r"rasterio .*hinote_jax\[io\]"):
    raster.on(*_grid(_GLOBE, (48.4, 47.8, -0.2), (14.1, 15.1, 0.25)))


_ETRS_LAEA = {
  "grid_mapping_name": "lambert_azimuthal_equal_area",
  "latitude_of_projection_origin": 52.0,
  "longitude_of_projection_origin": 10.0,
  "false_easting": 4321000.0,
  "false_northing": 3210000.0,
  "semi_major_axis": 6378137.0,
  "inverse_flattening": 298.257222101,
}
_ROTATED = {
  "grid_mapping_name": "rotated_latitude_longitude",
  "grid_north_pole_latitude": 39.25,
  "grid_north_pole_longitude": -162.0,
}


@pytest.mark.parametrize("mapping", ["crs", "crs: y x other: lat lon"])
@pytest.mark.parametrize(
  "attributes, units, size",
  [
    (_ETRS_LAEA, "km", 1e-3),
    ({"crs_wkt": _LAEA}, "m", 1.0),
    ({"spatial_ref": _LAEA, "crs_wkt": "none"}, "metre", 1.0),
  ],
)
def test_grid_mappings_of_netcdf_are_known(
  tmp_path, mapping, attributes, units, size
):
  xarray = pytest.importorskip("xarray")
  grid = _grid(_LAEA, (2.7e6, 2.5e6, -2e4), (4.1e6, 4.4e6, 2e4))
  places = {
    axis.name: (axis.name, size * axis.values, {"units": units})
    for axis in grid
  }
  z = np.zeros((len(grid[0]), len(grid[1])))
  data = xarray.Dataset({"z": (("y", "x"), z)}, places)
  data["z"].attrs["grid_mapping"] = mapping
  data["crs"] = ((), np.int32(0), attributes)
  data.to_netcdf(tmp_path / "z.nc")
  header = io.open(tmp_path / "z.nc", ["z"]).header
  got = reprojection.degrees("sun", header.y, header.x)
  want = _centres(grid, _GLOBE)
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_rotated_poles_are_known_and_names_that_none_knows_are_not(tmp_path):
  y, x = (
    axes.Axis(name, np.asarray([-5.0, 0.0, 5.0]), "degrees") for name in "yx"
  )
  y = dataclasses.replace(y, crs=projections.text(_ROTATED))
  latitude, longitude = reprojection.degrees("sun", y, x)
  np.testing.assert_allclose(
    [latitude[1, 1], longitude[1, 1]], [50.75, 18.0], atol=1e-6
  )
  path = tmp_path / "turned.tif"
  with rasterio.open(
    path,
    "w",
    driver="GTiff",
    height=3,
    width=3,
    count=1,
    dtype="float32",
    crs=projections.parse(y.crs),
    transform=rasterio.Affine(5, 0, -7.5, 0, 5, -7.5),
  ) as file:
    file.write(np.zeros((1, 3, 3), np.float32))
  header = io.open(path).header
  got = reprojection.degrees("sun", header.y, header.x)
  np.testing.assert_allclose(got, [latitude, longitude], atol=1e-6)
  assert projections.parse(projections.text({"grid_mapping_name": "?"})) is None
