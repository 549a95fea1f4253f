"""One case, in a process of its own: prints a JSON object after each pass.

    python -m experiments.attention_cost.case KIND SIDE LIMIT_GB LIMIT_SECONDS

The forward pass, then forward and backward together. A pass for which XLA asks
for more memory than the limit is not run, and a process that has had so many
seconds of the processor ends. Those seconds, of all threads together, are what
is measured: other work on the machine hardly changes them.
"""

from collections.abc import Callable
import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from experiments.attention_cost import kinds
from hinote_jax.train import host_memory

WIDTH, HEADS = 64, 4  # `hinote` of size B, on its finest level
# The least of so many calls, or of those that fit in so long; three at least.
_CALLS, _SECONDS, _LEAST = 7, 4.0, 3
# As many calls are timed together as last so long: the system counts a thread's
# seconds now and then.
_TOGETHER = 0.05


def inputs(side: int, count: int, seed: int = 0) -> list[jax.Array]:
  """Returns normal arrays of a field, [1 n g d] float32."""
  random = np.random.default_rng(seed)
  shape = (1, side**2, HEADS, WIDTH // HEADS)
  return [
    jnp.asarray(random.standard_normal(shape, np.float32)) for _ in range(count)
  ]


def passes(kind: str, side: int) -> dict[str, Callable]:
  """Returns the functions that are measured, of a key and of `inputs`."""

  def forward(key, q, k, v):
    attend = kinds.build(kind, key, (side, side), WIDTH // HEADS)
    return attend(q, k, v)

  def both(key, q, k, v, slope):
    y, back = jax.vjp(lambda *qkv: forward(key, *qkv), q, k, v)
    return y, back(slope)

  return {"forward": forward, "both": both}


def measure(function: Callable, arguments: list, limit_gb: float) -> dict:
  """Returns what a call takes, and the peak memory of the process.

  Args:
    function: of the arguments.
    arguments: arrays.
    limit_gb: what the call may need, its arguments and results included.
  """
  compiled = jax.jit(function).lower(*arguments).compile()
  sizes = compiled.memory_analysis()
  needed = 1e-9 * (
    sizes.argument_size_in_bytes
    + sizes.output_size_in_bytes
    + sizes.temp_size_in_bytes
  )
  if needed > limit_gb:
    return {"reason": f"would take {needed:.0f} GB, more than {limit_gb:g}"}

  def timed(count: int) -> tuple[float, float]:
    start = time.process_time(), time.perf_counter()
    for _ in range(count):
      jax.block_until_ready(compiled(*arguments))
    end = time.process_time(), time.perf_counter()
    return (end[0] - start[0]) / count, (end[1] - start[1]) / count

  together = max(1, round(_TOGETHER / timed(1)[1]))
  calls = []
  while len(calls) < _LEAST or (
    len(calls) < _CALLS and sum(cpu for cpu, _ in calls) < _SECONDS
  ):
    calls.append(timed(together))
  cpu, wall = (min(times) for times in zip(*calls, strict=True))
  peak = host_memory.peak()
  return {
    "seconds": cpu,
    "wall_seconds": wall,
    "calls": len(calls),
    "peak_gb": None if peak is None else 1e-9 * peak,
  }


def main() -> None:
  """Measures the passes of one kind at one size."""
  host_memory.keep_freed()  # as the command line does
  kind, side = sys.argv[1], int(sys.argv[2])
  limit_gb, limit_seconds = map(float, sys.argv[3:])
  seconds = round(limit_seconds)
  resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
  arguments = [jax.random.key(0), *inputs(side, 3)]
  for name, function in passes(kind, side).items():
    if name == "both":
      arguments += inputs(side, 1, seed=1)
    result = measure(function, arguments, limit_gb)
    print(json.dumps({"pass": name, **result}), flush=True)


if __name__ == "__main__":
  main()
