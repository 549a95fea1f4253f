"""The report of an evaluation on whole fields, in Markdown.

It compares with the best interpolation and says where a model is behind.
"""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any

from hinote_jax import models as zoo
from hinote_jax.evaluate import consistent, markdown, scores
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import domains, running

# Of the metrics of every report: title with "%" for the unit, whether larger
# or smaller is better (`context.Metric.sign`), and digits.
_COLUMNS = {
  name: contexts.Metric(title, sign, running.METRICS[name], digits)
  for name, title, sign, digits in (
    ("mse", "MSE [%²]", -1, ".4g"),
    ("psnr", "PSNR [dB]", +1, ".2f"),
    ("ssim", "SSIM", +1, ".4f"),
    ("relative_l2", "relative L2", -1, ".4g"),
    ("max_error", "max error [%]", -1, ".4g"),
    ("bias", "bias [%]", 0, "+.2e"),
    ("spectrum_error", "spectrum error [dB]", -1, ".4g"),
    ("parting_wavenumber", "parting wavelength [cells]", +1, ".1f"),
  )
}
_LEGEND = "\n".join(f"* `{k}`: {text}" for k, text in running.METRICS.items())
_NONE = "–"  # a score that has no meaning for one model


def sections(evaluation: scores.Evaluation) -> list[str]:
  """Returns the report but for its title and pictures, section by section."""
  parts = [
    _headline(evaluation),
    _verdict(evaluation),
    "## How it was measured\n\n"
    + markdown.facts(
      facts(evaluation.header), evaluation.header.get("command")
    ),
    f"## All scores\n\n{_LEGEND}",
  ]
  parts += [_details(evaluation, *place) for place in _places(evaluation)]
  return parts + _science(evaluation)


def _places(
  evaluation: scores.Evaluation,
) -> list[tuple[dict[str, str], float]]:
  """Returns every variable at every scale."""
  header = evaluation.header
  return list(itertools.product(header["variables"], header["scales"]))


def _headline(evaluation: scores.Evaluation) -> str:
  """Returns the table of MSE as a ratio to the baseline's."""
  models = evaluation.header["models"]
  base = scores.BASELINE if scores.BASELINE in models else models[0]
  lines = [["variable", "scale", f"MSE of {base}", *models]]
  for variable, scale in _places(evaluation):
    mse = _values(evaluation, variable["name"], scale, "mse")
    ratios = {m: scores.ratio(mse[m], mse[base]) for m in models}
    best = min(mse.values())
    cells = [_bold(f"{ratios[m]:.3f}", mse[m] == best) for m in models]
    unit = _title(_COLUMNS["mse"], variable["units"])[5:-1]
    lines.append(
      [variable["name"], f"x{scale:g}", f"{mse[base]:.4g} {unit}", *cells]
    )
  intro = (
    f"Mean squared error as a fraction of {base}'s on the same fields; below "
    "1 is better, the best of a row in bold.\n\n"
  )
  return intro + markdown.table(lines, left=2)


def _verdict(evaluation: scores.Evaluation) -> str:
  """Returns where each model is behind the best interpolation."""
  names = evaluation.header["models"]
  rivals = [m for m in names if _plain(m) in zoo.INTERPOLATIONS]
  models = [m for m in names if m not in rivals]
  if not rivals or not models:
    return "There is no model here to compare with an interpolation."
  parts = []
  for model in models:
    # A projected answer is compared with projected interpolations too.
    is_plain = _plain(model) == model
    fair = [m for m in rivals if not is_plain or _plain(m) == m]
    behind = _behind(evaluation, model, fair)
    if not behind:
      parts.append(
        f"**{model}** is at least as good as the best interpolation in every "
        "metric that has a better side, variable and scale."
      )
      continue
    verdict = "is ahead of every interpolation in MSE, and behind one elsewhere"
    if any(key == "mse" for key, *_ in behind):
      verdict = "is behind the best interpolation in MSE too"
    lines = [["metric", "variable", "scale", model, "best interpolation"]]
    lines += [line for _, *line in behind]
    parts.append(f"**{model}** {verdict}:\n\n{markdown.table(lines, left=3)}")
  return "## Against the best interpolation\n\n" + "\n\n".join(parts)


def _plain(model: str) -> str:
  """Returns what a row is called without the projection of its answer."""
  return model.removesuffix(consistent.SUFFIX)


def _behind(evaluation, model: str, rivals: list[str]) -> list[list[str]]:
  """Returns a line for each score in which an interpolation is better."""
  lines = []
  for key in [*running.METRICS, *_science_keys(evaluation)]:
    metric = _metric(evaluation, key)
    for variable, scale in _places(evaluation) if metric.sign else ():
      values = _values(evaluation, variable["name"], scale, key)
      scored = [m for m in rivals if m in values]
      if model not in values or not scored:
        continue
      merit = {m: _merit(metric, value) for m, value in values.items()}
      best = max(scored, key=merit.__getitem__)
      if merit[model] < merit[best]:
        title = _title(metric, variable["units"])
        ours, theirs = (_cell(key, metric, values[m]) for m in (model, best))
        where = [variable["name"], f"x{scale:g}"]
        lines.append([key, title, *where, ours, f"{theirs} ({best})"])
  return lines


def _metric(evaluation: scores.Evaluation, key: str) -> contexts.Metric:
  domain = evaluation.header.get("domain", "")
  metric = _COLUMNS.get(key) or domains.metric(domain, key)
  assert metric is not None  # `_science_keys` gives known ones only
  return metric


