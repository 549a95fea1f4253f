"""Files that claim what cannot be, and whatever a library says of damage."""

import gzip
import struct
import zipfile
import zlib

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.io import inputs, room
from tests.faults import samples


@pytest.mark.parametrize(
  "error", [KeyError("x"), RuntimeError("two\nlines"), RecursionError()]
)
def test_a_foreign_exception_is_one_sentence_with_the_name(error):
  with pytest.raises(ValueError, match=r"^cannot read .*a\.nc \([^\n]+\)$"):
    with inputs.reading("folder/a.nc"):
      raise error


def test_what_names_the_file_passes_as_it_is():
  with pytest.raises(FileNotFoundError, match="^no file at a.nc$"):
    with inputs.reading("a.nc"):
      raise FileNotFoundError("no file at a.nc")


def test_room(tmp_path, monkeypatch):
  monkeypatch.setattr(room, "memory", lambda: 1000)
  room.require_memory("a.nc", "a field", (10, 25))
  with pytest.raises(ValueError, match="a.nc: a field of 10 x 26 .* 1.04 kB"):
    room.require_memory("a.nc", "a field", (10, 26))
  room.require_disk(tmp_path / "a.nc", (10, 25), "give less")
  with pytest.raises(OSError, match=r"a.nc of 1000\d* x .* give less"):
    room.require_disk(tmp_path / "a.nc", (10**9, 10**9), "give less")
  # Compression may make it a thousandth.
  free = room.shutil.disk_usage(tmp_path).free
  room.require_disk(tmp_path / "a", (free // 2,), "", is_packed=True)


def test_what_is_there_already_needs_no_room(tmp_path, monkeypatch):
  (tmp_path / "partial").mkdir()
  (tmp_path / "partial" / "tile").write_bytes(bytes(600))
  usage = room.shutil.disk_usage(tmp_path)._replace(free=500)
  monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: usage)
  held = tmp_path / "partial"
  room.require_disk(tmp_path / "a", (275,), "", held_in=held)
  with pytest.raises(OSError, match="a of 276 values"):
    room.require_disk(tmp_path / "a", (276,), "", held_in=held)


def test_an_array_of_a_head_alone(tmp_path):
  path = tmp_path / "a.npy"
  with path.open("wb") as file:
    head = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(file, head)
  with pytest.raises(ValueError, match="cannot read .*a.npy"):
    io.open(path)


def test_an_archive_that_unpacks_to_more_than_it_can(tmp_path):
  path = tmp_path / "a.npz"
  np.savez_compressed(path, t=np.zeros((4, 5), "f4"))
  data = bytearray(path.read_bytes())
  at = data.rindex(b"PK\x01\x02") + 24
  data[at : at + 4] = struct.pack("<I", 3 << 30)
  path.write_bytes(data)
  with pytest.raises(ValueError, match="a.npz .*'t.npy' claims 3.22 GB"):
    io.open(path)
  assert zipfile.ZipFile(path).infolist()[0].file_size == 3 << 30


def test_a_text_of_a_picture_that_unpacks_to_gigabytes(tmp_path):
  samples.write(tmp_path / "p", "png")
  path = tmp_path / "p" / "a.png"
  data = path.read_bytes()
  packed = zlib.compress(bytes(65 << 20))
  chunk = b"zTXtComment\0\0" + packed
  chunk = struct.pack(">I", len(chunk) - 4) + chunk
  chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
  path.write_bytes(data[:33] + chunk + data[33:])
  with pytest.raises(ValueError, match="a.png .*over 64 MB"):
    io.open(path)


def test_a_flipped_bit_beside_the_pixels_is_found(tmp_path):
  samples.write(tmp_path / "p", "png")
  path = tmp_path / "p" / "a.png"
  data = bytearray(path.read_bytes())
  data[18] ^= 1  # of the width
  path.write_bytes(data)
  with pytest.raises(ValueError, match="a.png .*IHDR is damaged"):
    io.open(path)


def test_a_compressed_volume_is_read_to_its_check(tmp_path):
  samples.write(tmp_path / "n", "nii.gz")
  path = tmp_path / "n" / "a.nii.gz"
  data = bytearray(gzip.decompress(path.read_bytes()))
  data = gzip.compress(bytes(data))
  path.write_bytes(data[:-8] + bytes(4) + data[-4:])
  with pytest.raises(ValueError, match="a.nii.gz .*CRC"):
    io.read(path)


@pytest.mark.parametrize("kind", ["netcdf3", "zarr2"])
def test_nothing_is_read_behind_the_end(tmp_path, kind):
  samples.write(tmp_path / kind, kind)
  path = samples.path_of(tmp_path / kind, kind)
  part = path / "t" / "0.0.0" if path.is_dir() else path
  part.write_bytes(part.read_bytes()[:-9])
  with pytest.raises(ValueError, match=f"cannot read .*{path.name}"):
    io.read(path)
