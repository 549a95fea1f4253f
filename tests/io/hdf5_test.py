"""Tests of HDF5: files in the published layouts are read and written back."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from hinote_jax import fields, io
from hinote_jax.fields import axes, packing
from hinote_jax.io import hdf5
from tests.io import headers, refined, rows


def _sevir(path, events=3, frames=5, sizes=None):
  """Writes image types as SEVIR has them, small; returns their numbers."""
  rng = np.random.default_rng(0)
  sizes = sizes or {"vil": 12}
  raw = {}
  with h5py.File(path, "w") as file:
    names = np.array([f"S{8000 + i}" for i in range(events)], "S")
    file["id"] = names
    for name, n in sizes.items():
      dtype, low, high = (
        ("uint8", 0, 255) if name == "vil" else ("int16", -9000, 9000)
      )
      raw[name] = rng.integers(low, high, (events, n, n, frames), dtype)
      file.create_dataset(name, data=raw[name], chunks=(1, n, n, frames))
  return raw


@pytest.mark.parametrize(
  ("name", "step", "units"),
  [("vis", 1e-4, "1"), ("ir069", 1e-2, "degC"), ("vil", 1.0, "")],
)
def test_sevir_frames_are_fields(tmp_path, name, step, units):
  raw = _sevir(tmp_path / "a.h5", sizes={name: 12})[name]
  reader = hdf5.open(tmp_path / "a.h5")
  header = reader.header
  assert [(lead.name, lead.size) for lead in header.leads] == [
    ("event", 3),
    ("frame", 5),
  ]
  assert (header.names, header.variables[0].units) == ((name,), units)
  np.testing.assert_allclose(
    reader.read(7)[..., 0], raw[1, :, :, 2] * step, rtol=1e-6
  )
  assert header.leads[0].coordinates["id"].tolist() == [
    b"S8000",
    b"S8001",
    b"S8002",
  ]
  # Twelve cells over 384 km.
  np.testing.assert_allclose(header.x.values, 16.0 + 32.0 * np.arange(12))
  assert header.x.units == "km"


def test_sevir_is_saved_as_published_and_clipped(tmp_path):
  raw = _sevir(tmp_path / "a.h5")["vil"]
  with h5py.File(tmp_path / "a.h5", "r+") as file:
    file["vil"][0, 0, 0, 0] = 255
    file.attrs["source"] = "test"
    file["vil"].attrs["note"] = "of the radar"
  reader = hdf5.open(tmp_path / "a.h5")
  values = refined.values(reader)
  assert np.isnan(values[0, 0, 0, 0])
  values[1, 0, 0, 0], values[1, 0, 1, 0] = -4.0, 280.0
  hdf5.save(tmp_path / "b.h5", reader.header, values)
  with h5py.File(tmp_path / "b.h5") as file:
    assert set(file) == {"id", "vil"}
    assert file["vil"].shape == raw.shape and file["vil"].dtype == np.uint8
    assert file["vil"].chunks == (1, 12, 12, 1)
    assert file["vil"].compression == "gzip"
    assert file.attrs["source"] == "test"
    assert dict(file["vil"].attrs) == {"note": "of the radar"}
    assert file["id"][1] == b"S8001"
    got = file["vil"][()]
  assert got[0, 0, 0, 0] == 255
  assert (got[0, 0, 0, 1], got[0, 0, 1, 1]) == (0, 254)
  np.testing.assert_array_equal(got[1:], raw[1:])
  finer = refined.header(reader.header, 3.7)
  zeros = np.zeros((15, *finer.shape, 1), np.float32)
  hdf5.save(tmp_path / "c.h5", finer, zeros)
  again = hdf5.open(tmp_path / "c.h5").header
  np.testing.assert_allclose(again.y.values, finer.y.values)


def test_sevir_types_of_one_grid_go_together(tmp_path):
  sizes = {"ir069": 6, "ir107": 6, "vil": 12}
  raw = _sevir(tmp_path / "a.h5", sizes=sizes)
  reader = hdf5.open(tmp_path / "a.h5")
  assert reader.header.names == ("ir069", "ir107")
  np.testing.assert_allclose(
    reader.read(14)[..., 1], raw["ir107"][2, :, :, 4] / 100, rtol=1e-6
  )
  with pytest.raises(
    ValueError, match=r"different grids, vil .*12.*, ir069 .*6"
  ):
    hdf5.open(tmp_path / "a.h5", ["vil", "ir069"])
  with pytest.raises(
    ValueError, match="has no 'lght'; known: ir069, ir107, vil"
  ):
    hdf5.open(tmp_path / "a.h5", ["lght"])


def test_superbench_turbulence(tmp_path):
  raw = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
  with h5py.File(tmp_path / "a.h5", "w") as file:
    file.create_dataset("fields", data=raw)
    file["fields"].attrs["viscosity"] = 1.0 / 16000
  reader = hdf5.open(tmp_path / "a.h5")
  assert reader.header.names == ("u", "v", "vorticity")
  assert [(d.name, d.size) for d in reader.header.leads] == [("time", 4)]
  assert reader.header.periodic == (False, False)
  values = refined.values(reader)
  np.testing.assert_array_equal(values, np.moveaxis(raw, 1, -1))
  hdf5.save(tmp_path / "b.h5", reader.header, values)
  with h5py.File(tmp_path / "b.h5") as file:
    assert set(file) == {"fields"}
    assert file["fields"].chunks == (1, 1, 8, 8)
    assert file["fields"].attrs["viscosity"] == 1.0 / 16000
    np.testing.assert_array_equal(file["fields"], raw)
  reader = hdf5.open(tmp_path / "a.h5", ["vorticity"])
  values = refined.values(reader)
  np.testing.assert_array_equal(values[..., 0], raw[:, 2])
  hdf5.save(tmp_path / "c.h5", reader.header, values)
  assert hdf5.open(tmp_path / "c.h5").header.names == ("vorticity",)


@pytest.mark.parametrize("rows", [720, 721])
def test_superbench_weather(tmp_path, rows):
  with h5py.File(tmp_path / "a.h5", "w") as file:
    fields_ = file.create_dataset(
      "fields", (1, 3, rows, 1440), "float32", chunks=(1, 1, rows, 1440)
    )
    fields_[0, 2, 5, 7] = 3.0
  reader = hdf5.open(tmp_path / "a.h5", ["water_vapour"])
  header = reader.header
  assert header.variables[0].units == "kg m-2"
  assert header.periodic == (False, True)
  assert header.y.registration == "nodes"
  last = -90.0 if rows == 721 else -89.75
  np.testing.assert_allclose(header.y.values[[0, -1]], [90.0, last])
  np.testing.assert_allclose(header.x.values[[0, -1]], [0.0, 359.75])
  assert reader.read(0)[5, 7, 0] == 3.0
  # Few points, not to write much: a coarser line serves as well.
  y, x = header.y.refined(9)[0], header.x.refined(16)[0]
  finer = header.on(y, x)
  hdf5.save(tmp_path / "b.h5", finer, np.zeros((1, 9, 16, 1), np.float32))
  again = hdf5.open(tmp_path / "b.h5").header
  np.testing.assert_allclose(again.y.values, y.values)
  np.testing.assert_allclose(again.x.values, x.values)
  assert (again.y.units, again.y.registration) == ("degrees_north", "nodes")
  assert (again.names, again.x.is_periodic) == (("water_vapour",), True)


def test_other_datasets_are_named(tmp_path):
  raw = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
  with h5py.File(tmp_path / "a.h5", "w") as file:
    file["run/t"] = raw
    file["run/t"].attrs.update(
      units="K", scale_factor=0.5, _FillValue=np.int16(7)
    )
    file["mask"] = np.zeros((4, 5), np.uint8)
    file["time"] = np.arange(3)
  with pytest.raises(
    ValueError, match=r"mask \(4, 5\), run/t .*: name the variab"
  ):
    hdf5.open(tmp_path / "a.h5")
  with pytest.raises(ValueError, match="has no 'run/T'; did you mean 'run/t'"):
    hdf5.open(tmp_path / "a.h5", ["run/T"])
  reader = hdf5.open(tmp_path / "a.h5", ["run/t"])
  want = raw[1, 0] * 0.5
  np.testing.assert_array_equal(reader.read(3)[..., 0], want)
  assert np.isnan(reader.read(0)[1, 2, 0])
  values = refined.values(reader)
  hdf5.save(tmp_path / "b.h5", reader.header, values)
  with h5py.File(tmp_path / "b.h5") as file:
    np.testing.assert_array_equal(file["run/t"], raw)
    assert file["run/t"].attrs["units"] == "K"
    assert file["run/t"].attrs["scale_factor"] == 0.5
  again = hdf5.open(tmp_path / "b.h5")
  np.testing.assert_array_equal(refined.values(again), values)


def test_fields_of_other_formats_keep_their_place(tmp_path):
  y = axes.Axis.of("lat", 90.0 - 30.0 * np.arange(7), "degrees_north")
  x = axes.Axis.of("lon", 45.0 * np.arange(8), "degrees_east")
  leads = (fields.Dimension("time", 2, {"time": np.array([6.0, 12.0])}),)
  leads += (fields.Dimension("member", 3, {"name": np.array(["a", "b", "ç"])}),)
  variables = (
    fields.Variable("w", "m s-1", {"long_name": "wind", "levels": [1, 2]}),
    fields.Variable("v", dtype="int16", scale=0.25, offset=2.0, fill=-99),
  )
  header = fields.Header(variables, y, x, leads, {"title": "tést"})
  values = np.random.default_rng(0).integers(-9, 9, (6, 7, 8, 2)) * 0.25
  values[4, 2, 3] = np.nan
  hdf5.save(tmp_path / "a.h5", header, values.astype(np.float32))
  reader = hdf5.open(tmp_path / "a.h5")
  np.testing.assert_array_equal(refined.values(reader), values)
  got = reader.header
  assert [(d.name, d.size) for d in got.leads] == [("time", 2), ("member", 3)]
  assert got.leads[0].coordinates["time"].tolist() == [6.0, 12.0]
  np.testing.assert_array_equal(got.y.values, y.values)
  assert (got.y.registration, got.x.is_periodic) == ("nodes", True)
  assert got.names == ("w", "v")  # as they were made
  assert got.attributes == {"title": "tést"}
  assert got.variables[0].units == "m s-1"
  assert got.variables[0].attributes["long_name"] == "wind"
  assert got.variables[1].fill == -99
  with h5py.File(tmp_path / "a.h5") as file:
    assert [name.decode() for name in file["name"]] == ["a", "b", "ç"]


def _texts(path):
  """Writes fields along texts, with texts for attributes of many kinds."""
  with h5py.File(path, "w", track_order=True) as file:
    made = file.create_dataset("t", data=np.ones((2, 3, 2, 3, 4), "f4"))
    file["name"] = np.array(["alpha", "ç"], object)
    file["code"] = np.array([b"a", "ü".encode(), b"\xfc"], "S4")
    file["is_day"] = np.array([True, False])
    for d, name in enumerate(("name", "code", "is_day")):
      file[name].make_scale(name)
      made.dims[d].attach_scale(file[name])
    made.attrs.update(units=np.bytes_("K"), flags=["good", "bad"])
    file.attrs["title"] = np.bytes_("tést".encode())
    file.attrs["of"] = np.array([b"one", b"two"])
    file.attrs["by"] = np.array(["é", "b"], object)


def test_texts_are_texts_however_they_are_stored(tmp_path):
  _texts(tmp_path / "a.h5")
  field = io.read(tmp_path / "a.h5")
  io.write(tmp_path / "b.h5", field)
  for name in ("a.h5", "b.h5"):
    header = io.open(tmp_path / name).header
    along = [d.coordinates[d.name].tolist() for d in header.leads]
    # What is no text in UTF-8 is spelled out.
    codes = ["a", "ü", "\\xfc"]
    assert along == [["alpha", "ç"], codes, [True, False]]
    want = {"title": "tést", "of": ["one", "two"], "by": ["é", "b"]}
    assert header.attributes == want
    assert header.variables[0].units == "K"
    assert header.variables[0].attributes["flags"] == ["good", "bad"]


@pytest.mark.parametrize("name", ["b.nc", "b.zarr"])
def test_texts_go_to_other_formats(tmp_path, name):
  pytest.importorskip("netCDF4")
  _texts(tmp_path / "a.h5")
  io.write(tmp_path / name, io.read(tmp_path / "a.h5"))
  raw = headers.raw(tmp_path / name)
  assert raw.name.values.tolist() == ["alpha", "ç"]
  assert raw.attrs == {"title": "tést", "of": ["one", "two"], "by": ["é", "b"]}
  assert (raw.t.units, raw.t.flags) == ("K", ["good", "bad"])


@pytest.mark.parametrize("layout", ["sevir", "superbench", "plain"])
def test_values_are_read_in_blocks_of_rows(tmp_path, monkeypatch, layout):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 10)
  monkeypatch.setattr(hdf5.datasets, "_CHUNK_BYTES", 1 << 9)
  raw = np.random.default_rng(0).integers(0, 200, (2, 3, 40, 32))
  raw = raw.astype(np.uint8 if layout == "sevir" else np.float32)
  path = tmp_path / "a.h5"
  name = {"sevir": "vil", "superbench": "fields", "plain": "t"}[layout]
  with h5py.File(path, "w") as file:
    file[name] = np.moveaxis(raw, 1, -1) if layout == "sevir" else raw
  reader = hdf5.open(path)
  values = rows.Rows(refined.values(reader))
  hdf5.save(tmp_path / "b.h5", reader.header, values)
  assert values.largest <= 16
  with h5py.File(path) as a, h5py.File(tmp_path / "b.h5") as b:
    np.testing.assert_array_equal(a[name], b[name])
    assert np.prod(b[name].chunks) * b[name].dtype.itemsize <= 1 << 9


def test_damaged_files_are_named(tmp_path):
  path = tmp_path / "short.h5"
  with pytest.raises(FileNotFoundError):
    hdf5.open(path)
  _sevir(path)
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match="cannot read .*short.h5 .*truncated"):
    hdf5.open(path)
  path.write_bytes(b"text")
  with pytest.raises(ValueError, match="cannot read .*short.h5 "):
    hdf5.open(path)
  with h5py.File(path, "w") as file:
    file["names"] = [b"a", b"b"]
  with pytest.raises(ValueError, match="no dataset of numbers over y and x"):
    hdf5.open(path)
  with h5py.File(path, "w") as file:
    data = np.arange(5000.0).reshape(50, 100)
    file.create_dataset("t", data=data, compression="gzip", chunks=(50, 100))
  reader = hdf5.open(path)
  with h5py.File(path) as file:
    chunk = file["t"].id.get_chunk_info(0)
  broken = bytearray(path.read_bytes())
  broken[chunk.byte_offset : chunk.byte_offset + 50] = bytes(50)
  path.write_bytes(broken)
  with pytest.raises(ValueError, match="cannot read .*short.h5 "):
    reader.read(0)


_FULL = """
import os, resource, signal, sys
import numpy as np
from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import hdf5
header = fields.Header(
  (fields.Variable("u"),), axes.counted("y", 300), axes.counted("x", 300)
)
values = np.random.default_rng(0).normal(size=(1, 300, 300, 1))
path = sys.argv[1]
hdf5.save(path, header, values.astype(np.float32))
size = os.path.getsize(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (size - 10, size - 5000, size // 2, 1000, 10):
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
  try:
    hdf5.save(path, header, values.astype(np.float32))
  except OSError:
    os.write(2, b"refused ")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(tmp_path):
  done = subprocess.run(
    [sys.executable, "-c", _FULL, str(tmp_path / "a.h5")],
    capture_output=True,
    text=True,
  )
  assert (done.returncode, done.stderr) == (0, 5 * "refused ")
