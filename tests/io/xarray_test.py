"""Tests of NetCDF and Zarr: coordinates refined, all else passed through."""

import dataclasses

import numpy as np
import pytest

from hinote_jax import io
from tests.io import headers

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")
era5 = pytest.importorskip("tests.io.era5")

_FILL = np.int16(-32767)
_SUFFIXES = ("nc", "zarr")


def _same(a, b):
  """Checks that two raw variables are the same in numbers, type, attributes."""
  assert a.dims == b.dims and a.dtype == b.dtype
  np.testing.assert_array_equal(a.values, b.values)
  assert {**a.attrs} == {**b.attrs}


@pytest.mark.parametrize("suffix", _SUFFIXES)
@pytest.mark.parametrize("out", _SUFFIXES)
def test_a_packed_file_comes_back_as_it_was(tmp_path, suffix, out):
  dataset = era5.dataset()
  dataset.t2m.values[0, 1, 2, 3] = _FILL
  era5.write(dataset, tmp_path / f"a.{suffix}")
  field = io.read(tmp_path / f"a.{suffix}")
  assert field.values.shape == (2, 3, 7, 12, 2)
  order = ("t2m", "d2m") if suffix == "nc" else ("d2m", "t2m")
  assert field.header.names == order
  want = dataset.t2m.values * 0.01 + 280.0
  want[0, 1, 2, 3] = np.nan
  got = field.values[..., order.index("t2m")]
  np.testing.assert_array_equal(got, want.astype(np.float32))
  io.write(tmp_path / f"b.{out}", field)
  raw = headers.raw(tmp_path / f"b.{out}")
  assert set(raw.variables) == set(dataset.variables)
  for name in dataset.variables:
    _same(raw[name].variable, dataset[name].variable)
  assert raw.attrs == dataset.attrs
  if (suffix, out) == ("nc", "nc"):
    assert raw.encoding["unlimited_dims"] == {"time"}
  if suffix == out == "zarr":
    assert (tmp_path / "b.zarr" / ".zgroup").exists()


@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_a_finer_file_has_finer_coordinates(tmp_path, suffix):
  path = era5.write(era5.dataset(), tmp_path / f"a.{suffix}")
  header = io.open(path, ("t2m", "d2m")).header
  assert header.periodic == (False, True)
  assert header.lead_shape == (2, 3)
  fine = headers.refined(header, 3.7)
  assert fine.shape == (23, 44)
  values = np.random.default_rng(1).uniform(270, 290, (6, 23, 44, 2))
  values[3, 4, 5, 1] = np.nan
  io.save(tmp_path / f"b.{suffix}", fine, values.astype(np.float32))
  raw = headers.raw(tmp_path / f"b.{suffix}")
  latitude = np.linspace(90.0, -90.0, 23, dtype=np.float32)
  np.testing.assert_array_equal(raw.latitude.values, latitude)
  width = 360.0 / 44
  longitude = -15.0 + width * (np.arange(44) + 0.5)
  np.testing.assert_allclose(raw.longitude.values, longitude, atol=1e-9)
  bounds = raw.lat_bnds.values
  assert bounds.dtype == np.float32 and bounds.shape == (23, 2)
  np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
  np.testing.assert_array_equal(bounds[[0, -1], [0, 1]], [90.0, -90.0])
  for name in ("time", "level", "crs", "number", "time_bnds"):
    _same(raw[name].variable, era5.dataset()[name].variable)
  assert raw.d2m.dtype == np.int16 and raw.d2m.dims[:2] == ("time", "level")
  assert raw.d2m.values[1, 0, 4, 5] == _FILL
  got = io.read(tmp_path / f"b.{suffix}", ("t2m", "d2m")).values.reshape(
    values.shape
  )
  np.testing.assert_array_equal(np.isnan(got), np.isnan(values))
  # Half a quantum, and float32 at 290.
  assert np.nanmax(np.abs(got - values)) <= 0.005 + 2e-5
  decoded = (
    xarray.open_dataset(
      tmp_path / f"b.{suffix}", decode_times=False, consolidated=False
    )
    if suffix == "zarr"
    else xarray.open_dataset(tmp_path / "b.nc", decode_times=False)
  )
  np.testing.assert_allclose(
    decoded.t2m.values, got[..., 0].reshape(2, 3, 23, 44), rtol=1e-6
  )


