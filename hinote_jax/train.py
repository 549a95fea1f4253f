"""Training and evaluation of one run, from its config, in its workdir."""

import collections
import os
import pathlib
import time
from typing import Any, NamedTuple

from absl import logging
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from hinote_jax import (
  checkpoint,
  degradations,
  losses,
  metric_log,
  models,
  naming,
  optim,
  parallel,
  scoring,
  train_step,
)
from hinote_jax import data as datasets
from hinote_jax import (
  workdir as workdirs,
)
from hinote_jax.data import batches, normalise, splits


class NonFiniteLoss(ArithmeticError):
  """The loss or the gradient is no longer a number."""


class Pipeline(NamedTuple):
  """What training reads: the fields, their parts, and the windows of them."""

  dataset: Any
  split: splits.Split
  normaliser: normalise.Normaliser
  degradation: Any
  train: batches.Windows
  validation: batches.Windows

  def meta(self) -> dict[str, Any]:
    """Returns what belongs with the weights in a checkpoint."""
    return {
      "normaliser": self.normaliser.to_dict(),
      "variables": [v.name for v in self.dataset.variables],
      "periodic": list(self.dataset.periodic),
      "fingerprint": self.dataset.fingerprint,
    }


def make_pipeline(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> Pipeline:
  """Returns the data of a run; the split is stored in its workdir."""
  dataset = datasets.load(**config.data)
  split = splits.load_or_make(workdir / "split.json", dataset, **config.split)
  normaliser = normalise.Normaliser.fit(
    dataset.values,
    split.train,
    names=[v.name for v in dataset.variables],
  )
  degradation = degradations.parse(config.degradation)
  train, validation = (
    batches.Windows(
      dataset,
      indices,
      normaliser,
      degradation,
      seed=config.seed,
      window=config.windows.window,
      queries=config.windows.queries,
      scale_range=(config.windows.min_scale, config.windows.max_scale),
    )
    for indices in (split.train, split.validation)
  )
  return Pipeline(dataset, split, normaliser, degradation, train, validation)


def _check(config: ml_collections.ConfigDict) -> None:
  for name in ("steps", "batch_size", "log_every", "validate_every"):
    if config[name] < 1:
      raise ValueError(f"config.{name} must be at least 1, got {config[name]}")
  for scale in config.evaluate.scales:
    if not 1.0 <= scale < np.inf:
      raise ValueError(f"config.evaluate.scales: a scale below 1, {scale}")
  for name in config.evaluate.against:
    naming.look_up("interpolation", name, dict.fromkeys(models.INTERPOLATIONS))


def residual_scale(windows: batches.Windows, examples: int = 64) -> list[float]:
  """Returns the RMS of what bicubic interpolation misses, one a variable.

  Over fixed training windows, in normalised units. It is the unit of the loss,
  so that variables weigh alike, and of the decoder where a model wants it.
  """
  (batch,) = windows.fixed(examples)
  bicubic = models.build("bicubic").apply(
    {}, batch["lowres"], batch["coords"], batch["cell"]
  )
  missed = jnp.square(batch["highres"] - bicubic)
  return np.sqrt(np.mean(missed, axis=(0, 1, 2))).tolist()


def model_arguments(
  config: ml_collections.ConfigDict, dataset: Any, units: list[float]
) -> dict[str, Any]:
  """Returns what `models.build` needs: one channel a variable of the data.

  `residual_scale="auto"` in the config stands for the measured one.
  """
  arguments = {**config.model.to_dict(), "channels": len(dataset.variables)}
  if arguments.get("residual_scale") == "auto":
    arguments["residual_scale"] = units
  return arguments


class Validator:
  """Scores the averaged weights on the same held-out windows every time."""

  def __init__(self, module, windows: batches.Windows, examples: int):
    size = min(examples, 8)
    self._batches = windows.fixed(examples, batch_size=size)
    self._error = jax.jit(_window_error, static_argnums=0)
    self._module = module
    self._bicubic = self._mean(models.build("bicubic"), {})

  def _mean(self, module, params) -> np.ndarray:
    errors = [self._error(module, params, batch) for batch in self._batches]
    return np.mean(np.asarray(errors, np.float64), axis=0)

  def __call__(self, params) -> dict[str, float]:
    """Returns the error as a fraction of bicubic's, and both errors.

    The fraction is taken per variable and then averaged, so that no variable
    outweighs the others.
    """
    mse = self._mean(self._module, params)
    return {
      checkpoint.BEST_KEY: float(np.mean(mse / self._bicubic)),
      "validation/mse": float(mse.mean()),
      "validation/bicubic_mse": float(self._bicubic.mean()),
    }


def _window_error(module, params, batch) -> jax.Array:
  """Returns the mean squared error of each channel over a batch, [c]."""
  pred = module.apply(
    {"params": params}, batch["lowres"], batch["coords"], batch["cell"]
  )
  return jnp.mean(jnp.square(pred - batch["highres"]), axis=(0, 1, 2))


def _require_finite(
  step: int, metrics: dict[str, jax.Array], pipeline: Pipeline, rows, saved
) -> dict[str, float]:
  """Returns a step's metrics as numbers, or says where they went wrong."""
  values = {name: float(value) for name, value in metrics.items()}
  if not all(np.isfinite(v) for v in values.values()):
    drawn = "; ".join(
      f"field {d.field} ({d.time}) x{d.scale:.3f} at {d.start}"
      for d in pipeline.train.describe(step - 1, rows)
    )
    last = f"step {saved[-1]}" if saved else "none"
    raise NonFiniteLoss(
      f"loss {values['loss']:g}, gradient norm {values['grad_norm']:g} at "
      f"step {step}; batch indices {list(rows)}: {drawn}; last good "
      f"checkpoint: {last}; try a lower config.optim.learning_rate"
    )
  return values


def train(
  config: ml_collections.ConfigDict, workdir: str | os.PathLike
) -> dict[str, Any]:
  """Trains the run of a config in its workdir, or goes on with it.

  Args:
    config: of `configs/`; see configs/common.py for its fields.
    workdir: folder of the run, made where it is missing.

  Returns:
    A summary: steps, seconds, best validation error.

  Raises:
    ValueError: the config does not fit the data or the workdir.
    NonFiniteLoss: training diverged; earlier checkpoints stand.
  """
  _check(config)
  is_leader = jax.process_index() == 0
  workdir = workdirs.prepare(workdir, config, is_leader=is_leader)

  # Data.
  pipeline = make_pipeline(config, workdir)
  rows = parallel.process_rows(config.batch_size)
  logging.info("data: %s, %s", pipeline.dataset.name, pipeline.split)

  # Model, loss, optimiser, state.
  units = residual_scale(pipeline.train)
  arguments = model_arguments(config, pipeline.dataset, units)
  module = models.build(**arguments)
  loss = losses.build(**config.loss)
  transform, rate = optim.build(steps=config.steps, **config.optim)
  state = train_step.init_state(
    jax.random.key(config.seed),
    module,
    loss,
    transform,
    pipeline.train.batch(0, [0]),
  )
  step_fn = parallel.parallelize(
    train_step.make_train_step(
      module,
      loss,
      transform,
      ema_decay=config.ema_decay,
      accumulate=config.accumulate,
      units=units,
    ),
    config.parallel,
  )
  validate = Validator(module, pipeline.validation, config.validation_examples)

  with checkpoint.Checkpoints(workdir) as checkpoints:
    # Restore.
    restored = checkpoints.restore(state)
    if restored is not None:
      state = restored[0]
      logging.info("going on from step %d", int(state.step))
    first = int(state.step)
    state = parallel.put_state(state, config.parallel)

    # Loop.
    def make_batch(step):
      return parallel.put_batch(
        pipeline.train.batch(step, rows), config.parallel
      )

    log = metric_log.MetricLog(
      workdir, first_step=first, steps=config.steps, is_leader=is_leader
    )
    started, waited = time.monotonic(), 0.0
    pending = collections.deque()  # steps under way, checked when they are old
    shown = {}
    with log:
      stream = batches.prefetch(make_batch, range(first, config.steps))
      while True:
        asked = time.monotonic()
        step, batch = next(stream, (None, None))
        waited += time.monotonic() - asked
        if step is None:
          break
        done = step + 1
        state, metrics = step_fn(state, batch)
        pending.append((done, metrics))
        is_due = (
          done % config.log_every == 0
          or done % config.validate_every == 0
          or done == config.steps
        )
        while len(pending) > (0 if is_due else 2):
          values = _require_finite(
            *pending.popleft(), pipeline, rows, checkpoints.steps
          )
        if done % config.log_every == 0 or done == config.steps:
          shown["loss"] = f"{values['loss']:.3g}"
          log.write(done, values | {"learning_rate": float(rate(step))})
          elapsed = time.monotonic() - started
          log.write_timing(
            done,
            {
              "steps_per_second": (done - first) / elapsed,
              "fraction_waiting_for_data": waited / elapsed,
            },
          )
        if done % config.validate_every == 0 or done == config.steps:
          scores = validate(parallel.get_state(state.average))
          shown["error/bicubic"] = f"{scores[checkpoint.BEST_KEY]:.3f}"
          log.write(done, scores)
          meta = {"model": arguments, **pipeline.meta()}
          checkpoints.save(done, state, meta, scores)
        log.advance(**shown)
    _, meta = checkpoints.load("best")
  return {
    "steps": config.steps,
    "seconds": time.monotonic() - started,
    "best_step": meta["step"],
    "best_error": meta["metrics"][checkpoint.BEST_KEY],
  }


def train_and_evaluate(
  config: ml_collections.ConfigDict, workdir: str | os.PathLike
) -> None:
  """Trains a run, evaluates its best checkpoint and says how it went."""
  summary = train(config, workdir)
  path = evaluate(config, workdir)  # every process: reading is collective
  if jax.process_index() == 0:
    scoring.print_summary(summary, path)


def evaluate(
  config: ml_collections.ConfigDict, workdir: str | os.PathLike
) -> pathlib.Path:
  """Evaluates a run's best checkpoint on the held-out fields.

  Returns:
    The path of report.md.

  Raises:
    FileNotFoundError: nothing was trained in the workdir.
    ValueError: the workdir is of another config.
  """
  workdirs.read_config(workdir)
  is_leader = jax.process_index() == 0
  workdir = workdirs.prepare(workdir, config, is_leader=is_leader)
  return scoring.score(config, workdir, make_pipeline(config, workdir))
