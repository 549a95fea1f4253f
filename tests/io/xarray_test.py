"""Tests of NetCDF and Zarr: coordinates refined, all else passed through."""

import dataclasses

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.fields import packing
from hinote_jax.io import stores, xarray_files
from tests.io import headers, rows

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
zarr = pytest.importorskip("zarr")

_FILL = np.int16(-32767)
_PACKING = {
  "scale_factor": 0.01,
  "add_offset": 280.0,
  "_FillValue": _FILL,
  "missing_value": _FILL,
}
_SUFFIXES = ("nc", "zarr")


def _era5(leads=("time", "level")):
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


def _write(dataset, path):
  for raw in dataset.variables.values():
    raw.encoding = {} if "_FillValue" in raw.attrs else {"_FillValue": None}
  if path.suffix == ".nc":
    known = [dim for dim in ("time",) if dim in dataset.sizes]
    dataset.to_netcdf(path, unlimited_dims=known)
  else:
    dataset.to_zarr(path, consolidated=False, zarr_format=2)
  return path


def _same(a, b):
  """Checks that two raw variables are the same in numbers, type, attributes."""
  assert a.dims == b.dims and a.dtype == b.dtype
  np.testing.assert_array_equal(a.values, b.values)
  assert {**a.attrs} == {**b.attrs}


@pytest.mark.parametrize("suffix", _SUFFIXES)
@pytest.mark.parametrize("out", _SUFFIXES)
def test_a_packed_file_comes_back_as_it_was(tmp_path, suffix, out):
  dataset = _era5()
  dataset.t2m.values[0, 1, 2, 3] = _FILL
  _write(dataset, tmp_path / f"a.{suffix}")
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
  path = _write(_era5(), tmp_path / f"a.{suffix}")
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
    _same(raw[name].variable, _era5()[name].variable)
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
  dataset = _era5().transpose(*dims, "nv")
  path = _write(dataset, tmp_path / "a.nc")
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
  path = _write(dataset, tmp_path / "a.nc")
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
  path = _write(dataset, tmp_path / "a.nc")
  field = io.read(path)
  np.testing.assert_array_equal(field.values[0, :, 0], [np.nan, np.nan, 2.0])
  io.write(tmp_path / "b.nc", field)
  raw = headers.raw(tmp_path / "b.nc").u
  assert raw.attrs == dataset.u.attrs
  np.testing.assert_array_equal(raw.values, np.float32([[1e20, 1e20, 2.0]]))


@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_files_are_written_in_blocks(tmp_path, monkeypatch, suffix):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 12)
  monkeypatch.setattr(stores, "_CHUNK_BYTES", 1 << 10)
  header = io.open(_write(_era5(("time",)), tmp_path / "a.nc")).header
  fine = headers.refined(header, 8)
  values = np.random.default_rng(1).uniform(270, 290, (2, *fine.shape, 2))
  lazy = rows.Rows(values.astype(np.float32))
  io.save(tmp_path / f"b.{suffix}", fine, lazy)
  assert fine.shape == (49, 96) and lazy.largest == 5
  got = io.read(tmp_path / f"b.{suffix}", ("t2m", "d2m")).values
  assert np.abs(got - values).max() <= 0.005 + 2e-5
  if suffix == "nc":
    chunks = headers.raw(tmp_path / "b.nc").t2m.encoding["chunksizes"]
  else:
    chunks = zarr.open_group(tmp_path / "b.zarr", mode="r")["t2m"].chunks
  assert chunks == (1, 5, 96)


@pytest.mark.parametrize(
  "shape, channels, itemsize",
  [
    ((721, 1440), 1, 2),
    ((2884, 5760), 5, 4),
    ((9, 10**6), 2, 4),
    ((10**6, 9), 1, 4),
  ],
)
def test_chunks_are_one_to_four_megabytes(shape, channels, itemsize):
  rows_, columns = stores.chunks(shape, channels, itemsize)
  size = rows_ * columns * itemsize
  assert size <= 2 << 20 and 4 * rows_ * shape[1] * channels <= 64 << 20
  assert size >= 1 << 20 or (rows_, columns) == shape or rows_ < 9


def test_a_store_is_filled_in_regions_in_any_order(tmp_path):
  dataset = _era5(("time",))
  header = headers.refined(
    io.open(_write(dataset, tmp_path / "a.nc")).header, 2
  )
  path = tmp_path / "b.zarr"
  regions = xarray_files.create(path, header, chunks=(5, 8))
  assert regions.chunks == (5, 8) and regions.header.shape == (13, 24)
  values = np.random.default_rng(1).uniform(270, 290, (2, 13, 24, 2))
  values = values.astype(np.float32)
  # Nothing is written: all is missing, the coordinates are there.
  assert np.isnan(io.read(path, header.names).values).all()
  np.testing.assert_array_equal(
    headers.raw(path).latitude.values,
    np.linspace(90, -90, 13, dtype=np.float32),
  )
  spans = [
    (i, slice(y, min(y + 5, 13)), slice(x, x + 8))
    for i in range(2)
    for y in (0, 5, 10)
    for x in (0, 8, 16)
  ]
  for k, (i, y, x) in enumerate([*spans[::-1], *spans[:3]]):
    if k == 9:  # another process goes on
      regions = xarray_files.open_regions(path, header.names)
    regions.write(i, y, x, values[i, y, x])
  got = io.read(path, header.names).values
  assert np.abs(got - values).max() <= 0.005 + 2e-5
  assert headers.raw(path).t2m.attrs == dataset.t2m.attrs
  with pytest.raises(FileExistsError, match="b.zarr exists"):
    xarray_files.create(path, header)
  with pytest.raises(ValueError, match=r"only Zarr .*: \.zarr"):
    xarray_files.create(tmp_path / "b.nc", header)


@pytest.mark.parametrize(
  "y, shape, message",
  [
    (
      slice(0, 4),
      (4, 8, 2),
      "region 0 to 4 of 7 does not end where chunks of 5",
    ),
    (slice(2, 7), (5, 8, 2), "region 2 to 7 of 7 does not end"),
    (slice(5, 7), (5, 8, 2), r"\(5, 8, 2\) do not fit .* \(2, 8, 2\)"),
  ],
)
def test_regions_end_where_chunks_do(tmp_path, y, shape, message):
  header = io.open(_write(_era5(()), tmp_path / "a.nc")).header
  regions = xarray_files.create(tmp_path / "b.zarr", header, chunks=(5, 8))
  with pytest.raises(ValueError, match=message):
    regions.write(0, y, slice(0, 8), np.full(shape, 280.0, np.float32))


def _broken(name):
  dataset = _era5(("time",))
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
  path = _write(_broken(name), tmp_path / "a.nc")
  with pytest.raises(ValueError, match=message) as error:
    io.open(path, variables)
  assert "\n" not in str(error.value)


def test_named_variables_of_one_grid_go_through(tmp_path):
  path = _write(_broken("leads"), tmp_path / "a.nc")
  assert io.open(path, ("lsm",)).header.lead_shape == ()
  assert io.open(path, ("d2m", "t2m")).header.names == ("d2m", "t2m")
  path = _write(_broken("grids"), tmp_path / "b.nc")
  assert io.open(path).header.names == ("t2m",)


def test_another_type_is_written_plainly(tmp_path):
  field = io.read(_write(_era5(()), tmp_path / "a.nc"))
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
