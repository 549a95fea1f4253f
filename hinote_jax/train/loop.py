"""Training and evaluation of one run, from its config, in its workdir."""

import collections
from collections.abc import Sequence
import contextlib
import os
import pathlib
import time
from typing import Any

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import interop, losses, models
from hinote_jax.core import scale_laws
from hinote_jax.data import batches
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import windows
from hinote_jax.train import (
  checkpoint,
  contract,
  metric_log,
  optim,
  parallel,
  preemption,
  run_data,
  schema,
  static_run,
)
from hinote_jax.train import step as train_step
from hinote_jax.train import workdir as workdirs


class NonFiniteLoss(ArithmeticError):
  """The loss or the gradient is no longer a number."""


def model_arguments(
  config: workdirs.Config,
  data: run_data.RunData,
  units: Sequence[scale_laws.Law],
) -> dict[str, Any]:
  """Returns what `models.build` needs: one channel a variable of the data.

  `residual_scale="auto"` in the config stands for the measured one, where
  fields are paired their scale is the largest, and tables end where fields do.
  """
  arguments = {
    **workdirs.set_fields(config.model),
    "channels": len(data.dataset.variables),
  }
  if arguments.pop("consistent", False):
    arguments["consistent"] = data.consistent()
  if data.scale and "max_scale" in arguments:
    arguments["max_scale"] = data.scale
  if arguments.get("residual_scale") == "auto":
    arguments["residual_scale"] = units
  if "limits" in models.build(**arguments).__dataclass_fields__:
    arguments.setdefault("limits", data.limits())
  if data.static is not None:
    arguments["static_units"] = data.static_units()
  if "kernel" in models.spec(arguments["name"]).optional:
    arguments |= data.blur(arguments)
  return arguments


def _begun(state: train_step.TrainState, path: str) -> train_step.TrainState:
  """Returns a fresh state whose model begins as the network of a file.

  Raises:
    ValueError: it is of other parameters.
  """
  given = interop.load_checkpoint(path).variables["params"]
  shapes = [
    jax.tree.map(np.shape, params) for params in (given, state.params["model"])
  ]
  if shapes[0] != shapes[1]:
    raise ValueError(
      f"config.start: {path} has the parameters {shapes[0]} and config.model "
      f"{shapes[1]}: make the model that of the file"
    )
  given = jax.tree.map(jnp.asarray, given)
  return state.replace(
    params={**state.params, "model": given},
    average=jax.tree.map(jnp.copy, given),
  )


def _require_finite(
  step: int,
  metrics: dict[str, jax.Array],
  data: run_data.RunData,
  rows,
  saved,
) -> dict[str, float]:
  """Returns a step's metrics as numbers, or says where they went wrong."""
  values = {name: float(value) for name, value in metrics.items()}
  if not all(np.isfinite(v) for v in values.values()):
    drawn = "; ".join(
      f"field {d.field} ({d.time}) x{d.scale:.3f} at {d.start}"
      for d in data.train.describe(step - 1, rows)
    )
    last = f"step {saved[-1]}" if saved else "none"
    raise NonFiniteLoss(
      f"loss {values['loss']:g}, gradient norm {values['grad_norm']:g} at "
      f"step {step}; batch indices {list(rows)}: {drawn}; last good "
      f"checkpoint: {last}; try a lower config.optim.learning_rate"
    )
  return values


