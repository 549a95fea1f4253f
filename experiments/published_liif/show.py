"""Prints the scores of the published LIIF checkpoint on Set5 as one table.

    python -m experiments.published_liif.show [--update=runs/liif]

With --update, first keeps the scores of that run here, without its paths.
"""

import argparse
import json
import pathlib

from hinote_jax.evaluate import images, report_images, scores
from hinote_jax.io import files

RESULTS = pathlib.Path(__file__).with_name("results.json")
# What belongs to the machine of the run.
_OWN = ("command", "checkpoints")


def table() -> str:
  """Returns the kept scores as Markdown, the protocol in words before."""
  kept = json.loads(RESULTS.read_text())
  header, rows = kept["header"], kept["rows"]
  return report_images.summary(
    scores.Evaluation(header, rows, means=images.means(rows))
  )


def keep(run: pathlib.Path) -> None:
  """Copies the scores of a run."""
  found = json.loads((run / "report.json").read_text())
  for name in _OWN:
    found["header"].pop(name, None)
  kept = {"header": found["header"], "rows": found["rows"]}
  files.write_text(RESULTS, json.dumps(kept, indent=1) + "\n")


def main() -> None:
  """Keeps a run where one is given, and prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--update", type=pathlib.Path, metavar="WORKDIR")
  arguments = parser.parse_args()
  if arguments.update:
    keep(arguments.update)
  print(table())


if __name__ == "__main__":
  main()
