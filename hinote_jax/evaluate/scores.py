"""Predictions and truths in, scores out: the same of all that is evaluated.

An evaluation is a header, rows of scores and examples, of whole fields
(`fields`) as of photographs (`images`). Every predictor sees the same inputs,
and what it answers must be sound.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tqdm

from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import domains, running

BASELINE = "bicubic"  # what errors are compared with
Predictors = Mapping[str, Callable[..., Any]]
Box = tuple[slice, slice]
WHOLE: Box = slice(None), slice(None)
# Values of all truths that a page can hold.
_ROOM = 4_000_000
# What of a row is no number.
_LABELS = ("model", "variable", "image")


@dataclasses.dataclass(frozen=True)
class Example:
  """One field or image at one scale, with what every model makes of it.

  Attributes:
    scale: the nominal scale.
    name: which field or image it is.
    lowres: the input, [h w c], in physical units, or [0, 1] of images.
    highres: the truth, [H W c].
    predictions: model name -> [H W c].
    y: row coordinates, [H]; None where rows are only counted.
    x: column coordinates, [W], or None.
    is_geographic: y is a latitude and x a longitude, in degrees.
    extras: what predictors may take beside the input, by name.
    known: where the truth was not missing, [H W c]; None: everywhere.
    box: the rows and columns that are scored; all that is known lies there.
  """

  scale: float
  name: str
  lowres: np.ndarray
  highres: np.ndarray
  predictions: Mapping[str, np.ndarray] = dataclasses.field(
    default_factory=dict
  )
  y: np.ndarray | None = None
  x: np.ndarray | None = None
  is_geographic: bool = False
  extras: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  known: np.ndarray | None = None
  box: Box = WHOLE

  @property
  def measured(self) -> np.ndarray:
    """The truth, [H W c]; NaN where it was missing."""
    if self.known is None:
      return self.highres
    return np.where(self.known, self.highres, np.float32(np.nan))


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Scores, spectra and examples of several predictors.

  Attributes:
    header: what was evaluated and how; JSON values only.
    rows: one dict per scale, model and variable, or scale, image and model:
      these and the scores by name; where a score has no meaning it has no key.
    means: of images, one dict per scale and model.
    spectra: of fields, one dict per scale; see `fields.evaluate`.
    examples: one per scale; left out of `to_dict`.
    gallery: of every scale as many as a page can hold, with the predictions of
      two models; left out too.
  """

  header: dict[str, Any]
  rows: list[dict[str, Any]]
  means: list[dict[str, Any]] = dataclasses.field(default_factory=list)
  spectra: list[dict[str, Any]] = dataclasses.field(default_factory=list)
  examples: list[Example] = dataclasses.field(default_factory=list)
  gallery: list[Example] = dataclasses.field(default_factory=list)

  def to_dict(self) -> dict[str, Any]:
    """Returns all but examples as JSON values; infinities as "inf"."""
    parts = {"header": self.header, "rows": self.rows}
    more = {"means": self.means, "spectra": self.spectra}
    return _to_json(parts | {name: part for name, part in more.items() if part})

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> "Evaluation":
    """Returns what `to_dict` wrote."""
    rows, means = (
      [
        {k: v if k in _LABELS else float(v) for k, v in row.items()}
        for row in values.get(part, ())
      ]
      for part in ("rows", "means")
    )
    spectra = list(values.get("spectra", ()))
    return cls(dict(values["header"]), rows, means, spectra)

  def select(self, **wanted: Any) -> list[dict[str, Any]]:
    """Returns the rows with the wanted scale, model, variable or image."""
    return [
      row
      for row in self.rows
      if all(row[key] == value for key, value in wanted.items())
    ]


def predicted(
  predictors: Predictors,
  examples: Iterable[Example],
  *,
  total: int,
  unit: str,
  label: str = "",
  progress: bool = True,
) -> Iterator[Example]:
  """Yields examples with the predictions of every model.

  Args:
    predictors: name -> function of (lowres [h w c], shape=(H, W)), and
      extras={...} where an example has them, that returns [H W c].
    examples: without predictions.
    total: how many.
    unit: what one is, for the progress bar.
    label: written before their names in messages.
    progress: show the bar.

  Raises:
    ValueError: a prediction has the wrong shape, or values that are not finite;
      names model, scale and example.
  """
  hidden: dict[str, Any] = {} if progress else {"disable": True}
  with tqdm.tqdm(total=total, unit=unit, **hidden) as bar:
    for example in examples:
      bar.set_description(f"{example.name} x{example.scale:g}")
      shape = example.highres.shape[:2]
      options = {"extras": example.extras} if example.extras else {}
      predictions = {}
      for model, predict in predictors.items():
        pred = np.asarray(predict(example.lowres, shape=shape, **options))
        where = f"{model} at x{example.scale:g}, {label}{example.name}"
        _require_sound(pred, example.highres.shape, where)
        predictions[model] = pred
      yield dataclasses.replace(example, predictions=predictions)
      bar.update()


