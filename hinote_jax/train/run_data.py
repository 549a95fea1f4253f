"""What a run reads: its fields, their parts, and the windows of them."""

from collections.abc import Mapping
import dataclasses
import functools
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import data as datasets
from hinote_jax import degradations, fields, models
from hinote_jax.core import scale_laws, spectral
from hinote_jax.data import (
  batches,
  blurred_windows,
  builder,
  holes,
  normalise,
  splits,
  symmetries,
)
from hinote_jax.data import static as statics
from hinote_jax.data.sources import pairs
from hinote_jax.degradations import drawn, linear, matrices
from hinote_jax.io import units
from hinote_jax.metrics import image
from hinote_jax.train import contract, static_run
from hinote_jax.train import workdir as workdirs

SPLIT = "split.json"
_LEAST = 1.25  # a scale at which something is missed: at 1 nothing is


class Paired:
  """Stands for a degradation where the low resolution is given, not made."""

  def __init__(self, dataset: Any):
    self._name, self._shape = dataset.name, dataset.lowres.shape

  def __str__(self) -> str:
    return f"paired with {self._shape[0]} x {self._shape[1]} cells"

  def field(self, values: Any, shape: Any, **options: Any) -> None:
    """Refuses to make what must be taken from `Dataset.lowres`.

    Raises:
      ValueError: always.
    """
    raise ValueError(
      f"{self._name} has a low resolution of its own, {self}, which nothing "
      "degraded can stand for"
    )


