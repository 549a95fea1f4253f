"""What a run is told of the place: made of its data, kept with its weights."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import hashlib
import pathlib
from typing import Any
import zipfile
import zlib

from absl import logging
import jax
import numpy as np

from hinote_jax import models
from hinote_jax.data import (
  calendar,
  climatology,
  rasters,
  spans,
  static,
  static_windows,
)
from hinote_jax.fields import axes
from hinote_jax.io import cf_times
from hinote_jax.io import files as whole_files
from hinote_jax.train import contract

FILE = "climatology.npz"
REGRESSION = "hinote_jax.models.informed:static_regression"
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def make(
  names: Sequence[str],
  dataset: Any,
  train: Sequence[int],
  normaliser: Any,
  **windows: Any,
) -> tuple[static.Static | None, static_windows.StaticWindows | None]:
  """Returns static fields and what makes windows of them; None for none.

  Args:
    names: of `data.static`.
    dataset: the fields.
    train: times of the training part.
    normaliser: of the fields.
    **windows: of `StaticWindows`.

  Raises:
    ValueError: a field is unknown or does not cover the data set's grid.
  """
  if not names:
    return None, None
  dates = _dates(names, dataset)
  usual = _climatology(names, dataset, dates, train, normaliser)
  known, fixed = static.fit(
    names, dataset.y, dataset.x, usual and usual.whole()
  )
  if "climatology" in names:
    of_train = [dataset.times[i] for i in train]
    known = dataclasses.replace(known, months=_months(of_train))
  return known, static_windows.StaticWindows(
    fixed=known.normalised(fixed, slice(fixed.shape[-1])),
    varying=_varying(known, dataset, dates, usual),
    count=len(dataset),
    periodic=dataset.periodic,
    **windows,
  )


def _dates(names: Sequence[str], dataset: Any) -> Sequence[Any]:
  """Returns the date of every field; None for each where nothing takes it."""
  if not (wanted := static.takes_date(names)):
    return [None] * len(dataset)
  return list(calendar.dates(dataset.times, wanted))


def _climatology(
  names, dataset, dates, train, normaliser
) -> climatology.Climatology | None:
  chosen = [name for name in names if name in static.CLIMATOLOGIES]
  if len(chosen) > 1:
    raise ValueError(
      f"config.data.static: {' and '.join(chosen)} are two climatologies of "
      "the same fields: choose one"
    )
  if not chosen:
    return None
  _require_known(dataset, train)
  of_date = static.CLIMATOLOGIES[chosen[0]]
  groups = None if of_date is None else [of_date(when) for when in dates]
  kind = chosen[0].partition(":")[2]
  return climatology.Climatology(
    dataset.values, train, normaliser, groups, kind
  )


def _require_known(dataset, train: Sequence[int]) -> None:
  """Refuses fields that hold cells which none of training holds."""
  unlearnt = dataset.unlearnt(train, range(len(dataset)))
  if lost := int(unlearnt.sum()):
    raise ValueError(
      f"config.data.static: of {lost} of {unlearnt.size} cells no field of "
      "training has a value and others have: what is usual there is not known, "
      "as of places that are held out; leave the climatology out"
    )


def _months(times: Sequence[str]) -> tuple[int, ...]:
  """Returns the months of dates, none where there are no dates."""
  if not spans.is_dated(times):
    return ()
  return tuple(sorted({int(time[5:7]) for time in times}))


def _warn_of_season(known: static.Static, dates: Any) -> None:
  """Warns where a climatology is of other months than the fields."""
  ours = {calendar.month(when) for when in dates}
  if apart := calendar.apart(ours, known.months):
    theirs, others = (", ".join(map(str, m)) for m in (known.months, apart))
    logging.warning(
      "the run was told what is usual at a place in months %s of the year, and "
      "there are fields of months %s: what is usual then it does not know. "
      "Train on all seasons by 'climatology:month', or take a network that is "
      "told of no climatology",
      theirs,
      others,
    )


def _varying(
  known: static.Static, dataset: Any, dates: Sequence[Any], usual: Any
) -> static_windows.Varying | None:
  """Returns what makes the channels that differ from field to field."""
  timed = [static.TIMED[s] for s in known.sources if s in static.TIMED]
  if not timed and usual is None:
    return None
  y, x = dataset.y, dataset.x

  def at(field: int, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    rows, columns = (
      dataclasses.replace(axis, values=axis.values[index])
      for axis, index in ((y, iy), (x, ix))
    )
    parts = [function(dates[field], rows, columns) for function in timed]
    if usual is not None:
      values = usual.without(field, iy, ix)
      parts.append(known.normalised(values, slice(-values.shape[-1], None)))
    return np.concatenate(parts, axis=-1, dtype=np.float32)

  at(0, np.arange(1), np.arange(1))  # what cannot be is said now
  return at


class Wrapped:
  """A data set with more to it; its other attributes are the data set's."""

  def __init__(self, dataset: Any):
    self._dataset = dataset

  def __getattr__(self, name: str) -> Any:
    return getattr(self._dataset, name)

  def __len__(self) -> int:
    return len(self._dataset)


