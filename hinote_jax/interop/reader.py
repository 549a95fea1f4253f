"""Checkpoints of PyTorch, safetensors and NumPy as named arrays.

No PyTorch is needed and nothing in a file is run. The format is told by the
content; the tensors are found wherever they lie in what was saved.
"""

import json
import os
import pathlib
import re
from typing import Any, NamedTuple
import zipfile

import ml_dtypes
import numpy as np

from hinote_jax.interop import pickles, torch_file
from hinote_jax.io import inputs

_HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
# What lies beside a network and may hold tensors of its own.
_NOT_A_NETWORK = re.compile(
  r"optim(i[sz]er|s?_|s?$)|sched|callback", re.IGNORECASE
)
# What other files begin with that are given for checkpoints.
_OTHERS = {
  b"\x89HDF": "HDF5",
  b"\x89PNG": "a PNG picture",
  b"\xff\xd8\xff": "a JPEG picture",
  b"\x93NUMPY": "one array of NumPy",
  b"\x1f\x8b": "a gzip archive",
  b"BZh": "a bzip2 archive",
  b"\xfd7zXZ": "an xz archive",
  b"\x28\xb5\x2f\xfd": "a zstd archive",
  b"7z\xbc\xaf": "a 7z archive",
  b"Rar!": "a RAR archive",
  b"%PDF": "a PDF document",
  b"GGUF": "GGUF",
}
MANIFEST = "manifest"  # what tells a file of `tables` from other npz
# Networks that are saved in parts, CDDFuse's: the parts that are read.
_PARTS = ("DIDF_Encoder", "DIDF_Decoder")
_HEAD = 512  # bytes, within which tar says what it is
_MAX_HEADER = 100_000_000  # bytes, in the safetensors format
_MAX_PLAIN = 100_000  # values in one entry beside the tensors
_MAX_DEPTH = 16  # folders that tensors are looked for in


class Contents(NamedTuple):
  """What a checkpoint holds.

  Attributes:
    kind: "torch zip", "torch legacy", "safetensors", "npz", "npy" for a table
      as SR-LUT's authors store it, or "table" for one of ours.
    tensors: arrays by name, in the order of the file, without the prefix
      `module.` that a parallel network gives them.
    held_in: where in the file they lay, such as "model/sd"; "" for the top.
    spec: the plain values that lay beside them, such as the arguments of the
      network, or the manifest of a table; {} where there are none.
  """

  kind: str
  tensors: dict[str, np.ndarray]
  held_in: str
  spec: dict[str, object]


def read(path: str | os.PathLike, *, widen: bool = False) -> Contents:
  """Reads a checkpoint: both formats of torch.save, safetensors, npz or npy.

  Several sets of tensors in one file are an error, but that those of an
  optimiser are left out, and NAME_ema is taken before NAME.

  Args:
    path: the file.
    widen: turn float16 and bfloat16 into float32, which is exact; they are
      refused otherwise.

  Raises:
    FileNotFoundError: there is no such file.
    ModuleNotFoundError: the package that reads safetensors is missing.
    ValueError: the file is damaged, asks for what is no part of a checkpoint,
      or holds no tensors, several sets of them, or half precision unasked.
  """
  path = pathlib.Path(path)
  with open(path, "rb") as stream:
    head = stream.read(_HEAD)
  try:
    kind, tensors, at, spec = _reader(path, head)(path)
    tensors = _stripped(tensors, at)
    tensors = {name: _number(name, array) for name, array in tensors.items()}
    return Contents(kind, _widened(tensors, widen), "/".join(at), spec)
  except pickles.Fault as fault:
    raise ValueError(f"{path} {fault}") from fault


def _reader(path, head):
  """Tells the format by the first bytes, and a zip file by its members."""
  if not head:
    raise pickles.Fault("is empty")
  # First, because the length of a header may look like the other beginnings.
  length = int.from_bytes(head[:8], "little")
  if head[8:9] == b"{" and length <= _MAX_HEADER:
    return _read_safetensors
  if head.startswith(b"PK"):
    with pickles.damage("is a zip file cut short or damaged"):
      with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    is_torch = any(map(torch_file.is_pickle, names))
    has_arrays = any(name.endswith(".npy") for name in names)
    return _read_npz if has_arrays and not is_torch else _read_zip
  if head.startswith(b"\x80"):
    return _read_legacy
  if head.startswith(b"\x93NUMPY") and _is_table(path):
    return _read_npy
  raise pickles.Fault(_other(head))


def _other(head):
  """Returns what is to be said of a file that begins like no checkpoint."""
  text = head.lstrip().lower()
  if text.startswith(b"version https://git-lfs"):
    return (
      "is a pointer of Git LFS and no checkpoint: fetch what it stands for by "
      "git lfs pull"
    )
  if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
    return (
      "is a page of HTML and no checkpoint: download the file itself, which "
      "may need a login"
    )
  kinds = [kind for start, kind in _OTHERS.items() if head.startswith(start)]
  kinds += ["a tar archive"] * (head[257:262] == b"ustar")
  like = "".join(f", but like {kind}" for kind in kinds)
  return (
    "is no checkpoint: it begins like no file of torch.save, safetensors or "
    f"npz{like}"
  )


def _read_zip(path):
  with torch_file.opened_zip(path) as file:
    return _read_torch(file)