@pytest.mark.parametrize(
  "dims",
  ["time latitude longitude level", "longitude level latitude time"],
)
def test_dimensions_in_any_order(tmp_path, dims):
  dims = dims.split()
  dataset = era5.dataset().transpose(*dims, "nv")
  path = era5.write(dataset, tmp_path / "a.nc")
  reader = io.open(path, ["d2m"])
  leads = [d for d in dims if d in ("time", "level")]
  assert [lead.name for lead in reader.header.leads] == leads
  plain = dataset.d2m.transpose(*leads, "latitude", "longitude").values
  want = (plain * 0.01 + 280.0).astype(np.float32).reshape(6, 7, 12, 1)
  np.testing.assert_array_equal(np.stack(list(reader)), want)
  io.save(tmp_path / "b.nc", reader.header, want)
  raw = headers.raw(tmp_path / "b.nc")
  _same(raw.d2m.variable, dataset.d2m.variable)
  assert "t2m" not in raw


@pytest.mark.parametrize(
  "y, x, attrs",
  [
    ("lat", "lon", ({}, {})),
    ("a", "b", ({"units": "degrees_north"}, {"units": "degrees_east"})),
    ("a", "b", ({"axis": "Y"}, {"axis": "X"})),
    (
      "a",
      "b",
      (
        {"standard_name": "projection_y_coordinate", "units": "m"},
        {"standard_name": "projection_x_coordinate", "units": "m"},
      ),
    ),
    ("y", "x", ({}, {})),
  ],
)
def test_y_and_x_are_known(tmp_path, y, x, attrs):
  values = np.random.default_rng(0).normal(size=(5, 4, 3))
  coords = {
    y: (y, np.arange(4.0), attrs[0]),
    x: (x, np.arange(5.0), attrs[1]),
  }
  xarray.Dataset({"u": ((x, y, "m"), values)}, coords).to_netcdf(
    tmp_path / "a.nc"
  )
  header = io.open(tmp_path / "a.nc").header
  assert (header.y.name, header.x.name) == (y, x)
  assert [lead.name for lead in header.leads] == ["m"]
  field = io.read(tmp_path / "a.nc").values[..., 0].astype(np.float64)
  want = values.astype(np.float32).transpose(2, 1, 0)
  np.testing.assert_array_equal(field, want)


def test_else_the_last_two_dimensions_are_counted(tmp_path):
  dataset = xarray.Dataset({"u": (("p", "q", "r"), np.ones((2, 3, 4)))})
  dataset.to_netcdf(tmp_path / "a.nc")
  header = io.open(tmp_path / "a.nc").header
  assert (header.y.name, header.x.name) == ("q", "r")
  assert header.y.units == header.x.units == "cell"
  io.save(
    tmp_path / "b.nc", headers.refined(header, 2), np.ones((2, 6, 8, 1), "f4")
  )
  raw = headers.raw(tmp_path / "b.nc")
  assert dict(raw.sizes) == {"p": 2, "q": 6, "r": 8} and set(raw) == {"u"}


def test_unsigned_and_packed_coordinates_are_understood(tmp_path):
  raw = np.asarray([[0, 200, 255], [1, 128, 127]], np.uint8)
  dataset = xarray.Dataset(
    {
      "u": (
        ("y", "x"),
        raw.view(np.int8),
        {"_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": 0.5},
      )
    },
    {
      "y": (
        "y",
        np.asarray([0, 1], np.int16),
        {"scale_factor": 0.5, "units": "m"},
      ),
      "x": (
        "x",
        np.asarray([0, 1, 2], np.int16),
        {"add_offset": 7.0, "units": "m"},
      ),
    },
  )
  path = era5.write(dataset, tmp_path / "a.nc")
  field = io.read(path)
  want = raw * np.float32(0.5)
  want[0, 2] = np.nan
  np.testing.assert_array_equal(field.values[..., 0], want)
  np.testing.assert_array_equal(field.header.y.values, [0.0, 0.5])
  np.testing.assert_array_equal(field.header.x.values, [7.0, 8.0, 9.0])
  io.write(tmp_path / "b.nc", field)
  got = headers.raw(tmp_path / "b.nc")
  _same(got.u.variable, dataset.u.variable)
  np.testing.assert_array_equal(got.x.values, [7.0, 8.0, 9.0])
  assert got.x.attrs == {"units": "m"}


