"""Prints the errors of runs at scales far beyond those they were trained at.

    python -m experiments.far_scales.show [--update=runs/far [--as=1024]]

With --update, first keeps the scores of that run here: of fields of 512 or 1024
cells a side, or of a shorter training ("500 steps", "1000 steps").
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
# Cells a side, or length of a short training -> where the scores are kept.
GRIDS = {"512": FOLDER, "1024": FOLDER / "larger"}
SHORT = {
  "500 steps": FOLDER / "steps_500",
  "1000 steps": FOLDER / "steps_1000",
}
KEPT = GRIDS | SHORT


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


def met(evaluations: dict[str, scores.Evaluation]) -> str:
  """Returns what meeting the input brings, a row a training."""
  lines = [["training", "scale", "hinote", "hinote, consistent", "less by"]]
  for name, evaluation in evaluations.items():
    for scale in (2.0, 4.0):
      rows = evaluation.select(scale=scale, variable="omega")
      mse = {row["model"]: row["mse"] for row in rows}
      plain, consistent_ = (
        mse[f"hinote{suffix}"] / mse[scores.BASELINE]
        for suffix in ("", consistent.SUFFIX)
      )
      row = [name, f"x{scale:g}", f"{plain:.3f}", f"{consistent_:.3f}"]
      lines.append([*row, f"{100 * (1 - consistent_ / plain):.0f} %"])
  return markdown.table(lines)


def main() -> None:
  """Keeps another run where one is given, fills the page, prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--update", type=pathlib.Path)
  parser.add_argument("--as", choices=KEPT, default="512", dest="name")
  arguments = parser.parse_args()
  if arguments.update:
    folder = KEPT[arguments.name]
    folder.mkdir(exist_ok=True)
    made = report.read(arguments.update).to_dict() | {"spectra": []}
    workdir.write_json(folder / "report.json", made)
    blend = json.loads((arguments.update / "blend.json").read_text())
    workdir.write_json(folder / "blend.json", blend)
  known = {n: report.read(f) for n, f in KEPT.items() if f.is_dir()}
  made = {f"errors {n}": table(known[n]) for n in GRIDS if n in known}
  short = {n: known[n] for n in SHORT if n in known}
  made["met"] = met({**short, "1200 steps of twice as many": known["512"]})
  files.write_text(README, markdown.filled(README.read_text(), made))
  print(*made.values(), sep="\n\n")


if __name__ == "__main__":
  main()