def kept(
  examples: Iterable[Example],
  gallery: list[Example],
  names: Iterable[str],
  scales: Sequence[float],
) -> Iterator[Example]:
  """Yields examples; those that a page can hold go into the gallery.

  They are the first of every scale, each with the same share of the room.

  Args:
    examples: with predictions.
    gallery: where they go.
    names: the models whose predictions are kept.
    scales: of all examples.
  """
  names, used = list(names), dict.fromkeys(scales, 0)
  for example in examples:
    size = example.highres.size
    taken = used[example.scale]
    used[example.scale] += size
    if not taken or (taken + size) * len(used) <= _ROOM:
      predictions = {name: example.predictions[name] for name in names}
      gallery.append(dataclasses.replace(example, predictions=predictions))
    yield example


def pair(models: Iterable[str], interpolations: Iterable[str]) -> list[str]:
  """Returns what is shown side by side: an interpolation, and a model.

  Args:
    models: names, the run's own first.
    interpolations: those of them that are none are models.
  """
  rivals = [name for name in models if name in interpolations]
  others = [name for name in models if name not in rivals]
  rivals.sort(key=lambda name: name == BASELINE)
  return [*rivals[-1:], *others[:1]] or list(models)[:1]


def _require_sound(pred: np.ndarray, shape: tuple, where: str) -> None:
  if pred.shape != shape:
    raise ValueError(f"{where}: predicted shape {pred.shape}, expected {shape}")
  bad = int(np.sum(~np.isfinite(pred)))
  if bad:
    raise ValueError(f"{where}: {bad} of {pred.size} values are not finite")


class Reduced(NamedTuple):
  """Of one model and many fields: what the reductions of `metrics` return."""

  scores: running.Scores
  science: running.Scores
  means: contexts.Parts


def of_fields(
  examples: Iterable[Example],
  domain: str,
  context: contexts.Context,
  own: Callable[..., Mapping[str, Any]] | None = None,
) -> tuple[Example, dict[str, Reduced]]:
  """Returns the first of the examples, and of all what each model scores.

  Args:
    examples: at least one, of one scale, in physical units.
    domain: the science, which has scores of its own.
    context: what the dataset says.
    own: a function of (pred, target), [H W c], that gives further scores by
      name, of which the mean over fields is taken; of a field that is missing
      in part it gets the box, filled alike where nothing is known.
  """
  first, shared, parts = None, {}, {}
  further: dict[str, list[dict[str, np.ndarray]]] = {}
  for example in examples:
    first, truth = first or example, example.highres[example.box]
    place = dataclasses.replace(context, known=example.known)
    place = place.within(*example.box)
    for model, pred in example.predictions.items():
      pred = pred[example.box]
      if place.known is not None:
        pred = np.where(place.known, pred, truth)
      score = running.score(
        pred,
        truth,
        data_range=context.data_range,
        periodic=place.periodic,
        known=place.known,
      )
      shared.setdefault(model, []).append(score)
      part = domains.parts(domain, pred, truth, place)
      parts.setdefault(model, []).append(part)
      if own is not None:
        count = (truth.shape[-1],)
        given = {
          f"{domains.OWN}@{name}": np.broadcast_to(value, count)
          for name, value in own(pred, truth).items()
        }
        further.setdefault(model, []).append(given)
  assert first is not None
  reduced = {}
  for model, fields in shared.items():
    scores, means = running.reduce(fields), domains.mean(parts[model])
    science = {key: scores[key] for key in domains.SHARED if key in scores}
    science |= domains.reduce(domain, means)
    science |= domains.mean(further[model]) if model in further else {}
    reduced[model] = Reduced(scores, science, means)
  return first, reduced


def over_baseline(
  rows: Iterable[Mapping[str, Any]], key: str = "mse"
) -> dict[str, dict[tuple[str, float], float]]:
  """Returns model -> (variable, scale) -> an error over bicubic's.

  Args:
    rows: of an `Evaluation` that has `BASELINE`.
    key: of the error.

  Examples:
    >>> rows = [
    ...   {"model": model, "variable": "t2m", "scale": 2.0, "mse": mse}
    ...   for model, mse in (("hinote", 1.0), ("bicubic", 4.0))
    ... ]
    >>> over_baseline(rows)["hinote"]
    {('t2m', 2.0): 0.25}
  """
  errors: dict[str, dict[tuple[str, float], float]] = {}
  for row in rows:
    place = row["variable"], row["scale"]
    errors.setdefault(row["model"], {})[place] = row[key]
  base = errors[BASELINE]
  return {
    model: {place: value / base[place] for place, value in own.items()}
    for model, own in errors.items()
  }


def ratio(value: float, base: float) -> float:
  """Returns value / base of two errors: 1 where both are 0, never a failure."""
  if base == 0.0:
    return 1.0 if value == 0.0 else np.inf
  return value / base


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
