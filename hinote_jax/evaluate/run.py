"""Scores a run: its best weights beside the interpolations, and the report."""

from collections.abc import Callable, Iterable
import functools
import hashlib
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np

from hinote_jax import infer, losses, models, plots, shipped
from hinote_jax.core import compiling, grids, naming
from hinote_jax.evaluate import consistent, far, fields, report, scores
from hinote_jax.train import (
  checkpoint,
  contract,
  metric_log,
  peers,
  run_data,
  static_run,
)
from hinote_jax.train import workdir as workdirs


class InNormalised:
  """A degradation of physical fields; its noise is of normalised ones."""

  def __init__(self, degradation, normaliser):
    self._degradation, self._normaliser = degradation, normaliser

  def __str__(self):
    return str(self._degradation)

  def field(self, values, shape, *, periodic, rng=None):
    lowres = self._degradation.field(
      self._normaliser.normalise(values), shape, periodic=periodic, rng=rng
    )
    return self._normaliser.denormalise(lowres)


def predictors(
  config: workdirs.Config, workdir: pathlib.Path, data: Any
) -> dict[str, Callable[..., Any]]:
  """Returns the run's model first, then what it stands beside.

  `config.evaluate.against` names interpolations and workdirs of other runs on
  the same variables, in units of their own; each is told what it learnt with.

  Raises:
    ValueError: another run has other variables, or learnt from what is scored.
  """
  shared = dict(normaliser=data.normaliser, periodic=data.dataset.periodic)
  names = tuple(v.name for v in data.dataset.variables)
  loaded: dict[str, Callable[..., Any]]
  loaded = {config.model.name: infer.load(workdir)}
  if data.static is not None:
    module, variables = static_run.regression(data)
    loaded["static_regression"] = infer.Predictor(
      module,
      variables,
      spec=models.spec(static_run.REGRESSION),
      **shared,
    )
  for name in config.evaluate.against:
    if name in models.INTERPOLATIONS:
      loaded[name] = infer.Predictor(models.build(name), {}, **shared)
      continue
    other = infer.load(name)
    _require_untaught(name, data)
    if other.names and other.names != names:
      raise ValueError(
        f"config.evaluate.against: {name} is of {', '.join(other.names)}, "
        f"this run of {', '.join(names)}"
      )
    pairs = zip(other.learnt, data.dataset.variables, strict=False)
    if any(a.units and b.units and a.units != b.units for a, b in pairs):
      other = other.of(data.dataset.variables)
    loaded[_label(name, loaded)] = _with_its_extras(other, name, data)
  return loaded


def _require_untaught(workdir: str, data: run_data.RunData) -> None:
  """Refuses a run of the same fields that was trained on those scored here."""
  path = pathlib.Path(workdir) / run_data.SPLIT
  if not path.is_file():
    return
  other = json.loads(path.read_text())
  if other.get("fingerprint") != data.dataset.fingerprint:
    return
  learnt = {*other["train"], *other["validation"]} & {*data.split.test}
  if learnt:
    raise ValueError(
      f"config.evaluate.against: {workdir} was trained on, or chosen by, "
      f"{len(learnt)} of the {len(data.split.test)} fields that are scored "
      "here: train it with the same config.split"
    )


def _with_its_extras(
  predictor: infer.Predictor, workdir: str, data: Any
) -> Callable[..., Any]:
  """Returns another run's predictor, told what that run was told of."""
  where = pathlib.Path(shipped.resolved(workdir))
  known = static_run.load(checkpoint.load_variables(where)[1], where)
  if known is None:
    return predictor
  dataset = static_run.told(data.dataset, known, data.train.degradation)

  def answer(lowres, *, shape, extras):
    # Not the extras of the run that it stands beside.
    extras = dataset.extras(extras["index"], lowres.shape[:2], shape)
    return predictor(lowres, shape=shape, extras=extras)

  return answer


class _Numbered(static_run.Wrapped):
  """A data set whose extras say which field they are of."""

  def extras(self, index: int, *shapes: Any) -> dict[str, Any]:
    """Returns the data set's own extras and the index."""
    has_own = hasattr(self._dataset, "extras")
    own = self._dataset.extras(index, *shapes) if has_own else {}
    return own | {"index": index}


