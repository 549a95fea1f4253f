"""The figures of a report: which there are, and where they are saved."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from hinote_jax import evaluate
from hinote_jax import models as zoo
from hinote_jax.plots import curves, panels, spectra, style


def draw(
  evaluation: evaluate.Evaluation, records: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Figure]:
  """Returns file stem -> figure: panels of every example, spectra, training.

  Args:
    evaluation: what `evaluate.evaluate` returned.
    records: the lines of metrics.jsonl; none draws no training curves.
  """
  drawn = {}
  for example in evaluation.examples:
    drawn |= _panels(evaluation.header, example)
  for entry in evaluation.spectra:
    drawn[f"spectra_x{entry['scale']:g}"] = _spectra(evaluation.header, entry)
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


def _panels(
  header: Mapping[str, Any], example: evaluate.Example
) -> dict[str, Figure]:
  """Returns one figure per variable of one example."""
  models = [m for m in example.predictions if m not in zoo.INTERPOLATIONS]
  rivals = [m for m in example.predictions if m in zoo.INTERPOLATIONS]
  if not models or not rivals:
    return {}
  base = evaluate.BASELINE if evaluate.BASELINE in rivals else rivals[-1]
  drawn = {}
  for channel, variable in enumerate(header["variables"]):
    name = variable["long_name"] or variable["name"]
    drawn[f"panels_{variable['name']}_x{example.scale:g}"] = panels.panels(
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
  variables, count = header["variables"], len(header["times"])
  return spectra.spectra(
    np.asarray(entry["wavenumber"]),
    {name: np.asarray(power) for name, power in entry["power"].items()},
    scale=entry["scale"],
    labels=[v["long_name"] or v["name"] for v in variables],
    units=[v["units"] for v in variables],
    title=f"Spectra averaged over {count} field{'s' * (count > 1)}, "
    f"×{entry['scale']:g}",
  )
