"""Prints what tables are worth on photographs, as one table.

    python -m experiments.tables.show [--images=Set5 NAME=FILE[:SCALE] ..]

With files, first scores each of them, at x2, x3 and x4 or at its one scale, and
keeps the scores here.
"""

import argparse
from collections.abc import Sequence
import json
import pathlib
from typing import Any

from hinote_jax import infer, shipped
from hinote_jax.evaluate import image_sets, images, markdown
from hinote_jax.io import files

RESULTS = pathlib.Path(__file__).with_name("results.json")
README = RESULTS.with_name("README.md")
PROTOCOL = "single_scale_luma"
_SCALES = ("2", "3", "4")


def score(
  folder: str | pathlib.Path, predictor: Any, scales: Sequence[str]
) -> dict[str, float]:
  """Returns the PSNR of a predictor at every scale, in dB."""
  found = images.evaluate(
    {"own": predictor},
    image_sets.load("folder", path=folder),
    protocol=PROTOCOL,
    scales=map(float, scales),
    progress=False,
  )
  return {f"{row['scale']:g}": row["psnr"] for row in found.means}


def table() -> str:
  """Returns the kept scores as Markdown."""
  lines = [["table", *(f"x{scale}" for scale in _SCALES), "bytes"]]
  for name, kept in json.loads(RESULTS.read_text()).items():
    psnr = (kept["psnr"].get(scale) for scale in _SCALES)
    numbers = [f"{v:.2f}" if v else "-" for v in psnr]
    size = kept.get("bytes")
    lines.append([name, *numbers, f"{size:,}" if size else "-"])
  return markdown.table(lines)


def main() -> None:
  """Scores files where some are given, writes the page, prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", metavar="FOLDER")
  parser.add_argument("files", nargs="*", metavar="NAME=FILE[:SCALE]")
  arguments = parser.parse_args()
  known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  for one in arguments.files:
    name, _, rest = one.partition("=")
    path, _, scale = rest.partition(":")
    scales = (scale,) if scale else _SCALES
    psnr = score(arguments.images, infer.load(path), scales)
    known[name] = {"psnr": psnr}
    files_of_it = {pathlib.Path(path), pathlib.Path(shipped.resolved(path))}
    for file in filter(pathlib.Path.is_file, files_of_it):
      known[name]["bytes"] = file.stat().st_size
    files.write_text(RESULTS, json.dumps(known, indent=1) + "\n")
  text = README.read_text()
  files.write_text(README, markdown.filled(text, {"table": table()}))
  print(table())


if __name__ == "__main__":
  main()
