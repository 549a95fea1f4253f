"""Predictors of runs, of published files, and of interpolations by name."""

from collections.abc import Mapping, Sequence
import functools
import pathlib
from typing import Any

import jax
import numpy as np

from hinote_jax import models, shipped
from hinote_jax.infer import predict, units


def load(
  workdir: str | pathlib.Path,
  which: str = "best",
  *,
  normalisation: str | None = None,
  static: Sequence[str] = (),
  **options: Any,
) -> predict.Predictor:
  """Returns the predictor of a training run, a published file or a name.

  Args:
    workdir: folder of a run, file of a published network, one of
      `models.INTERPOLATIONS`, or of `shipped.names()`, what comes with the
      package: "hinote-s-weather", "sr-lut-photo-x4".
    which: the checkpoint of a run, "best" on validation or "latest".
    normalisation: what goes around a published network, one of
      `units.NORMALISERS`; None for its own convention.
    static: FILE:VARIABLE of static fields that take the places of those that a
      run was told of, by variable.
    **options: of `interop.load_checkpoint`, for a published network.

  Raises:
    FileNotFoundError: `workdir` is none of these, or has no checkpoint yet.
    ValueError: its checkpoint is damaged, the file is of no known network,
      weights are not finite, or something is given that it has no use for.

  Examples:
    >>> import numpy as np
    >>> predictor = load("bicubic")
    >>> predictor(np.ones((4, 6), np.float32), scale=2.5).shape
    (10, 15)
  """
  around = {} if normalisation is None else {"normalisation": normalisation}
  if str(workdir) in models.INTERPOLATIONS:
    _refuse(f"{workdir} interpolation", static, around | options)
    return predict.Predictor(models.build(str(workdir)), {})
  name, workdir = workdir, shipped.resolved(workdir)
  if pathlib.Path(workdir).is_file():
    _refuse(f"{name}, a published network,", static, {})
    return _whole(_published(workdir, normalisation, options), workdir)
  inside = ("config.json", "checkpoints")
  if not any((pathlib.Path(workdir) / name).exists() for name in inside):
    raise FileNotFoundError(
      f"{str(workdir)!r} is not a workdir (it holds no config.json), nor a "
      "file of a network, nor an interpolation, nor of the package "
      f"({', '.join((*models.INTERPOLATIONS, *shipped.names()))})"
    )
  _refuse(f"{name}, a run,", (), around | options)
  from hinote_jax import degradations
  from hinote_jax.data import normalise
  from hinote_jax.evaluate import far
  from hinote_jax.train import checkpoint, static_run
  from hinote_jax.train import workdir as workdirs

  variables, meta = checkpoint.load_variables(workdir, which)
  _require_field(meta["model"]["name"], workdir)
  normaliser = meta.get("normaliser")
  if normaliser is not None:
    normaliser = normalise.Normaliser.from_dict(normaliser)
  extras_of, known = None, static_run.load(meta, pathlib.Path(workdir), static)
  if known is not None:
    named = workdirs.read_config(workdir).get("degradation", "area")
    extras_of = functools.partial(
      static_run.extras, known, degradation=degradations.parse(named)
    )
  blend = far.load(pathlib.Path(workdir), meta["step"])
  mixed: Any = {"blend": blend} if blend and blend["methods"] else {}
  predictor = predict.Predictor(
    models.build(**meta["model"], **mixed),
    variables,
    normaliser=normaliser,
    periodic=tuple(meta["periodic"]),
    names=tuple(meta["variables"]),
    spec=models.spec_of(meta["model"]),
    extras_of=extras_of,
    learnt=units.learnt(meta.get("quantities"), normaliser),
    roughness=meta.get("roughness", ()),
  )
  return _whole(predictor, workdir)


def _refuse(
  what: str, static: Sequence[str], options: Mapping[str, Any]
) -> None:
  """Refuses static fields and options that would not be looked at."""
  unused = [f"the static field {name}" for name in static]
  unused += [f"{name}={value}" for name, value in options.items()]
  if unused:
    raise ValueError(f"{what} has no use for {', '.join(unused)}: leave it out")


def _whole(
  predictor: predict.Predictor, where: str | pathlib.Path
) -> predict.Predictor:
  """Returns a predictor whose weights are all finite, or refuses it."""
  leaves = jax.tree_util.tree_leaves_with_path(predictor.variables)
  for path, leaf in leaves:
    bad = np.count_nonzero(~np.isfinite(np.asarray(leaf, np.float32)))
    if bad:
      name = jax.tree_util.keystr(path, simple=True, separator="/")
      raise ValueError(
        f"{where}: {bad} of {np.size(leaf)} weights in {name} are not finite: "
        "take another checkpoint"
      )
  return predictor


def _require_field(name: str, where: Any) -> None:
  if models.spec(name).is_features:
    raise ValueError(
      f"{where}: {name} gives features and no finer field; a loss compares by "
      "it, see config.loss.terms"
    )


def _published(path, normalisation, options) -> predict.Predictor:
  """Returns the predictor of a published network, in units of [0, 1]."""
  from hinote_jax import interop

  imported = interop.load_checkpoint(path, **options)
  _require_field(imported.name, path)
  module = models.build(imported.name, **imported.kwargs)
  channels = getattr(module, "channels", None)
  around = units.normaliser(imported.name, channels, normalisation)
  is_tabulated = models.spec(imported.name).is_tabulated
  # Of one channel it may be of any field; its samples are colours at least.
  one = units.COLOUR if channels == 3 else units.SAMPLES
  learnt = [] if is_tabulated else [one] * (channels or 0)
  return predict.Predictor(
    module,
    imported.variables,
    normaliser=around,
    periodic=module.periodic,
    learnt=learnt,
    spec=models.spec(imported.name),
    scales=models.spec(imported.name).scales,
    is_of_any_range=is_tabulated and not module.limits,
  )
