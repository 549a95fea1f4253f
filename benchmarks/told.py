"""A training step told of static fields beside one told nothing: prints JSON.

python -m benchmarks.told NAME

The compiled steps of both, on batches that are at hand, in turns in one
process; medians over the turns.
"""

from collections.abc import Callable
import json
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import jax

from configs import hinote
from hinote_jax.evaluate import markdown
from hinote_jax.train import parallel, parts

_TURNS, _STEPS, _BATCHES = 25, 4, 4
CASES = ("told, hinote S",)


def _config(static: tuple[str, ...]) -> Any:
  """Returns the demo's run, told of these static fields."""
  config = hinote.get_config("demo")
  config.update_from_flattened_dict(hinote.LEVELS | {"data.static": static})
  return config


def _turn(config: Any, folder: pathlib.Path) -> Callable[[], float]:
  """Returns what takes some steps and says how long one took."""
  run = parts.make(config, folder)
  batches = [run.batch(step) for step in range(_BATCHES)]
  state = parallel.put_state(run.state, config.parallel)
  take = run.step().compile(state, batches[0])

  def seconds() -> float:
    nonlocal state
    begun = time.perf_counter()
    for step in range(_STEPS):
      state, _ = take(state, batches[step % _BATCHES])
    jax.block_until_ready(state)
    return (time.perf_counter() - begun) / _STEPS

  seconds()
  return seconds


def measure(name: str) -> dict[str, Any]:
  """Returns seconds of a step, told nothing and told of what `demo` is."""
  with tempfile.TemporaryDirectory() as text:
    untold, told = (
      _turn(_config(static), pathlib.Path(text) / "none")
      for static in ((), hinote.EARTH)
    )
    pairs = [(untold(), told()) for _ in range(_TURNS)]
  seconds = [statistics.median(column) for column in zip(*pairs, strict=True)]
  return {
    "case": name,
    "untold_seconds": seconds[0],
    "told_seconds": seconds[1],
    "ratio": statistics.median(told / untold for untold, told in pairs),
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "told nothing", "told", "times as long"]]
  for r in results:
    seconds = (r["untold_seconds"], r["told_seconds"])
    row = [r["case"], *(f"{1e3 * each:.0f} ms" for each in seconds)]
    lines.append([*row, f"{r['ratio']:.2f}"])
  return (
    "A training step told of the static fields of the demo beside one told "
    "nothing, in turns in one process:\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
