"""Pickles of tensors, read without running anything that they name.

A pickle is a program: it names callables, imports and calls them. Here a name
is looked up in a short table of stand-ins and nothing is imported. Other names
are refused, but for the class of a network that was saved whole: it becomes an
`Object`, which holds the state of the network and can do nothing.

What is read may still be forged, so every tensor is checked against the bounds
of its storage before a byte of it is touched.
"""

from collections.abc import Iterator
import contextlib
import io
import math
import pickle
import pickletools
import sys
from typing import NamedTuple

import ml_dtypes
import numpy as np

# What torch calls its storages, and what they hold.
STORAGES: dict[str, np.dtype] = {
  "DoubleStorage": np.dtype(np.float64),
  "FloatStorage": np.dtype(np.float32),
  "HalfStorage": np.dtype(np.float16),
  "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
  "LongStorage": np.dtype(np.int64),
  "IntStorage": np.dtype(np.int32),
  "ShortStorage": np.dtype(np.int16),
  "CharStorage": np.dtype(np.int8),
  "ByteStorage": np.dtype(np.uint8),
  "BoolStorage": np.dtype(np.bool_),
  "ComplexFloatStorage": np.dtype(np.complex64),
  "ComplexDoubleStorage": np.dtype(np.complex128),
}
_MAX_MODULES = 20_000  # of a network that is no snake biting its tail


class Fault(ValueError):
  """What ails a file: the rest of a sentence that begins with its name."""


@contextlib.contextmanager
def damage(fault: str) -> Iterator[None]:
  """Turns whatever the reading of a damaged part raises into a `Fault`.

  A forged file may bring out any exception, lack of memory included; that a
  package is missing is not the file's fault.
  """
  try:
    yield
  except (Fault, ModuleNotFoundError):
    raise
  except Exception as error:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    raise Fault(f"{fault} ({reason})") from error


class Storage(NamedTuple):
  """A run of numbers in a file.

  Attributes:
    key: the name of the storage in the file.
    dtype: of its elements.
    size: elements that lie in the file.
    start: the first element that tensors may read.
    length: how many they may read.
  """

  key: str
  dtype: np.dtype
  size: int
  start: int
  length: int


class Tensor(NamedTuple):
  """A strided view of a storage; offset and stride in elements, in bounds."""

  storage: Storage
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]

  @property
  def nbytes(self) -> int:
    """How many bytes the tensor takes once it is an array."""
    return math.prod(self.size) * self.storage.dtype.itemsize


def _refusal(name: str) -> Fault:
  return Fault(
    f"asks for {name}, which is no part of a checkpoint: refused; nothing was "
    "run"
  )


class Dict(dict):
  """A dict that drops the attributes PyTorch hangs on a state dict."""

  __slots__ = ()

  def __setstate__(self, state: object) -> None:
    del state  # the versions of the modules


class _Inert(type):
  """Classes that cannot be called, only made without arguments."""

  pickled: str

  def __call__(cls, *args: object, **kwargs: object) -> None:
    raise _refusal(cls.pickled)


class Object(metaclass=_Inert):
  """An object of a class that is not here.

  Attributes:
    pickled: the name of the class in the pickle.
    is_known: whether the class has shown itself to be that of a network.
    state: what the object held, {} until it is known.
  """

  __slots__ = ("state",)
  pickled = ""
  is_known = False

  def __new__(cls, *args: object, **kwargs: object) -> "Object":
    if args or kwargs:
      raise _refusal(cls.pickled)
    self = super().__new__(cls)
    self.state = {}
    return self

  def __setstate__(self, state: object) -> None:
    cls = type(self)
    parts = {"_modules", "_parameters", "_buffers"}
    if not isinstance(state, dict) or not (cls.is_known or parts <= set(state)):
      raise _refusal(cls.pickled)
    self.state, cls.is_known = state, True


class _Function:
  """A function that a pickle may call and cannot change."""

  __slots__ = ("_call",)

  def __init__(self, call):
    self._call = call

  def __call__(self, *args: object) -> object:
    return self._call(*args)

  def __setstate__(self, state: object) -> None:
    raise Fault("holds a pickle that changes a function: refused")


class _StorageClass(NamedTuple):
  dtype: np.dtype


def _naturals(values: object) -> bool:
  return isinstance(values, tuple) and all(
    isinstance(value, int) and value >= 0 for value in values
  )


def _rebuild_tensor(storage, offset, size, stride, *flags) -> Tensor:
  """torch's arguments; flags are requires_grad, hooks and maybe metadata."""
  if (
    not isinstance(storage, Storage)
    or not (_naturals((offset,)) and _naturals(size) and _naturals(stride))
    or len(size) != len(stride)
  ):
    raise Fault("holds a tensor that is not made of a storage and numbers")
  if any(flags[2:]):
    raise Fault("holds a tensor with metadata (conjugate?): not read here")
  last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
  if 0 not in size and offset + last >= storage.length:
    raise Fault(
      f"holds a tensor of shape {size}, stride {stride} and offset {offset} "
      f"that reaches outside its storage of {storage.length} elements"
    )
  return Tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor, *flags) -> Tensor:
  del flags  # requires_grad and hooks
  if not isinstance(tensor, Tensor):
    raise Fault("holds a parameter that is no tensor")
  return tensor


