"""Damaged files of every format: read right, refused by name, or a fault.

python -m tests.faults.files SEED COUNT [KIND ..]
"""

import collections
from collections.abc import Callable, Iterator, Sequence
import functools
import json
import pathlib
import shutil
import sys
import tempfile
from typing import Any, NamedTuple
import warnings

import numpy as np

from hinote_jax import interop, io
from hinote_jax.train import workdir
from tests.faults import isolated, samples
from tests.faults.outcome import Outcome

# Formats in which every byte of the values is under a check.
_CHECKED = ("npz", "png", "nii.gz", "pth", "hdf5-checked")
# Read by Python alone, or by libraries that do not end the process.
_PLAIN = ("npy", "npz", "nii", "nii.gz", "pth", "safetensors", "json")
_HTML = b"<!DOCTYPE html><html><head><title>404</title></head></html>\n"


class Item(NamedTuple):
  """One damaged file.

  Attributes:
    kind: format, a name of `samples.KINDS`.
    seed: of the damage.
  """

  kind: str
  seed: int


def trials(
  seed: int, count: int, kinds: Sequence[str] = tuple(samples.KINDS)
) -> Iterator[Outcome]:
  """Yields the outcomes of files that are damaged and read.

  Args:
    seed: of the first; each has its own.
    count: how many, over all formats.
    kinds: of the files.
  """
  numbers = range(seed, seed + count)
  items = [Item(kinds[i % len(kinds)], i) for i in numbers]
  # Format by format, so that one abort does not cost the imports of all.
  items.sort(key=lambda item: kinds.index(item.kind))
  plain = [item for item in items if item.kind in _PLAIN]
  native = [item for item in items if item.kind not in _PLAIN]
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for kind in {item.kind for item in items}:
      samples.write(folder / kind, kind)
    one = functools.partial(trial, folder)
    yield from isolated.run(one, native)
    # JAX, which has threads of its own, does not survive a fork.
    yield from map(one, plain)


def trial(folder: pathlib.Path, item: Item) -> Outcome:
  """Returns what becomes of one damaged file.

  Args:
    folder: holds the samples.
    item: says which file and damage.
  """
  rng = np.random.default_rng((item.seed, list(samples.KINDS).index(item.kind)))
  whole = samples.path_of(folder / item.kind, item.kind)
  path = folder / "damaged" / whole.name
  shutil.rmtree(path.parent, ignore_errors=True)
  path.parent.mkdir()
  (shutil.copytree if whole.is_dir() else shutil.copy)(whole, path)
  parts = [p for p in path.rglob("*") if p.is_file()] or [path]
  part = sorted(parts)[rng.integers(len(parts))]
  data = part.read_bytes()
  damage, name = mutated(data, rng)
  part.write_bytes(damage)
  changed = sum(a != b for a, b in zip(data, damage, strict=False))
  where = f"{name} of {part.name}, {changed} bytes"
  verdict, detail = _verdict(item.kind, whole, path, name)
  return Outcome(item.kind, item.seed, verdict, f"{where}: {detail}")


def mutated(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
  """Returns damaged bytes, and what was done to them."""
  kinds: dict[str, Callable[..., bytes]] = {
    "bits": _bits,
    "bits of the head": lambda d, r: _bits(d[:256], r) + d[256:],
    "cut": lambda d, r: d[: r.integers(len(d) + 1)],
    "zeros": _zeros,
    "extreme number": _extreme,
    "bytes put in": _inserted,
    "another format": _other,
    "digits": _digits,
  }
  weights = np.array([6, 5, 2, 1, 4, 1, 0.5, 2])
  name = rng.choice(list(kinds), p=weights / weights.sum())
  return kinds[name](data, rng), str(name)


def _bits(data, rng) -> bytes:
  array = np.frombuffer(data, np.uint8).copy()
  for _ in range(int(rng.integers(1, 9)) if len(array) else 0):
    array[rng.integers(len(array))] ^= np.uint8(1 << rng.integers(8))
  return array.tobytes()


def _zeros(data, rng) -> bytes:
  at, n = int(rng.integers(len(data) + 1)), int(rng.integers(1, 513))
  return (data[:at] + bytes(n) + data[at + n :])[: len(data)]


def _extreme(data, rng) -> bytes:
  size = int(rng.choice([1, 2, 4, 8]))
  at = int(rng.integers(min(len(data), 2048) + 1))
  number = rng.choice(
    [b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f"]
  )
  return data[:at] + bytes(number)[:size] + data[at + size :]


def _inserted(data, rng) -> bytes:
  at = int(rng.integers(len(data) + 1))
  return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def _other(data, rng) -> bytes:
  return [_HTML, b"", b"PK\x05\x06" + bytes(18), rng.bytes(64)][
    int(rng.integers(4))
  ]


def _digits(data, rng) -> bytes:
  """Makes a number in a text another one, as far as there is one."""
  array = np.frombuffer(data, np.uint8).copy()
  digits = np.flatnonzero((array >= 48) & (array <= 57))
  if len(digits):
    array[rng.choice(digits)] = rng.integers(48, 58)
  return array.tobytes()


def _verdict(kind, whole, path, damage) -> tuple[str, str]:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
      values = read(kind, path)
    except (ValueError, OSError) as error:
      if path.name in str(error) and "\n" not in str(error):
        return "refused", str(error)
      return "traceback", f"no name: {type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
      return "traceback", f"{type(error).__name__}: {error}"
    truth = read(kind, whole)
  if _equal(values, truth):
    return "right", "as it was"
  if kind in _CHECKED or damage in ("cut", "another format"):
    return "wrong", "other values and no word"
  return "right", "what the bytes say, and the format has no check"


def _equal(values, truth) -> bool:
  return json.dumps(values, default=_plain) == json.dumps(truth, default=_plain)


def _plain(value):
  value = np.asarray(value)
  return [str(value.dtype), value.shape, value.tobytes().hex()]


def read(kind: str, path: pathlib.Path) -> Any:
  """Returns all that is read of a file."""
  if kind == "json":
    return workdir.read_config(path.parent)
  if kind in ("pth", "safetensors"):
    return interop.load_checkpoint(path).variables
  fields = io.read(path)
  return fields.values


def main(arguments: Sequence[str]) -> int:
  """Prints what becomes of some files."""
  seed, count, *kinds = arguments
  table = collections.Counter()
  for outcome in trials(int(seed), int(count), kinds or tuple(samples.KINDS)):
    table[outcome.kind, outcome.verdict] += 1
    if outcome.verdict not in ("right", "refused"):
      print(*outcome)
  for (kind, verdict), n in sorted(table.items()):
    print(f"{kind:14} {verdict:10} {n}")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
