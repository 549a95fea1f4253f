"""One case of the benchmark, in a process of its own: prints a JSON object.

python -m benchmarks.case NAME
"""

from collections.abc import Callable
import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import operations
from hinote_jax import grids, losses, models, optim, train_step

_MATMUL = 2048


def _model(**kwargs) -> dict:
  return dict(name="hinote", channels=1, **kwargs)


def _cases() -> dict[str, Callable]:
  forward = {
    "forward B 128 -> 512": _model(size="B"),
    "forward S 128 -> 512": _model(size="S"),
    "forward L 128 -> 512": _model(size="L"),
    "forward B pointwise 128 -> 512": _model(size="B", preset="pointwise"),
    "forward S paper 128 -> 512": _model(size="S", preset="paper"),
  }
  steps = {
    "step S batch 8": _model(size="S"),
    "step B batch 8": _model(size="B"),
    "step S pointwise batch 8": _model(size="S", preset="pointwise"),
    "step S paper batch 8": _model(size="S", preset="paper"),
  }
  cases = {name: lambda k=kw: _forward(k) for name, kw in forward.items()}
  cases |= {name: lambda k=kw: _step(k) for name, kw in steps.items()}
  for name in ("bicubic", "spectral"):
    cases[f"{name} 128 -> 512"] = lambda n=name: _interpolation(n)
  return cases


def names() -> list[str]:
  """Returns the names of the cases, in order of printing."""
  return list(_cases())


def _inputs(batch: int, lowres: int, queries: int):
  values = np.random.default_rng(0).normal(size=(batch, lowres, lowres, 1))
  cell = np.tile(grids.cell_size((queries, queries)), (batch, 1))
  axes = grids.batched(grids.axes((queries, queries)), batch)
  return jnp.asarray(values, jnp.float32), axes, jnp.asarray(cell)


def _forward(arguments):
  module = models.build(**arguments)
  small = _inputs(1, 16, 16)
  variables = jax.jit(module.init)(jax.random.key(0), *small)
  inputs = _inputs(1, 128, 512)
  apply = jax.jit(module.apply)
  count = operations.forward(module, (128, 128), (512, 512))
  return lambda: apply(variables, *inputs), count


def _interpolation(name):
  apply = jax.jit(models.build(name).apply)
  inputs = _inputs(1, 128, 512)
  return lambda: apply({}, *inputs), None


def _step(arguments):
  module = models.build(**arguments)
  lowres, axes, cell = _inputs(8, 32, 48)
  batch = dict(lowres=lowres, coords=axes, cell=cell)
  batch["highres"] = jnp.zeros((8, 48, 48, 1))
  transform, _ = optim.build(learning_rate=1e-3, steps=1000)
  loss = losses.build("frequency_prior")
  state = train_step.init_state(
    jax.random.key(0), module, loss, transform, batch
  )
  step = jax.jit(train_step.make_train_step(module, loss, transform))
  # Backward is twice forward, by the usual count.
  count = 3 * 8 * operations.forward(module, (32, 32), (48, 48))
  return lambda: step(state, batch), count


def _seconds(call: Callable, repeats: int) -> list[float]:
  jax.block_until_ready(call())
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(call())
    times.append(time.perf_counter() - start)
  return times


def _peak_gb() -> float:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
  """Measures the named case and the matmul rate around it."""
  call, count = _cases()[sys.argv[1]]()
  times = _seconds(call, 7)
  peak = _peak_gb()
  square = jnp.ones((_MATMUL, _MATMUL), jnp.float32)
  matmul = jax.jit(jnp.matmul)
  rate = 2 * _MATMUL**3 / np.median(_seconds(lambda: matmul(square, square), 9))
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


if __name__ == "__main__":
  main()
