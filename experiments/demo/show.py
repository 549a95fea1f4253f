"""Prints the held-out scores of the demo as one table.

    python -m experiments.demo.show [--update=runs/demo]

With --update, first keeps the scores and the picture of that run here.
"""

import argparse
import pathlib
import shutil

from hinote_jax.evaluate import report, scores
from hinote_jax.train import workdir

FOLDER = pathlib.Path(__file__).parent
PICTURE = "panels_t2m_x4.png"


def _score(evaluation: scores.Evaluation, metric: str, **where) -> float:
  (row,) = evaluation.select(**where)
  return row[metric]


def table(evaluation: scores.Evaluation) -> str:
  """Returns MSE ratios and SSIM by variable and scale as Markdown."""
  header = evaluation.header
  model, *others = header["models"]
  lines = [
    "| variable | scale | bicubic MSE | "
    + " | ".join(f"{name}" for name in header["models"])
    + f" | SSIM {model} | SSIM best of the others |",
    "|---|---|---|" + "---|" * (len(header["models"]) + 2),
  ]
  for variable in header["variables"]:
    for scale in sorted(header["scales"]):
      where = dict(scale=scale, variable=variable["name"])
      mse = {
        name: _score(evaluation, "mse", model=name, **where)
        for name in header["models"]
      }
      ssim = {
        name: _score(evaluation, "ssim", model=name, **where)
        for name in header["models"]
      }
      best = max(others, key=ssim.get)
      ratios = " | ".join(
        f"{scores.ratio(value, mse['bicubic']):.3f}" for value in mse.values()
      )
      lines.append(
        f"| {variable['name']} | x{scale:g} "
        f"| {mse['bicubic']:.3g} ({variable['units']})² | {ratios} "
        f"| {ssim[model]:.4f} | {ssim[best]:.4f} ({best}) |"
      )
  note = (
    "Mean squared error as a fraction of bicubic's, on "
    f"{len(header['times'])} held-out times; degradation "
    f"`{header['degradation']}`."
  )
  return note + "\n\n" + "\n".join(lines)


def main() -> None:
  """Prints the table, after keeping another run where one is given."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--update", type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.update:
    found = report.read(arguments.update).to_dict() | {"spectra": []}
    workdir.write_json(FOLDER / "report.json", found)
    shutil.copy(arguments.update / "figures" / PICTURE, FOLDER)
  print(table(report.read(FOLDER)))


if __name__ == "__main__":
  main()
