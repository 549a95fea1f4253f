"""Fields with holes: filled where a network reads them, and never scored.

A value that is missing is NaN in the cache. The fields are filled as upscaling
fills them (`infer.masks`), into a cache of their own, so that every degradation
and network sees smooth fields; windows are drawn where enough is known, and
losses and scores take the truth for the answer where nothing is known.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import hashlib
import os
from typing import Any

from absl import logging
import numpy as np

from hinote_jax.data import builder, crops, series

# How much of a window must be known, and how often one is drawn for that.
LEAST, DRAWS = 0.5, 200


def filled(
  dataset: series.Dataset, cache_dir: str | os.PathLike | None = None
) -> series.Dataset:
  """Returns a dataset without holes, which knows where they were.

  Args:
    dataset: as it was read; it is returned as it is where nothing is missing.
    cache_dir: as of `builder.cached`.

  Raises:
    ValueError: a variable is missing at all times.
  """
  values, lowres = dataset.values, dataset.lowres
  if lowres is not None:
    dataset = dataclasses.replace(dataset, lowres=filled(lowres, cache_dir))
  # A sum passes NaN on, and is faster than to look at each value.
  with_holes = [i for i in range(len(values)) if np.isnan(np.sum(values[i]))]
  if not with_holes:
    return dataset
  shares = [np.mean(~np.isnan(values[i]), axis=(0, 1)) for i in with_holes]
  known = np.sum(shares, axis=0) + len(values) - len(with_holes)
  known = known / len(values)
  for variable, share in zip(dataset.variables, known, strict=True):
    if not share:
      raise ValueError(
        f"{dataset.name}: variable {variable.name!r} is missing everywhere at "
        f"all {len(values)} times: leave it out"
      )
  logging.warning(
    "%s: %s of the values are missing; they are neither trained on nor scored",
    dataset.name,
    f"{1.0 - np.mean(known):.2%}",
  )
  digest = hashlib.sha256(f"{dataset.fingerprint} filled".encode())
  base = {
    field.name: getattr(dataset, field.name)
    for field in dataclasses.fields(series.Series)
  }
  source = series.Source(
    **base
    | {
      "name": f"{dataset.name}-filled",
      "fingerprint": digest.hexdigest(),
      "reader": lambda i: _filled(values[i], dataset.periodic),
    }
  )
  smooth = builder.cached(source, cache_dir).values
  return dataclasses.replace(dataset, values=smooth, measured=values)


def _filled(values: np.ndarray, periodic: tuple[bool, bool]) -> np.ndarray:
  """Returns a field without holes; 0 where a variable is missing everywhere."""
  from hinote_jax.infer import masks

  is_gone = np.isnan(values).all((0, 1))
  return masks.fill(np.where(is_gone, np.float32(0.0), values), periodic)


class Holes:
  """Where windows of a dataset have holes."""

  def __init__(self, measured: crops.Crops):
    """Takes the windows of values that are NaN where missing."""
    self._measured = measured

  def known(
    self, field: int, start: Sequence[float | int], shape: Sequence[int]
  ) -> np.ndarray:
    """Returns which values of a window are known, [h w c]."""
    first, size = [round(a) for a in start], (shape[0], shape[1])
    return ~np.isnan(self._measured.window(field, first, size))

  def first(
    self, draws: Iterable[Any], window: Sequence[int], queries: Sequence[int]
  ) -> Any:
    """Returns the first draw in whose window, and queries, enough is known.

    Args:
      draws: of `batches.Draw`.
      window: (h, w), coarse cells.
      queries: (H, W), fine cells.

    Raises:
      ValueError: there is none.
    """
    for draw in draws:
      inside = [a + q for a, q in zip(draw.start, draw.query, strict=True)]
      extent = [max(int(n * draw.scale), 1) for n in window]
      parts = (draw.start, extent), (inside, queries)
      if all(self.known(draw.field, *p).mean() >= LEAST for p in parts):
        return draw
    raise ValueError(
      f"of {DRAWS} windows none has {LEAST:.0%} of its values: too much is "
      "missing to train on; lower config.windows.window and .queries"
    )