def train(
  config: workdirs.Config, workdir: str | os.PathLike
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
    preemption.Stopped: a signal asked for it; the step is saved.
  """
  schema.check(config)
  is_leader = jax.process_index() == 0
  workdir = workdirs.check(workdir, config)

  # Data.
  data = run_data.make(config, workdir)
  rows = parallel.process_rows(config.batch_size)
  logging.info("data: %s, %s", data.dataset.name, data.split)

  # Model, loss, optimiser, state.
  units = run_data.residual_scale(data.train)
  arguments = model_arguments(config, data, units)
  module, spec = models.build(**arguments), models.spec_of(arguments)
  loss = losses.build(**workdirs.set_fields(config.loss))
  transform, rate = optim.build(
    steps=config.steps, **workdirs.set_fields(config.optim)
  )
  state = train_step.init_state(
    jax.random.key(config.seed),
    module,
    loss,
    transform,
    data.train.batch(0, [0]),
    spec=spec,
  )

  with checkpoint.Checkpoints(workdir) as checkpoints:
    # Restore.
    restored, meta = checkpoints.restore(state.to_dict()), {}
    if restored is not None:
      # What was measured on the data stays as it was, to the last bit.
      values, meta = restored
      state = train_step.TrainState(**values)
      units, arguments = meta["units"], meta["model"]
      module = models.build(**arguments)
    elif config.get("start"):
      state = _begun(state, config.start)
    first = int(state.step)

    # Step.
    step_fn = parallel.parallelize(
      train_step.make_train_step(
        module,
        loss,
        transform,
        ema_decay=config.ema_decay,
        accumulate=config.accumulate,
        units=units,
        spec=spec,
        seed=config.seed,
      ),
      config.parallel,
    )
    validate = windows.Validator(
      module, data.validation, config.validation_examples, spec=spec
    )
    state = parallel.put_state(state, config.parallel)

    def make_batch(step):
      batch = data.train.batch(step, rows)
      batch[contract.ROW] = np.asarray(rows, np.uint32)
      return parallel.put_batch(batch, config.parallel)

    make_batch(first)  # a batch that does not divide is refused here
    if is_leader:
      workdirs.claim(workdir, config)
      data.split.save(workdir / run_data.SPLIT, data.dataset)
    told = static_run.save(data.static, workdir if is_leader else None)

    # Loop.
    written = meta.get("log")
    meta = {
      "model": arguments,
      "units": units,
      "config": workdirs.plain(config),
      **data.meta(),
      **told,
    }
    log = metric_log.MetricLog(
      workdir,
      first_step=first,
      steps=config.steps,
      digest=written,
      is_leader=is_leader,
    )
    stream = batches.prefetch(make_batch, range(first, config.steps))
    started, waited = time.monotonic(), 0.0
    pending = collections.deque()  # steps under way, checked when they are old
    shown, values = {}, {}
    asking = preemption.requested(is_shared=jax.process_count() > 1)
    with log, contextlib.closing(stream), asking as request:
      while True:
        asked = time.monotonic()
        step, batch = next(stream, (None, None))
        waited += time.monotonic() - asked
        if step is None:
          break
        done = step + 1
        state, metrics = step_fn(state, batch)
        pending.append((done, metrics))
        is_last = done == config.steps
        is_logged = is_last or done % config.log_every == 0
        is_validated = is_last or done % config.validate_every == 0
        is_stopped = request.is_due(done)
        is_due = is_logged or is_validated or is_stopped
        while len(pending) > (0 if is_due else 2):
          late, metrics = pending.popleft()
          values = _require_finite(late, metrics, data, rows, checkpoints.steps)
        if is_logged:
          shown["loss"] = f"{values['loss']:.3g}"
          log.write(
            done, values | {"learning_rate": float(np.asarray(rate(step)))}
          )
          elapsed = time.monotonic() - started
          log.write_timing(
            done,
            {
              "steps_per_second": (done - first) / elapsed,
              "fraction_waiting_for_data": waited / elapsed,
            },
          )
        if is_validated or is_stopped:
          snapshot, scores = parallel.get_state(state).to_dict(), {}
          if is_validated:
            scores = validate(checkpoint.averaged(snapshot))
            shown["error/bicubic"] = f"{scores[checkpoint.BEST_KEY]:.3f}"
            log.write(done, scores)
          meta |= {"log": log.digest()}
          checkpoints.save(done, snapshot, meta, scores)
        if is_stopped:
          raise preemption.Stopped(
            request.number, f"at step {done} of {config.steps}, which is saved"
          )
        log.advance(**shown)
    _, meta = checkpoints.load("best", falls_back=True)
  return {
    "steps": config.steps,
    "steps_now": config.steps - first,
    "seconds": time.monotonic() - started,
    "best_step": meta["step"],
    "best_error": meta["metrics"][checkpoint.BEST_KEY],
  }


def train_and_evaluate(
  config: workdirs.Config, workdir: str | os.PathLike
) -> None:
  """Trains a run, evaluates its best checkpoint and says how it went."""
  summary = train(config, workdir)
  path = evaluate(config, workdir)  # every process: reading is collective
  if jax.process_index() == 0:
    scoring.print_summary(summary, path)


def evaluate(
  config: workdirs.Config, workdir: str | os.PathLike
) -> pathlib.Path:
  """Evaluates a run's best checkpoint on the held-out fields.

  Returns:
    The path of report.md.

  Raises:
    FileNotFoundError: nothing was trained in the workdir.
    ValueError: the workdir is of another config, `evaluate` apart.
  """
  schema.check(config)
  workdirs.read_config(workdir)
  workdir = workdirs.check(workdir, config, apart_from="evaluate")
  return scoring.score(config, workdir, run_data.make(config, workdir))
