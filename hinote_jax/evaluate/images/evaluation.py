"""Scores predictors on images by one protocol, all on the same inputs."""

from collections.abc import Callable, Iterable, Mapping
import dataclasses
import math
from typing import Any

import numpy as np
import tqdm

from hinote_jax.evaluate.images import protocols, sources

METRICS = ("psnr", "ssim")


@dataclasses.dataclass(frozen=True)
class Example:
  """The first image at one scale, for pictures; values in [0, 1].

  Attributes:
    scale: how many times coarser the input is.
    image: its name.
    lowres: [h w 3].
    highres: the truth, [H W 3].
    predictions: model name -> [H W 3], as scored.
  """

  scale: float
  image: str
  lowres: np.ndarray
  highres: np.ndarray
  predictions: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Scores of several predictors on several images.

  Attributes:
    header: what was evaluated and how; JSON values only.
    rows: one dict per scale, image and model: "scale", "image", "model" and
      the `METRICS`.
    examples: one per scale; left out of `to_dict`.
  """

  header: dict[str, Any]
  rows: list[dict[str, Any]]
  examples: list[Example] = dataclasses.field(default_factory=list)

  @property
  def means(self) -> list[dict[str, Any]]:
    """One dict per scale and model: the means of `METRICS` over images."""
    groups = {}
    for row in self.rows:
      groups.setdefault((row["scale"], row["model"]), []).append(row)
    return [
      {"scale": scale, "model": model, "images": len(rows)}
      | {m: float(np.mean([row[m] for row in rows])) for m in METRICS}
      for (scale, model), rows in groups.items()
    ]

  def to_dict(self) -> dict[str, Any]:
    """Returns all but the examples as JSON values; infinities as "inf"."""
    return {
      "header": self.header,
      "means": [_finite(row) for row in self.means],
      "rows": [_finite(row) for row in self.rows],
    }


def evaluate(
  predictors: Mapping[str, Callable[..., np.ndarray]],
  images: sources.Images,
  *,
  protocol: str,
  scales: Iterable[float | int],
  header: Mapping[str, Any] | None = None,
  progress: bool = True,
) -> Evaluation:
  """Scores predictors on every image of a set.

  Args:
    predictors: name -> function of (lowres [h w 3], shape=(H, W)) that returns
      [H W 3]; both float32, in [0, 1].
    images: as `sources.load` gives them.
    protocol: one of `protocols.PROTOCOLS`.
    scales: how many times coarser the inputs are.
    header: what the caller knows: "command", "versions", ... It wins over what
      is filled in here.
    progress: show a progress bar.

  Raises:
    ValueError: nothing to evaluate, an image that is too small, or a prediction
      of the wrong shape or with values that are not finite; names model, scale
      and image.
  """
  rules = protocols.look_up(protocol)
  scales = list(dict.fromkeys(float(s) for s in scales))
  if not (predictors and images.names and scales):
    raise ValueError(
      f"nothing to evaluate: {len(predictors)} models, {len(images.names)} "
      f"images, {len(scales)} scales"
    )
  rows, examples = [], []
  total = len(scales) * len(images.names)
  with tqdm.tqdm(total=total, disable=not progress, unit="image") as bar:
    for index, name in enumerate(images.names):
      image = images.read(index)  # once: decoding is slow
      for scale in scales:
        bar.set_description(f"{name} x{scale:g}")
        example = _example(predictors, rules, image, name, scale)
        rows += _rows(example, rules)
        if index == 0:
          examples.append(example)
        bar.update()
  rows.sort(key=lambda row: scales.index(row["scale"]))
  filled = {
    "dataset": images.name,
    "images": list(images.names),
    "protocol": protocol,
    "description": rules.description,
    "scales": scales,
    "models": list(predictors),
  }
  return Evaluation(filled | dict(header or {}), rows, examples)


def _example(predictors, rules, image, name, scale) -> Example:
  try:
    lowres, highres = rules.prepare(image, scale)
  except ValueError as error:
    raise ValueError(f"{name}: {error}") from error
  predictions = {}
  for model, predict in predictors.items():
    pred = np.asarray(predict(lowres, shape=highres.shape[:2]))
    where = f"{model} at x{scale:g}, {name}"
    if pred.shape != highres.shape:
      raise ValueError(
        f"{where}: predicted shape {pred.shape}, expected {highres.shape}"
      )
    bad = int(np.sum(~np.isfinite(pred)))
    if bad:
      raise ValueError(f"{where}: {bad} of {pred.size} values are not finite")
    predictions[model] = rules.finish(pred)
  return Example(scale, name, lowres, highres, predictions)


def _rows(example: Example, rules: protocols.Protocol) -> list[dict[str, Any]]:
  where = {"scale": example.scale, "image": example.image}
  return [
    where | {"model": model} | rules.score(pred, example.highres, example.scale)
    for model, pred in example.predictions.items()
  ]


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
  return {
    k: str(v) if isinstance(v, float) and not math.isfinite(v) else v
    for k, v in row.items()
  }
