"""The figures of a report: which there are, and where they are saved."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from hinote_jax import models as zoo
from hinote_jax.evaluate import Evaluation, Example
from hinote_jax.plots import style
from hinote_jax.plots.curves import curves, series
from hinote_jax.plots.panels import panels
from hinote_jax.plots.spectra import spectra

_BASELINE = "bicubic"


def of_evaluation(evaluation: Evaluation) -> dict[str, Figure]:
  """Returns file stem -> figure: panels of every example, then spectra."""
  drawn = {}
  for example in evaluation.examples:
    drawn |= _panels(evaluation.header, example)
  for entry in evaluation.spectra:
    drawn[f"spectra_x{entry['scale']:g}"] = _spectra(evaluation.header, entry)
  return drawn


def of_curves(records: Sequence[Mapping[str, Any]]) -> Figure:
  """Returns the training curves of metrics.jsonl.

  "validation/mse" is the model's; "validation/bicubic_mse" and its like become
  reference lines.
  """
  references = {}
  for name in zoo.INTERPOLATIONS:
    _, values = series(records, f"validation/{name}_mse")
    if values.size:
      references[name] = float(values[-1])
  return curves(records, references=references)


def save_all(
  drawn: Mapping[str, Figure], folder: pathlib.Path
) -> list[tuple[str, str]]:
  """Saves figures by their stems; returns (title, path from the parent)."""
  for stem, figure in drawn.items():
    style.save(figure, folder / f"{stem}.png")
  return [(s.replace("_", " "), f"{folder.name}/{s}.png") for s in drawn]


def _panels(header: Mapping[str, Any], example: Example) -> dict[str, Figure]:
  """Returns one figure per variable of one example."""
  models = [m for m in example.predictions if m not in zoo.INTERPOLATIONS]
  rivals = [m for m in example.predictions if m in zoo.INTERPOLATIONS]
  if not models or not rivals:
    return {}
  base = _BASELINE if _BASELINE in rivals else rivals[-1]
  drawn = {}
  for channel, variable in enumerate(header["variables"]):
    name = variable["long_name"] or variable["name"]
    drawn[f"panels_{variable['name']}_x{example.scale:g}"] = panels(
      example.lowres[..., channel],
      example.predictions[base][..., channel],
      example.predictions[models[0]][..., channel],
      example.highres[..., channel],
      names=(base, models[0]),
      y=example.y,
      x=example.x,
      is_geographic=example.is_geographic,
      units=variable["units"],
      title=f"{name}, ×{example.scale:g}, {example.time}",
    )
  return drawn


def _spectra(header: Mapping[str, Any], entry: Mapping[str, Any]) -> Figure:
  variables = header["variables"]
  return spectra(
    np.asarray(entry["wavenumber"]),
    {name: np.asarray(power) for name, power in entry["power"].items()},
    scale=entry["scale"],
    labels=[v["long_name"] or v["name"] for v in variables],
    units=[v["units"] for v in variables],
    title=f"Spectra averaged over {len(header['times'])} fields, "
    f"×{entry['scale']:g}",
  )
