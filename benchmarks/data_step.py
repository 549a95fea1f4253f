"""One data step of an unfolded network: prints JSON.

python -m benchmarks.data_step NAME

Beside the Fourier transforms of the fine grid alone, forth and back, taken in
turns in this process: a step is two of these, of the coarse grid one more, and
what is done to their waves.
"""

import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import deconvolution
from hinote_jax.evaluate import markdown

# Side of the fine grid, channels, scale.
CASES = {
  "data step 512 x 512 x 3, x2": (512, 3, 2),
  "data step 512 x 512 x 3, x4": (512, 3, 4),
}
_TURNS = 15


def measure(name: str) -> dict[str, Any]:
  """Returns the fastest of both, in seconds, and their ratio."""
  side, channels, scale = CASES[name]
  random = np.random.default_rng(0)

  def normal(*shape):
    return jnp.asarray(random.normal(size=shape), jnp.float32)

  kernel, alpha = normal(1, 25, 25, 1), jnp.array([0.1])
  x = normal(1, side, side, channels)
  y = normal(1, side // scale, side // scale, channels)
  made = deconvolution.operator(kernel, (side, side), (scale, scale))
  waves = made.spectrum(y)

  @jax.jit
  def step(x, response, gram, waves):
    own = made._replace(response=response, gram=gram)
    return own.solve(x, waves, alpha)

  @jax.jit
  def transforms(x):
    there = jnp.fft.rfft2(x, axes=(1, 2))
    return jnp.fft.irfft2(there, s=(side, side), axes=(1, 2))

  calls = (
    lambda: step(x, made.response, made.gram, waves),
    lambda: transforms(x),
  )
  times = [[], []]
  for _ in range(_TURNS + 1):
    for call, taken in zip(calls, times, strict=True):
      begun = time.perf_counter()
      jax.block_until_ready(call())
      taken.append(time.perf_counter() - begun)
  step_seconds, fft_seconds = (min(taken[1:]) for taken in times)
  return {
    "case": name,
    "step_seconds": step_seconds,
    "transforms_seconds": fft_seconds,
    "ratio": step_seconds / fft_seconds,
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "times the transforms"]]
  lines += [[r["case"], f"{r['ratio']:.1f}"] for r in results]
  return (
    "The closed form that networks that unfold have in each iteration, "
    "beside the Fourier transforms of its grid alone, forth and back, in "
    "turns in one process:\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
