"""Pickles that mean harm: nothing of them is run, and they say what they ask.

Forged tensors and bombs are here as well.
"""

import os
import pickle
import struct

import pytest

from hinote_jax.interop import pickles, reader
from tests.interop import streams as s

_STATE = s.network_state({"w": s.floats("0")})
_FUNCTION = s.named("torch._utils", "_rebuild_tensor_v2")


@pytest.fixture
def path(tmp_path):
  return tmp_path / "net.pth"


@s.FORMATS
@pytest.mark.parametrize("module", ["os", "posix"])
def test_a_hostile_pickle_runs_nothing(path, save, module):
  made = path.parent / "made"
  hostile = s.call(module, "mkdir", s.plain(str(made)))
  pickle.loads(b"\x80\x02" + hostile + b".")  # what it would do
  assert made.exists()
  made.rmdir()
  save(path, s.dict_of({"w": s.floats("0"), "x": hostile}), s.SIX)
  s.refused(path, f"asks for {module}.mkdir, which .* refused; nothing was run")
  assert os.listdir(path.parent) == ["net.pth"]


@pytest.mark.parametrize("place", range(5))
def test_every_pickle_of_a_legacy_file_is_watched(path, place):
  made = path.parent / "made"
  hostile = s.call("os", "system", s.plain(f"mkdir {made}"))
  parts = [s.MAGIC, pickle.dumps(1001, 2), pickle.dumps({}, 2)]
  parts += [b"\x80\x02" + s.NET + b".", pickle.dumps(["0"], 2)]
  parts[place] = b"\x80\x02" + hostile + b"."
  path.write_bytes(b"".join(parts) + struct.pack("<q", 6) + bytes(24))
  s.refused(path, "asks for os.system, which is no part of a checkpoint")
  assert not made.exists()


_NET = s.named("nets", "Net")
_ONE = s.plain(1)
_CHANGE = s.dict_of({"x": _ONE})
_HOSTILE = [
  (s.call("builtins", "eval", _ONE), "asks for builtins.eval,"),
  (s.call("__builtin__", "eval", _ONE), "asks for __builtin__.eval,"),
  (s.call("builtins", "getattr", _ONE), "asks for builtins.getattr,"),
  (s.call("os", "path.join", _ONE), "asks for os.path.join,"),
  (s.call("functools", "partial", _ONE), "asks for functools.partial,"),
  (s.call("copy_reg", "_reconstructor"), "asks for copy_reg._reconstructor,"),
  (
    s.call("numpy.core.multiarray", "_reconstruct", _ONE),
    "asks for numpy.core.multiarray._reconstruct,",
  ),
  (s.call("torch", "load", _ONE), "asks for torch.load,"),
  (s.call("torch.hub", "load", _ONE), "asks for torch.hub.load,"),
  (s.call("torch.nn", "Linear"), "asks for torch.nn.Linear,"),
  (s.call("nets", "Net"), "asks for nets.Net,"),
  (s.call("nets", "run", _ONE), "asks for nets.run,"),
  # A name that is only looked up, never used.
  (s.named("os", "system"), "asks for os.system,"),
  (_NET, "asks for nets.Net,"),
  # Other ways to look up and to call.
  (s.plain("os") + s.plain("system") + b"\x93", "asks for os.system,"),
  (b"(" + _ONE + b"iposix\nsystem\n", "asks for posix.system,"),
  (b"(" + _ONE + b"inets\nNet\n", "asks for nets.Net,"),
  (b"(" + s.named("os", "system") + _ONE + b"o", "asks for os.system,"),
  (b"(" + _NET + _ONE + b"o", "asks for nets.Net,"),
  (_NET + s.tuple_of(_ONE) + b"\x81", "asks for nets.Net,"),
  (_NET + b")" + _CHANGE + b"\x92", "asks for nets.Net,"),
  (b"\x82\x01", "damaged pickle .*extension"),
  # Objects that are nobody's network.
  (_NET + b")\x81", "asks for nets.Net,"),
  (s.instance("nets", "Net", {"x": _ONE}), "asks for nets.Net,"),
  (s.instance("subprocess", "Popen", _STATE), "asks for subprocess.Popen,"),
  # Changes to what the reader itself uses.
  (_FUNCTION + _CHANGE + b"b", "changes a function"),
  (_FUNCTION + b"N" + _CHANGE + b"\x86b", "changes a function"),
  (s.named("torch.nn", "X") + b"N" + _CHANGE + b"\x86b", "damaged pickle"),
  (s.named("builtins", "dict") + _CHANGE + b"b", "damaged pickle"),
  (s.named("collections", "OrderedDict") + _CHANGE + b"b", "damaged pickle"),
  (s.plain([]) + _CHANGE + b"b", "damaged pickle"),
  # Persistent objects of wrong kinds.
  (_ONE + b"Q", "neither a storage nor a network"),
  (b"Pstorage\n", "neither a storage nor a network"),
  (s.tuple_of(s.plain("code"), _ONE) + b"Q", "neither a storage nor a network"),
  (s.tuple_of(s.plain("module"), _ONE) + b"Q", "neither a storage nor"),
  (s.tuple_of(s.plain("module"), _FUNCTION) + b"Q", "neither a storage nor"),
  (s.storage("0", "FloatStorage", 6, _ONE), "in a way that is not known"),
  (s.storage("0", "FloatStorage", 7), "refers to storage '0' in two ways"),
  (s.storage("0", "IntStorage", 6), "refers to storage '0' in two ways"),
]


