"""Tests of npy and npz: arrangements, types, streamed writing."""

import zipfile

import numpy as np
import pytest

from hinote_jax import fields, io
from hinote_jax.fields import axes, packing
from tests.io import rows


def _numbers(shape, dtype="float32"):
  return np.random.default_rng(0).uniform(0, 99, shape).astype(dtype)


@pytest.mark.parametrize(
  "dtype", ["float32", "float64", ">f4", "int16", "uint8"]
)
@pytest.mark.parametrize(
  "shape, leads, grid, channels",
  [
    ((5, 6), (), (5, 6), 1),
    ((5, 6, 3), (), (5, 6), 3),
    ((5, 6, 7), (5,), (6, 7), 1),
    ((2, 5, 6, 7), (2,), (5, 6), 7),
  ],
)
def test_an_array_comes_back_as_it_was(
  tmp_path, dtype, shape, leads, grid, channels
):
  raw = _numbers(shape, dtype)
  np.save(tmp_path / "a.npy", raw)
  field = io.read(tmp_path / "a.npy")
  header = field.header
  assert (header.lead_shape, header.shape) == (leads, grid)
  assert header.names == tuple(f"channel{c}" for c in range(channels))
  assert header.periodic == (False, False)
  want = raw.astype(np.float32).reshape(*leads, *grid, channels)
  np.testing.assert_array_equal(field.values, want)
  np.testing.assert_array_equal(header.y.values, np.arange(grid[0]))
  io.write(tmp_path / "b.npy", field)
  got = np.load(tmp_path / "b.npy")
  assert got.dtype == raw.dtype and got.shape == raw.shape
  np.testing.assert_array_equal(got, raw.astype(np.float32))


def test_a_finer_array_keeps_its_arrangement(tmp_path):
  np.save(tmp_path / "a.npy", _numbers((3, 5, 6, 2), "int16"))
  header = io.open(tmp_path / "a.npy").header
  y, x = (axis.refined(axis.scaled(3.7))[0] for axis in (header.y, header.x))
  values = _numbers((3, 19, 22, 2))
  io.save(tmp_path / "b.npy", header.on(y, x), values)
  got = np.load(tmp_path / "b.npy")
  assert got.dtype == np.int16
  np.testing.assert_array_equal(got, np.rint(values))
  values[1, 2, 3, 1] = 40000.0
  with pytest.raises(ValueError, match="channel1: 40000 does not fit int16"):
    io.save(tmp_path / "c.npy", header.on(y, x), values)
  assert not (tmp_path / "c.npy").exists()


def test_channels_are_named_or_chosen(tmp_path):
  raw = _numbers((5, 6, 3))
  np.save(tmp_path / "a.npy", raw)
  path = tmp_path / "a.npy"
  assert io.open(path, ("u", "v", "w")).header.names == ("u", "v", "w")
  field = io.read(path, ("channel2", "channel0"))
  np.testing.assert_array_equal(field.values, raw[..., [2, 0]])
  with pytest.raises(ValueError, match="3 channels and 2 names .*: u, v"):
    io.open(path, ("u", "v"))
  with pytest.raises(ValueError, match="no 'u'; known: channel0"):
    io.open(path, ("u", "channel1", "channel2"))


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("leads", [(), (3,), (3, 2)])
def test_an_archive_comes_back_as_it_was(tmp_path, leads, is_compressed):
  arrays = {
    "u": _numbers((*leads, 5, 6)),
    "v": _numbers((*leads, 5, 6), "int16"),
    "lat": np.linspace(90, -90, 5),
    "x": 10.0 * np.arange(6),
    "note": np.asarray("text"),
  }
  save = np.savez_compressed if is_compressed else np.savez
  save(tmp_path / "a.npz", **arrays)
  field = io.read(tmp_path / "a.npz")
  header = field.header
  assert header.names == ("u", "v") and header.lead_shape == leads
  assert (header.y.name, header.y.registration) == ("lat", "nodes")
  want = np.stack([arrays["u"], arrays["v"].astype(np.float32)], -1)
  np.testing.assert_array_equal(field.values, want)
  io.write(tmp_path / "b.npz", field)
  got = np.load(tmp_path / "b.npz")
  assert set(got.files) == set(arrays)
  for name, array in arrays.items():
    assert got[name].dtype == array.dtype
    np.testing.assert_array_equal(got[name], array)
  with zipfile.ZipFile(tmp_path / "b.npz") as archive:
    kinds = {entry.compress_type for entry in archive.infolist()}
  assert kinds == {
    zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
  }


