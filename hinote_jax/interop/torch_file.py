"""The two formats of torch.save: a zip archive, and what came before it.

A zip archive holds one pickle, */data.pkl, and each storage as a member of its
own, */data/KEY. The older format is a row of pickles (a magic number, the
version of the protocol, the system, what was saved, the keys of the storages)
and then the storages in the order of the keys: how many elements as an int64,
and the elements, always little-endian.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import functools
import io
import pathlib
import sys
from typing import Any, NamedTuple
import zipfile

import numpy as np

from hinote_jax.interop import pickles

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Tied and expanded tensors repeat a storage. A file that grows by more than
# this would fill the memory.
_MAX_REPEATED = 64


class TorchFile(NamedTuple):
  """An open file.

  Attributes:
    kind: "torch zip" or "torch legacy".
    tree: what was saved, see `pickles.load`.
    raw: returns the bytes of a storage.
    byteorder: of the storages, "little" or "big".
    nbytes: the size of the file.
  """

  kind: str
  tree: object
  raw: Callable[[pickles.Storage], bytes]
  byteorder: str
  nbytes: int


@contextlib.contextmanager
def opened_zip(path: pathlib.Path) -> Iterator[TorchFile]:
  """Opens a zip archive.

  Raises:
    pickles.Fault: it lacks data.pkl, or holds what PyTorch does not write.
  """
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    tops = [name for name in names if is_pickle(name)]
    if not tops:
      raise pickles.Fault(
        "is a zip file without data.pkl or .npy: it is no checkpoint, and "
        f"holds {', '.join(names[:3]) or 'nothing'}"
      )
    folder = tops[0].removesuffix("data.pkl")
    tree, _ = pickles.load(io.BytesIO(_member(archive, tops[0])))
    byteorder = "little"
    if f"{folder}byteorder" in names:
      byteorder = _member(archive, f"{folder}byteorder").decode("latin1")
    if byteorder not in ("little", "big"):
      raise pickles.Fault(f"has the byte order {byteorder[:20]!r}: unknown")

    def raw(storage):
      return _member(archive, f"{folder}data/{storage.key}")

    size = path.stat().st_size
    yield TorchFile("torch zip", tree, raw, byteorder, size)


def is_pickle(name: str) -> bool:
  """Tells whether a member of an archive is the pickle of torch.save."""
  return f"/{name}".endswith("/data.pkl")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
  with pickles.damage(f"lacks the member {name}, or it is damaged"):
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
      raise pickles.Fault(
        f"holds {name} compressed, which PyTorch never does: refused"
      )
    return archive.read(info)


@contextlib.contextmanager
def opened_legacy(path: pathlib.Path) -> Iterator[TorchFile]:
  """Opens a file of a row of pickles.

  Raises:
    pickles.Fault: the pickles are not those that PyTorch writes, or the file is
      cut short.
  """
  size = path.stat().st_size
  with open(path, "rb") as stream:
    if pickles.load(stream)[0] != _MAGIC:
      raise pickles.Fault("is a pickle, but none that torch.save has written")
    protocol, _ = pickles.load(stream)
    system, _ = pickles.load(stream)
    if protocol != _PROTOCOL:
      raise pickles.Fault(f"is of protocol {protocol}, not {_PROTOCOL}")
    if not isinstance(system, dict) or not system.get("little_endian", True):
      raise pickles.Fault(
        "was written on a big-endian machine: save it again by a newer PyTorch"
      )
    tree, storages = pickles.load(stream)
    keys, _ = pickles.load(stream)
    starts = _starts(stream, size, keys, storages)

    def raw(storage):
      stream.seek(starts[storage.key])
      return stream.read(storage.size * storage.dtype.itemsize)

    yield TorchFile("torch legacy", tree, raw, "little", size)


def _starts(
  stream: io.BytesIO | io.BufferedReader,
  size: int,
  keys: Any,
  storages: Mapping[str, pickles.Storage],
) -> dict[str, int]:
  """Returns where each storage begins, in bytes, in a file of `size`."""
  starts = {}
  with pickles.damage("lists its storages in a way that is not known"):
    if set(keys) != storages.keys():
      raise pickles.Fault("lists other storages than its tensors refer to")
  for key in keys:
    storage = storages[key]
    count = int.from_bytes(stream.read(8), "little")
    starts[key] = stream.tell()
    stop = starts[key] + count * storage.dtype.itemsize
    if count != storage.size or stop > size:
      raise pickles.Fault(
        f"is cut short or damaged: {storage.size} elements of {storage.dtype} "
        f"should lie at {starts[key]}"
      )
    stream.seek(stop)
  return starts


def arrays(
  file: TorchFile, tensors: Mapping[str, pickles.Tensor]
) -> dict[str, np.ndarray]:
  """Returns copies of tensors, in the byte order of this machine.

  Raises:
    pickles.Fault: a storage is missing, damaged or not of the length that its
      tensors ask for; or the tensors are out of proportion to the file.
  """
  total = sum(tensor.nbytes for tensor in tensors.values())
  if total > _MAX_REPEATED * file.nbytes:
    raise pickles.Fault(
      f"has {file.nbytes} bytes and asks for tensors of {total}: refused"
    )
  swap = file.byteorder != sys.byteorder
  elements = functools.cache(functools.partial(_elements, file.raw, swap))
  return {
    name: _strided(elements(tensor.storage), tensor)
    for name, tensor in tensors.items()
  }


def _elements(
  raw: Callable[[pickles.Storage], bytes], swap: bool, storage: pickles.Storage
) -> np.ndarray:
  """Reads the elements of a storage that tensors may read, [n]."""
  data = raw(storage)
  size = storage.dtype.itemsize
  if len(data) != storage.size * size:
    raise pickles.Fault(
      f"is cut short or damaged: storage {storage.key!r} has {len(data)} bytes "
      f"and {storage.size} elements of {storage.dtype} are needed"
    )
  elements = np.frombuffer(data, storage.dtype)
  elements = elements.byteswap() if swap else elements
  return elements[storage.start : storage.start + storage.length]


def _strided(elements: np.ndarray, tensor: pickles.Tensor) -> np.ndarray:
  # The tensor lies within its storage: `pickles` has seen to that.
  strides = [
    step * elements.itemsize if n > 1 else 0
    for n, step in zip(tensor.size, tensor.stride, strict=True)
  ]
  with pickles.damage(f"holds a tensor of shape {tensor.size}"):
    if 0 in tensor.size:
      return np.zeros(tensor.size, elements.dtype)
    view = np.lib.stride_tricks.as_strided(
      elements[tensor.offset :], tensor.size, strides
    )
    return view.copy()
