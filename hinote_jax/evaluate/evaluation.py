"""Scores predictors on whole held-out fields, all on the same fields.

The protocol of every number of the project: fields are coarsened by one named
degradation, every predictor gets the same coarse values in physical units and
answers in physical units, PSNR is the mean over images of the per-image PSNR,
the data range is given and named. Cells weigh alike.
"""

from collections.abc import Callable, Iterable, Mapping
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tqdm

from hinote_jax.core import grids
from hinote_jax.fields import axes
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import domains, running, turbulence

BASELINE = "bicubic"  # what errors are compared with
# What of a row is no number.
_LABELS = ("model", "variable")


@dataclasses.dataclass(frozen=True)
class Example:
  """One held-out field at one scale, for pictures.

  Attributes:
    scale: the nominal scale.
    time: which field.
    lowres: [h w c], physical units, as all fields here.
    highres: the truth, [H W c].
    predictions: model name -> [H W c].
    y: row coordinates, [H]; None where rows are only counted.
    x: column coordinates, [W], or None.
    is_geographic: y is a latitude and x a longitude, in degrees.
  """

  scale: float
  time: str
  lowres: np.ndarray
  highres: np.ndarray
  predictions: dict[str, np.ndarray]
  y: np.ndarray | None
  x: np.ndarray | None
  is_geographic: bool = False


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Scores, spectra and examples of several predictors.

  Attributes:
    header: what was evaluated and how; JSON values only.
    rows: one dict per scale, model and variable: "scale", "scale_y",
      "scale_x", "model", "variable", the `running.METRICS` and what
      `domains` scores; where a score has no meaning it has no key.
    spectra: one dict per scale: "scale", "wavenumber" [k] in cycles per fine
      cell, "power" name -> [c k] with the name "truth" for the target,
      "coherence" name -> [c k] with the truth; of turbulence "flow", a dict
      per variable that tells of velocity: "variable", and "energy" and
      "enstrophy", name -> [k].
    examples: one per scale; left out of `to_dict`.
  """

  header: dict[str, Any]
  rows: list[dict[str, Any]]
  spectra: list[dict[str, Any]]
  examples: list[Example] = dataclasses.field(default_factory=list)

  def to_dict(self) -> dict[str, Any]:
    """Returns all but the examples as JSON values; infinities as "inf"."""
    parts = {"header": self.header, "rows": self.rows, "spectra": self.spectra}
    return _to_json(parts)

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> "Evaluation":
    """Returns what `to_dict` wrote."""
    rows = [
      {k: v if k in _LABELS else float(v) for k, v in row.items()}
      for row in values["rows"]
    ]
    return cls(dict(values["header"]), rows, list(values["spectra"]))

  def select(self, **wanted: Any) -> list[dict[str, Any]]:
    """Returns the rows with the wanted scale, model or variable."""
    return [
      row
      for row in self.rows
      if all(row[key] == value for key, value in wanted.items())
    ]


def evaluate(
  predictors: Mapping[str, Callable[..., np.ndarray]],
  dataset: Any,
  indices: Iterable[int | np.integer],
  *,
  degradation: Any,
  scales: Iterable[float | int],
  data_range: Iterable[float | int | np.floating],
  climatology: np.ndarray | None = None,
  header: Mapping[str, Any] | None = None,
  progress: bool = True,
) -> Evaluation:
  """Scores predictors on whole fields of a dataset.

  Args:
    predictors: name -> function of (lowres [h w c], shape=(H, W)) that returns
      [H W c]; both in physical units.
    dataset: a `data.Dataset`, or what looks like one.
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

  Raises:
    ValueError: nothing to evaluate, or a prediction with the wrong shape or
      with values that are not finite; names model, scale and time.
  """
  indices, scales = [int(i) for i in indices], [float(s) for s in scales]
  if not (predictors and indices and scales):
    raise ValueError(
      "nothing to evaluate: "
      f"{len(predictors)} models, {len(indices)} times, {len(scales)} scales"
    )
  span = np.asarray(list(data_range), np.float64)
  count = len(dataset.variables)
  if span.shape != (count,):
    raise ValueError(f"data_range needs {count} values, got {data_range}")
  context = domains.context(
    dataset, indices, data_range=span, climatology=climatology
  )
  rows, curves, examples = [], [], []
  total = len(scales) * len(indices)
  with tqdm.tqdm(total=total, disable=not progress, unit="field") as bar:
    for scale in scales:
      bar.set_description(f"evaluate x{scale:g}")
      scores, example = _score_scale(
        predictors, dataset, indices, degradation, scale, context, bar
      )
      rows += _rows(scores, example, dataset)
      curves.append(_curves(scores, scale, context))
      examples.append(example)
  filled = _header(predictors, dataset, indices, degradation, scales, context)
  return Evaluation(filled | dict(header or {}), rows, curves, examples)


def time_mean(dataset: Any, indices: Iterable[int | np.integer]) -> np.ndarray:
  """Returns the mean of some fields of a dataset, [H W c] float64.

  Raises:
    ValueError: there are no fields.
  """
  total, count = 0.0, 0
  for index in indices:
    total = total + np.asarray(dataset.values[index], np.float64)
    count += 1
  if not count:
    raise ValueError(f"{dataset.name}: no fields to take the mean of")
  return total / count


class _Reduced(NamedTuple):
  """Of one model: `running.reduce`, `domains.reduce` and `domains.mean`."""

  scores: running.Scores
  science: dict[str, np.ndarray]
  means: contexts.Parts


def _score_scale(
  predictors, dataset, indices, degradation, scale, context, bar
):
  """Returns model name -> scores of all times together, and an example."""
  scores = {name: [] for name in predictors}
  parts = {name: [] for name in predictors}
  first = None
  for index in indices:
    highres = np.asarray(dataset.values[index], np.float32)
    shape = highres.shape[:2]
    lowres = _lowres(dataset, index, highres, degradation, scale)
    predictions = {}
    for name, predict in predictors.items():
      pred = np.asarray(predict(lowres, shape=shape))
      where = f"{name} at x{scale:g}, time {dataset.times[index]}"
      _require_sound(pred, highres.shape, where)
      scores[name].append(
        running.score(
          pred,
          highres,
          data_range=context.data_range,
          periodic=context.periodic,
        )
      )
      parts[name].append(domains.parts(dataset.domain, pred, highres, context))
      predictions[name] = pred
    if first is None:
      first = Example(
        float(scale),
        str(dataset.times[index]),
        lowres,
        highres,
        predictions,
        *_grid(dataset),
      )
    bar.update()
  reduced = {}
  for name, times in scores.items():
    means = domains.mean(parts[name])
    science = domains.reduce(dataset.domain, means)
    reduced[name] = _Reduced(running.reduce(times), science, means)
  return reduced, first


def _lowres(dataset, index, highres, degradation, scale) -> np.ndarray:
  """Returns the coarse field, made of the fine one or given beside it."""
  shape = grids.coarse_shape(highres.shape[:2], scale)
  given = getattr(dataset, "lowres", None)
  if given is None:
    rng = np.random.default_rng(index)  # for a degradation that adds noise
    lowres = degradation.field(
      highres, shape, periodic=dataset.periodic, rng=rng
    )
    return np.asarray(lowres, np.float32)
  if tuple(given.shape) != tuple(shape):
    (y, x), (h, w) = highres.shape[:2], given.shape
    raise ValueError(
      f"{dataset.name} is paired with fields {y / h:g} x {x / w:g} times "
      f"coarser and x{scale:g} was asked for: set config.evaluate.scales to "
      "that scale alone"
    )
  return np.asarray(given.values[index], np.float32)


def _grid(dataset) -> tuple[np.ndarray | None, np.ndarray | None, bool]:
  """Returns y, x and whether they are degrees; None where only counted."""
  both = dataset.y, dataset.x
  is_such = (axes.is_latitude, axes.is_longitude)
  is_geographic = all(
    known(a.name, a.units) for known, a in zip(is_such, both, strict=True)
  )
  is_known = [is_geographic or a.units not in contexts.COUNTED for a in both]
  y, x = (a.values if k else None for a, k in zip(both, is_known, strict=True))
  return y, x, is_geographic


def _require_sound(pred: np.ndarray, shape: tuple, where: str) -> None:
  if pred.shape != shape:
    raise ValueError(f"{where}: predicted shape {pred.shape}, expected {shape}")
  bad = int(np.sum(~np.isfinite(pred)))
  if bad:
    raise ValueError(f"{where}: {bad} of {pred.size} values are not finite")


def _rows(reduced, example: Example, dataset) -> list[dict[str, Any]]:
  """Returns one row per model and variable."""
  coarse, fine = example.lowres.shape, example.highres.shape
  rows = []
  for name, (scores, science, _) in reduced.items():
    science = {key: scores[key] for key in domains.SHARED} | science
    for channel, variable in enumerate(dataset.variables):
      row = {
        "scale": example.scale,
        "scale_y": fine[0] / coarse[0],
        "scale_x": fine[1] / coarse[1],
        "model": name,
        "variable": variable.name,
      }
      row |= {key: float(scores[key][channel]) for key in running.METRICS}
      more = {key: float(values[channel]) for key, values in science.items()}
      row |= {key: value for key, value in more.items() if not np.isnan(value)}
      rows.append(row)
  return rows


def _curves(reduced, scale: float, context) -> dict[str, Any]:
  """Returns the spectra averaged over times as lists."""
  first = next(iter(reduced.values()))
  power = {"truth": first.scores["truth_power"]}
  power |= {name: found.scores["power"] for name, found in reduced.items()}
  shared = {name: f.scores["coherence"] for name, f in reduced.items()}
  entry = {
    "scale": float(scale),
    "wavenumber": first.scores["wavenumber"].tolist(),
    "power": {name: values.T.tolist() for name, values in power.items()},
    "coherence": {name: values.T.tolist() for name, values in shared.items()},
  }
  means = {name: found.means for name, found in reduced.items()}
  flow = [
    {"variable": name} | _flow(means, context.names.index(name))
    for name in turbulence.flows(first.means, context)
  ]
  return entry | ({"flow": flow} if flow else {})


def _flow(means, channel: int) -> dict[str, dict[str, list[float]]]:
  """Returns the energy and enstrophy spectra of a variable, by model."""
  first, found = next(iter(means.values())), {}
  for quantity in turbulence.QUANTITIES:
    curves = {"truth": first[f"truth_{quantity}"]}
    curves |= {name: parts[quantity] for name, parts in means.items()}
    found[quantity] = {
      name: values[:, channel].tolist() for name, values in curves.items()
    }
  return found


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


def _to_json(value: Any) -> Any:
  """Replaces what strict JSON cannot hold: tuples, NumPy numbers, infinity."""
  if isinstance(value, Mapping):
    return {str(k): _to_json(v) for k, v in value.items()}
  if isinstance(value, list | tuple | np.ndarray):
    return [_to_json(v) for v in value]
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, float) and not np.isfinite(value):
    return str(value)
  return value
