"""Fills the page from committed results.

python -m experiments.true_to_input.show
"""

from collections.abc import Iterator, Mapping
import json
import pathlib
from typing import Any

import numpy as np

from hinote_jax.evaluate import consistent, markdown, scores
from hinote_jax.io import files

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results.json"


def table(known: Mapping[str, Any]) -> str:
  """Returns mean squared errors over bicubic's, mean over variables."""
  rows = [row for key in known["runs"] for row in _rows(key, known)]
  scales = list(dict.fromkeys(scale for *_, ratios in rows for scale in ratios))
  header = ["fields", "model", "meets its input", "steps", "ms a step"]
  lines = [[*header, *(f"x{scale:g}" for scale in scales)]]
  lines += [
    [*cells, *(f"{ratios[scale]:.3f}" for scale in scales)]
    for *cells, ratios in rows
  ]
  return markdown.table(lines, left=3)


def _rows(key: str, known: Mapping[str, Any]) -> Iterator[tuple]:
  fields, model, *is_consistent = key.split()
  run = known["runs"][key]
  step = known["seconds_a_step"].get(key)
  mse: dict[tuple, dict[str, float]] = {}
  for row in run["rows"]:
    own = mse.setdefault((row["model"], row["scale"]), {})
    own[row["variable"]] = row["mse"]
  ways = {model: "by its last layer" if is_consistent else "no"}
  if not is_consistent:
    ways[model + consistent.SUFFIX] = "afterwards"
  for name, way in ways.items():
    ratios = {
      scale: np.mean(
        [own[v] / mse[scores.BASELINE, scale][v] for v in own], dtype=float
      )
      for (other, scale), own in mse.items()
      if other == name
    }
    milliseconds = f"{1e3 * step:.0f}" if step else ""
    yield fields, model, way, f"{run['steps']}", milliseconds, ratios


def main() -> None:
  """Fills the page and prints its table."""
  known, page = json.loads(RESULTS.read_text()), FOLDER / "README.md"
  made = {"errors": table(known)}
  files.write_text(page, markdown.filled(page.read_text(), made))
  print(made["errors"])


if __name__ == "__main__":
  main()
