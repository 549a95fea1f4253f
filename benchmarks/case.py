"""One case of the benchmark, in a process of its own: prints a JSON object.

python -m benchmarks.case NAME
"""

from collections.abc import Callable, Sequence
import json
import random
import resource
import sys
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import operations
from hinote_jax import losses, models
from hinote_jax.core import compiling, grids
from hinote_jax.evaluate import markdown
from hinote_jax.train import host_memory, optim
from hinote_jax.train import step as steps

_MATMUL = 2048


class Case(NamedTuple):
  """What is measured.

  Attributes:
    model: arguments of `models.build`.
    lowres: side of the input.
    queries: side of the output, or of the window of queries of a step.
    batch: examples.
    is_step: a training step; else the network alone.
    loss: of a step.
  """

  model: dict[str, Any]
  lowres: int = 128
  queries: int = 512
  batch: int = 1
  is_step: bool = False
  loss: str = "frequency_prior"


def _hinote(preset="levels", **kwargs) -> dict[str, Any]:
  return dict(name="hinote", channels=1, preset=preset, **kwargs)


def _step(model, lowres=32, queries=48, batch=8, **kwargs) -> Case:
  return Case(model, lowres, queries, batch, is_step=True, **kwargs)


# The peers at the sizes their authors publish; see `beside`.
_OFFICIAL = dict(name="hinote_official", channels=1)
_PEERS = {name: dict(name=name, channels=3) for name in ("srno", "liif", "lte")}
_WINDOWS = {
  "hat S": dict(name="hat", size="S", channels=3, scale=4),
  "hat": dict(name="hat", channels=3, scale=4),
  "swinir": dict(name="swinir", channels=3, scale=4),
}
_USRNET = dict(name="usrnet", channels=3, scale=4)
CASES = {
  "forward B 128 -> 512": Case(_hinote(size="B")),
  "forward S 128 -> 512": Case(_hinote(size="S")),
  "forward L 128 -> 512": Case(_hinote(size="L")),
  "forward S local 128 -> 512": Case(_hinote(size="S", preset="local")),
  "forward B local 128 -> 512": Case(_hinote(size="B", preset="local")),
  "forward B pointwise 128 -> 512": Case(_hinote(size="B", preset="pointwise")),
  "forward S paper 128 -> 512": Case(_hinote(size="S", preset="paper")),
  "step S batch 8": _step(_hinote(size="S")),
  "step B batch 8": _step(_hinote(size="B")),
  "step S local batch 8": _step(_hinote(preset="local"), loss="l1"),
  "step S pointwise batch 8": _step(_hinote(size="S", preset="pointwise")),
  "step S paper batch 8": _step(_hinote(size="S", preset="paper")),
  "bicubic 128 -> 512": Case(dict(name="bicubic")),
  "spectral 128 -> 512": Case(dict(name="spectral")),
  "hinote_official 64 -> 256": Case(_OFFICIAL, 64, 256),
  "hinote_official 128 -> 512": Case(_OFFICIAL, 128, 512),
  **{f"{n} 48 -> 192": Case(m, 48, 192) for n, m in _PEERS.items()},
  "metasr 48 -> 192": Case(dict(name="metasr", channels=3), 48, 192),
  **{f"{n} 64 -> 256": Case(m, 64, 256) for n, m in _WINDOWS.items()},
  "sinsr 64 -> 256": Case(dict(name="sinsr"), 64, 256),
  "usrnet tiny 24 -> 96": Case(_USRNET | dict(size="tiny"), 24, 96),
  "usrnet 24 -> 96": Case(_USRNET, 24, 96),
  "usrnet tiny 64 -> 128": Case(_USRNET | dict(size="tiny", scale=2), 64, 128),
  "usrnet 64 -> 128": Case(_USRNET | dict(scale=2), 64, 128),
  "hinote_official step batch 8": _step(_OFFICIAL, queries=32, loss="l1"),
  **{
    f"{n} step batch 4": _step(m, 48, 48, 4, loss="l1")
    for n, m in _PEERS.items()
  },
}


def inputs_of(case: Case, lowres: int, queries: int):
  """Returns a field, and query points and cells, for each example."""
  channels = models.build(**case.model).channels or 1  # None: any number
  shape = (case.batch, lowres, lowres, channels)
  values = np.random.default_rng(0).normal(size=shape)
  cell = np.tile(grids.cell_size((queries, queries)), (case.batch, 1))
  axes = grids.batched(grids.axes((queries, queries)), case.batch)
  return jnp.asarray(values, jnp.float32), axes, jnp.asarray(cell)


