"""One case of making training windows from the cache: prints JSON.

python -m benchmarks.windows NAME

Fields lie in a memory map, as the cache has them. A case is made by the thread
that training has for it, and by as many processes as there are cores, each
with its own windows, as the hosts of a pod make theirs.
"""

import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import degradations, fields
from hinote_jax.data import batches, normalise, series
from hinote_jax.evaluate import markdown
from hinote_jax.fields import axes

_SIDE, _TIMES, _BATCH = 1024, 8, 16


class Case(NamedTuple):
  """What is measured.

  Attributes:
    degradation: how low resolution is made.
    scale: smallest and largest.
    window: coarse cells along a side.
    queries: fine cells along a side.
  """

  degradation: str
  scale: tuple[float, float]
  window: int
  queries: int


CASES = {
  "windows 128 as they are": Case("area", (1.0, 1.0), 128, 128),
  "windows 128, area x4": Case("area", (4.0, 4.0), 32, 128),
  "windows 128, cubic x4": Case(
    "decimate(cubic, antialias)", (4.0, 4.0), 32, 128
  ),
  "windows 32, cubic x1.5 to 4, 48 queries": Case(
    "decimate(cubic, antialias)", (1.5, 4.0), 32, 48
  ),
}


def _dataset(path: pathlib.Path) -> series.Dataset:
  shape = (_TIMES, _SIDE, _SIDE, 1)
  if not path.exists():
    rng = np.random.default_rng(0)
    np.save(path, rng.normal(size=shape).astype(np.float32))
  y, x = (axes.counted(name, _SIDE) for name in "yx")
  return series.Dataset(
    name="noise",
    values=np.load(path, mmap_mode="r"),
    header=fields.Header((fields.Variable("noise"),), y, x),
    times=tuple(map(str, range(_TIMES))),
    fingerprint="",
  )


def _rate(name: str, path: pathlib.Path, seconds: float, seed: int) -> float:
  """Returns windows a second of one thread, after some that warm up."""
  wanted, dataset = CASES[name], _dataset(path)
  windows = batches.Windows(
    dataset,
    range(_TIMES),
    normalise.Normaliser((0.0,), (1.0,), (-5.0,), (5.0,)),
    degradations.parse(wanted.degradation),
    window=(wanted.window, wanted.window),
    queries=(wanted.queries, wanted.queries),
    scale_range=wanted.scale,
    seed=seed,
  )
  rows = range(_BATCH)
  for step in range(50):
    windows.batch(step, rows)
  begun, count = time.perf_counter(), 0
  while (elapsed := time.perf_counter() - begun) < seconds:
    windows.batch(100 + count, rows)
    count += 1
  return count * _BATCH / elapsed


def measure(name: str, seconds: float = 5.0) -> dict:
  """Returns the rates of a case: of one thread, and of all cores."""
  count = os.cpu_count() or 1
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "values.npy"
    alone = _rate(name, path, seconds, 0)
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
      arguments = [(name, path, seconds, k) for k in range(count)]
      together = pool.starmap(_rate, arguments)
  return {
    "case": name,
    "windows_a_second": alone,
    "cores": count,
    "windows_a_second_of_all": sum(together),
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "one thread", "all cores"]]
  for r in results:
    rates = (r["windows_a_second"], r["windows_a_second_of_all"])
    lines.append([r["case"], *(f"{rate:,.0f}" for rate in rates)])
  return (
    "Training windows from the cache a second, by the one thread that makes "
    f"them in a run and by {results[0]['cores']} processes:\n\n"
    + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
