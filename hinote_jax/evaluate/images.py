"""Scores predictors on images by one protocol, all on the same inputs."""

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
from typing import Any

import numpy as np

from hinote_jax import models as zoo
from hinote_jax.evaluate import image_sets, protocols, scores

METRICS = ("psnr", "ssim")


def evaluate(
  predictors: scores.Predictors,
  images: image_sets.Images,
  *,
  protocol: str,
  scales: Iterable[float | int],
  header: Mapping[str, Any] | None = None,
  progress: bool = True,
) -> scores.Evaluation:
  """Scores predictors on every image of a set.

  Args:
    predictors: name -> function of (lowres [h w 3], shape=(H, W)) that returns
      [H W 3]; both float32, in [0, 1].
    images: as `image_sets.load` gives them.
    protocol: one of `protocols.PROTOCOLS`.
    scales: how many times coarser the inputs are.
    header: what the caller knows: "command", "versions", ... It wins over what
      is filled in here.
    progress: show a progress bar.

  Returns:
    One row per scale, image and model, with the `METRICS`; their means over
    images; the first image at every scale, its predictions as they are scored.

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
  rows, examples, gallery = [], [], []
  predicted = scores.predicted(
    predictors,
    _inputs(images, rules, scales),
    total=len(scales) * len(images.names),
    unit="image",
    progress=progress,
  )
  shown = scores.pair(predictors, zoo.INTERPOLATIONS)
  finished = (_finished(example, rules) for example in predicted)
  for example in scores.kept(finished, gallery, shown, scales):
    where = {"scale": example.scale, "image": example.name}
    rows += [
      where | {"model": n} | rules.score(p, example.highres, example.scale)
      for n, p in example.predictions.items()
    ]
    if example.name == images.names[0]:
      examples.append(example)
  rows.sort(key=lambda row: scales.index(row["scale"]))
  filled = {
    "dataset": images.name,
    "images": list(images.names),
    "protocol": protocol,
    "description": rules.description,
    "scales": scales,
    "models": list(predictors),
  }
  return scores.Evaluation(
    filled | dict(header or {}),
    rows,
    means=means(rows),
    examples=examples,
    gallery=gallery,
  )


def _finished(example: scores.Example, rules: Any) -> scores.Example:
  """Returns an example with its predictions as they are scored."""
  finished = {n: rules.finish(p) for n, p in example.predictions.items()}
  return dataclasses.replace(example, predictions=finished)


def means(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Returns the means of the `METRICS` over images, by scale and model."""
  groups: dict[tuple, list] = {}
  for row in rows:
    groups.setdefault((row["scale"], row["model"]), []).append(row)
  return [
    {"scale": scale, "model": model, "images": len(group)}
    | {m: float(np.mean([row[m] for row in group])) for m in METRICS}
    for (scale, model), group in groups.items()
  ]


def _inputs(images, rules, scales) -> Iterator[scores.Example]:
  """Yields every image at every scale."""
  for index, name in enumerate(images.names):
    image = images.read(index)  # once: decoding is slow
    for scale in scales:
      try:
        lowres, highres = rules.prepare(image, scale)
      except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
      yield scores.Example(scale, name, lowres, highres)
