"""The writer of PyTorch files: exact, deterministic, and what torch expects."""

import os
import pickletools
import struct
import zipfile

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import ml_dtypes
import numpy as np
import pytest

from hinote_jax.interop import pickles, reader, torch_writer

_W = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture
def path(tmp_path):
  return tmp_path / "net.pth"


_ARRAYS = hnp.arrays(
  dtype=st.sampled_from([np.float32, np.float64, np.int64, np.bool_, ">f4"]),
  shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), _ARRAYS, min_size=1))
def test_read_gives_back_every_bit(tmp_path_factory, tensors):
  path = tmp_path_factory.mktemp("written") / "net.pth"
  tensors = {f"net.{name}": array for name, array in tensors.items()}
  torch_writer.write(path, tensors)
  contents = reader.read(path)
  assert (contents.kind, contents.held_in) == ("torch zip", "")
  assert list(contents.tensors) == list(tensors)
  for name, array in tensors.items():
    got = contents.tensors[name]
    assert (got.dtype, got.shape) == (
      array.dtype.newbyteorder("="),
      array.shape,
    )
    assert got.tobytes() == array.astype(got.dtype).tobytes()


@pytest.mark.parametrize("dtype", pickles.STORAGES.values(), ids=str)
def test_every_kind_of_number(path, dtype):
  values = np.arange(6).reshape(2, 3).astype(dtype).T  # not in C order
  torch_writer.write(path, {"w": values})
  got = reader.read(path, widen=True).tensors["w"]
  np.testing.assert_array_equal(got, values.astype(got.dtype))


_SPEC = {
  "name": "liif",
  "args": {
    "hidden": [256, 256],
    "rate": 1.5e-300,
    "negative": [-1, -128, -129, -(2**31), 127, 128, 255, 2**40, 0],
    "flags": [True, False, None],
    "nothing": [{}, [], ""],
    "text": "µm \n'",
  },
}


def test_spec_lies_beside_the_tensors(path):
  torch_writer.write(path, _W, spec=_SPEC, held_in="model/sd")
  contents = reader.read(path)
  assert (contents.held_in, contents.spec) == ("model/sd", _SPEC)
  np.testing.assert_array_equal(contents.tensors["w"], _W["w"])


def test_held_in_without_a_spec(path):
  torch_writer.write(path, _W, held_in="params_ema")
  contents = reader.read(path)
  assert (contents.held_in, contents.spec) == ("params_ema", {})


def test_the_same_tensors_give_the_same_bytes(path):
  other = path.with_name("other.pth")
  for name in (path, other):
    torch_writer.write(name, _W, spec=_SPEC, held_in="model/sd")
  assert path.read_bytes() == other.read_bytes()
  torch_writer.write(other, {"w": _W["w"] + 1}, spec=_SPEC, held_in="model/sd")
  ids = [
    zipfile.ZipFile(name).read("archive/.data/serialization_id")
    for name in (path, other)
  ]
  assert ids[0] != ids[1]
  assert [len(number) for number in ids] == [40, 40]


def test_archive_is_laid_out_as_torch_does(path):
  torch_writer.write(path, _W | {"v": np.zeros((0, 3)), "u": np.ones(5, bool)})
  with zipfile.ZipFile(path) as archive:
    assert archive.testzip() is None
    members = {info.filename: info for info in archive.infolist()}
    assert archive.read("archive/version") == b"3\n"
    assert archive.read("archive/byteorder") == b"little"
    assert archive.read("archive/data/0") == _W["w"].astype("<f4").tobytes()
  assert list(members)[0] == "archive/data.pkl"
  raw = path.read_bytes()
  for info in members.values():
    assert info.compress_type == zipfile.ZIP_STORED
    lengths = struct.unpack_from("<HH", raw, info.header_offset + 26)
    start = info.header_offset + 30 + sum(lengths)
    assert start % 64 == 0  # so that torch.load(mmap=True) can map it
    assert raw[start : start + info.file_size] == zipfile.ZipFile(path).read(
      info
    )


def test_pickle_asks_only_for_what_torch_allows(path):
  torch_writer.write(path, _W, spec=_SPEC, held_in="model/sd")
  stream = zipfile.ZipFile(path).read("archive/data.pkl")
  operations = list(pickletools.genops(stream))
  assert max(opcode.proto for opcode, _, _ in operations) <= 2
  assert {arg for opcode, arg, _ in operations if opcode.name == "GLOBAL"} == {
    "collections OrderedDict",
    "torch FloatStorage",
    "torch._utils _rebuild_tensor_v2",
  }


@pytest.mark.parametrize(
  "tensors, options, reason",
  [
    (
      {"a": np.ones(2, np.uint16)},
      {},
      "'a' is of type uint16, which cannot be",
    ),
    ({"a": np.array(["x"])}, {}, "'a' is of type <U1, which cannot be written"),
    (
      {"a": np.ones(2, ml_dtypes.float8_e4m3fn)},
      {},
      "'a' is of type float8_e4m3fn, which cannot be written",
    ),
    (_W, {"spec": {"name": "liif"}}, r"the spec \(name\) lies beside tensors"),
    (_W, {"spec": {"sd": 1}, "held_in": "sd"}, "got held_in='sd'"),
    (
      _W,
      {"spec": {"x": np.ones(1)}, "held_in": "sd"},
      "holds plain values, not",
    ),
  ],
)
def test_what_cannot_be_written_leaves_the_old_file(
  path, tensors, options, reason
):
  path.write_text("old")
  with pytest.raises(ValueError, match=reason):
    torch_writer.write(path, tensors, **options)
  assert path.read_text() == "old"
  assert os.listdir(path.parent) == ["net.pth"]