def draw(module, inputs):
  """Returns parameters as large as fresh ones, as from a file: no `init`."""
  random = np.random.default_rng(0)

  def draw(leaf):
    fan_in = np.prod(leaf.shape[:-1], initial=1.0)
    values = random.normal(size=leaf.shape) / np.sqrt(fan_in)
    return jnp.asarray(values, jnp.float32)

  shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
  return jax.tree.map(draw, shapes)


def _forward(case: Case) -> Callable:
  module = models.build(**case.model)
  variables = draw(module, inputs_of(case, 16, 16))
  inputs = inputs_of(case, case.lowres, case.queries)
  apply = compiling.jit(module.apply)
  return lambda: apply(variables, *inputs)


def train_step(case: Case, loss: Any = None) -> Callable:
  """Returns what takes a training step, by the loss of the case or by this."""
  module = models.build(**case.model)
  lowres, axes, cell = inputs_of(case, case.lowres, case.queries)
  batch = dict(lowres=lowres, coords=axes, cell=cell)
  batch["highres"] = jnp.zeros(
    (case.batch, case.queries, case.queries, lowres.shape[-1])
  )
  transform, _ = optim.build(learning_rate=1e-3, steps=1000)
  loss = loss or losses.build(case.loss)
  state = steps.init_state(jax.random.key(0), module, loss, transform, batch)
  step = compiling.jit(steps.make_train_step(module, loss, transform))
  return lambda: step(state, batch)


def _count(case: Case) -> int | None:
  """Returns the operations; backward is twice forward, by the usual count."""
  side = case.lowres, case.queries
  one = operations.forward(models.build(**case.model), *((n, n) for n in side))
  times = 3 * case.batch if case.is_step else 1
  return None if one is None else times * one


def _seconds(call: Callable, repeats: int) -> list[float]:
  jax.block_until_ready(call())
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(call())
    times.append(time.perf_counter() - start)
  return times


def in_turns(calls: Sequence[Callable], turns: int) -> list[list[float]]:
  """Returns the seconds of calls taken in turns, a row a turn, after one more.

  What slows the machine for a while slows all alike. So does what a call leaves
  to the next (a sixth of a step, after one that gives much memory back): each
  turn has an order of its own.
  """
  order, rows = random.Random(0), []
  for _ in range(turns + 1):
    places = order.sample(range(len(calls)), len(calls))
    seconds = {place: _seconds_of(calls[place]) for place in places}
    rows.append([seconds[place] for place in range(len(calls))])
  return rows[1:]


def _seconds_of(call: Callable) -> float:
  begun = time.perf_counter()
  jax.block_until_ready(call())
  return time.perf_counter() - begun


def peak_gb() -> float:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
  """Measures the named case and the matmul rate around it."""
  host_memory.keep_freed()  # as the command line does
  case = CASES[sys.argv[1]]
  call = (train_step if case.is_step else _forward)(case)
  times = _seconds(call, 7)
  peak = peak_gb()
  square = jnp.ones((_MATMUL, _MATMUL), jnp.float32)
  matmul = jax.jit(jnp.matmul)
  rate = 2 * _MATMUL**3 / np.median(_seconds(lambda: matmul(square, square), 9))
  count = _count(case)
  result = {
    "case": sys.argv[1],
    "seconds": float(np.median(times)),
    "fastest": min(times),
    "peak_gb": peak,
    "operations": count,
    "matmul_rate": float(rate),
  }
  if count is not None:
    result["fraction"] = count / result["seconds"] / float(rate)
  print(json.dumps(result))


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [
    ["case", "seconds", "peak memory", "operations", "of the matmul rate"]
  ]
  for r in results:
    count, fraction = "-", "-"
    if r["operations"]:
      count = f"{r['operations'] / 1e9:.1f} G"
      rate = r["matmul_rate"] / 1e9
      fraction = f"{100 * r['fraction']:.0f} % of {rate:.0f} G/s"
    seconds, memory = f"{r['seconds']:.3f}", f"{r['peak_gb']:.2f} GB"
    lines.append([r["case"], seconds, memory, count, fraction])
  return markdown.table(lines)


if __name__ == "__main__":
  main()
