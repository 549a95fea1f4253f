"""Writes an evaluation, of fields or of photographs, into a workdir.

report.json holds the scores, report.md says them, figures/*.png show them, and
report.html does all of that by itself, with a slider.
"""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib
from typing import Any

from hinote_jax import pages, plots
from hinote_jax.evaluate import report_fields, report_images, scores
from hinote_jax.io import files


def write(
  workdir: str | os.PathLike,
  evaluation: scores.Evaluation,
  *,
  curves: Sequence[Mapping[str, Any]] = (),
  figures: Mapping[str, Any] | None = None,
  draws: bool = True,
) -> pathlib.Path:
  """Writes report.json, .md and .html and figures/*.png into a workdir.

  Every file appears whole or not at all. Without matplotlib the report is
  written without pictures, without bokeh without a page, and says so.

  Args:
    workdir: folder, made where it is missing.
    evaluation: of `fields.evaluate` or `images.evaluate`.
    curves: the lines of metrics.jsonl, for the training curves.
    figures: file stem -> further matplotlib figures to save and link.
    draws: False leaves all pictures out, and the page.

  Returns:
    The path of report.md.
  """
  workdir = pathlib.Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  text = json.dumps(
    evaluation.to_dict(), indent=1, sort_keys=True, allow_nan=False
  )
  files.write_text(workdir / "report.json", text + "\n")
  pictures = []
  if draws and plots.is_available():
    from hinote_jax.plots import report_figures

    drawn = report_figures.draw(evaluation, curves) | dict(figures or {})
    pictures = report_figures.save_all(drawn, workdir / "figures")
  body = markdown(evaluation, pictures)
  if draws and not plots.is_available():
    body += "\nNo pictures: `pip install hinote_jax[plots]` to have them.\n"
  if draws and pages.is_available():
    from hinote_jax.pages import of_evaluation

    of_evaluation.write(workdir / "report.html", evaluation, curves)
    body += "\nAll of this, with a slider: [report.html](report.html)\n"
  elif draws:
    body += f"\nNo report.html: `{pages.NEEDED}` to have it.\n"
  path = workdir / "report.md"
  files.write_text(path, body)
  return path


def read(workdir: str | os.PathLike) -> scores.Evaluation:
  """Returns the evaluation in a workdir's report.json, without examples."""
  text = (pathlib.Path(workdir) / "report.json").read_text()
  return scores.Evaluation.from_dict(json.loads(text))


def markdown(
  evaluation: scores.Evaluation, pictures: Sequence[tuple[str, str]] = ()
) -> str:
  """Returns the report as Markdown.

  Args:
    evaluation: scores and header.
    pictures: (title, path relative to the report) of each figure.
  """
  is_of_images = "protocol" in evaluation.header
  kind = report_images if is_of_images else report_fields
  parts = [f"# Evaluation on {evaluation.header['dataset']}"]
  parts += kind.sections(evaluation)
  if pictures:
    parts.append("## Pictures")
    parts += [f"### {title}\n\n![{title}]({path})" for title, path in pictures]
  return "\n\n".join(parts) + "\n"