def _label(workdir: str, taken: Iterable[str]) -> str:
  """Returns what the table calls another run: its model, or its folder."""
  label = workdirs.read_config(shipped.resolved(workdir))["model"]["name"]
  return label if label not in taken else str(workdir)


def evaluate_run(
  config: workdirs.Config, workdir: pathlib.Path, data: Any
) -> scores.Evaluation:
  """Evaluates a run's best weights on held-out fields.

  They are those of its split or, with `config.evaluate.path`, all of the files
  that it names.
  """
  _, meta = checkpoint.load_variables(workdir)
  _blend(workdir, meta["step"], data)
  held_out = _test_fields(config, data)
  header = {
    "command": workdirs.command(),
    "checkpoint": f"step {meta['step']}, best on validation",
    "versions": workdirs.versions(),
  }
  scored = data._replace(dataset=held_out["dataset"])
  known = predictors(config, workdir, scored)
  held_out["dataset"] = _Numbered(
    static_run.told(held_out["dataset"], data.static, data.train.degradation)
  )
  if data.static is not None:
    held_out["header"]["static"] = list(data.static.sources)
  if config.evaluate.get("consistent"):
    known = consistent.with_consistent(
      known, data.degradation, data.dataset.periodic
    )
  own = config.evaluate.get("metrics")
  return fields.evaluate(
    known,
    degradation=InNormalised(data.degradation, data.normaliser),
    scales=(data.scale,) if data.scale else config.evaluate.scales,
    **(held_out | {"header": header | held_out["header"]}),
    progress=jax.process_index() == 0,
    metrics=own and naming.entry(own),
  )


def _blend(workdir: pathlib.Path, step: int, data: run_data.RunData) -> None:
  """Measures how far a run is to be trusted at far scales, once; see `far`."""
  largest = float(data.train.scale_range[1])
  if (
    data.scale
    or not far.scales(largest, data.dataset.shape)
    or far.load(workdir, step) is not None
  ):
    return
  others = {name: models.build(name) for name in far.METHODS}
  shared: Any = dict(periodic=data.dataset.periodic)
  blend = far.fit(
    {"model": infer.load(workdir)}
    | {n: infer.Predictor(m, {}, **shared) for n, m in others.items()},
    static_run.told(data.dataset, data.static, data.train.degradation),
    data.dataset.present(data.split.validation),
    degradation=InNormalised(data.degradation, data.normaliser),
    largest=largest,
  )
  if jax.process_index() == 0:
    far.save(workdir, step, blend)
  peers.barrier("blend")


def _test_fields(config, data: run_data.RunData) -> dict[str, Any]:
  """Returns what a run is scored on, arguments of `fields.evaluate`."""
  if path := config.evaluate.get("path"):
    unseen = run_data.unseen(data, path, config.data.get("cache_dir"))
    return dict(
      dataset=unseen,
      indices=range(len(unseen)),
      data_range=_range(unseen),
      header={
        "split": f"{len(unseen)} fields of files that nothing was trained on",
        "files": str(path),
        "data_range_source": "maximum - minimum of these fields",
      },
    )
  dataset, split = data.dataset, data.split
  is_weather = dataset.domain == "weather"
  train, test = map(dataset.present, (split.train, split.test))
  return dict(
    dataset=dataset,
    indices=split.test,
    data_range=data.normaliser.data_range,
    climatology=fields.usual(dataset, train, test) if is_weather else None,
    header={
      "split": split.describe(dataset.groups),
      "data_range_source": "maximum - minimum of the training part",
    },
  )


def _range(dataset) -> np.ndarray:
  """Returns maximum less minimum of what is known of a data set, [c]."""
  ends = (f(dataset.as_read, axis=(0, 1, 2)) for f in (np.nanmax, np.nanmin))
  return np.subtract(*ends)


def score(
  config: workdirs.Config, workdir: pathlib.Path, data: Any
) -> pathlib.Path:
  """Evaluates a run and writes its report; returns the path of report.md.

  That of other files stands in a folder of the workdir, called after them.
  """
  evaluation = evaluate_run(config, workdir, data)
  folder, figures = workdir, {}
  draws = config.evaluate.get("figures", True)
  if config.evaluate.get("path"):
    folder = _beside(workdir, evaluation.header)
  elif draws:
    figures = _prior_figure(config, workdir, data)
  if jax.process_index() != 0:
    return folder / "report.md"
  return report.write(
    folder,
    evaluation,
    curves=metric_log.read(workdir),
    figures=figures,
    draws=draws,
  )


