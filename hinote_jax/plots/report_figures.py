"""The figures of a report: which there are, and where they are saved."""

from collections.abc import Mapping, Sequence
import pathlib
import re
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from hinote_jax import models as zoo
from hinote_jax.evaluate import consistent, scores
from hinote_jax.io import picture
from hinote_jax.metrics import turbulence
from hinote_jax.plots import crops, curves, panels, scales, spectra, style

_BESIDE = 4.0  # scale of the figures that compare a run with others


def draw(
  evaluation: scores.Evaluation, records: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Figure]:
  """Returns file stem -> figure.

  Of photographs pictures. Of fields pictures where the variables are colours,
  panels of every example, spectra and, of turbulence, those of energy and
  enstrophy, the error against the scale where there are several, training.

  Args:
    evaluation: of fields or of photographs.
    records: the lines of metrics.jsonl; none draws no training curves.
  """
  drawn = {}
  is_of_images = "protocol" in evaluation.header
  if evaluation.examples and (is_of_images or is_in_colour(evaluation.header)):
    drawn["crops"] = _crops(evaluation)
  if is_of_images:
    return drawn
  for example in evaluation.examples:
    drawn |= _panels(evaluation.header, example)
  drawn |= _beside(evaluation)
  for entry in evaluation.spectra:
    drawn[f"spectra_x{entry['scale']:g}"] = _spectra(evaluation.header, entry)
    for flow in entry.get("flow", ()):
      stem = f"energy_{flow['variable']}_x{entry['scale']:g}"
      drawn[stem] = _energy(evaluation.header, entry, flow)
  drawn |= _scales(evaluation)
  if records:
    drawn["training"] = curves.curves(records)
  return drawn


def save_all(
  drawn: Mapping[str, Figure], folder: pathlib.Path
) -> list[tuple[str, str]]:
  """Saves figures by their stems; returns (title, path from the parent)."""
  for stem, figure in drawn.items():
    style.save(figure, folder / f"{stem}.png")
  return [(s.replace("_", " "), f"{folder.name}/{s}.png") for s in drawn]


def is_in_colour(header: Mapping[str, Any]) -> bool:
  """Returns whether the variables of an evaluation are colours."""
  names = tuple(variable["name"] for variable in header["variables"])
  return header.get("domain") == "image" and names == picture.RGB


def _crops(evaluation: scores.Evaluation) -> Figure:
  """Returns the hardest window at every scale, by every model, in colour."""
  examples = evaluation.examples
  # The window is where the last one errs most.
  names = [n for n in evaluation.header["models"] if n in zoo.INTERPOLATIONS]
  names += [n for n in evaluation.header["models"] if n not in names]
  rows = [
    crops.Row(
      f"x{e.scale:g}",
      e.lowres,
      {name: e.predictions[name] for name in names},
      e.measured,
    )
    for e in examples
  ]
  protocol = evaluation.header.get("protocol")
  title = f"{examples[0].name}, {protocol}" if protocol else examples[0].name
  return crops.crops(rows, title=title)


def _panels(
  header: Mapping[str, Any], example: scores.Example
) -> dict[str, Figure]:
  """Returns one figure per variable of one example."""
  models = [m for m in example.predictions if m not in zoo.INTERPOLATIONS]
  rivals = [m for m in example.predictions if m in zoo.INTERPOLATIONS]
  if not models or not rivals:
    return {}
  base = scores.BASELINE if scores.BASELINE in rivals else rivals[-1]
  return _compared(header, example, (base, models[0]), "panels")


def _compared(
  header: Mapping[str, Any],
  example: scores.Example,
  names: tuple[str, str],
  stem: str,
) -> dict[str, Figure]:
  """Returns a figure per variable, of two models side by side."""
  drawn = {}
  for channel, variable in enumerate(header["variables"]):
    name = variable["long_name"] or variable["name"]
    drawn[f"{stem}_{variable['name']}_x{example.scale:g}"] = panels.panels(
      example.lowres[..., channel],
      example.predictions[names[0]][..., channel],
      example.predictions[names[1]][..., channel],
      example.measured[..., channel],
      names=names,
      y=example.y,
      x=example.x,
      is_geographic=example.is_geographic,
      name=variable["name"],
      units=variable["units"],
      domain=header.get("domain", ""),
      title=f"{name}, ×{example.scale:g}, {example.name}",
    )
  return drawn


def _beside(evaluation: scores.Evaluation) -> dict[str, Figure]:
  """Returns panels of the run beside each other run, at a scale near 4."""
  first, *others = evaluation.header["models"]
  examples = evaluation.examples
  if not examples or first in zoo.INTERPOLATIONS:
    return {}
  example = min(examples, key=lambda e: abs(e.scale - _BESIDE))
  drawn = {}
  for other in others:
    if other not in zoo.INTERPOLATIONS and consistent.SUFFIX not in other:
      stem = "beside_" + re.sub(r"\W+", "_", other)
      drawn |= _compared(evaluation.header, example, (other, first), stem)
  return drawn


def _spectra(header: Mapping[str, Any], entry: Mapping[str, Any]) -> Figure:
  variables = header["variables"]
  return spectra.spectra(
    np.asarray(entry["wavenumber"]),
    {name: np.asarray(power) for name, power in entry["power"].items()},
    scale=entry["scale"],
    labels=[v["long_name"] or v["name"] for v in variables],
    units=[v["units"] for v in variables],
    coherence={
      name: np.asarray(shared)
      for name, shared in entry.get("coherence", {}).items()
    },
    title=f"Spectra {_averaged(header, entry)}",
  )


def _energy(
  header: Mapping[str, Any], entry: Mapping[str, Any], flow: Mapping[str, Any]
) -> Figure:
  """Draws E(k) and Z(k) of one variable side by side."""
  return spectra.spectra(
    np.asarray(entry["wavenumber"]),
    {
      name: np.array([flow[q][name] for q in turbulence.QUANTITIES])
      for name in flow["energy"]
    },
    scale=entry["scale"],
    labels=[f"{q} from {flow['variable']}" for q in turbulence.QUANTITIES],
    units=["", ""],
    quantities=["E(k)", "Z(k)"],
    title=f"Energy and enstrophy {_averaged(header, entry)}",
  )


def _averaged(header: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
  count = len(header["times"])
  fields = f"{count} field{'s' * (count > 1)}"
  return f"averaged over {fields}, ×{entry['scale']:g}"


def _scales(evaluation: scores.Evaluation) -> dict[str, Figure]:
  """Returns the error against the scale, where there are several scales."""
  header, base = evaluation.header, scores.BASELINE
  others = [m for m in header["models"] if m != base]
  if base not in header["models"] or not others or len(header["scales"]) < 2:
    return {}
  rows = {(r["model"], r["variable"], r["scale"]): r for r in evaluation.rows}

  def errors(model):
    return np.array(
      [
        [rows[model, v["name"], s]["mse"] for s in header["scales"]]
        for v in header["variables"]
      ]
    )

  under = errors(base)
  with np.errstate(divide="ignore", invalid="ignore"):
    ratios = {model: errors(model) / under for model in header["models"]}
  drawn = scales.scales(
    header["scales"],
    ratios,
    baseline=base,
    labels=[v["long_name"] or v["name"] for v in header["variables"]],
    title="Error against scale",
  )
  return {"error_against_scale": drawn}
