"""What is missing by the CF conventions, alike for every reader."""

import dataclasses

import numpy as np
import pytest

from hinote_jax import fields, io
from hinote_jax.fields import packing
from hinote_jax.io import cf_packing

h5py = pytest.importorskip("h5py")
netcdf = pytest.importorskip("netCDF4")
xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")

_SMALL = {"scale_factor": 0.5, "add_offset": 10.0}
# Type, numbers of a file, attributes, and their values.
_CASES = {
  "range": ("i2", [-99, 0, 40, 41], {"valid_range": [0, 40]}, [0, 1, 1, 0]),
  "lowest": ("i2", [-99, 0, 41], {"valid_min": 0}, [0, 1, 1]),
  "highest": ("f4", [1.5, 2.5, -3.0], {"valid_max": 2.0}, [1, 0, 1]),
  "packed": (
    "i2",
    [-99, 0, 40, 41],
    {**_SMALL, "valid_range": np.int16([0, 40])},
    [0, 1, 1, 0],
  ),
  # Of a wider type: in the units of the values, as the users guide has it.
  "unpacked": (
    "i2",
    [-1, 0, 40, 41],
    {**_SMALL, "valid_range": [10.0, 30.0]},
    [0, 1, 1, 0],
  ),
  "falling": (
    "i2",
    [-41, -40, 0, 1],
    {"scale_factor": -0.5, "valid_range": [0.0, 20.0]},
    [0, 1, 1, 0],
  ),
  "several": ("i2", [1, 2, 3], {"missing_value": np.int16([1, 3])}, [0, 1, 0]),
  "both": (
    "f4",
    [1, 2, 3],
    {"_FillValue": 1.0, "missing_value": 3.0},
    [0, 1, 0],
  ),
  "text": ("f4", [-999, 2], {"missing_value": "-999."}, [0, 1]),
  "texts": ("i2", [1, 2, 3], {"missing_value": "1, 3"}, [0, 1, 0]),
  "zero": ("i2", [0, 2], {"_FillValue": np.int16(0)}, [0, 1]),
  "words": ("f4", [1, 2], {"valid_range": "unknown"}, [1, 1]),
}


def _write(path, dtype, raw, attributes):
  """Writes numbers [1 n] of a type; what the type needs of the attributes."""
  raw = np.asarray([raw], dtype)
  attributes = dict(attributes)
  fill = attributes.pop("_FillValue", None)
  if path.suffix == ".h5":
    with h5py.File(path, "w") as file:
      file["u"] = raw
      file["u"].attrs.update(attributes)
      if fill is not None:
        file["u"].attrs["_FillValue"] = fill
  elif path.suffix == ".nc":
    with netcdf.Dataset(path, "w") as file:
      file.createDimension("y", 1)
      file.createDimension("x", raw.shape[1])
      u = file.createVariable("u", dtype, ("y", "x"), fill_value=fill)
      u.set_auto_maskandscale(False)
      u.setncatts(attributes)
      u[:] = raw
  else:
    dataset = xarray.Dataset({"u": (("y", "x"), raw, attributes)})
    if fill is not None:
      dataset.u.attrs["_FillValue"] = fill
    version = 2 if path.stem == "two" else 3
    dataset.to_zarr(path, zarr_format=version, consolidated=False)


def _values(raw, attributes):
  scale = attributes.get("scale_factor", 1.0)
  return np.float64(raw) * scale + attributes.get("add_offset", 0.0)


@pytest.mark.filterwarnings("ignore:WARNING. valid_range not used")
@pytest.mark.parametrize("name", ["a.nc", "a.h5", "two.zarr", "three.zarr"])
def test_all_readers_have_one_notion_of_missing(tmp_path, name):
  for case, (dtype, raw, attributes, is_there) in _CASES.items():
    if (case, name) == ("zero", "two.zarr"):
      continue  # which xarray writes as what any store begins with
    path = tmp_path / f"{case}" / name
    path.parent.mkdir()
    _write(path, dtype, raw, attributes)
    want = np.where(is_there, _values(raw, attributes), np.nan)
    got = io.read(path).values[0, :, 0]
    np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=case)
    # The same after it is written, packed and plain.
    field = io.read(path)
    plain = dataclasses.replace(
      field.header,
      variables=tuple(v.unpacked() for v in field.header.variables),
    )
    for k, header in enumerate((field.header, plain)):
      out = path.parent / f"b{k}{path.suffix}"
      io.write(out, io.Field(header, field.values))
      got = io.read(out).values[0, :, 0]
      np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=case)
      if path.suffix == ".nc":
        masked = netcdf.Dataset(out)["u"][:]
        gone = np.ma.getmaskarray(masked) | np.isnan(np.ma.getdata(masked))
        np.testing.assert_array_equal(gone[0], np.isnan(want), err_msg=case)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u2", "i1"])
def test_what_netcdf_fills_with_is_missing_but_of_bytes(tmp_path, dtype):
  for name in ("a.nc", "b.nc"):
    with netcdf.Dataset(tmp_path / name, "w") as file:
      file.createDimension("y", 1)
      file.createDimension("x", 3)
      fill = False if name == "b.nc" else None
      u = file.createVariable("u", dtype, ("y", "x"), fill_value=fill)
      number = netcdf.default_fillvals[dtype]
      u.set_auto_maskandscale(False)
      u[0] = np.asarray([1, number, 3], dtype)
  is_filled = dtype != "i1"
  got = io.read(tmp_path / "a.nc")
  assert np.isnan(got.values[0, 1, 0]) == is_filled
  # Without filling, every number is a value.
  assert not np.isnan(io.read(tmp_path / "b.nc").values).any()
  io.write(tmp_path / "c.nc", got)
  again = io.read(tmp_path / "c.nc").values
  np.testing.assert_array_equal(again, got.values)
  if is_filled:
    u = netcdf.Dataset(tmp_path / "c.nc")["u"]
    assert np.ma.count_masked(np.ma.masked_invalid(u[:])) == 1
    assert "_FillValue" in u.ncattrs()