class WithStatic(Wrapped):
  """A data set whose fields come with what is known of the place."""

  def __init__(self, dataset: Any, known: static.Static, degradation: Any):
    super().__init__(dataset)
    self._degradation = degradation
    self._fine = known.on(dataset.y, dataset.x)
    self._dates = _dates(known.sources, dataset)

  def extras(
    self, index: int, coarse: Sequence[int], fine: Sequence[int]
  ) -> dict[str, Any]:
    """Returns what predictors take beside field `index` on these grids."""
    del fine  # the data set's own grid
    values = self._fine(self._dates[index])
    reduced = static_windows.coarsened(
      self._degradation, values, coarse, self._dataset.periodic
    )
    return {"static": {"fine": values, "coarse": reduced}}


def told(
  dataset: Any, known: static.Static | None, degradation: Any
) -> "WithStatic | Any":
  """Returns a data set with what is known of its place; itself for None."""
  if known is None:
    return dataset
  return WithStatic(dataset, known, degradation)


def save(
  known: static.Static | None, workdir: pathlib.Path | None
) -> dict[str, Any]:
  """Returns what a checkpoint keeps; writes the climatology beside it.

  Args:
    known: what a run is told of.
    workdir: of the run; None writes nothing.
  """
  if known is None:
    return {}
  meta = known.to_meta()
  if usual := known.climatology:
    first, *_ = usual.values()
    values = np.concatenate([usual[k].values for k in sorted(usual)], axis=-1)
    if workdir is not None:
      places = dict(y=first.y.values, x=first.x.values)
      with whole_files.whole(workdir / FILE, ".npz") as partial:
        np.savez_compressed(partial, values=values, **places)  # pyright: ignore[reportArgumentType]
    meta["axes"] = [
      [a.name, a.units, a.registration, a.is_periodic, a.crs]
      for a in (first.y, first.x)
    ]
    meta["climatology"] = _digest(values)
    meta["groups"] = sorted(usual)
  return {"static": meta}


def load(
  meta: Mapping[str, Any], workdir: pathlib.Path, files: Sequence[str] = ()
) -> static.Static | None:
  """Returns what a run was told of, from its checkpoint; None for nothing.

  Args:
    meta: of the checkpoint.
    workdir: of the run.
    files: of `static.load`.

  Raises:
    ValueError: a field lacks or differs, or the climatology is damaged.
  """
  if "static" not in meta:
    if files:
      raise ValueError(
        f"{workdir} was told of nothing static: leave out {', '.join(files)}"
      )
    return None
  usual, known = {}, meta["static"]
  if "climatology" in known:
    path = workdir / FILE
    try:
      with np.load(path) as file:
        values, places = file["values"], (file["y"], file["x"])
    except (OSError, ValueError, KeyError, *_ZIP_ERRORS) as error:
      raise ValueError(f"{path} cannot be read: {error}") from error
    if _digest(values) != known["climatology"]:
      raise ValueError(f"{path} is damaged: it is not that of the checkpoint")
    y, x = (
      axes.Axis(
        name, place, units, registration, bool(closes), crs="".join(crs)
      )
      for place, (name, units, registration, closes, *crs) in zip(
        places, known["axes"], strict=True
      )
    )
    groups = known.get("groups", [0])  # runs of before have one
    usual = {
      key: rasters.Raster("climatology", part, y, x)
      for key, part in zip(
        groups, np.split(values, len(groups), axis=-1), strict=True
      )
    }
  return static.load(known, usual, files)


