"""Writes an evaluation on images as report.json, report.md and a figure."""

import json
import os
import pathlib
from typing import Any

from hinote_jax import plots
from hinote_jax.evaluate import markdown as markdown_
from hinote_jax.evaluate.images import evaluation as evaluations
from hinote_jax.io import files

_FIGURE = "figures/crops.png"


def write(
  workdir: str | os.PathLike, evaluation: evaluations.Evaluation
) -> pathlib.Path:
  """Writes the report into a workdir, made where it is missing.

  Every file appears whole or not at all. Without matplotlib there is no figure
  and the report says so.

  Returns:
    The path of report.md.
  """
  workdir = pathlib.Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False)
  files.write_text(workdir / "report.json", text + "\n")
  has_figure = plots.is_available() and bool(evaluation.examples)
  if has_figure:
    _draw(workdir / _FIGURE, evaluation)
  path = workdir / "report.md"
  files.write_text(path, markdown(evaluation, has_figure=has_figure))
  return path


def markdown(
  evaluation: evaluations.Evaluation, *, has_figure: bool = False
) -> str:
  """Returns the report as Markdown."""
  header = evaluation.header
  parts = [
    f"# Evaluation on {header['dataset']}",
    summary(evaluation),
    "## How it was measured",
    _circumstances(header),
    "## Every image",
    *(_images(evaluation, scale) for scale in header["scales"]),
  ]
  if has_figure:
    parts += ["## Picture", f"![the hardest window, by model]({_FIGURE})"]
  else:
    parts.append("No picture: `pip install hinote_jax[plots]` to have one.")
  return "\n\n".join(parts) + "\n"


def summary(evaluation: evaluations.Evaluation) -> str:
  """Returns the protocol in a line and the table of the means."""
  header = evaluation.header
  scales, models = header["scales"], header["models"]
  means = {(row["scale"], row["model"]): row for row in evaluation.means}
  lines = [["model", *(f"x{scale:g}" for scale in scales)]]
  for model in models:
    cells = [_scores(means[scale, model]) for scale in scales]
    lines.append([model, *cells])
  count = len(header["images"])
  return (
    f"PSNR in dB / SSIM, mean over {count} image{'s' * (count > 1)}. "
    f"{protocol_line(evaluation)}\n\n{markdown_.table(lines)}"
  )


def protocol_line(evaluation: evaluations.Evaluation) -> str:
  """Returns what belongs beside every number, one line."""
  header = evaluation.header
  return f"Protocol `{header['protocol']}`: {header['description']}."


def _circumstances(header: dict[str, Any]) -> str:
  known = {
    "images": f"{len(header['images'])} of {header['dataset']}",
    "inputs and scores": f"`{header['protocol']}`, {header['description']}",
  }
  if "checkpoints" in header:
    known["models"] = ", ".join(
      f"{name} from `{path}`" for name, path in header["checkpoints"].items()
    )
  known["versions"] = header.get("versions")
  return markdown_.circumstances(known, header.get("command"))


def _images(evaluation: evaluations.Evaluation, scale: float) -> str:
  """Returns the table of one scale, an image a line."""
  models = evaluation.header["models"]
  scores = {
    (row["image"], row["model"]): row
    for row in evaluation.rows
    if row["scale"] == scale
  }
  lines = [["image", *models]]
  for image in evaluation.header["images"]:
    lines.append([image, *(_scores(scores[image, m]) for m in models)])
  return f"### x{scale:g}\n\n{markdown_.table(lines)}"


def _scores(row: dict[str, Any]) -> str:
  return f"{row['psnr']:.2f} / {row['ssim']:.4f}"


def _draw(path: pathlib.Path, evaluation: evaluations.Evaluation) -> None:
  from hinote_jax.plots import crops, style

  rows = [
    crops.Row(f"x{e.scale:g}", e.lowres, e.predictions, e.highres)
    for e in evaluation.examples
  ]
  title = f"{evaluation.examples[0].image}, {evaluation.header['protocol']}"
  style.save(crops.crops(rows, title=title), path)
