"""Files of torch.save, put together operation by operation.

A stream of a pickle is bytes: `call("os", "system", plain("ls"))` is what a
pickle holds that runs it, and nothing here does.
"""

import pickle
import re
import struct
import zipfile

import numpy as np
import pytest

from hinote_jax.interop import reader

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def plain(value):
  """Returns the operations that put a plain value on the stack."""
  return pickle.dumps(value, 2)[2:-1]


def named(module, name):
  """Looks a name up."""
  return f"c{module}\n{name}\n".encode()


def tuple_of(*parts):
  return b"(" + b"".join(parts) + b"t"


def dict_of(entries):
  pairs = b"".join(plain(name) + part for name, part in entries.items())
  return b"}(" + pairs + b"u"


def ordered_dict_of(entries):
  return call("collections", "OrderedDict") + dict_of(entries)[1:]


def call(module, name, *parts):
  return named(module, name) + tuple_of(*parts) + b"R"


def storage(key, kind, count, *view):
  where = [plain("storage"), named("torch", kind), plain(key), plain("cpu")]
  return tuple_of(*where, plain(count), *view) + b"Q"


def tensor(storage, offset, size, stride):
  view = map(plain, (offset, size, stride, False))
  hooks = ordered_dict_of({})
  return call("torch._utils", "_rebuild_tensor_v2", storage, *view, hooks)


def floats(key, count=6):
  """Returns a whole storage as a tensor."""
  return tensor(storage(key, "FloatStorage", count), 0, (count,), (1,))


def instance(module, name, state, announced=True):
  """Returns an object of a class with a state, as whole networks are saved.

  The older format announces a class with its source before the first object.
  """
  cls = named(module, name)
  if announced:
    source = plain("net.py"), plain("class ...")
    cls = tuple_of(plain("module"), cls, *source) + b"Q"
  return cls + b")\x81" + dict_of(state) + b"b"


def network_state(parameters=(), modules=(), buffers=()):
  return {
    "training": plain(True),
    "_parameters": ordered_dict_of(dict(parameters)),
    "_buffers": ordered_dict_of(dict(buffers)),
    "_modules": ordered_dict_of(dict(modules)),
  }


def write_zip(path, tree, storages=None, byteorder="little"):
  """Writes a stream and the storages that it refers to; returns the path."""
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("net/data.pkl", b"\x80\x02" + tree + b".")
    archive.writestr("net/byteorder", byteorder)
    for key, values in (storages or {}).items():
      archive.writestr(f"net/data/{key}", values.tobytes())
  return path


def write_legacy(path, tree, storages=None):
  """Writes the older format; returns the path."""
  storages = storages or {}
  system = {"protocol_version": 1001, "little_endian": True}
  parts = [MAGIC, pickle.dumps(1001, 2), pickle.dumps(system, 2)]
  parts += [b"\x80\x02" + tree + b".", pickle.dumps(list(storages), 2)]
  for values in storages.values():
    parts += [struct.pack("<q", values.size), values.tobytes()]
  path.write_bytes(b"".join(parts))
  return path


FORMATS = pytest.mark.parametrize("save", [write_zip, write_legacy])
SIX = {"0": np.arange(6, dtype=np.float32)}  # storages by key
NET = dict_of({"w": floats("0")})  # a state dict of one tensor


def refused(path, reason):
  """Checks that a file is refused in one sentence that begins with its name."""
  with pytest.raises(ValueError, match=f"^{re.escape(str(path))} .*{reason}"):
    reader.read(path)
