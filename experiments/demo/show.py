"""Prints the held-out scores of the demo as one table.

    python -m experiments.demo.show [--update=runs/demo]

With --update, first keeps the scores and the pictures of that run here.
"""

import argparse
import pathlib
import shutil

from hinote_jax import models
from hinote_jax.evaluate import consistent, markdown, report, scores
from hinote_jax.train import workdir

FOLDER = pathlib.Path(__file__).parent
PICTURES = "panels_t2m_x4.png", "beside_runs_untold_t2m_x4.png"


_UNTOLD = "runs/untold"


def table(evaluation: scores.Evaluation) -> str:
  """Returns the demo's error over bicubic's, by variable and scale."""
  header = evaluation.header
  lines = [
    [
      "variable",
      "scale",
      "bicubic MSE",
      "hinote",
      "hinote, by area",
      "hinote, consistent",
      "told nothing",
      "static_regression",
      "best interpolation",
    ]
  ]
  for variable in header["variables"]:
    for scale in sorted(header["scales"]):
      rows = evaluation.select(scale=scale, variable=variable["name"])
      mse = {row["model"]: row["mse"] for row in rows}
      area = {row["model"]: row["area_rmse"] ** 2 for row in rows}
      base = mse[scores.BASELINE]
      plain = [name for name in mse if name in models.INTERPOLATIONS]
      best = min(plain, key=mse.__getitem__)
      told = "hinote" + consistent.SUFFIX
      ratios = [
        mse["hinote"] / base,
        area["hinote"] / area[scores.BASELINE],
        *(mse[name] / base for name in (told, _UNTOLD, "static_regression")),
      ]
      lines.append(
        [
          variable["name"],
          f"x{scale:g}",
          f"{base:.3g} ({variable['units']})²",
          *(f"{ratio:.3f}" for ratio in ratios),
          f"{mse[best] / base:.3f} ({best})",
        ]
      )
  note = (
    "Mean squared error as a fraction of bicubic's, on "
    f"{len(header['times'])} held-out times; degradation "
    f'`{header["degradation"]}`. Cells weigh alike but for "by area", '
    "where they weigh as on the globe."
  )
  return note + "\n\n" + markdown.table(lines, left=2)


def main() -> None:
  """Prints the table, after keeping another run where one is given."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--update", type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.update:
    found = report.read(arguments.update).to_dict() | {"spectra": []}
    workdir.write_json(FOLDER / "report.json", found)
    for picture in PICTURES:
      shutil.copy(arguments.update / "figures" / picture, FOLDER)
  print(table(report.read(FOLDER)))


if __name__ == "__main__":
  main()