def extras(
  known: static.Static,
  header: Any,
  goal: Any,
  degradation: Any = None,
) -> Callable[[int], dict[str, Any]]:
  """Returns what a network takes beside a field of a file, by its index.

  Args:
    known: what the run was told of.
    header: of the fields.
    goal: `upscaling.Target` of the result.
    degradation: of the run; None is "area".
  """
  # Coarse means are made of the same fine grid as in training, over all of the
  # field, which the result may be a window of.
  counts = [
    max(n, round(n / line.step))
    for n, line in zip(header.shape, goal.lines, strict=True)
  ]
  (y, _), (x, _) = (
    axis.refined(count)
    for axis, count in zip((header.y, header.x), counts, strict=True)
  )
  at_goal, at_whole = known.on(goal.y, goal.x), known.on(y, x)
  dates = None
  if known.timed or known.months:
    dates = cf_times.dates(header)
  if known.months and dates is not None:
    _warn_of_season(known, dates)
    dates = dates if known.timed else None

  @functools.lru_cache(maxsize=1)
  def at(when: Any) -> dict[str, Any]:
    fine = at_goal(when)
    for axis, is_turned in enumerate(goal.is_turned):
      fine = np.flip(fine, axis) if is_turned else fine
    coarse = static_windows.coarsened(
      degradation, at_whole(when), header.shape, header.periodic
    )
    return {"static": {"fine": fine, "coarse": coarse}}

  return lambda index: at(None if dates is None else dates[index])


def regression(
  data: Any, batches: int = 24, rows: int = 16, ridge: float = 1e-4
) -> tuple[Any, dict[str, Any]]:
  """Returns the linear model of what is static, and its fitted variables.

  Least squares over windows of the training part, all scales together, with
  a ridge in units of the mean square of a term: what everybody must beat.

  Args:
    data: `run_data.RunData` of a run that is told of static fields.
    batches: of training windows.
    rows: windows of each.
    ridge: share of the mean square that is added to every term's.
  """
  channels = data.dataset.channels
  module: Any = models.build(
    REGRESSION, static_units=data.static_units(), channels=channels
  )
  bicubic = models.build("bicubic")

  @jax.jit
  def sums(batch):
    args = batch["lowres"], batch["coords"], batch["cell"]
    terms = module.terms(*args, batch["static"])
    terms = terms.reshape(-1, terms.shape[-1])
    plain: Any = bicubic.apply({}, *args)
    plain = contract.scored(plain, batch)
    missed = batch["highres"] - plain
    missed = missed.reshape(-1, channels)
    return terms.T @ terms / len(terms), terms.T @ missed / len(terms)

  count = 4 * len(module.static_units) + 2
  squares, products = np.zeros((count, count)), np.zeros((count, channels))
  for step in range(batches):
    one, other = sums(data.train.batch(step, range(rows)))
    squares = squares + np.asarray(one, np.float64)
    products = products + np.asarray(other, np.float64)
  weight = ridge * np.trace(squares) / count
  kernel = np.linalg.solve(squares + weight * np.eye(count), products)
  return module, {"params": {"kernel": kernel.astype(np.float32)}}


def _digest(values: np.ndarray) -> str:
  return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
