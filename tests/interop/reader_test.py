"""What the reader of checkpoints finds in the files of every format."""

import json
import math
import pathlib
import struct
import sys

from hypothesis import given
from hypothesis import strategies as st
import ml_dtypes
import numpy as np
import pytest

from hinote_jax.interop import pickles, reader
from tests.interop import streams as s

_SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def path(tmp_path):
  return tmp_path / "net.pth"


@s.FORMATS
@pytest.mark.parametrize("kind, dtype", pickles.STORAGES.items())
def test_every_kind_of_number(path, save, kind, dtype):
  values = np.arange(6).astype(dtype)
  tensor = s.tensor(s.storage("7", kind, 6), 0, (2, 3), (3, 1))
  save(path, s.dict_of({"weight": tensor}), {"7": values})
  contents = reader.read(path, widen=True)
  got = contents.tensors["weight"]
  kinds = {s.write_zip: "torch zip", s.write_legacy: "torch legacy"}
  assert contents.kind == kinds[save]
  assert (contents.held_in, contents.spec) == ("", {})
  is_half = dtype.itemsize == 2 and dtype.kind in "fV"
  assert got.dtype == (np.float32 if is_half else dtype)
  np.testing.assert_array_equal(got, values.reshape(2, 3).astype(got.dtype))


@pytest.mark.parametrize("kind, dtype", pickles.STORAGES.items())
def test_big_endian_storages_are_swapped(path, kind, dtype):
  words = np.arange(1, 7).astype(dtype)
  if dtype.kind == "c":
    words = words + np.asarray(0.5j, dtype)
  tensor = s.tensor(s.storage("0", kind, 6), 0, (6,), (1,))
  s.write_zip(path, s.dict_of({"w": tensor}), {"0": words.byteswap()}, "big")
  got = reader.read(path, widen=True).tensors["w"]
  np.testing.assert_array_equal(got, words.astype(got.dtype))


@st.composite
def _views(draw):
  """Draws a storage and a view of it, as NumPy makes them."""
  shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
  base = np.arange(math.prod(shape), dtype=np.int32)
  cuts = [
    slice(draw(st.integers(0, n)), n, draw(st.integers(1, 3))) for n in shape
  ]
  view = base.reshape(shape)[tuple(cuts)]
  return base, view.transpose(draw(st.permutations(range(view.ndim))))


