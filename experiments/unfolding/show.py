"""Fills the page from committed results.

python -m experiments.unfolding.show
"""

from collections.abc import Sequence
import json
import pathlib
from typing import Any

from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results.json"


def table(rows: Sequence[dict[str, Any]]) -> str:
  """Returns mean squared errors over bicubic's, a row a scale and noise."""
  mse = {(r["scale"], r["noise"], r["model"]): r["mse"] for r in rows}
  names = dict.fromkeys(row["model"] for row in rows)
  lines = [["scale", "noise", *names]]
  for scale, noise in dict.fromkeys(key[:2] for key in sorted(mse)):
    base = mse[scale, noise, scores.BASELINE]
    ratios = [f"{mse[scale, noise, name] / base:.3f}" for name in names]
    lines.append([f"x{scale:g}", f"{noise:.0%}", *ratios])
  return markdown.table(lines, left=2)


def main() -> None:
  """Fills the page and prints its table."""
  results, page = json.loads(RESULTS.read_text()), FOLDER / "README.md"
  steps = results["steps"]
  made = {
    "steps": markdown.table(
      [["", *steps], ["steps", *map(str, steps.values())]]
    ),
    "errors": table(results["rows"]),
  }
  files.write_text(page, markdown.filled(page.read_text(), made))
  print(made["errors"])


if __name__ == "__main__":
  main()
