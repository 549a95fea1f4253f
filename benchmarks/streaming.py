"""One case of exact inference in tiles, in a process of its own: prints JSON.

python -m benchmarks.streaming NAME

The tiles come first, so that the peak memory is theirs; then, where it fits,
the same result is computed whole. `passes` is how often the tiles of the
result are gone over: once for every Galerkin block, and once for the answer.
"""

import json
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import case
from hinote_jax import models
from hinote_jax.core import grids
from hinote_jax.evaluate import markdown
from hinote_jax.infer import plans
from hinote_jax.train import host_memory

MEMORY = "1.5GB"


class Stream(NamedTuple):
  """What is measured.

  Attributes:
    model: arguments of `models.build`.
    lowres: side of the input.
    queries: side of the output.
    is_untiled: compute it whole too, and compare.
    repeats: how often; the median counts.
    memory: of the process.
  """

  model: dict[str, Any]
  lowres: int
  queries: int
  is_untiled: bool = True
  repeats: int = 3
  memory: str = MEMORY


_HINOTE = dict(name="hinote", preset="levels", channels=1)
_SRNO = dict(name="srno", channels=3)
_OFFICIAL = dict(name="hinote_official", channels=1)
_NAMED = {"hinote S": _HINOTE, "srno": _SRNO, "hinote_official": _OFFICIAL}
# Light enough for 67 million points: six blocks of 32, an MLP of 64.
_LIIF = dict(
  name="liif",
  channels=1,
  hidden=(64, 64),
  encoder_options=dict(width=32, blocks=6),
)
_LARGE = {
  "hinote S": _HINOTE,
  "bicubic": dict(name="bicubic", channels=1),
  "liif light": _LIIF,
}
_FIXED = {
  "edsr baseline": dict(name="edsr", channels=3, scale=2),
  "swinir lightweight": dict(
    name="swinir", size="lightweight", channels=3, scale=2
  ),
}
CASES = {
  **{
    f"{name} {lowres} -> {queries} in tiles": Stream(
      model, lowres, queries, repeats=repeats
    )
    for lowres, queries, repeats in ((128, 512, 3), (256, 1024, 1))
    for name, model in _NAMED.items()
  },
  **{
    f"{name} 128 -> {side} in tiles": Stream(
      _NAMED[name], 128, side, is_untiled=False, repeats=1
    )
    for name in ("hinote S", "srno")
    for side in (2048, 4096)
  },
  # The cost of a point must not grow with the input.
  **{
    f"{name} {side} -> {2 * side} in tiles": Stream(
      model, side, 2 * side, is_untiled=side == 256, repeats=1
    )
    for name, model in _LARGE.items()
    for side in (256, 1024, 4096)
  },
  **{
    f"{name} 1024 -> 2048 in tiles": Stream(
      model,
      1024,
      2048,
      is_untiled=name.startswith("edsr"),
      repeats=1,
      memory="1GB",
    )
    for name, model in _FIXED.items()
  },
  "hat S 512 -> 2048 in tiles": Stream(
    case.CASES["hat S 64 -> 256"].model,
    512,
    2048,
    is_untiled=False,
    repeats=1,
    memory="2.5GB",
  ),
  "hat S 128 -> 512 in tiles": Stream(
    case.CASES["hat S 64 -> 256"].model, 128, 512, repeats=1
  ),
}


def _seconds(plan: plans.Plan, lowres: np.ndarray, repeats: int) -> float:
  """Returns the median time of a result; nothing of it is kept."""
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    for _, values in plan(lowres):
      values.sum()
    times.append(time.perf_counter() - start)
  return float(np.median(times))


def _difference(tiled: plans.Plan, whole: plans.Plan, lowres) -> float:
  """Returns the greatest difference over the standard deviation."""
  ((_, want),) = whole(lowres)
  worst = max(
    float(np.abs(values - want[rows, columns]).max())
    for (rows, columns), values in tiled(lowres)
  )
  return worst / float(want.std())


def measure(name: str) -> dict[str, Any]:
  """Returns seconds, passes and peak memory of a case."""
  chosen = CASES[name]
  module = models.build(**chosen.model)
  shape = (1, 16, 16, chosen.model["channels"])
  inputs = np.zeros(shape, np.float32), grids.axes((16, 16)), np.ones((1, 2))
  variables = case.draw(module, inputs)
  side = chosen.lowres
  lowres = np.random.default_rng(0).normal(size=(side, side, shape[-1]))
  lowres, ended = lowres.astype(np.float32), []

  def report(what, done, total):
    if done == total and what in ("sums", "answer"):
      ended.append(what)

  line = grids.cell_line(side, chosen.queries)
  where = (side, side), (line, line)
  streamed = plans.Plan(
    module, variables, *where, memory=chosen.memory, report=report
  )
  _seconds(streamed, lowres, 1)  # compiles
  ended.clear()
  seconds = _seconds(streamed, lowres, chosen.repeats)
  result = {
    "case": name,
    "seconds": seconds,
    "passes": len(ended) // chosen.repeats,
    "peak_gb": case.peak_gb(),
    "points": chosen.queries**2,
  }
  if chosen.is_untiled:
    whole = plans.Plan(module, variables, *where)
    _seconds(whole, lowres, 1)
    result["untiled_seconds"] = _seconds(whole, lowres, chosen.repeats)
    result["untiled_peak_gb"] = case.peak_gb()
    result["error"] = _difference(streamed, whole, lowres)
  return result


def main() -> None:
  """Measures the named case."""
  host_memory.keep_freed()  # as the command line does
  print(json.dumps(measure(sys.argv[1]) | {"backend": jax.default_backend()}))


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [
    [
      "case",
      "seconds",
      "ns a point",
      "passes",
      "peak memory",
      "whole",
      "tiles / whole",
      "whole, peak memory",
      "difference",
    ]
  ]
  for r in results:
    whole = ["-"] * 4
    if "untiled_seconds" in r:
      whole = [
        f"{r['untiled_seconds']:.2f} s",
        f"{r['seconds'] / r['untiled_seconds']:.2f}",
        f"{r['untiled_peak_gb']:.2f} GB",
        f"{r['error']:.1e}" if "error" in r else "-",
      ]
    seconds, each = r["seconds"], 1e9 * r["seconds"] / r["points"]
    peak = f"{r['peak_gb']:.2f} GB"
    row = [r["case"], f"{seconds:.2f}", f"{each:.0f}", str(r["passes"]), peak]
    lines.append(row + whole)
  return (
    f"Exact inference in tiles with `memory={MEMORY}` (1GB for "
    "EDSR and SwinIR, 2.5GB for HAT at 512), beside the same result computed "
    "whole in the same process and how far the two differ, in standard "
    "deviations:\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  main()
