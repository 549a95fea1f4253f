"""What shows other files is passed over, and refused where it is named."""

import numpy as np
import pytest

from hinote_jax import io

h5py = pytest.importorskip("h5py")
_VALUES = np.arange(24.0, dtype="f4").reshape(4, 6)


@pytest.fixture
def secret(tmp_path):
  path = tmp_path / "secret.h5"
  with h5py.File(path, "w") as file:
    file["t"] = -_VALUES
  (tmp_path / "raw.bin").write_bytes((-_VALUES).tobytes())
  return path


def _make(path, kind, secret):
  with h5py.File(path, "w") as file:
    file["own"] = _VALUES
    if kind == "link":
      file["other"] = h5py.ExternalLink(str(secret), "/t")
    elif kind == "storage":
      raw = [(str(secret.with_name("raw.bin")), 0, h5py.h5f.UNLIMITED)]
      file.create_dataset("other", (4, 6), "f4", external=raw)
    else:
      layout = h5py.VirtualLayout((4, 6), "f4")
      layout[:] = h5py.VirtualSource(str(secret), "t", (4, 6))
      file.create_virtual_dataset("other", layout)


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_other_files_are_read_only_where_that_is_asked(tmp_path, secret, kind):
  path = tmp_path / "a.h5"
  _make(path, kind, secret)
  np.testing.assert_array_equal(io.read(path).values[..., 0], _VALUES)
  with pytest.raises(ValueError, match=r"a.h5: 'other' shows .*--follow-links"):
    io.open(path, ["other"])
  field = io.read(path, ["other"], follow_links=True)
  np.testing.assert_array_equal(field.values[..., 0], -_VALUES)


def test_netcdf_4_shows_no_other_file(tmp_path, secret):
  path = tmp_path / "a.nc"
  _make(path, "storage", secret)
  assert io.read(path).header.names == ("own",)
  with pytest.raises(ValueError, match=r"a.nc: 'other' shows .*raw.bin"):
    io.open(path, ["other"])


def test_a_virtual_dataset_of_its_own_file_is_plain(tmp_path):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file["own"] = _VALUES
    layout = h5py.VirtualLayout((4, 6), "f4")
    layout[:] = h5py.VirtualSource(".", "own", (4, 6))
    file.create_virtual_dataset("again", layout)
  assert io.read(path).header.names == ("again", "own")


def test_what_is_dead_odd_or_holds_itself_is_passed_over(tmp_path):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file["own"] = _VALUES
    file["gone"] = h5py.SoftLink("/nowhere")
    file["away"] = h5py.ExternalLink("gone.h5", "/t")
    file["real"] = np.dtype("f4")
    file["table"] = np.zeros((4, 4), [("a", "f4"), ("b", "i4")])
    file["empty"] = h5py.Empty("f4")
    group = file.create_group("group")
    group["inner"] = _VALUES
    group["itself"] = file["/"]
  assert io.read(path).header.names == ("group/inner", "own")


@pytest.mark.parametrize("version", [2, 3])
def test_links_out_of_a_zarr_store(tmp_path, version):
  xarray = pytest.importorskip("xarray")
  pytest.importorskip("zarr")
  for name in ("a", "b"):
    data = xarray.Dataset({v: (("y", "x"), _VALUES) for v in ("own", "other")})
    path = tmp_path / f"{name}.zarr"
    data.to_zarr(path, zarr_format=version, consolidated=False)
  path, away = tmp_path / "a.zarr", tmp_path / "away"
  (path / "other").rename(away)
  (path / "other").symlink_to(away)
  assert io.read(path).header.names == ("own",)
  with pytest.raises(ValueError, match=r"a.zarr: 'other' shows .*away"):
    io.open(path, ["other"])
  assert io.read(path, ["other"], follow_links=True).values.shape == (4, 6, 1)
  meta = path / (".zgroup" if version == 2 else "zarr.json")
  meta.rename(tmp_path / "meta")
  meta.symlink_to(tmp_path / "meta")
  with pytest.raises(ValueError, match="a.zarr: its .* is a link .* out of"):
    io.open(path)
