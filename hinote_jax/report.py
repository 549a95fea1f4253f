"""Writes an evaluation as report.json, report.md and figures.

The text compares with the best interpolation and says where a model is behind.
"""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax import evaluate, files, plots
from hinote_jax import markdown as markdown_
from hinote_jax import models as zoo
from hinote_jax.metrics import running

# metric -> (title with "%" for the unit; +1 where larger is better, -1 where
# smaller is, 0 where differences say nothing).
_COLUMNS = {
  "mse": ("MSE [%²]", -1),
  "psnr": ("PSNR [dB]", +1),
  "ssim": ("SSIM", +1),
  "relative_l2": ("relative L2", -1),
  "max_error": ("max error [%]", -1),
  "bias": ("bias [%]", 0),
  "spectrum_error": ("spectrum error [dB]", -1),
  "parting_wavenumber": ("parting wavelength [cells]", +1),
}


def write(
  workdir: str | os.PathLike,
  evaluation: evaluate.Evaluation,
  *,
  curves: Sequence[Mapping[str, Any]] = (),
  figures: Mapping[str, Any] | None = None,
) -> pathlib.Path:
  """Writes report.json, report.md and figures/*.png into a workdir.

  Every file appears whole or not at all. Without matplotlib the report is
  written without pictures and says so.

  Args:
    workdir: folder, made where it is missing.
    evaluation: what `evaluate.evaluate` returned.
    curves: the lines of metrics.jsonl, for the training curves.
    figures: file stem -> further matplotlib figures to save and link.

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
  if plots.is_available():
    from hinote_jax.plots import report_figures

    drawn = report_figures.draw(evaluation, curves) | dict(figures or {})
    pictures = report_figures.save_all(drawn, workdir / "figures")
  body = markdown(evaluation, pictures)
  if not plots.is_available():
    body += "\nNo pictures: `pip install hinote_jax[plots]` to have them.\n"
  path = workdir / "report.md"
  files.write_text(path, body)
  return path


def read(workdir: str | os.PathLike) -> evaluate.Evaluation:
  """Returns the evaluation in a workdir's report.json, without examples."""
  text = (pathlib.Path(workdir) / "report.json").read_text()
  return evaluate.Evaluation.from_dict(json.loads(text))


def markdown(
  evaluation: evaluate.Evaluation, pictures: Sequence[tuple[str, str]] = ()
) -> str:
  """Returns the report as Markdown.

  Args:
    evaluation: scores and header.
    pictures: (title, path relative to the report) of each figure.
  """
  parts = [f"# Evaluation on {evaluation.header['dataset']}"]
  parts.append(_headline(evaluation))
  parts.append(_verdict(evaluation))
  parts.append("## How it was measured\n\n" + _header(evaluation.header))
  parts.append("## All scores\n\n" + _legend())
  for variable in evaluation.header["variables"]:
    for scale in evaluation.header["scales"]:
      parts.append(_details(evaluation, variable, scale))
  if pictures:
    parts.append("## Pictures")
    parts += [f"### {title}\n\n![{title}]({path})" for title, path in pictures]
  return "\n\n".join(parts) + "\n"


def ratio(value: float, base: float) -> float:
  """Returns value / base of two errors: 1 where both are 0, never a failure."""
  if base == 0.0:
    return 1.0 if value == 0.0 else np.inf
  return value / base


def _headline(evaluation: evaluate.Evaluation) -> str:
  """Returns the table of MSE as a ratio to the baseline's."""
  models = evaluation.header["models"]
  base = evaluate.BASELINE if evaluate.BASELINE in models else models[0]
  lines = [["variable", "scale", f"MSE of {base}", *models]]
  for variable in evaluation.header["variables"]:
    for scale in evaluation.header["scales"]:
      mse = _scores(evaluation, variable["name"], scale, "mse")
      ratios = {m: ratio(mse[m], mse[base]) for m in models}
      best = min(mse.values())
      cells = [_bold(f"{ratios[m]:.3f}", mse[m] == best) for m in models]
      unit = _title("mse", variable["units"])[5:-1]
      lines.append(
        [variable["name"], f"x{scale:g}", f"{mse[base]:.4g} {unit}", *cells]
      )
  intro = (
    f"Mean squared error as a fraction of {base}'s on the same fields; below "
    "1 is better, the best of a row in bold.\n\n"
  )
  return intro + markdown_.table(lines, left=2)