def _read_legacy(path):
  with torch_file.opened_legacy(path) as file:
    return _read_torch(file)


def _read_torch(file):
  at, tensors, spec = _network(file.tree)
  return file.kind, torch_file.arrays(file, tensors), at, spec


def _read_safetensors(path):
  library = inputs.require("safetensors", "interop")
  with pickles.damage("is no safetensors file that can be read"):
    with library.safe_open(path, "numpy") as file:
      tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
      return "safetensors", tensors, (), file.metadata() or {}


def _read_npz(path):
  tensors = {}
  with pickles.damage("is an npz file that cannot be read"):
    with np.load(path, allow_pickle=False) as archive:
      for name in archive.files:
        with pickles.damage(f"holds {name!r}, which is no array of numbers"):
          tensors[name] = np.asarray(archive[name])
  if MANIFEST not in tensors:
    return "npz", tensors, (), {}
  with pickles.damage(f"has a {MANIFEST} that is no JSON object"):
    manifest = dict(json.loads(str(tensors.pop(MANIFEST)[()])))
  return "table", tensors, (), manifest


def _is_table(path):
  """Tells whether an array is a table as SR-LUT's authors store it."""
  try:
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
  except (ValueError, OSError, EOFError):
    return False
  return len(shape) == 4 and shape[1] == 1 and shape[2] == shape[3]


def _read_npy(path):
  with pickles.damage("is a file of NumPy that cannot be read"):
    return "npy", {"table": np.load(path, allow_pickle=False)}, (), {}


def _network(tree):
  """Finds the one set of tensors: where it lies, the tensors, their spec."""
  sets = _sets(tree)
  for at in list(sets):
    if at and (*at[:-1], f"{at[-1]}_ema") in sets:
      del sets[at]
  if not sets:
    raise pickles.Fault(
      "holds no dict made mostly of tensors: it is no checkpoint"
    )
  if (_PARTS[0],) in sets:
    parts = [sets[(part,)][0] for part in _PARTS if (part,) in sets]
    return (), {n: t for part in parts for n, t in part.items()}, {}
  if len(sets) > 1:
    places = ", ".join("/".join(at) or "the top level" for at in sets)
    raise pickles.Fault(
      f"holds {len(sets)} sets of tensors, in {places}: save the one you want "
      "alone"
    )
  ((at, (tensors, wrapper)),) = sets.items()
  spec = {n: v for n, v in wrapper.items() if _is_spec(n, v)}
  return at, tensors, spec


def _sets(tree):
  """Returns by place the dicts made mostly of tensors, and what holds them."""
  sets, seen = {}, set()
  queue: list[tuple[tuple[str, ...], Any, Any]] = [((), tree, None)]
  for at, node, wrapper in queue:  # which grows
    if id(node) in seen:
      continue
    seen.add(id(node))
    if isinstance(node, pickles.Object):
      node = pickles.state_dict(node)
    elif type(node) in (list, tuple):
      node = {str(index): value for index, value in enumerate(node)}
    if not isinstance(node, dict):
      continue
    parts = {n: v for n, v in node.items() if isinstance(n, str)}
    tensors = {
      name: value
      for name, value in parts.items()
      if isinstance(value, pickles.Tensor)
    }
    if 2 * len(tensors) > len(node):
      sets[at] = tensors, wrapper if at else node
    queue.extend(
      ((*at, name), value, node)
      for name, value in parts.items()
      if not _NOT_A_NETWORK.search(name) and len(at) < _MAX_DEPTH
    )
  return sets


def _is_spec(name, value):
  """Tells whether an entry is plain all through, as JSON would hold it."""
  if not isinstance(name, str) or _NOT_A_NETWORK.search(name):
    return False
  queue = [value]
  for node in queue:  # which grows, without end where a list holds itself
    if len(queue) > _MAX_PLAIN:
      return False
    if isinstance(node, dict):
      queue.extend(node)
      queue.extend(node.values())
    elif type(node) in (list, tuple):
      queue.extend(node)
    elif type(node) not in (str, int, float, bool, type(None)):
      return False
  return True


def _stripped(tensors, at):
  """Takes off the prefixes of parallel networks and of Lightning modules."""
  prefixes = ["module."]
  if at[-1:] == ("state_dict",):
    prefixes.append("model.")
  for prefix in prefixes:
    if all(name.startswith(prefix) for name in tensors):
      tensors = {n.removeprefix(prefix): a for n, a in tensors.items()}
  return tensors


def _number(name, array):
  """Returns an array in the byte order of this machine."""
  if array.dtype not in _HALF and array.dtype.kind not in "biufc":
    raise pickles.Fault(
      f"holds {name!r} of type {array.dtype}, which is not read here"
    )
  return array.astype(array.dtype.newbyteorder("="), copy=False)


def _widened(tensors, widen):
  if not tensors:
    raise pickles.Fault("holds no tensors: it is no checkpoint")
  half = [name for name, array in tensors.items() if array.dtype in _HALF]
  if half and not widen:
    raise pickles.Fault(
      f"holds {len(half)} of {len(tensors)} tensors in half precision, "
      f"{half[0]!r} first: pass widen=True to read them as float32"
    )
  return tensors | {name: tensors[name].astype(np.float32) for name in half}
