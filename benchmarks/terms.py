"""What a term adds to a training step of size S: prints JSON.

python -m benchmarks.terms NAME

The step by L1 and that by L1 and the term, on the same batch, in turns in one
process; medians over the turns. Networks that terms compare by are drawn, at
the size of those that come with the package and of the published ViT-S.
"""

import json
import statistics
import sys
from typing import Any

import jax

from benchmarks import case
from configs import perceptual
from hinote_jax import losses, models
from hinote_jax.evaluate import markdown
from hinote_jax.losses import terms

_TURNS = 5
_STEP = case.Case(
  dict(name="hinote", channels=1, preset="levels"), 64, 128, 4, is_step=True
)
CASES = {f"term {name}": name for name in ("mghf_n", "mghf_c", "dino_js")}


def _network(kind: str) -> terms.Network:
  if kind == "inn":
    arguments = dict(perceptual.get_config("inn_turbulence").model)
    inputs = case.inputs_of(case.Case(arguments), 32, 32)
  else:
    arguments = dict(name=kind)
    inputs = (jax.numpy.zeros((1, 28, 28, 3)),)
  module = models.build(**arguments)
  return terms.Network(module, case.draw(module, inputs))


def measure(name: str) -> dict[str, Any]:
  """Returns seconds of a step without the term and with it."""
  plain = losses.build("l1")
  (asked,) = terms.parse(f"0.1*{CASES[name]}")
  loss = terms.build(plain, (asked,), (_network(asked.wanted[0]),))
  steps = [case.train_step(_STEP, each) for each in (plain, loss)]
  pairs = case.in_turns(steps, _TURNS)
  seconds = [statistics.median(column) for column in zip(*pairs, strict=True)]
  return {
    "case": name,
    "plain_seconds": seconds[0],
    "term_seconds": seconds[1] - seconds[0],
    "ratio": statistics.median(b / a - 1.0 for a, b in pairs),
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "step by L1", "the term adds", "over the step"]]
  for r in results:
    seconds = (r["plain_seconds"], r["term_seconds"])
    row = [r["case"], *(f"{1e3 * each:.0f} ms" for each in seconds)]
    lines.append([*row, f"{r['ratio']:.2f}"])
  return (
    "What a term of a loss adds to a training step of size S, four windows of "
    "128 x 128 queries, in turns in one process:\n\n" + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