def test_all_that_stands_for_missing_is_missing(tmp_path):
  attrs = {"_FillValue": np.float32(1e20), "missing_value": np.float32(-99)}
  values = np.asarray([[1e20, -99.0, 2.0]], np.float32)
  dataset = xarray.Dataset({"u": (("y", "x"), values, attrs)})
  path = era5.write(dataset, tmp_path / "a.nc")
  field = io.read(path)
  np.testing.assert_array_equal(field.values[0, :, 0], [np.nan, np.nan, 2.0])
  io.write(tmp_path / "b.nc", field)
  raw = headers.raw(tmp_path / "b.nc").u
  assert raw.attrs == dataset.u.attrs
  np.testing.assert_array_equal(raw.values, np.float32([[1e20, 1e20, 2.0]]))


def _broken(name):
  dataset = era5.dataset(("time",))
  if name == "grids":
    return dataset.assign(
      d2m=dataset.d2m.rename(longitude="lon2").assign_coords(
        lon2=("lon2", np.arange(12.0), {"axis": "X"})
      )
    )
  if name == "leads":
    return dataset.assign(lsm=dataset.t2m[0].drop_vars("time"))
  if name == "unsorted":
    order = [0, 1, 3, 2, 4, 5, 6]
    return dataset.isel(latitude=order)
  if name == "uneven":
    return dataset.isel(longitude=[0, 1, 2, 4, 5])
  return dataset[["crs", "number", "time_bnds"]]


@pytest.mark.parametrize(
  "name, variables, message",
  [
    (
      "grids",
      ("t2m", "d2m"),
      r"'t2m' \(time 2, latitude 7, longitude 12\) and 'd2m' \(time 2, "
      r"latitude 7, lon2 12\) are two variables of different grids",
    ),
    (
      "leads",
      None,
      r"and 'lsm' \(latitude 7, longitude 12\) are two variables",
    ),
    ("unsorted", None, "a.nc: latitude is unsorted, 0 at index 2 and 30 at 3"),
    ("uneven", None, "a.nc: longitude is uneven, 60 at index 2 and 120 at 3"),
    ("", ("t2",), "a.nc has no 't2'"),
    ("leads", ("t2",), "a.nc has no 't2'; did you mean 't2m'"),
  ],
)
def test_bad_files_are_refused_in_a_sentence(
  tmp_path, name, variables, message
):
  path = era5.write(_broken(name), tmp_path / "a.nc")
  with pytest.raises(ValueError, match=message) as error:
    io.open(path, variables)
  assert "\n" not in str(error.value)


def test_named_variables_of_one_grid_go_through(tmp_path):
  path = era5.write(_broken("leads"), tmp_path / "a.nc")
  assert io.open(path, ("lsm",)).header.lead_shape == ()
  assert io.open(path, ("d2m", "t2m")).header.names == ("d2m", "t2m")
  path = era5.write(_broken("grids"), tmp_path / "b.nc")
  assert io.open(path).header.names == ("t2m",)


def test_another_type_is_written_plainly(tmp_path):
  field = io.read(era5.write(era5.dataset(()), tmp_path / "a.nc"))
  variables = tuple(
    dataclasses.replace(v, dtype="float32", scale=1.0, offset=0.0, fill=None)
    for v in field.header.variables
  )
  header = dataclasses.replace(field.header, variables=variables)
  io.write(tmp_path / "b.nc", io.Field(header, field.values))
  raw = headers.raw(tmp_path / "b.nc").t2m
  assert raw.dtype == np.float32
  assert raw.attrs == {"units": "K", "long_name": "t2m", "grid_mapping": "crs"}
  np.testing.assert_array_equal(raw.values, field.values[..., 0])
