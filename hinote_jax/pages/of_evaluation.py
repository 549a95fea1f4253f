"""The page of an evaluation: report.html."""

from collections.abc import Mapping, Sequence
import os
from typing import Any

from hinote_jax.evaluate import (
  markdown,
  report_fields,
  report_images,
  scores,
)
from hinote_jax.pages import charts, document, samples, tables, viewer
from hinote_jax.plots import maps, report_figures

_TRUTH = "truth"


def write(
  path: str | os.PathLike,
  evaluation: scores.Evaluation,
  records: Sequence[Mapping[str, Any]] = (),
) -> None:
  """Writes all that a report says and shows as one page.

  Args:
    path: of the page.
    evaluation: of fields or of photographs.
    records: the lines of metrics.jsonl; none draws no training curves.
  """
  header = evaluation.header
  is_of_images = "protocol" in header
  kind = report_images if is_of_images else report_fields
  in_colour = is_of_images or report_figures.is_in_colour(header)
  parts, at_first, curves = [], [], None
  if evaluation.spectra and not in_colour:
    curves = charts.spectra(evaluation.spectra, header["variables"])
  if evaluation.gallery:
    drawn, show = _viewer(evaluation, in_colour, curves)
    at_first.append(show)
    parts.append(document.Part("Held-out examples", _held(evaluation), drawn))
  if curves is not None:
    parts.append(document.Part("Spectra", charts.CAPTION, curves.drawn))
  parts.append(document.Part("Scores", *_scores(evaluation)))
  if records and not is_of_images:
    parts.append(document.Part("Training", "", charts.training(records)))
  facts = {
    key: markdown.plain(value).replace("`", "")
    for key, value in kind.facts(header).items()
    if value
  }
  text = document.facts(facts, header.get("command", ""))
  parts.append(document.Part("How it was measured", text))
  title = f"Evaluation on {header['dataset']}"
  document.write(path, title, parts, at_first=at_first)


def _held(evaluation: scores.Evaluation) -> str:
  """Says which examples are here, and how they are read."""
  header = evaluation.header
  every = header.get("images") or header["times"]
  count = min(
    sum(e.scale == scale for e in evaluation.gallery)
    for scale in header["scales"]
  )
  held = f"The first {count} of {len(every)}"
  held = f"All {count}" if count == len(every) else held
  return (
    f"<p>{held} held-out examples. The maps zoom together (wheel, or the "
    "tools); the slider takes the arrow keys. Values are rounded to the steps "
    "of the colours.</p>"
  )


def _viewer(evaluation: scores.Evaluation, in_colour: bool, curves) -> Any:
  header = evaluation.header
  made = [_sample(example) for example in evaluation.gallery]
  return viewer.viewer(
    made,
    header.get("variables", ()),
    base=_TRUTH,
    domain=header.get("domain", ""),
    in_colour=in_colour,
    curves=curves,
  )


def _sample(example: scores.Example) -> samples.Sample:
  truth = example.measured
  sides = int(truth.shape[0]), int(truth.shape[1])
  frame = maps.frame(
    sides, example.y, example.x, is_geographic=example.is_geographic
  )
  return samples.Sample(
    name=example.name,
    scale=f"x{example.scale:g}",
    lowres=example.lowres,
    base=truth,
    others=example.predictions,
    frame=frame,
    coarse=frame,
  )


def _scores(evaluation: scores.Evaluation) -> tuple[str, Any]:
  """Returns what the columns of the table are, and the table."""
  if "protocol" in evaluation.header:
    columns = {"image": "image", "model": "model", "scale": "scale"}
    columns |= {"psnr": "PSNR [dB]", "ssim": "SSIM"}
    text = f"<p>{report_images.protocol_line(evaluation)}</p>"
    return text, tables.table(evaluation.rows, columns, name="scores")
  metrics = report_fields.columns(evaluation)
  columns = {"model": "model", "variable": "variable", "scale": "scale"}
  columns |= {"unit": "unit", "ratio": f"MSE / {scores.BASELINE}'s"}
  columns |= {k: m.title.replace("%", "unit") for k, m in metrics.items()}
  text = "".join(
    f"<dt>{columns[key]}</dt><dd>{metric.text}</dd>"
    for key, metric in metrics.items()
  )
  text = (
    "<p>A click on a title sorts.</p><details><summary>What is measured"
    f"</summary><dl>{text}</dl></details>"
  )
  return text, tables.table(_rows(evaluation), columns, name="scores")


def _rows(evaluation: scores.Evaluation) -> list[dict[str, Any]]:
  """Returns the rows with units, and errors as fractions of the baseline's."""
  units = {v["name"]: v["units"] for v in evaluation.header["variables"]}
  base: dict[Any, Any] = {
    (row["variable"], row["scale"]): row["mse"]
    for row in evaluation.select(model=scores.BASELINE)
  }
  rows = []
  for row in evaluation.rows:
    unit = units[row["variable"]] or "1"
    shown_row: dict[str, Any] = {**row, "unit": unit}
    where = row["variable"], row["scale"]
    if where in base:
      shown_row["ratio"] = scores.ratio(shown_row["mse"], base[where])
    if "parting_wavenumber" in row:  # shown as a wavelength
      shown_row["parting_wavenumber"] = 1.0 / shown_row["parting_wavenumber"]
    rows.append(shown_row)
  return rows