class RunData(NamedTuple):
  """What training reads: the fields, their parts, and the windows of them."""

  dataset: datasets.Dataset
  split: splits.Split
  normaliser: normalise.Normaliser
  degradation: Any
  train: batches.Windows
  validation: batches.Windows
  static: statics.Static | None = None

  @property
  def scale(self) -> float | None:
    """Scale of paired fields; None where scales are drawn."""
    if self.dataset.lowres is None:
      return None
    return self.train.scale_range[0]

  def static_units(self, examples: int = 64) -> tuple[float, ...]:
    """Returns the RMS of what bicubic misses of static fields, one a channel.

    Over fixed training windows, in units of each field's own deviation.
    """
    (batch,) = self.train.fixed(examples)
    fine, coarse = batch["static"]["fine"], batch["static"]["coarse"]
    smooth = contract.apply(
      models.build("bicubic"), {}, batch | {"lowres": coarse}
    )
    missed = np.sqrt(np.mean(np.square(fine - smooth), axis=(0, 1, 2)))
    return tuple(np.maximum(missed, 1e-3).tolist())

  def limits(self, examples: int = 64) -> list[tuple[float, float]]:
    """Returns the normalised values at the ends of tables, of each channel.

    Black and white of pictures, else the lowest and highest of training; of
    static fields those of fixed training windows, after the variables.
    """
    ends = [
      (0.0, 1.0) if self.dataset.domain == "image" else pair
      for pair in zip(
        self.normaliser.minimum, self.normaliser.maximum, strict=True
      )
    ]
    ends = self.normaliser.normalise(np.asarray(ends, np.float64).T).T
    if self.static is not None:
      (batch,) = self.train.fixed(examples)
      coarse = batch["static"]["coarse"]
      low, high = (end(coarse, axis=(0, 1, 2)) for end in (np.min, np.max))
      static = np.stack([low, np.maximum(high, low + 1e-3)], axis=-1)
      ends = np.concatenate([ends, static])
    return [(float(low), float(high)) for low, high in ends]

  def consistent(self) -> dict[str, Any]:
    """Returns what the answers of a consistent model degrade by.

    Raises:
      ValueError: the fields are paired, or the degradation has no closed form.
    """
    if self.train.degradation is None:
      raise ValueError(
        f"config.model.consistent: {self.dataset.name} is paired with a low "
        "resolution of its own, which no degradation made; leave it out"
      )
    return linear.ending(self.train.degradation)

  def blur(self, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns scale, kernel and noise of a network that takes a blur.

    Args:
      given: what its config says of them, which stands; else the scale is the
        largest of the windows, rounded up, or None where that is drawn a batch,
        and the others are those of the degradation, at every scale. Paired
        fields have none: a mean over cells.

    Raises:
      ValueError: the degradation is no convolution.
    """
    scale, every = given.get("scale"), getattr(self.train, "scales", None)
    if scale is None and every is None:
      scale = math.ceil(self.train.scale_range[1] - 1e-6)
    defaults: dict[str, Any] = {"scale": scale, "noise": 0.0}
    if self.train.degradation is not None:
      defaults["noise"] = self.train.degradation.noise
      if given.get("kernel") is None:
        of = functools.partial(matrices.kernel, self.train.degradation)
        if scale is None:
          kernels = {str(s): of((s, s)).tolist() for s in every or ()}
          defaults["kernel"] = kernels
        else:
          pair = (scale, scale) if isinstance(scale, int) else scale
          defaults["kernel"] = of(pair).tolist()
    return defaults | {k: v for k, v in given.items() if v is not None}

  def meta(self) -> dict[str, Any]:
    """Returns what belongs with the weights in a checkpoint."""
    return {
      "normaliser": self.normaliser.to_dict(),
      "variables": [v.name for v in self.dataset.variables],
      "quantities": [self._quantity(v) for v in self.dataset.variables],
      "periodic": list(self.dataset.periodic),
      "fingerprint": self.dataset.fingerprint,
      "roughness": roughness(self.train),
    }

  def _quantity(self, variable: fields.Variable) -> dict[str, Any]:
    is_picture = self.dataset.domain == "image"
    white = 1.0 if is_picture else variable.white
    return {"units": variable.units, "white": white}


def make(config: workdirs.Config, workdir: pathlib.Path) -> RunData:
  """Returns the data of a run; a split stored in its workdir must agree.

  Where the fields are paired, the pairs' own scale takes the place of those of
  `config.windows`.
  """
  chosen = workdirs.set_fields(config.data)
  static_names = tuple(chosen.pop("static", ()))
  dataset = datasets.load(**chosen)
  if min(dataset.shape) < image.WINDOW:
    height, width = dataset.shape
    raise ValueError(
      f"{dataset.name} has fields of {height} x {width} cells, and windows of "
      f"{image.WINDOW} x {image.WINDOW} are scored: give larger fields"
    )
  scale_range = (config.windows.min_scale, config.windows.max_scale)
  if dataset.lowres is not None:
    scale = pairs.scale(dataset.shape, dataset.lowres.shape)
    scale_range = (scale, scale)
  is_drawn = scale_range[0] < scale_range[1]
  whole = config.windows.get("whole", 0.0) if is_drawn else 0.0
  split = splits.stored_or_new(workdir / SPLIT, dataset, **config.split)
  normaliser = normalise.Normaliser.fit(
    dataset.as_read,
    dataset.present(split.train),
    names=[v.name for v in dataset.variables],
  )
  # Magnitudes have a zero, which is not that of normalised fields.
  zero = normaliser.normalise(np.zeros(dataset.channels, np.float32))
  degradation = degradations.parse(config.degradation).with_zero(zero)
  if dataset.lowres is not None:
    degradation = None
    if config.get("evaluate", {}).get("consistent"):
      raise ValueError(
        f"config.evaluate.consistent: {dataset.name} is paired with a low "
        "resolution of its own, which no degradation made; set it to False"
      )
  turns = config.windows.get("symmetries") or ()
  known, windows = static_run.make(
    static_names,
    dataset,
    dataset.present(split.train),
    normaliser,
    degradation=degradation,
    window=config.windows.window,
    queries=config.windows.queries,
  )
  options: dict[str, Any] = dict(
    seed=config.seed,
    static=windows,
    turns=symmetries.Symmetries(turns, dataset.header, normaliser)
    if turns
    else None,
  )
  drawn_too = [n for n in ("blurs", "noise") if config.windows.get(n)]
  if config.windows.get("scales"):
    make_windows = _of_scales(config, options)
  elif drawn_too:
    raise ValueError(
      f"config.windows.{drawn_too[0]} is drawn at whole scales: say which by "
      "config.windows.scales, as (1, 2, 3, 4)"
    )
  else:
    make_windows = functools.partial(
      batches.Windows,
      window=config.windows.window,
      queries=config.windows.queries,
      scale_range=scale_range,
      whole=whole,
      power=config.windows.get("power") or 0.0,
      **options,
    )
  train, validation = (
    make_windows(dataset, dataset.present(indices), normaliser, degradation)
    for indices in (split.train, split.validation)
  )
  if degradation is None:
    degradation = Paired(dataset)
  parts = dataset, split, normaliser, degradation, train, validation
  return RunData(*parts, known)


def _of_scales(config: workdirs.Config, options: Mapping[str, Any]) -> Any:
  """Returns what makes windows at scales drawn a batch."""
  windows, blurs = config.windows, None
  if windows.get("blurs") or windows.get("noise"):
    blurs = drawn.Blurs(
      tuple(windows.get("blurs") or ()), windows.get("noise") or 0.0
    )
  return functools.partial(
    blurred_windows.ScaleWindows,
    tuple(windows.scales),
    tuple(windows.queries),
    blurs,
    **options,
  )


def unseen(
  data: RunData, path: Any, cache_dir: str | None = None
) -> datasets.Dataset:
  """Returns files of a run's variables that nothing was trained on.

  They close on themselves where the run's fields do, and are of its science.

  Args:
    data: of the run.
    path: a file, a glob pattern, or several files.
    cache_dir: see `data.load`.

  Raises:
    ValueError: the files lack a variable, have another quantity, or hold
      fields that the run was trained on or chosen by.
    OSError: a file is missing.
  """
  ours = data.dataset
  source = datasets.source(
    "files",
    path=path,
    variables=ours.names,
    periodic=tuple(ours.periodic),
    domain=ours.domain,
  )
  conversions = []
  for mine, other in zip(ours.variables, source.variables, strict=True):
    pair = (1.0, 0.0)
    if mine.units and other.units:
      pair = units.conversion(other.units, mine.units)
    if pair is None:
      raise ValueError(
        f"config.evaluate.path: {mine.name} is in {other.units!r} there and "
        f"the run's is in {mine.units!r}: bring the files to the run's unit"
      )
    conversions.append(pair)
  theirs = builder.cached(source.converted(conversions), cache_dir)
  seen = _seen(data, theirs)
  if seen:
    raise ValueError(
      f"config.evaluate.path: {len(seen)} of the {len(theirs)} fields of "
      f"{path}, {seen[0]} the first, are of those that the run was trained on "
      "or chosen by: name files without them, or leave it out to score the "
      "held-out part"
    )
  theirs = holes.filled(theirs, cache_dir)
  header = dataclasses.replace(theirs.header, variables=ours.variables)
  return dataclasses.replace(theirs, header=header)


def _seen(data: RunData, theirs: datasets.Dataset) -> list[str]:
  """Returns the labels of fields that are of training or validation."""
  ours, split = data.dataset, data.split
  if theirs.shape != ours.shape:
    return []
  known: dict[str, list[int]] = {}
  for i in (*split.train, *split.validation):
    known.setdefault(ours.times[i], []).append(i)
  return [
    label
    for label, field in zip(theirs.times, theirs.values, strict=True)
    if any(
      np.array_equal(field, ours.as_read[i], equal_nan=True)
      for i in known.get(label, ())
    )
  ]


@functools.lru_cache(maxsize=1)
def roughness(windows: batches.Windows, examples: int = 32) -> list[float]:
  """Returns `spectral.roughness` of each variable of the low resolution.

  The larger of those of fixed windows at the smallest and the largest scale.
  """
  ends = [
    spectral.roughness(windows.fixed(examples, scale=scale)[0]["lowres"])
    for scale in sorted(set(windows.scale_range))
  ]
  return np.max(ends, axis=0).tolist()


def residual_scale(
  windows: batches.Windows, examples: int = 64
) -> list[scale_laws.Law]:
  """Returns the RMS of what bicubic interpolation misses, a law a variable.

  Over fixed training windows, in normalised units, at scales from end to end of
  the range. It is the unit of the loss, so that variables and scales weigh
  alike, and of the decoder where a model wants it.

  Raises:
    ValueError: bicubic interpolation misses nothing of a variable.
  """
  low, high = windows.scale_range
  if low == high:
    return _missed(windows, examples, high).tolist()
  scales = np.geomspace(min(max(low, _LEAST), high), high, 5)
  sizes = [_missed(windows, examples // 2, s) for s in scales]
  return list(scale_laws.fit(scales, np.stack(sizes)))


def _missed(windows, examples, scale) -> np.ndarray:
  """Returns the RMS of what bicubic interpolation misses at a scale, [c]."""
  (batch,) = windows.fixed(examples, scale=float(scale))
  bicubic = contract.apply(models.build("bicubic"), {}, batch)
  missed = np.square(batch["highres"] - contract.scored(bicubic, batch))
  share = np.mean(batch["known"], axis=(0, 1, 2)) if "known" in batch else 1.0
  missed = np.sqrt(np.mean(missed, axis=(0, 1, 2)) / share)
  for variable, size in zip(windows.dataset.variables, missed, strict=True):
    if not size > 1e-6:
      raise ValueError(
        f"bicubic interpolation of {variable.name} misses nothing at scales "
        f"{windows.scale_range}: there is nothing to learn; raise "
        "config.windows.max_scale or leave the variable out"
      )
  return missed