def test_what_a_store_begins_with_is_no_missing_value(tmp_path):
  # zarr gives every array of version 2 the fill value 0.
  group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
  for name, fill in (("rain", 0), ("wind", -9)):
    array = group.create_array(
      name, shape=(1, 3), dtype="i2", chunks=(1, 3), fill_value=fill
    )
    array.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    array[:] = np.int16([[0, -9, 4]])
  values = io.read(tmp_path / "a.zarr", ("rain", "wind")).values[0]
  np.testing.assert_array_equal(values[:, 0], [0, -9, 4])
  np.testing.assert_array_equal(values[:, 1], [0, np.nan, 4])
  # What is said to be missing stays so.
  _write(tmp_path / "a.nc", "i2", [0, 4], {"_FillValue": np.int16(0)})
  header = io.open(tmp_path / "a.nc").header
  layout = dataclasses.replace(header.extra["layout"], zarr_format=2)
  header = dataclasses.replace(header, extra={"layout": layout})
  field = io.read(tmp_path / "a.nc").values
  io.write(tmp_path / "b.zarr", io.Field(header, field))
  again = io.read(tmp_path / "b.zarr").values
  np.testing.assert_array_equal(again[0, :, 0], [np.nan, 4])


def test_text_scales_are_numbers_and_nonsense_is_refused(tmp_path):
  path = tmp_path / "a.nc"
  _write(path, "i2", [1, 2], {"scale_factor": "0.01", "add_offset": "273.15"})
  field = io.read(path)
  np.testing.assert_allclose(field.values[0, :, 0], [273.16, 273.17])
  io.write(tmp_path / "b.nc", field)
  u = netcdf.Dataset(tmp_path / "b.nc")["u"]
  np.testing.assert_allclose(u[0], [273.16, 273.17])
  for value in ("tiny", 0.0):
    _write(path, "i2", [1, 2], {"scale_factor": value})
    with pytest.raises(ValueError, match="a.nc: 'u' has the scale_factor"):
      io.open(path)


def test_unsigned_bounds_are_unsigned(tmp_path):
  # Of GOES: 0 to 65530, written in 16 signed bits.
  attributes = {"_Unsigned": "true", "valid_range": np.int16([0, -6])}
  _write(tmp_path / "a.nc", "i2", [0, -6, -5, 7], attributes)
  field = io.read(tmp_path / "a.nc")
  want = [0, 65530, np.nan, 7]
  np.testing.assert_array_equal(field.values[0, :, 0], want)
  io.write(tmp_path / "b.nc", field)
  again = io.read(tmp_path / "b.nc").values[0, :, 0]
  np.testing.assert_array_equal(again, want)
  u = netcdf.Dataset(tmp_path / "b.nc")["u"]
  u.set_auto_maskandscale(False)
  np.testing.assert_array_equal(u.valid_range, [0, -6])


def test_old_ranges_of_values_are_not_written(tmp_path):
  attributes = {**_SMALL, "valid_range": np.int16([0, 40])}
  attributes["actual_range"] = [10.0, 30.0]
  _write(tmp_path / "a.nc", "i2", [0, 40], attributes)
  header = io.open(tmp_path / "a.nc").header
  plain = header.variables[0].unpacked()
  values = np.float32([[[5.0], [31.0]]])  # beyond what is valid
  header = dataclasses.replace(header, variables=(plain,))
  io.write(tmp_path / "b.nc", io.Field(header, values))
  u = netcdf.Dataset(tmp_path / "b.nc")["u"]
  assert u.ncattrs() == ["valid_range"]
  np.testing.assert_array_equal(u.valid_range, np.float32([10.0, 30.0]))
  np.testing.assert_array_equal(u[0], [10.0, 30.0])


def test_present_values_are_never_stored_as_missing():
  variable = fields.Variable(
    "u", dtype="uint8", fill=255, missing=(254, 0), valid=(0, 254)
  )
  values = np.float32([254.4, 253.6, 0.2, 300.0, -4.0, 7.0, np.nan])
  packed = packing.pack(values, variable)
  np.testing.assert_array_equal(packed, [253, 253, 1, 253, 1, 7, 255])
  real = fields.Variable("u", fill=0.0, missing=(1.0,), valid=(None, 2.0))
  packed = packing.pack(np.float32([0.0, 1.0, 3.0, np.nan]), real)
  np.testing.assert_allclose(packed, [0.0, 1.0, 2.0, 0.0], atol=1e-7)
  got = packing.unpack(packed, real)
  np.testing.assert_array_equal(np.isnan(got), [False, False, False, True])


def test_fills_are_those_of_the_library():
  for kind, fill in netcdf.default_fillvals.items():
    if kind in ("S1", "i1", "u1", "c8", "c16"):
      assert cf_packing.default_fill(np.dtype(kind)) is None
    else:
      assert cf_packing.default_fill(np.dtype(kind)) == fill
