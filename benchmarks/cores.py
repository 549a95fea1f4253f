"""A network compiled by `core.compiling` and as XLA does it: prints JSON.

python -m benchmarks.cores NAME

Both programs are called in turns in one process, on the same numbers; medians
over the turns.
"""

import functools
import json
import statistics
import sys
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import case
from hinote_jax import models
from hinote_jax.core import compiling
from hinote_jax.evaluate import markdown

_TURNS = 9
CASES = {
  "cores, hinote S": case.Case(
    dict(name="hinote", channels=1, preset="levels"), 32, 64, 8
  ),
  "cores, edsr": case.Case(dict(name="edsr", channels=3, scale=2), 48, 96, 4),
  "cores, srno": case.Case(dict(name="srno", channels=3), 48, 96, 2),
  "cores, liif": case.Case(dict(name="liif", channels=3), 48, 96, 2),
  "cores, lte": case.Case(dict(name="lte", channels=3), 48, 96, 2),
}


def _in_turns(function, arguments) -> tuple[float, float]:
  """Returns the seconds of XLA's own program, and those over ours."""
  programs = [
    jit(function).lower(*arguments).compile()
    for jit in (jax.jit, compiling.jit)
  ]
  calls = [functools.partial(program, *arguments) for program in programs]
  pairs = case.in_turns(calls, _TURNS)
  seconds = statistics.median(each[0] for each in pairs)
  return seconds, statistics.median(a / b for a, b in pairs)


def measure(name: str) -> dict[str, Any]:
  """Returns how many times faster a pass and its gradient are."""
  made = CASES[name]
  model = models.build(**made.model)
  variables = case.draw(model, case.inputs_of(made, 16, 16))
  lowres, *query = case.inputs_of(made, made.lowres, made.queries)

  def forward(variables, lowres):
    return model.apply(variables, lowres, *query)

  def loss(variables, lowres):
    return jnp.abs(forward(variables, lowres)).mean()

  arguments = variables, lowres
  forward_seconds, forward_ratio = _in_turns(forward, arguments)
  step_seconds, step_ratio = _in_turns(jax.grad(loss), arguments)
  return {
    "case": name,
    "forward_seconds": forward_seconds,
    "forward_ratio": forward_ratio,
    "gradient_seconds": step_seconds,
    "gradient_ratio": step_ratio,
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "XLA's own pass", "times faster"]]
  lines[0] += ["XLA's own gradient", "times faster"]
  for r in results:
    row = [r["case"]]
    for kind in ("forward", "gradient"):
      row.append(f"{1e3 * r[f'{kind}_seconds']:.0f} ms")
      row.append(f"{r[f'{kind}_ratio']:.2f}")
    lines.append(row)
  return (
    "What it wins to have convolutions run on all cores, as every network "
    "here is compiled on a CPU, over what XLA does by itself, in turns in "
    "one process:\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