@s.FORMATS
@pytest.mark.parametrize("hostile, reason", _HOSTILE)
def test_hostile_pickles_are_refused(path, save, hostile, reason):
  tree = s.dict_of({"w": s.floats("0"), "x": hostile})
  s.refused(save(path, tree, s.SIX), reason)


def test_what_the_reader_uses_is_as_it_was(path):
  poison = s.dict_of({"__defaults__": s.tuple_of(_ONE), "pickled": _ONE})
  targets = [_FUNCTION, s.named("torch.nn", "X"), s.named("torch", "Size")]
  for target in targets:  # None and a dict: what BUILD sets one by one
    s.refused(s.write_zip(path, target + b"N" + poison + b"\x86b"), "")
  assert pickles.Object.pickled == ""
  assert pickles._rebuild_tensor.__defaults__ is None


@s.FORMATS
@pytest.mark.parametrize(
  "offset, size, stride",
  [
    (0, (7,), (1,)),
    (1, (6,), (1,)),
    (0, (2, 2), (5, 1)),
    (0, (2,), (2**62,)),
    (6, (), ()),
    (2**70, (1,), (1,)),
    (-1, (2,), (1,)),
    (2, (2,), (-1,)),
    (0, (-2,), (1,)),
    (0, (2, 2), (1,)),
    (0, [6], (1,)),
    (0, ("6",), (1,)),
    (1.0, (2,), (1,)),
  ],
)
def test_forged_tensors_cannot_read_outside(path, save, offset, size, stride):
  tensor = s.tensor(s.storage("0", "FloatStorage", 6), offset, size, stride)
  save(path, s.dict_of({"w": tensor}), s.SIX)
  s.refused(path, "(outside its storage of 6|not made of a storage and num)")


def _nested(levels):
  tree = s.NET
  for _ in range(levels):
    tree = s.dict_of({"x": tree})
  return tree


_ITSELF = s.network_state(modules={"me": b"h\x63"})
_EXPANDED = s.tensor(s.storage("0", "FloatStorage", 6), 0, (2**30,), (0,))


@pytest.mark.parametrize(
  "tree, reason",
  [
    (s.dict_of({"w": _EXPANDED}), "asks for tensors of 4294967296: refused"),
    (b"}r\xff\xff\xff\xff.", "fills slot 4294967295"),
    (_nested(3000), "holds no dict made mostly of tensors"),
    (b"]q\x00(h\x00e", "holds no dict made mostly of tensors"),
    (
      _NET + b")\x81q\x63" + s.dict_of(_ITSELF) + b"b",
      "network of more than 20000 modules",
    ),
  ],
)
def test_bombs_are_errors(path, tree, reason):
  s.refused(s.write_zip(path, tree, s.SIX), reason)


def test_specs_without_end_are_left_out(path):
  laughs = s.plain([1] * 10)
  for level in range(12):  # 10^12 values in a few hundred bytes
    slot = bytes([100 + level])
    laughs = laughs + b"q" + slot + b"0](" + (b"h" + slot) * 10 + b"e"
  tree = s.dict_of({"sd": s.NET, "me": b"]q\x63(h\x63e", "laughs": laughs})
  contents = reader.read(s.write_zip(path, tree, s.SIX))
  assert contents.spec == {}