def _science_keys(evaluation: scores.Evaluation, **where: Any) -> list[str]:
  """Returns which scores of its science an evaluation has, in order."""
  keys = dict.fromkeys(k for row in evaluation.select(**where) for k in row)
  return domains.ordered(evaluation.header.get("domain", ""), keys)


def facts(header: Mapping[str, Any]) -> dict[str, Any]:
  """Returns how it was measured, by name; what is empty is not known."""
  ranges = ", ".join(
    f"{v['name']} {header['data_range'][v['name']]:g} {v['units']}".rstrip()
    for v in header["variables"]
  )
  source = header.get("data_range_source")
  times = header["times"]
  span = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
  known = {
    "dataset": header["dataset"],
    "domain": header.get("domain"),
    "citation": header["citation"],
    "fields": (
      f"{len(times)} ({span}), {header['shape'][0]} x {header['shape'][1]} "
      "cells, each cell weighs alike"
    ),
    "split": header.get("split"),
    "degradation": f"`{header['degradation']}`",
    "data range": f"{ranges}{f' ({source})' if source else ''}",
    "thresholds": _thresholds(header),
    "anomalies": header.get("anomalies"),
    "scales": ", ".join(f"x{s:g}" for s in header["scales"]),
  }
  used = {"data_range", "data_range_source", "times", "shape", "command"}
  used |= {"variables", "models", "periodic", *known}
  known |= {k.replace("_", " "): v for k, v in header.items() if k not in used}
  return known


def columns(evaluation: scores.Evaluation) -> dict[str, contexts.Metric]:
  """Returns what each key of a row measures, in the order of the report."""
  keys = [*running.METRICS, *_science_keys(evaluation)]
  return {key: _metric(evaluation, key) for key in keys}


def _thresholds(header: Mapping[str, Any]) -> str:
  """Returns the thresholds of each variable, and what labels stand for."""
  parts = []
  for name, known in header.get("thresholds", {}).items():
    values = [
      label if label == f"{value:g}" else f"{label} = {value:.4g}"
      for label, value in sorted(known.items(), key=lambda pair: pair[1])
    ]
    parts.append(f"{name} {', '.join(values)}")
  return "; ".join(parts)


def _details(evaluation, variable: Mapping[str, str], scale: float) -> str:
  """Returns the table of one variable at one scale."""
  rows = evaluation.select(variable=variable["name"], scale=scale)
  titles = [_title(metric, variable["units"]) for metric in _COLUMNS.values()]
  columns = [
    _marked(key, metric, [row[key] for row in rows])
    for key, metric in _COLUMNS.items()
  ]
  lines = [["model", *titles]]
  for row, *cells in zip(rows, *columns, strict=True):
    lines.append([row["model"], *cells])
  actual = f"{rows[0]['scale_y']:.4g} x {rows[0]['scale_x']:.4g}"
  table = markdown.table(lines)
  return (
    f"{_caption(variable, scale)}\n\nActual scale (y, x): {actual}.\n\n{table}"
  )


def _caption(variable: Mapping[str, str], scale: float) -> str:
  name = variable["long_name"] or variable["name"]
  return f"### {variable['name']} ({name}), x{scale:g}"


def _marked(key: str, metric, values: Sequence[float | None]) -> list[str]:
  """Returns the cells of one metric, the best in bold."""
  merits = [None if v is None else _merit(metric, v) for v in values]
  best = max((m for m in merits if m is not None), default=None)
  return [
    _NONE
    if value is None
    else _bold(_cell(key, metric, value), metric.sign != 0 and merit == best)
    for value, merit in zip(values, merits, strict=True)
  ]


def _science(evaluation: scores.Evaluation) -> list[str]:
  """Returns what the science of the fields asks for; nothing of old reports."""
  keys = _science_keys(evaluation)
  if not keys:
    return []
  names = dict.fromkeys(key.partition("@")[0] for key in keys)
  legend = "\n".join(
    f"* {metric.title.replace(' [%]', '')}: {metric.text}"
    for metric in (_metric(evaluation, name) for name in names)
  )
  tables = [_science_table(evaluation, *place) for place in _places(evaluation)]
  return [f"## What the science asks for\n\n{legend}", *tables]


def _science_table(evaluation, variable, scale: float) -> str:
  """Returns the scores of a science, a line each, and the models across."""
  where = dict(variable=variable["name"], scale=scale)
  rows = evaluation.select(**where)
  lines = [["metric", *(row["model"] for row in rows)]]
  for key in _science_keys(evaluation, **where):
    metric = _metric(evaluation, key)
    cells = _marked(key, metric, [row.get(key) for row in rows])
    lines.append([_title(metric, variable["units"]), *cells])
  return f"{_caption(variable, scale)}\n\n{markdown.table(lines)}"


def _values(evaluation, variable: str, scale: float, key: str):
  rows = evaluation.select(variable=variable, scale=scale)
  return {row["model"]: row[key] for row in rows if key in row}


def _merit(metric: contexts.Metric, value: float) -> float:
  """Returns a number that is larger for better values."""
  return value if metric.sign > 0 else -abs(value)


def _title(metric: contexts.Metric, units: str) -> str:
  if "²" in metric.title and units and not units.isalpha():
    units = f"({units})"
  return metric.title.replace("%", units or "1")


def _cell(key: str, metric: contexts.Metric, value: float) -> str:
  if key == "parting_wavenumber":
    value = 1.0 / value
  return format(value, metric.digits)


def _bold(text: str, is_best: bool) -> str:
  return f"**{text}**" if is_best else text
