"""Files that torch.load(path, weights_only=True) opens, without PyTorch.

The archive holds one pickle and each tensor as a storage of its own (see
`torch_file`). The grammar of the pickle is small and fixed, so its operations
are written out by hand, in protocol 2 and without the memo.
"""

from collections.abc import Mapping
import hashlib
import math
import os
import struct
import zipfile

import numpy as np

from hinote_jax.interop import pickles
from hinote_jax.io import files

_CLASSES = {dtype: name for name, dtype in pickles.STORAGES.items()}
_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
_ALIGNMENT = 64  # of the storages in the file, so that torch can map them
_MEMBER_HEADER = 30  # bytes of a zip archive before the name of a member
_PADDING_ID = b"FB"  # of the extra field of a member that only fills up


def write(
  path: str | os.PathLike,
  tensors: Mapping[str, np.ndarray],
  *,
  spec: Mapping[str, object] | None = None,
  held_in: str = "",
) -> None:
  """Writes named tensors as torch.save would, whole or not at all.

  The same arguments give the same bytes.

  Args:
    path: the file, usually .pth.
    tensors: arrays by name; the order is kept.
    spec: plain values that are to lie beside the tensors.
    held_in: where the tensors are to lie: "model/sd" with a spec gives
      {"model": {**spec, "sd": tensors}}; "" puts them at the top.

  Raises:
    ValueError: PyTorch has no such type of number, the spec holds what is not
      plain, or there is no place beside the tensors for it.
  """
  folders = held_in.split("/") if held_in else []
  spec = dict(spec or {})
  if spec and (not folders or folders[-1] in spec):
    raise ValueError(
      f"the spec ({', '.join(spec)}) lies beside tensors that are held in a "
      f"place of another name, got held_in={held_in!r}"
    )
  arrays = {name: _array(name, value) for name, value in tensors.items()}
  tree = _state_dict(arrays)
  for depth, folder in enumerate(reversed(folders)):
    beside = {n: _plain(v) for n, v in spec.items()} if depth == 0 else {}
    tree = _dict(beside | {folder: tree})
  data = b"\x80\x02" + tree + b"."
  digest = hashlib.sha256(data)
  with files.whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
    _add(archive, "data.pkl", data)
    _add(archive, "byteorder", b"little")
    for key, array in enumerate(arrays.values()):
      storage = array.tobytes()
      digest.update(storage)
      _add(archive, f"data/{key}", storage)
    _add(archive, "version", b"3\n")
    number = int.from_bytes(digest.digest(), "big") % 10**40
    _add(archive, ".data/serialization_id", f"{number:040d}".encode())


def _array(name: str, value: np.ndarray) -> np.ndarray:
  """Returns a tensor in C order and little-endian."""
  array = np.asarray(value, order="C")
  array = array.astype(array.dtype.newbyteorder("<"), copy=False)
  if array.dtype not in _CLASSES:
    known = ", ".join(map(str, _CLASSES))
    raise ValueError(
      f"{name!r} is of type {array.dtype}, which cannot be written; known: "
      f"{known}"
    )
  return array


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
  """Adds a member, not compressed, that begins at a multiple of 64 bytes."""
  info = zipfile.ZipInfo(f"archive/{name}")  # dated 1980
  info.create_system = 3  # on every machine
  header = _MEMBER_HEADER + len(info.filename) + len(_PADDING_ID) + 2
  if len(data) * 1.05 > zipfile.ZIP64_LIMIT:  # zipfile then adds its own field
    header += 20
  assert archive.fp is not None  # open
  fill = -(archive.fp.tell() + header) % _ALIGNMENT
  info.extra = _PADDING_ID + struct.pack("<H", fill) + b"Z" * fill
  archive.writestr(info, data)


def _state_dict(arrays: Mapping[str, np.ndarray]) -> bytes:
  entries = [
    _plain(name) + _tensor(str(key), array)
    for key, (name, array) in enumerate(arrays.items())
  ]
  return _ORDERED_DICT + b"(" + b"".join(entries) + b"u"


def _tensor(key: str, array: np.ndarray) -> bytes:
  """Writes _rebuild_tensor_v2(storage, 0, size, stride, False, hooks)."""
  storage = b"(%sctorch\n%s\n%s%s%stQ" % (
    _plain("storage"),
    _CLASSES[array.dtype].encode(),
    _plain(key),
    _plain("cpu"),
    _plain(array.size),
  )
  sides = [max(n, 1) for n in array.shape]
  stride = tuple(math.prod(sides[i + 1 :]) for i in range(array.ndim))
  return b"ctorch._utils\n_rebuild_tensor_v2\n(%s%s%s%s%s%stR" % (
    storage,
    _plain(0),
    _plain(array.shape),
    _plain(stride),
    _plain(False),
    _ORDERED_DICT,
  )


def _dict(entries: Mapping[str, bytes]) -> bytes:
  pairs = b"".join(_plain(name) + value for name, value in entries.items())
  return b"}(" + pairs + b"u"


def _plain(value: object) -> bytes:
  """Writes a plain value, as JSON knows them and tuples."""
  match value:
    case None:
      return b"N"
    case bool():
      return b"\x88" if value else b"\x89"
    case int():
      octets = value.to_bytes(
        value.bit_length() // 8 + 1, "little", signed=True
      )
      return b"\x8a" + struct.pack("<B", len(octets)) + octets
    case float():
      return b"G" + struct.pack(">d", value)
    case str():
      octets = value.encode()
      return b"X" + struct.pack("<I", len(octets)) + octets
    case tuple():
      return b"(" + b"".join(map(_plain, value)) + b"t"
    case list():
      return b"](" + b"".join(map(_plain, value)) + b"e"
    case Mapping():
      return _dict({name: _plain(entry) for name, entry in value.items()})
  raise ValueError(f"a spec holds plain values, not {value!r}")
