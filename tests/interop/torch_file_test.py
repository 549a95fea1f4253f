"""Files that are cut short, damaged or no checkpoints at all."""

import io
import pickle
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax.interop import reader
from tests.interop import streams as s


@pytest.fixture
def path(tmp_path):
  return tmp_path / "net.pth"


@pytest.mark.parametrize(
  "content, reason",
  [
    (b"", "is empty"),
    (b"epoch,loss\n1,0.5\n", "is no checkpoint: it begins like no file of"),
    (b"\x93NUMPY\x01\x00v\x00{'descr'", "is no checkpoint: it begins like no"),
    (b"PK\x03\x04 and no more", "is a zip file cut short or damaged"),
    (pickle.dumps({"w": 1}, 2), "is a pickle, but none that torch.save"),
    (pickle.dumps(np.ones(2), 2), "asks for numpy.*_reconstruct,"),
    (s.MAGIC[:-3], "holds a damaged pickle"),
    (s.MAGIC, "holds a damaged pickle"),
    (s.MAGIC + pickle.dumps(1000, 2) * 2, "is of protocol 1000, not 1001"),
    (
      s.MAGIC
      + pickle.dumps(1001, 2)
      + pickle.dumps({"little_endian": False}, 2),
      "was written on a big-endian machine",
    ),
  ],
)
def test_other_files_are_refused(path, content, reason):
  path.write_bytes(content)
  s.refused(path, reason)


def test_a_missing_file(tmp_path):
  with pytest.raises(FileNotFoundError, match="none.pth"):
    reader.read(tmp_path / "none.pth")


@s.FORMATS
@pytest.mark.parametrize(
  "tree",
  [s.plain({}), s.plain(3), s.plain({"epoch": 3, "sd": {}}), s.floats("0")],
)
def test_files_without_tensors_by_name(path, save, tree):
  storages = s.SIX if b"Float" in tree else {}
  s.refused(save(path, tree, storages), "holds no dict made mostly of tensors")


def test_damaged_archives(path):
  s.write_zip(path, s.NET, s.SIX)
  whole = path.read_bytes()
  path.write_bytes(whole[:-30])
  s.refused(path, "is a zip file cut short or damaged")
  at = whole.index(s.SIX["0"].tobytes())
  path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
  s.refused(path, "lacks the member net/data/0, or it is damaged .*CRC")
  s.write_zip(path, s.NET)
  s.refused(path, "lacks the member net/data/0")
  s.write_zip(path, s.NET, {"0": s.SIX["0"][:5]})
  s.refused(path, "'0' has 20 bytes and 6 elements of float32 are needed")
  s.write_zip(path, s.NET, s.SIX, "middle")
  s.refused(path, "byte order 'middle': unknown")


def test_archives_that_are_no_checkpoints(path):
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("word/document.xml", "<w/>")
  s.refused(path, "is a zip file without data.pkl or .npy")
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("net/data.pkl", bytes(1000))
  s.refused(path, "holds net/data.pkl compressed, which PyTorch never does")
  stream = io.BytesIO()
  np.savez(stream, w=np.arange(100.0))
  damaged = bytearray(stream.getvalue())
  damaged[300] ^= 255
  path.write_bytes(damaged)
  s.refused(path, "holds 'w', which is no array of numbers .*CRC")


def test_legacy_files_cut_short(path):
  tree = s.dict_of({"w": s.floats("0"), "v": s.floats("1")})
  s.write_legacy(path, tree, s.SIX | {"1": s.SIX["0"]})
  assert list(reader.read(path).tensors) == ["w", "v"]
  whole = path.read_bytes()
  at = len(whole) - 24
  path.write_bytes(whole[:-1])
  s.refused(path, f"cut short .*: 6 elements of float32 should lie at {at}")
  path.write_bytes(whole[: at - 3])
  s.refused(path, "is cut short or damaged: 6 elements of float32 should lie")
  s.write_legacy(path, s.NET)
  s.refused(path, "lists other storages than its tensors refer to")


@given(st.data())
def test_damage_is_an_error_and_no_crash(tmp_path_factory, data):
  path = tmp_path_factory.mktemp("damage") / "net.pth"
  net = s.instance("nets", "Net", s.network_state({"w": s.floats("0")}))
  tree = s.dict_of({"net": net, "epoch": s.plain(3)})
  content = bytearray(s.write_legacy(path, tree, s.SIX).read_bytes())
  at = data.draw(st.integers(0, len(content) - 1))
  content[at] = data.draw(st.integers(0, 255))
  path.write_bytes(content[: data.draw(st.integers(at + 1, len(content)))])
  try:
    reader.read(path, widen=True)
  except ValueError as error:
    assert str(error).startswith(str(path))