def _device(kind, *index) -> object:
  del index
  return kind


# Nothing here can be changed by a pickle: types that are built in, functions
# that are wrapped, and values.
_NAMES: dict[str, object] = {
  "torch._utils._rebuild_tensor": _Function(_rebuild_tensor),
  "torch._utils._rebuild_tensor_v2": _Function(_rebuild_tensor),
  "torch._utils._rebuild_parameter": _Function(_rebuild_parameter),
  "torch.device": _Function(_device),
  "torch.Size": tuple,
  "torch.storage.UntypedStorage": _StorageClass(np.dtype(np.uint8)),
  "collections.OrderedDict": Dict,
  **{f"torch.{n}": _StorageClass(t) for n, t in STORAGES.items()},
  **{f"torch.{t.name}": f"torch.{t.name}" for t in STORAGES.values()},
  **{
    f"{module}.{kind.__name__}": kind
    for module in ("builtins", "__builtin__")
    for kind in (bool, complex, dict, float, frozenset, int, list, set, tuple)
  },
}

# Whatever is asked of these, it is not the class of somebody's network.
_FOREIGN = sys.stdlib_module_names | {"numpy", "torch"}


class _Unpickler(pickle.Unpickler):
  """Looks names up in `_NAMES`; keeps the classes and storages it has met."""

  def __init__(self, stream: io.BufferedIOBase):
    super().__init__(stream, encoding="utf-8")
    self.classes: dict[str, type[Object]] = {}
    self.storages: dict[str, Storage] = {}

  def find_class(self, module: str, name: str) -> object:
    full_name = f"{module}.{name}"
    if full_name in _NAMES:
      return _NAMES[full_name]
    of_network = full_name.startswith("torch.nn.")
    if module.partition(".")[0] in _FOREIGN and not of_network:
      raise _refusal(full_name)
    if full_name not in self.classes:
      members = {"__slots__": (), "pickled": full_name, "is_known": of_network}
      self.classes[full_name] = _Inert("Object", (Object,), members)
    return self.classes[full_name]

  def persistent_load(self, pid: object) -> object:
    match pid:
      case ("storage", _StorageClass(dtype), str(key), _, int(count), *view):
        storage = Storage(key, dtype, count, *_span(count, view))
        first = self.storages.setdefault(key, storage)
        if first[:3] != storage[:3]:
          raise Fault(f"refers to storage {key!r} in two ways")
        return storage
      case ("module", _Inert() as network, *_):
        return network  # with its source, which nobody reads
    raise Fault("refers to something that is neither a storage nor a network")


def _span(count: int, view: list) -> tuple[int, int]:
  """Returns where the tensors of a storage may read: start and length."""
  match view:
    case [] | [None]:
      return 0, count
    case [(_, int(start), int(length))]:  # torch before 0.4
      if start >= 0 and length >= 0 and start + length <= count:
        return start, length
  raise Fault("refers to a part of a storage in a way that is not known here")


def load(
  stream: io.BytesIO | io.BufferedReader,
) -> tuple[object, dict[str, Storage]]:
  """Reads the next pickle of a stream, and leaves the stream behind it.

  Returns:
    what was pickled, made of plain values, `Dict`, `Tensor`, `Storage` and
    `Object`; and its storages by key.

  Raises:
    Fault: the pickle asks for what is no part of a checkpoint, or is damaged.
  """
  with damage("holds a damaged pickle"):
    start = stream.tell()
    operations = pickletools.genops(stream)
    slots = (arg or 0 for code, arg, _ in operations if "PUT" in code.name)
    last = max(slots, default=0)
    length = stream.tell() - start
    if last > length:  # memory is taken for all slots up to the last
      raise Fault(f"holds a pickle of {length} bytes that fills slot {last}")
    stream.seek(start)
    unpickler = _Unpickler(io.BytesIO(stream.read(length)))
    tree = unpickler.load()
  for name, known in unpickler.classes.items():
    if not known.is_known:
      raise _refusal(name)
  return tree, unpickler.storages


def state_dict(network: Object) -> dict[str, Tensor]:
  """Names the tensors of a network as PyTorch does, such as conv1.weight."""
  tensors = {}
  stack = [("", network)]
  for _ in range(_MAX_MODULES):
    if not stack:
      return tensors
    prefix, module = stack.pop()
    hidden = _part(module, "_non_persistent_buffers_set", set)
    for part in ("_parameters", "_buffers"):
      for name, value in _part(module, part, dict).items():
        if isinstance(value, Tensor) and name not in hidden:
          tensors[prefix + name] = value
    children = [
      (prefix + name + ".", child)
      for name, child in _part(module, "_modules", dict).items()
      if isinstance(child, Object)
    ]
    stack.extend(reversed(children))
  raise Fault(f"holds a network of more than {_MAX_MODULES} modules")


def _part(module, name, kind):
  part = module.state.get(name)
  part = part if isinstance(part, kind) else kind()
  if not all(isinstance(key, str) for key in part):
    raise Fault(f"holds a network with {name} of other names than strings")
  return part
