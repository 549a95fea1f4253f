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
PHOTOGRAPHS = FOLDER / "photographs.json"


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


def photographs(rows: Sequence[dict[str, Any]]) -> str:
  """Returns mean PSNR in dB, a row a scale, noise and kernel."""
  values: dict[tuple, dict[str, float]] = {}
  for row in rows:
    where = row["scale"], row["noise"], row["kernel"]
    values.setdefault(where, {})[row["way"]] = row["psnr"]
  ways = list(dict.fromkeys(row["way"] for row in rows))
  lines = [["scale", "noise of 255", "kernel", *ways]]
  lines += [
    [f"x{s}", f"{255 * noise:.4g}", f"`{kernel}`"]
    + [f"{own[way]:.2f}" for way in ways]
    for (s, noise, kernel), own in values.items()
  ]
  return markdown.table(lines, left=3)


def main() -> None:
  """Fills the page and prints its tables, of what there are results."""
  made = {}
  if RESULTS.exists():
    results = json.loads(RESULTS.read_text())
    steps = results["steps"]
    made["steps"] = markdown.table(
      [["", *steps], ["steps", *map(str, steps.values())]]
    )
    made["errors"] = table(results["rows"])
  if PHOTOGRAPHS.exists():
    made["photographs"] = photographs(
      json.loads(PHOTOGRAPHS.read_text())["rows"]
    )
  page = FOLDER / "README.md"
  files.write_text(page, markdown.filled(page.read_text(), made))
  print(*made.values(), sep="\n\n")


if __name__ == "__main__":
  main()
