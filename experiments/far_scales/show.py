"""Prints the errors of runs at scales far beyond those they were trained at.

    python -m experiments.far_scales.show [--update=runs/far [--grid=1024]]

With --update, first keeps the scores of that run here.
"""

import argparse
import json
import pathlib

from hinote_jax import models
from hinote_jax.evaluate import consistent, markdown, report, scores
from hinote_jax.io import files
from hinote_jax.train import workdir

FOLDER = pathlib.Path(__file__).parent
README = FOLDER / "README.md"
# Cells a side -> where the scores are kept.
KEPT = {512: FOLDER, 1024: FOLDER / "larger"}


def table(evaluation: scores.Evaluation) -> str:
  """Returns the errors over bicubic's, a row a scale."""
  ours = ["hinote", f"hinote{consistent.SUFFIX}"]
  lines = [["scale", *ours, *models.INTERPOLATIONS]]
  for scale in sorted(evaluation.header["scales"]):
    rows = evaluation.select(scale=scale, variable="omega")
    mse = {row["model"]: row["mse"] for row in rows}
    ratios = (mse[name] / mse[scores.BASELINE] for name in lines[0][1:])
    lines.append([f"x{scale:g}", *(f"{ratio:.3f}" for ratio in ratios)])
  return markdown.table(lines)


def main() -> None:
  """Keeps another run where one is given, fills the page, prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--update", type=pathlib.Path)
  parser.add_argument("--grid", type=int, choices=KEPT, default=512)
  arguments = parser.parse_args()
  if arguments.update:
    folder = KEPT[arguments.grid]
    folder.mkdir(exist_ok=True)
    made = report.read(arguments.update).to_dict() | {"spectra": []}
    workdir.write_json(folder / "report.json", made)
    blend = json.loads((arguments.update / "blend.json").read_text())
    workdir.write_json(folder / "blend.json", blend)
  made = {
    f"errors {grid}": table(report.read(folder))
    for grid, folder in KEPT.items()
    if folder.is_dir()
  }
  files.write_text(README, markdown.filled(README.read_text(), made))
  print(*made.values(), sep="\n\n")


if __name__ == "__main__":
  main()
