"""One case of `--consistent`: prints JSON.

python -m benchmarks.consistent NAME

A field is made to give back its input, by the closed form and by the
iterations that were there before it, both in this process.
"""

import json
import sys
import time
from typing import Any
from unittest import mock

import numpy as np

from hinote_jax import degradations
from hinote_jax.evaluate import markdown
from hinote_jax.infer import consistency, inverses, krylov

_TURNED = "blur(1.2, 0.6, 30)|area"
# Of the input, side, and whether both axes close; the result is twice as fine.
CASES = {
  "consistent, area of blur(1.2, 0.6, 30)": (_TURNED, 48, True),
  "consistent, area of blur(1.2, 0.6, 30), walls": (_TURNED, 48, False),
  "consistent, area of blur(0.5)": ("blur(0.5)|area", 256, True),
}


def _run(
  text: str, side: int, is_closed: bool
) -> tuple[float, int, np.ndarray]:
  """Returns seconds of the processor, steps and the result."""
  degradation, periodic = degradations.parse(text), (is_closed, is_closed)
  random, shape = np.random.default_rng(0), (side, side)
  truth = random.normal(size=(2 * side, 2 * side, 1)).astype(np.float32)
  lowres = degradation.field(truth, shape, periodic=periodic)
  highres = truth + 0.1 * np.roll(truth, 5, axis=1)
  solve, count = krylov.conjugate_residuals, 0

  def counted(apply, *arguments, **given):
    def one(z):
      nonlocal count
      count += 1
      return apply(z)

    return solve(one, *arguments, **given)

  with mock.patch.object(krylov, "conjugate_residuals", counted):
    begun = time.process_time()
    projection = consistency.Projection(
      degradation, (2 * side, 2 * side), shape, periodic
    )
    made = projection(highres, lowres)
  return time.process_time() - begun, count - 1, made


def measure(name: str) -> dict[str, Any]:
  """Returns what both take, and how far they differ."""
  text, side, is_closed = CASES[name]
  _run(text, 8, is_closed)  # what is imported and planned once
  seconds, steps, made = _run(text, side, is_closed)
  with mock.patch.object(inverses, "has_closed_form", lambda *_: False):
    before, before_steps, other = _run(text, side, is_closed)
  return {
    "case": name,
    "consistent_seconds": seconds,
    "steps": steps,
    "before_seconds": before,
    "before_steps": before_steps,
    "difference": float(np.abs(made - other).max() / np.ptp(made)),
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "closed form", "steps", "before", "steps", "difference"]]
  for r in results:
    row = [r["case"], f"{r['consistent_seconds']:.2f} s", str(r["steps"])]
    row += [f"{r['before_seconds']:.2f} s", str(r["before_steps"])]
    lines.append([*row, f"{r['difference']:.1e}"])
  return (
    "The input met by `--consistent` at twice its cells, in closed form and "
    "by the iterations that were there before, in seconds of the processor, "
    "and how far the results are from each other as a part of their range:"
    "\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