@given(_views(), st.sampled_from([s.write_zip, s.write_legacy]))
def test_strided_views_equal_numpy(tmp_path_factory, drawn, save):
  path = tmp_path_factory.mktemp("views") / "net.pth"
  base, view = drawn
  first = view.__array_interface__["data"][0]
  offset = (first - base.__array_interface__["data"][0]) // base.itemsize
  stride = tuple(step // base.itemsize for step in view.strides)
  storage = s.storage("0", "IntStorage", base.size)
  tensor = s.tensor(storage, offset, view.shape, stride)
  save(path, s.dict_of({"view": tensor}), {"0": base})
  np.testing.assert_array_equal(reader.read(path).tensors["view"], view)


@s.FORMATS
def test_shared_and_expanded_storages(path, save):
  storage = s.storage("0", "FloatStorage", 6)
  tree = {
    "a": s.tensor(storage, 0, (6,), (1,)),
    "tied": s.tensor(storage, 0, (6,), (1,)),
    "wide": s.tensor(storage, 4, (3, 2), (0, 1)),
    "scalar": s.tensor(storage, 5, (), ()),
    "empty": s.tensor(storage, 0, (0, 4), (4, 1)),
  }
  tensors = reader.read(save(path, s.dict_of(tree), s.SIX)).tensors
  assert list(tensors) == list(tree)
  tensors["a"][:] = -1.0  # a copy: the others stay
  np.testing.assert_array_equal(tensors["tied"], np.arange(6))
  np.testing.assert_array_equal(tensors["wide"], [[4, 5]] * 3)
  np.testing.assert_array_equal(tensors["scalar"], 5)
  assert tensors["empty"].shape == (0, 4)


def test_storage_views_of_the_first_torch(path):
  def saved(start, length):
    view = s.tuple_of(s.plain("v"), s.plain(start), s.plain(length))
    tensor = s.tensor(s.storage("0", "FloatStorage", 6, view), 1, (2,), (1,))
    return s.write_legacy(path, s.dict_of({"w": tensor}), s.SIX)

  tensors = reader.read(saved(2, 3)).tensors
  np.testing.assert_array_equal(tensors["w"], [3, 4])
  s.refused(saved(2, 2), "reaches outside its storage of 2 elements")
  s.refused(saved(2, 5), "a part of a storage in a way that is not known")


@s.FORMATS
def test_parameters_and_versions_of_a_state_dict(path, save):
  flags = s.plain(True), s.ordered_dict_of({})  # requires_grad and hooks
  parameter = s.call(
    "torch._utils", "_rebuild_parameter", s.floats("0"), *flags
  )
  versions = s.dict_of({"_metadata": s.plain({"version": 1})})
  tree = s.ordered_dict_of({"w": parameter}) + versions + b"b"
  contents = reader.read(save(path, tree, s.SIX))
  np.testing.assert_array_equal(contents.tensors["w"], np.arange(6))


@s.FORMATS
def test_whole_networks_are_walked(path, save):
  announced = save is s.write_legacy
  hidden = s.call("builtins", "set", b"](" + s.plain("mask") + b"e")
  conv = s.instance(
    "torch.nn.modules.conv",
    "Conv2d",
    s.network_state({"weight": s.floats("0"), "bias": b"N"}),
    announced,
  )
  body = s.network_state(
    modules={"conv": conv, "none": b"N"},
    buffers={"mean": s.floats("1", 2), "mask": s.floats("1", 2)},
  )
  body |= {"_non_persistent_buffers_set": hidden}
  inner = s.instance("nets.deep", "Body", body, announced)
  state = s.network_state({"scale": s.floats("1", 2)}, {"body": inner})
  net = s.instance("__main__", "SRNet", state, announced)
  storages = s.SIX | {"1": np.ones(2, np.float32)}
  contents = reader.read(save(path, net, storages))
  names = ["scale", "body.mean", "body.conv.weight"]
  assert list(contents.tensors) == names
  np.testing.assert_array_equal(
    contents.tensors["body.conv.weight"], np.arange(6)
  )
  beside = save(path, s.dict_of({"epoch": s.plain(3), "net": net}), storages)
  contents = reader.read(beside)
  assert (contents.held_in, contents.spec) == ("net", {"epoch": 3})
  assert list(contents.tensors) == names


# Where the tensors lie.

_OPTIMISER = s.dict_of({"state": s.dict_of({"0": s.NET}), "lr": s.plain(0.1)})
_LIIF = {"name": "liif", "args": {"hidden": [256, 256], "up": None, "x": 1.5}}
_PLACES = [
  ({"state_dict": s.NET, "epoch": s.plain(3)}, "state_dict", {"epoch": 3}),
  ({"params": s.NET, "params_ema": s.NET}, "params_ema", {}),
  ({"params": s.NET, "step": s.floats("0")}, "params", {}),
  ({"nets": b"](" + s.plain("a") + s.NET + b"e"}, "nets/1", {"0": "a"}),
  (
    {
      "model": s.dict_of({n: s.plain(v) for n, v in _LIIF.items()})[:-1]
      + s.plain("sd")
      + s.NET
      + b"u",
      "optimizer": _OPTIMISER,
      "lr_schedulers": s.plain([1]),
      "epoch": s.plain(1000),
    },
    "model/sd",
    _LIIF,
  ),
]


@pytest.mark.parametrize("tree, held_in, spec", _PLACES)
def test_tensors_are_found_where_they_lie(path, tree, held_in, spec):
  contents = reader.read(s.write_zip(path, s.dict_of(tree), s.SIX))
  assert contents.held_in == held_in
  assert contents.spec == spec
  np.testing.assert_array_equal(contents.tensors["w"], np.arange(6))


def test_plain_values_among_the_tensors_are_their_spec(path):
  tree = {"w": s.floats("0"), "b": s.floats("0"), "epoch": s.plain(3)}
  contents = reader.read(s.write_zip(path, s.dict_of(tree), s.SIX))
  assert list(contents.tensors) == ["w", "b"]
  assert (contents.held_in, contents.spec) == ("", {"epoch": 3})
  del tree["b"]  # one of two is no set of tensors
  s.refused(
    s.write_zip(path, s.dict_of(tree), s.SIX), "no dict made mostly of tensors"
  )


def test_several_sets_are_an_error(path):
  gan = {"generator": s.NET, "critic": s.NET, "optim_g": s.NET}
  s.write_zip(path, s.dict_of(gan), s.SIX)
  s.refused(path, "2 sets of tensors, in generator, critic: save the one")


@pytest.mark.parametrize(
  "place, names, want",
  [
    ("", ["module.a", "module.module.b"], ["a", "module.b"]),
    ("", ["module.a", "b"], ["module.a", "b"]),
    ("", ["model.0", "model.1"], ["model.0", "model.1"]),
    ("state_dict", ["model.0", "model.1"], ["0", "1"]),
    ("state_dict", ["model.0", "loss"], ["model.0", "loss"]),
  ],
)
def test_common_prefixes_are_taken_off(path, place, names, want):
  tree = s.dict_of({name: s.floats("0") for name in names})
  tree = s.dict_of({place: tree}) if place else tree
  assert list(reader.read(s.write_zip(path, tree, s.SIX)).tensors) == want


# Half precision.


@s.FORMATS
@pytest.mark.parametrize("kind", ["HalfStorage", "BFloat16Storage"])
def test_half_precision_is_asked_for(path, save, kind):
  values = np.arange(6).astype(pickles.STORAGES[kind]) / 4
  half = s.tensor(s.storage("1", kind, 6), 0, (6,), (1,))
  tree = s.dict_of({"w": s.floats("0"), "a": half, "b": half})
  save(path, tree, s.SIX | {"1": values})
  s.refused(
    path, "2 of 3 tensors in half precision, 'a' first: pass widen=True"
  )
  tensors = reader.read(path, widen=True).tensors
  assert list(tensors) == ["w", "a", "b"]
  assert tensors["b"].dtype == np.float32
  np.testing.assert_array_equal(tensors["b"], np.arange(6) / 4)


# safetensors and npz.


def test_safetensors(tmp_path):
  library = pytest.importorskip("safetensors.numpy")
  path = tmp_path / "weights"  # the suffix says nothing
  tensors = {
    "module.z": np.arange(6, dtype=np.float64).reshape(2, 3),
    "module.a": np.array([1.5, -2.0], ml_dtypes.bfloat16),
  }
  library.save_file(tensors, path, metadata={"format": "pt"})
  s.refused(path, "1 of 2 tensors in half precision, 'a' first")
  contents = reader.read(path, widen=True)
  assert contents.kind == "safetensors"
  assert contents.spec == {"format": "pt"}
  assert list(contents.tensors) == ["z", "a"]  # as they lie in the file
  np.testing.assert_array_equal(contents.tensors["z"], tensors["module.z"])
  np.testing.assert_array_equal(contents.tensors["a"], [1.5, -2.0])
  path.write_bytes(path.read_bytes()[:-1])
  s.refused(path, "is no safetensors file that can be read")


@pytest.mark.parametrize("start", [b"\x80\x02", b"PK"])
def test_safetensors_that_begin_like_another_format(tmp_path, start):
  pytest.importorskip("safetensors")
  path = tmp_path / "weights"
  entry = {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}
  length = int.from_bytes(start, "little")
  header = json.dumps({"w": entry}).encode().ljust(length)
  values = s.SIX["0"].tobytes()
  path.write_bytes(struct.pack("<Q", length) + header + values)
  assert path.read_bytes().startswith(start)
  np.testing.assert_array_equal(reader.read(path).tensors["w"], s.SIX["0"])


def test_safetensors_may_be_missing(tmp_path, monkeypatch):
  path = tmp_path / "a.safetensors"
  path.write_bytes(struct.pack("<Q", 2) + b"{}")
  monkeypatch.setitem(sys.modules, "safetensors", None)
  with pytest.raises(ModuleNotFoundError, match=r"hinote_jax\[interop\]"):
    reader.read(path)


def test_npz(tmp_path):
  path = tmp_path / "weights.pth"  # the suffix says nothing
  with open(path, "wb") as stream:
    np.savez(stream, w=np.arange(3, dtype=">f8"), i=np.ones((2, 2), np.uint16))
  contents = reader.read(path)
  assert contents.kind == "npz"
  assert contents.tensors["w"].dtype == np.float64
  np.testing.assert_array_equal(contents.tensors["w"], np.arange(3))
  np.testing.assert_array_equal(contents.tensors["i"], np.ones((2, 2)))
  with open(path, "wb") as stream:
    np.savez(stream, w=np.array([{}], object))
  s.refused(path, "holds 'w', which is no array of numbers .*allow_pickle")
  with open(path, "wb") as stream:
    np.savez(stream, w=np.array(["text"]))
  s.refused(path, "'w' of type <U4, which is not read here")


# Files that others have written.


@pytest.mark.skipif(
  not _SHARED.is_dir(), reason=f"the published weights are not at {_SHARED}"
)
class TestPublished:
  def test_liif(self):
    contents = reader.read(_SHARED / "weights/liif_edsr_baseline.pth")
    assert (contents.kind, contents.held_in) == ("torch zip", "model/sd")
    assert contents.spec["name"] == "liif"
    assert contents.spec["args"]["encoder_spec"]["name"] == "edsr-baseline"
    mean = contents.tensors["encoder.sub_mean.bias"]
    # EDSR takes off the mean colour of DIV2K, in [0, 1] here.
    np.testing.assert_allclose(mean, [-0.4488, -0.4371, -0.4040], rtol=1e-6)

  def test_srlut_is_a_whole_network(self):
    contents = reader.read(_SHARED / "weights/srlut_model_s.pth")
    assert (contents.kind, contents.held_in) == ("torch legacy", "")
    assert contents.tensors["conv1.weight"].shape == (64, 1, 2, 2)
    assert contents.tensors["conv6.bias"].shape == (16,)
    # The paper's model S for scale 4.
    assert sum(a.size for a in contents.tensors.values()) == 18_000
