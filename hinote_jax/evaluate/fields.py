"""Scores predictors on held-out fields, all on the same fields.

The protocol of every number of the project: fields are coarsened by one named
degradation, every predictor gets the same coarse values in physical units and
answers in physical units, PSNR is the mean over images of the per-image PSNR,
the data range is given and named. Cells weigh alike. Fields are whole; of those
that are missing in part, the rows and columns that hold any value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import dataclasses
import itertools
from typing import Any

import numpy as np

from hinote_jax import models as zoo
from hinote_jax.core import grids
from hinote_jax.evaluate import scores
from hinote_jax.fields import axes
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import domains, running, turbulence

# Cells of a side that is scored: the windows of some scores are as large.
_LEAST = 16


def evaluate(
  predictors: scores.Predictors,
  dataset: Any,
  indices: Iterable[int | np.integer],
  *,
  degradation: Any,
  scales: Iterable[float | int],
  data_range: Iterable[float | int | np.floating],
  climatology: np.ndarray | None = None,
  header: Mapping[str, Any] | None = None,
  progress: bool = True,
  metrics: Callable[..., Mapping[str, Any]] | None = None,
) -> scores.Evaluation:
  """Scores predictors on whole fields of a dataset.

  Args:
    predictors: name -> function of (lowres [h w c], shape=(H, W)) that returns
      [H W c]; both in physical units.
    dataset: a `data.series.Dataset`, or what looks like one. Where it has
      `extras(index, coarse, fine)`, predictors get what that returns for field
      `index` on the grids of these shapes.
    indices: which times, held out from training.
    degradation: has `field(values, shape, periodic=...)` from [H W c] to
      [h w c], as `degradations.Degradation`; its text goes into the header.
    scales: how many times coarser the inputs are; sides round to a cell.
    data_range: full scale of each variable for PSNR and SSIM, in its unit, [c].
    climatology: the mean of the training part, [H W c], for the anomalies of
      weather; `time_mean` makes it. None takes each truth's own mean.
    header: what the caller knows: "split", "degradation", "data_range_source",
      "command", "versions", ... It wins over what is filled in here.
    progress: show a progress bar.
    metrics: `own` of `scores.of_fields`: its scores are "own@NAME".

  Returns:
    One row per scale, model and variable, with "scale_y", "scale_x", the
    `running.METRICS` and what `domains` scores; the first field at every scale.
    Its spectra are one dict per scale: "scale", "wavenumber" [k] in cycles per
    fine cell, "power" name -> [c k] with the name "truth" for the target,
    "coherence" name -> [c k] with the truth; of turbulence "flow", a dict per
    variable that tells of velocity: "variable", and "energy" and "enstrophy",
    name -> [k].

  Raises:
    ValueError: nothing to evaluate, or a prediction with the wrong shape or
      with values that are not finite; names model, scale and time.
  """
  times = [int(i) for i in indices]
  has_holes, times = dataset.measured is not None, dataset.present(times)
  scales = list(dict.fromkeys(float(s) for s in scales))
  if not (predictors and times and scales):
    raise ValueError(
      "nothing to evaluate: "
      f"{len(predictors)} models, {len(times)} times, {len(scales)} scales"
    )
  span = np.asarray(list(data_range), np.float64)
  count = len(dataset.variables)
  if span.shape != (count,):
    raise ValueError(f"data_range needs {count} values, got {data_range}")
  context = domains.context(
    dataset, times, data_range=span, climatology=climatology
  )
  predicted = scores.predicted(
    predictors,
    inputs(dataset, times, degradation, scales),
    total=len(scales) * len(times),
    unit="field",
    label="time ",
    progress=progress,
  )
  rows, spectra, examples, gallery = [], [], [], []
  shown = scores.pair(predictors, zoo.INTERPOLATIONS)
  predicted = scores.kept(predicted, gallery, shown, scales)
  boxes = _measured(dataset, times) if has_holes else [scores.WHOLE]
  predicted = (
    dataclasses.replace(example, box=box)
    for example, box in zip(predicted, itertools.cycle(boxes), strict=False)
  )
  for _, group in itertools.groupby(predicted, lambda e: e.scale):
    first, reduced = scores.of_fields(group, dataset.domain, context, metrics)
    rows += _rows(reduced, first, context)
    spectra.append(_spectra(reduced, first.scale, context))
    examples.append(first)
  filled = _header(predictors, dataset, times, degradation, scales, context)
  filled |= dict(header or {})
  if has_holes:
    share = np.mean([1.0 - np.mean(dataset.known(i)) for i in times])
    text = filled.get("split", f"{len(times)} fields")
    filled["split"] = f"{text}; {share:.2%} of the values missing, not scored"
    if boxes[0] != scores.WHOLE:
      cells = zip(np.shape(dataset.values)[1:3], boxes[0], strict=True)
      sides = " x ".join(str(len(range(n)[own])) for n, own in cells)
      filled["split"] += f", each field in the {sides} cells around the others"
  return scores.Evaluation(
    filled, rows, spectra=spectra, examples=examples, gallery=gallery
  )


def time_mean(dataset: Any, indices: Iterable[int | np.integer]) -> np.ndarray:
  """Returns the mean of some fields of a dataset, [H W c] float64.

  Of what is known of them; NaN where no field is.

  Raises:
    ValueError: there are no fields.
  """
  indices = list(indices)
  if not indices:
    raise ValueError(f"{dataset.name}: no fields to take the mean of")
  values = dataset.as_read
  total = np.zeros(np.shape(values)[1:])
  count = np.zeros(total.shape, np.int64)
  for index in indices:
    is_known = ~np.isnan(values[index])
    total += np.where(is_known, values[index], 0.0)
    count += is_known
  return np.divide(
    total, count, out=np.full_like(total, np.nan), where=count > 0
  )


def usual(
  dataset: Any, train: Iterable[int], test: Iterable[int]
) -> np.ndarray | None:
  """Returns the mean of the training part, [H W c], for anomalies of the test.

  None where fields of the test hold cells that none of training holds, as of
  places that are held out: what is usual there is not known.
  """
  mean = time_mean(dataset, train)
  if dataset.unlearnt(train, test).any():
    return None
  return np.nan_to_num(mean)  # what nobody asks for weighs nothing


def inputs(
  dataset, times: Sequence[int], degradation, scales: Sequence[float]
) -> Iterator[scores.Example]:
  """Yields every field at every scale, one scale after the other."""
  y, x, is_geographic = _coordinates(dataset)
  for scale, index in itertools.product(scales, times):
    highres = np.asarray(dataset.values[index], np.float32)
    lowres = _lowres(dataset, index, highres, degradation, scale)
    extras = {}
    if hasattr(dataset, "extras"):
      extras = dataset.extras(index, lowres.shape[:2], highres.shape[:2])
    yield scores.Example(
      scale=scale,
      name=str(dataset.times[index]),
      lowres=lowres,
      highres=highres,
      y=y,
      x=x,
      is_geographic=is_geographic,
      extras=extras,
      known=dataset.known(index),
    )


def _measured(dataset, times: Sequence[int]) -> list[scores.Box]:
  """Returns what to score of each field, in rows and columns.

  From the first to the last that hold any value; smaller ones have the size of
  the largest, so that spectra are of the same waves.
  """
  ends: list[list[tuple[int, int]]] = [[], []]
  for index in times:
    known = dataset.known(index)
    for axis in (0, 1):
      lines = np.flatnonzero(known.any((1 - axis, 2)))
      ends[axis].append((int(lines[0]), int(lines[-1]) + 1))
  shape, boxes = np.shape(dataset.values)[1:3], []
  for n, each in zip(shape, ends, strict=True):
    size = max(_LEAST, *(stop - start for start, stop in each))
    starts = [min(start, n - size) for start, _ in each]
    boxes.append(
      [slice(s, s + size) if size < n else slice(None) for s in starts]
    )
  return list(zip(*boxes, strict=True))


def _lowres(dataset, index, highres, degradation, scale) -> np.ndarray:
  """Returns the coarse field, made of the fine one or stored beside it."""
  shape = grids.coarse_shape(highres.shape[:2], scale)
  stored = dataset.lowres
  if stored is None:
    rng = np.random.default_rng(index)  # for a degradation that adds noise
    lowres = degradation.field(
      highres, shape, periodic=dataset.periodic, rng=rng
    )
    return np.asarray(lowres, np.float32)
  if tuple(stored.shape) != tuple(shape):
    (y, x), (h, w) = highres.shape[:2], stored.shape
    raise ValueError(
      f"{dataset.name} is paired with fields {y / h:g} x {x / w:g} times "
      f"coarser and x{scale:g} was asked for: set config.evaluate.scales to "
      "that scale alone"
    )
  return np.asarray(stored.values[index], np.float32)


def _coordinates(dataset) -> tuple[np.ndarray | None, np.ndarray | None, bool]:
  """Returns y, x and whether they are degrees; None where only counted."""
  both = dataset.y, dataset.x
  is_such = (axes.is_latitude, axes.is_longitude)
  is_geographic = all(
    known(a.name, a.units) for known, a in zip(is_such, both, strict=True)
  )
  is_known = [is_geographic or a.units not in contexts.COUNTED for a in both]
  y, x = (a.values if k else None for a, k in zip(both, is_known, strict=True))
  return y, x, is_geographic


def _rows(
  reduced, example: scores.Example, context: contexts.Context
) -> list[dict[str, Any]]:
  """Returns one row per model and variable."""
  coarse, fine = example.lowres.shape, example.highres.shape
  rows = []
  for name, (shared, science, _) in reduced.items():
    for channel, variable in enumerate(context.names):
      row = {
        "scale": example.scale,
        "scale_y": fine[0] / coarse[0],
        "scale_x": fine[1] / coarse[1],
        "model": name,
        "variable": variable,
      }
      row |= {key: float(shared[key][channel]) for key in running.METRICS}
      more = {key: float(values[channel]) for key, values in science.items()}
      row |= {key: value for key, value in more.items() if not np.isnan(value)}
      rows.append(row)
  return rows


def _spectra(reduced, scale: float, context) -> dict[str, Any]:
  """Returns the spectra averaged over times as lists."""
  first = next(iter(reduced.values()))
  power = {"truth": first.scores["truth_power"]}
  power |= {name: model.scores["power"] for name, model in reduced.items()}
  shared = {name: model.scores["coherence"] for name, model in reduced.items()}
  entry = {
    "scale": scale,
    "wavenumber": first.scores["wavenumber"].tolist(),
    "power": {name: values.T.tolist() for name, values in power.items()},
    "coherence": {name: values.T.tolist() for name, values in shared.items()},
  }
  flow = [
    {"variable": name} | _flow(reduced, context.names.index(name))
    for name in turbulence.flows(first.means, context)
  ]
  return entry | ({"flow": flow} if flow else {})


def _flow(reduced, channel: int) -> dict[str, dict[str, list[float]]]:
  """Returns the energy and enstrophy spectra of a variable, by model."""
  first, spectra = next(iter(reduced.values())), {}
  for quantity in turbulence.QUANTITIES:
    curves = {"truth": first.means[f"truth_{quantity}"]}
    curves |= {name: model.means[quantity] for name, model in reduced.items()}
    spectra[quantity] = {
      name: values[:, channel].tolist() for name, values in curves.items()
    }
  return spectra


def _header(predictors, dataset, indices, degradation, scales, context):
  """Returns what is known here about an evaluation, as JSON values."""
  spans = context.data_range.tolist()
  header = {
    "dataset": dataset.name,
    "domain": dataset.domain,
    "citation": dataset.citation,
    "variables": [
      {"name": v.name, "units": v.units, "long_name": v.long_name}
      for v in dataset.variables
    ],
    "shape": [int(n) for n in np.shape(dataset.values)[1:3]],
    "periodic": [bool(p) for p in dataset.periodic],
    "times": [str(dataset.times[i]) for i in indices],
    "degradation": str(degradation),
    "data_range": dict(zip(context.names, spans, strict=True)),
    "scales": scales,
    "models": list(predictors),
  }
  if any(context.thresholds):
    pairs = zip(context.names, context.thresholds, strict=True)
    header["thresholds"] = {name: dict(known) for name, known in pairs}
  if dataset.domain == "weather":
    is_given = context.climatology is not None
    normal = "the mean of the training part" if is_given else "its own mean"
    header["anomalies"] = f"of each field from {normal}"
  return header
