"""What training costs beside its compiled step: prints JSON.

python -m benchmarks.trainer NAME

The compiled step is called on batches that are at hand, and `train.loop` takes
as many steps with all that it does: batches are made and moved, metrics read
and written, checkpoints kept. Both in turns, in one process; medians.
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from configs import hinote
from hinote_jax.evaluate import markdown
from hinote_jax.train import checkpoint, loop, metric_log, parallel, parts

_STEPS, _TURNS, _BATCHES = 200, 3, 8
CASES = {"trainer, smoke": "smoke", "trainer, size S": "untold"}


def _config(name: str, folder: pathlib.Path) -> Any:
  fields = np.random.default_rng(0).normal(size=(12, 128, 256))
  np.save(folder / "fields.npy", fields.astype(np.float32))
  config = hinote.get_config(CASES[name])
  config.update_from_flattened_dict(hinote.LEVELS)
  config.data = dict(
    name="files",
    path=str(folder / "fields.npy"),
    variables=("psi",),
    cache_dir=str(folder / "cache"),
  )
  config.split = dict(validation=2, test=2, gap=0)
  config.steps = config.validate_every = _STEPS
  return config


def _bare(config: Any, folder: pathlib.Path) -> float:
  """Returns seconds a step, of the program alone."""
  run = parts.make(config, folder / "none")
  batches = [run.batch(step) for step in range(_BATCHES)]
  state = parallel.put_state(run.state, config.parallel)
  take = run.step().compile(state, batches[0])
  state, _ = jax.block_until_ready(take(state, batches[0]))
  begun = time.perf_counter()
  for step in range(_STEPS):
    state, _ = take(state, batches[step % _BATCHES])
  jax.block_until_ready(state)
  return (time.perf_counter() - begun) / _STEPS


def _trained(config: Any, folder: pathlib.Path) -> float:
  """Returns seconds a step of a run, before its validation."""
  loop.train(config, folder)
  *_, last = metric_log.read(folder, metric_log.TIMINGS)
  return 1.0 / last["steps_per_second"]


def _saving(config: Any, folder: pathlib.Path) -> float:
  """Returns seconds that training waits for a checkpoint written behind."""
  run, seconds = parts.make(config, folder), []
  state = parallel.put_state(run.state, config.parallel)
  state = parallel.get_state(state).to_dict()
  score = {checkpoint.BEST_KEY: 1.0}
  with checkpoint.Checkpoints(folder, is_behind=True) as checkpoints:
    for step in range(1, 6):
      begun = time.perf_counter()
      checkpoints.save(step, state, {}, score)
      seconds.append(time.perf_counter() - begun)
      checkpoints.finish()
  return statistics.median(seconds)


def measure(name: str) -> dict[str, Any]:
  """Returns seconds a step of both, and of what a checkpoint holds up."""
  with tempfile.TemporaryDirectory() as text:
    folder = pathlib.Path(text)
    config, bare, trained = _config(name, folder), [], []
    for turn in range(_TURNS):
      bare.append(_bare(config, folder))
      trained.append(_trained(config, folder / str(turn)))
    return {
      "case": name,
      "bare_seconds": statistics.median(bare),
      "trained_seconds": statistics.median(trained),
      "saving_seconds": _saving(config, folder / "saved"),
    }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "compiled step", "step of a run", "more", "checkpoint"]]
  for r in results:
    bare, whole = r["bare_seconds"], r["trained_seconds"]
    row = [r["case"], f"{1e3 * bare:.1f} ms", f"{1e3 * whole:.1f} ms"]
    row += [f"{100 * (whole / bare - 1):.1f} %"]
    lines.append([*row, f"{100 * r['saving_seconds'] / bare:.1f} % of a step"])
  return (
    "A training run's step beside the compiled program alone, in turns in "
    "one process, and what a checkpoint that is written behind holds up:"
    "\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
