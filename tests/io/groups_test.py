"""Fields in groups of NetCDF, Zarr and HDF5: with their axes beside them."""

import json

import h5py
import numpy as np
import pytest

from hinote_jax import io
from tests.io import refined

netcdf = pytest.importorskip("netCDF4")
xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")


def _file(path, groups=("Grid",)):
  """As IMERG has it: axes and fields in a group, time above it."""
  values = np.arange(24.0, dtype=np.float32).reshape(1, 6, 4)
  root = xarray.Dataset(
    {"time": ("time", [5.0], {"units": "days since 2000-01-01"})},
    attrs={"title": "rain"},
  )
  grid = xarray.Dataset(
    {"rain": (("time", "lon", "lat"), values, {"units": "mm"})},
    {
      "lon": ("lon", np.arange(6.0), {"units": "degrees_east"}),
      "lat": ("lat", np.arange(4.0), {"units": "degrees_north"}),
    },
    attrs={"header": "x"},
  )
  if path.suffix == ".zarr":
    root.to_zarr(path, consolidated=False)
    for group in groups:
      grid.to_zarr(path, group=group, mode="a", consolidated=False)
  else:
    root.to_netcdf(path)
    for group in groups:
      grid.to_netcdf(path, group=group, mode="a")
  return values[0].T


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
@pytest.mark.parametrize("variables", [None, ["Grid/rain"]])
def test_a_group_is_read_and_written_with_its_axes(tmp_path, suffix, variables):
  want = _file(tmp_path / f"a.{suffix}")
  field = io.read(tmp_path / f"a.{suffix}", variables)
  assert field.header.names == ("Grid/rain",)
  np.testing.assert_array_equal(field.values[0, ..., 0], want)
  (time,) = field.header.leads
  assert time.coordinates["time"].attrs["units"] == "days since 2000-01-01"
  fine = refined.header(field.header, 2)
  io.save(tmp_path / f"b.{suffix}", fine, np.ones((1, 8, 12, 1), np.float32))
  root, grid = (
    io.inputs.load_xarray(tmp_path / f"b.{suffix}", group=group)
    for group in (None, "Grid")
  )
  assert root.attrs == {"title": "rain"} and grid.attrs == {"header": "x"}
  assert grid.rain.dims == ("time", "lon", "lat")
  np.testing.assert_allclose(grid.lon.values, np.arange(12) / 2 - 0.25)
  again = io.read(tmp_path / f"b.{suffix}", variables)
  np.testing.assert_array_equal(again.values, 1.0)


def test_known_names_are_listed(tmp_path):
  path = tmp_path / "a.nc"
  _file(path, ("one", "one/two"))
  with pytest.raises(ValueError, match="one/rain, one/two/rain: name the vari"):
    io.open(path)
  with pytest.raises(
    ValueError, match="has no 'rain'; did you mean 'one/rain'"
  ):
    io.open(path, ["rain"])
  with pytest.raises(
    ValueError, match="no 'one/rian'; did you mean 'one/rain'"
  ):
    io.open(path, ["one/rian"])
  with pytest.raises(ValueError, match="different groups: name variables of"):
    io.open(path, ["one/rain", "one/two/rain"])
  header = io.open(path, ["one/two/rain"]).header
  assert header.y.name == "lat" and header.leads[0].name == "time"


def test_hdf5_keeps_what_lies_beside_the_field(tmp_path):
  with h5py.File(tmp_path / "a.h5", "w") as file:
    grid = file.create_group("Grid")
    grid.attrs["header"] = "x"
    grid["rain"] = np.ones((1, 4, 6), np.float32)
    edges = np.arange(5.0)
    for d, (name, values) in enumerate(
      {"time": [5.0], "lat": edges[:4] + 0.5, "lon": np.arange(6.0)}.items()
    ):
      grid[name] = values
      grid[name].make_scale(name)
      grid["rain"].dims[d].attach_scale(grid[name])
    grid["lat"].attrs.update(units="degrees_north", bounds="lat_bnds")
    grid["lat_bnds"] = np.stack([edges[:-1], edges[1:]], -1)
    grid["time"].attrs.update(units="days since 2000-01-01", bounds="t_bnds")
    grid["t_bnds"] = [[4.0, 5.0]]
  header = io.open(tmp_path / "a.h5", ["Grid/rain"]).header
  fine = refined.header(header, 2)
  io.save(tmp_path / "b.h5", fine, np.ones((1, 8, 12, 1), np.float32))
  with h5py.File(tmp_path / "b.h5") as file:
    grid = file["Grid"]
    assert set(file) == {"Grid"} and grid.attrs["header"] == "x"
    assert set(grid) == {"rain", "time", "t_bnds", "lat", "lat_bnds", "lon"}
    assert grid["time"].attrs["units"] == "days since 2000-01-01"
    np.testing.assert_array_equal(grid["t_bnds"], [[4.0, 5.0]])
    np.testing.assert_allclose(grid["lat"], np.arange(8) / 2 + 0.25)
    np.testing.assert_allclose(grid["lat_bnds"][:, 0], np.arange(8) / 2)
    np.testing.assert_allclose(grid["lon"], np.arange(12) / 2 - 0.25)


def test_hdf5_passes_over_what_is_no_field(tmp_path):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file["field"] = np.ones((4, 6), np.float32)
    file["gone"] = h5py.SoftLink("/nowhere")
    file["far"] = h5py.ExternalLink("missing.h5", "/data")
    file["type"] = np.dtype("f4")
    file["around"] = h5py.SoftLink("/")
    file["table"] = np.zeros((4, 4), [("a", "f4")])
    file["field"].attrs["scale_factor"] = h5py.Empty("f4")
    file["field"].attrs["row"] = np.zeros(2, [("a", "f4")])
    file["field"].attrs["note"] = b"bytes"
  field = io.read(path)
  assert field.header.names == ("field",)
  io.write(tmp_path / "b.h5", field)
  with h5py.File(tmp_path / "b.h5") as file:
    assert file["field"].attrs["note"] == "bytes"
    assert "scale_factor" not in file["field"].attrs


@pytest.mark.parametrize("version", [2, 3])
def test_gathered_metadata_lie_in_one_order(tmp_path, monkeypatch, version):
  source = tmp_path / "a.zarr"
  grid = xarray.Dataset(
    {name: (("y", "x"), np.ones((3, 4))) for name in ("T", "a")},
    {"y": np.arange(3.0), "x": np.arange(4.0)},
  )
  grid.to_zarr(source, zarr_format=version, consolidated=False)
  field, stores = io.read(source), []
  gather = zarr.consolidate_metadata

  def turned(path):
    # As they came from Zarr before 3.1.2: in any order.
    gather(path)
    whole = json.loads((path / name).read_text())
    holder = whole.get("consolidated_metadata", whole)
    holder["metadata"] = dict(reversed(holder["metadata"].items()))
    (path / name).write_text(json.dumps(whole, indent=2))

  name = {2: ".zmetadata", 3: "zarr.json"}[version]
  for i, function in enumerate((gather, turned)):
    monkeypatch.setattr(zarr, "consolidate_metadata", function)
    io.write(tmp_path / f"{i}.zarr", field)
    stores.append((tmp_path / f"{i}.zarr" / name).read_bytes())
  assert stores[0] == stores[1]