def _verdict(evaluation: evaluate.Evaluation) -> str:
  """Returns where each model is behind the best interpolation."""
  names = evaluation.header["models"]
  rivals = [m for m in names if m in zoo.INTERPOLATIONS]
  models = [m for m in names if m not in zoo.INTERPOLATIONS]
  if not rivals or not models:
    return "There is no model here to compare with an interpolation."
  parts = []
  for model in models:
    behind = _behind(evaluation, model, rivals)
    if not behind:
      parts.append(
        f"**{model}** is at least as good as the best interpolation in every "
        "metric but the bias, variable and scale."
      )
      continue
    in_mse = [b for b in behind if b[0] == "mse"]
    verdict = (
      "is behind the best interpolation in MSE too"
      if in_mse
      else "is ahead of every interpolation in MSE, and behind one elsewhere"
    )
    lines = [["metric", "variable", "scale", model, "best interpolation"]]
    lines += [b[1:] for b in behind]
    parts.append(f"**{model}** {verdict}:\n\n{markdown_.table(lines, left=3)}")
  return "## Against the best interpolation\n\n" + "\n\n".join(parts)


def _behind(evaluation, model: str, rivals: list[str]) -> list[list[str]]:
  """Returns a line for each score in which an interpolation is better."""
  found = []
  for metric in (m for m in running.METRICS if _COLUMNS[m][1]):
    for variable in evaluation.header["variables"]:
      for scale in evaluation.header["scales"]:
        scores = _scores(evaluation, variable["name"], scale, metric)
        best = max(rivals, key=lambda m: _merit(metric, scores[m]))
        if _merit(metric, scores[model]) < _merit(metric, scores[best]):
          title = _title(metric, variable["units"])
          mine, theirs = (_cell(metric, scores[m]) for m in (model, best))
          found.append(
            [
              metric,
              title,
              variable["name"],
              f"x{scale:g}",
              mine,
              f"{theirs} ({best})",
            ]
          )
  return found


def _header(header: Mapping[str, Any]) -> str:
  """Returns the circumstances as a list, and the command."""
  ranges = ", ".join(
    f"{v['name']} {header['data_range'][v['name']]:g} {v['units']}".rstrip()
    for v in header["variables"]
  )
  source = header.get("data_range_source")
  times = header["times"]
  span = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
  known = {
    "dataset": header["dataset"],
    "citation": header["citation"],
    "fields": (
      f"{len(times)} ({span}), {header['shape'][0]} x {header['shape'][1]} "
      "cells, each cell weighs alike"
    ),
    "split": header.get("split"),
    "degradation": f"`{header['degradation']}`",
    "data range": f"{ranges}{f' ({source})' if source else ''}",
    "scales": ", ".join(f"x{s:g}" for s in header["scales"]),
  }
  used = {"data_range", "data_range_source", "times", "shape", "command"}
  used |= {"variables", "models", "periodic", *known}
  known |= {k.replace("_", " "): v for k, v in header.items() if k not in used}
  return markdown_.circumstances(known, header.get("command"))


def _legend() -> str:
  return "\n".join(
    f"* `{name}`: {text}" for name, text in running.METRICS.items()
  )


def _details(evaluation, variable: Mapping[str, str], scale: float) -> str:
  """Returns the table of one variable at one scale."""
  rows = evaluation.select(variable=variable["name"], scale=scale)
  titles = [_title(metric, variable["units"]) for metric in _COLUMNS]
  lines = [["model", *titles]]
  best = {m: max(_merit(m, row[m]) for row in rows) for m in _COLUMNS}
  for row in rows:
    cells = [
      _bold(_cell(m, row[m]), sign != 0 and _merit(m, row[m]) == best[m])
      for m, (_, sign) in _COLUMNS.items()
    ]
    lines.append([row["model"], *cells])
  actual = f"{rows[0]['scale_y']:.4g} x {rows[0]['scale_x']:.4g}"
  name = variable["long_name"] or variable["name"]
  title = f"### {variable['name']} ({name}), x{scale:g}"
  table = markdown_.table(lines)
  return f"{title}\n\nActual scale (y, x): {actual}.\n\n{table}"


def _scores(evaluation, variable: str, scale: float, metric: str):
  rows = evaluation.select(variable=variable, scale=scale)
  return {row["model"]: row[metric] for row in rows}


def _merit(metric: str, value: float) -> float:
  """Returns a number that is larger for better values."""
  return _COLUMNS[metric][1] * value


def _title(metric: str, units: str) -> str:
  if " " in units and metric == "mse":
    units = f"({units})"
  return _COLUMNS[metric][0].replace("%", units or "1")


def _cell(metric: str, value: float) -> str:
  if metric == "parting_wavenumber":
    return f"{1.0 / value:.1f}"
  digits = {"psnr": ".2f", "ssim": ".4f", "bias": "+.2e"}
  return format(value, digits.get(metric, ".4g"))


def _bold(text: str, is_best: bool) -> str:
  return f"**{text}**" if is_best else text