def _beside(workdir: pathlib.Path, header: dict[str, Any]) -> pathlib.Path:
  """Returns the folder of a report on other files, a folder for each."""
  folder = workdir / f"on_{header['dataset']}"
  if (folder / "report.json").is_file():
    before = report.read(folder).header.get("files", header["files"])
    if before != header["files"]:
      digest = hashlib.sha256(header["files"].encode()).hexdigest()
      return folder.with_name(f"{folder.name}_{digest[:8]}")
  return folder


def _under_queries(batch: dict[str, Any]) -> np.ndarray:
  """Returns the input cells of the first example that its queries lie in."""
  lowres = batch["lowres"][0]
  sides = []
  for points, n in zip(batch["coords"], lowres.shape[:2], strict=True):
    index = np.floor(grids.to_index(points[0], n) + 0.5).astype(int)
    sides.append(slice(index.min(), index.max() + 1))
  return lowres[tuple(sides)]


def _prior_figure(config, workdir: str | os.PathLike, data: Any):
  """Draws the loss prior's weights on a validation window, if there is one."""
  if config.loss.name != "frequency_prior" or not plots.is_available():
    return {}
  from hinote_jax.plots import prior

  fields = workdirs.set_fields(config.loss)
  has_terms = fields.pop("terms", None)
  loss = losses.build(**fields)
  largest = data.validation.scale_range[1]
  batch = data.validation.fixed(1, scale=largest)[0]
  stored = checkpoint.load(workdir, falls_back=True)
  assert stored is not None  # it was scored before
  state, meta = stored
  module = models.build(**meta["model"])  # a window closes on no axis
  spec = models.spec_of(meta["model"])
  predict = compiling.jit(functools.partial(contract.apply, module, spec=spec))
  pred = contract.scored(predict(checkpoint.averaged(state), batch), batch)
  params = state["params"].get("loss") or {}
  if has_terms:
    variables = {"params": params.get("loss", {})}
  else:
    rest = state.get("untrained", {}).get("loss", {})
    variables = {"params": params, **rest}
  arguments = batch["lowres"], batch["coords"]
  weight = loss.apply(
    variables, pred, batch["highres"], *arguments, method="weights"
  )
  resized = loss.apply(variables, *arguments, method="resized")
  is_missing = batch["known"] == 0 if "known" in batch else False
  highres = np.where(is_missing, np.nan, batch["highres"])
  variable = data.dataset.variables[0]
  return {
    "prior": prior.prior(
      lowres=_under_queries(batch)[..., 0],
      highres=highres[0, ..., 0],
      resized=np.asarray(resized)[0, ..., 0],
      weight=np.asarray(weight)[0, ..., 0],
      name=variable.long_name or variable.name,
      units="standard deviations",
    )
  }


def print_summary(summary: dict[str, Any], path: pathlib.Path) -> None:
  """Says in a few lines how a run ended and where to look."""
  evaluation = report.read(path.parent)
  model = evaluation.header["models"][0]
  minutes, seconds = divmod(int(summary["seconds"]), 60)
  print(
    f"\ntrained {summary['steps_now']} of {summary['steps']} steps in "
    f"{minutes} min {seconds} s; best validation error "
    f"{summary['best_error']:.3f} of bicubic's, at step {summary['best_step']}"
  )
  print(f"held-out mean squared error of {model} over bicubic's:")
  for scale in evaluation.header["scales"]:
    parts = []
    for row in evaluation.select(scale=scale, model=model):
      where = dict(scale=scale, variable=row["variable"])
      for other in evaluation.select(model=scores.BASELINE, **where):
        ratio = scores.ratio(row["mse"], other["mse"])
        parts.append(f"{row['variable']} {ratio:.3f}")
    print(f"  x{scale:<4g} {'   '.join(parts)}")
  print(f"report:  {path}")
  for what, name in (("page", "report.html"), ("figures", "figures")):
    if (path.parent / name).exists():
      print(f"{what + ':':<8} {path.parent / name}")