def test_opening_an_archive_reads_no_fields(tmp_path, monkeypatch):
  np.savez(tmp_path / "a.npz", u=_numbers((3, 5, 6)))
  read = np.lib.npyio.NpzFile.__getitem__
  loaded = []
  monkeypatch.setattr(
    np.lib.npyio.NpzFile,
    "__getitem__",
    lambda self, key: loaded.append(key) or read(self, key),
  )
  reader = io.open(tmp_path / "a.npz")
  assert not loaded and len(reader) == 3
  list(reader)
  assert loaded == ["u"]


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_are_written_in_blocks(tmp_path, monkeypatch, suffix):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1000)
  np.save(tmp_path / "a.npy", _numbers((2, 50, 20, 3)))
  header = io.open(tmp_path / "a.npy").header
  values = rows.Rows(_numbers((2, 50, 20, 3)))
  io.save(tmp_path / f"b.{suffix}", header, values)
  assert values.largest == 1000 // (4 * 20 * 3)
  got = io.read(tmp_path / f"b.{suffix}").values
  np.testing.assert_array_equal(got, _numbers((2, 50, 20, 3)))


class _NotYet:
  """Values that are not there yet."""

  shape = (2, 3, 4, 1)

  def __getitem__(self, _):
    raise AssertionError("values are asked for")


def test_an_archive_says_what_it_cannot_hold_before_it_takes_values(tmp_path):
  y, x = axes.counted("y", 3), axes.counted("x", 4)
  ragged = np.array([[1], [1, 2]], object)
  for along, error in ((ragged, ValueError), (np.arange(2), AssertionError)):
    leads = (fields.Dimension("m", 2, {"m": along}),)
    header = fields.Header((fields.Variable("u"),), y, x, leads)
    with pytest.raises(error):
      io.save(tmp_path / "a.npz", header, _NotYet())
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  "name, array, message",
  [
    ("a.npy", np.ones(5), r"shape \(5,\) and \[h w\], \[h w c\], \[t h w\]"),
    ("a.npy", np.ones((2, 0, 3)), r"shape \(2, 0, 3\) and"),
    ("a.npy", np.ones((2, 3, 4, 5, 6)), "shape"),
    ("a.npy", np.full((3, 4), "a"), "holds <U1 and real numbers are needed"),
    ("a.npz", {"u": np.ones(3)}, r"no array of two dimensions, \[\.\. h w\]"),
    ("a.npz", {"u": np.ones((3, 4), bool)}, "'u' holds bool and real numbers"),
    (
      "a.npz",
      {"u": np.ones((3, 4)), "v": np.ones((3, 5))},
      r"'u' \(3, 4\) and 'v' \(3, 5\) are two variables of different grids",
    ),
    (
      "a.npz",
      {"u": np.ones((3, 4)), "lat": np.asarray([0.0, 2.0, 1.0])},
      "lat is unsorted, 2 at index 1 and 1 at 2",
    ),
  ],
)
def test_bad_arrays_are_refused_in_a_sentence(tmp_path, name, array, message):
  save = np.savez if name == "a.npz" else np.save
  save(tmp_path / name, **array) if name == "a.npz" else save(
    tmp_path / name, array
  )
  with pytest.raises(ValueError, match=message):
    io.open(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_arrays_are_refused(tmp_path, name):
  (tmp_path / name).write_bytes(b"not a field")
  with pytest.raises(ValueError, match=f"cannot read .*{name}") as error:
    io.open(tmp_path / name)
  assert "\n" not in str(error.value)
