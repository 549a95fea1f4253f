"""Training and evaluation of one run, from its config, in its workdir."""

import collections
import contextlib
import os
import pathlib
import time
from typing import Any

import jax

from hinote_jax import models
from hinote_jax.data import batches
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import windows
from hinote_jax.train import (
  checkpoint,
  guards,
  metric_log,
  parallel,
  parts,
  peers,
  preemption,
  run_data,
  schema,
  static_run,
)
from hinote_jax.train import workdir as workdirs

NonFiniteLoss = guards.NonFiniteLoss


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
    FileExistsError: another process trains there.
  """
  schema.check(config)
  is_leader = jax.process_index() == 0
  workdir = workdirs.check(workdir, config)

  with contextlib.ExitStack() as stack:
    # Nothing there is read to go on with, or changed, beside another process.
    if is_leader:
      stack.enter_context(workdirs.held(workdir))
    run = parts.make(
      config,
      workdir,
      lambda like: checkpoint.Checkpoints(workdir).restore(like),
    )
    data, first, meta = run.data, run.first, run.meta
    is_behind = bool(config.get("saves_behind"))
    checkpoints = stack.enter_context(
      checkpoint.Checkpoints(workdir, is_behind=is_behind)
    )

    # Step.
    validate = windows.Validator(
      run.module,
      data.validation,
      config.validation_examples,
      spec=run.spec,
    )

    # All wait for the slowest compiler here, before they wait for each other
    # within a step.
    state = parallel.put_state(run.state, config.parallel)
    step_fn = run.step()
    step_fn.compile(state, run.batch(first))
    rate = jax.jit(run.rate).lower(first).compile()
    peers.barrier("compiled")
    if is_leader:
      workdirs.claim(workdir, config)
      data.split.save(workdir / run_data.SPLIT, data.dataset)
    static_meta = static_run.save(data.static, workdir if is_leader else None)

    # Loop.
    written = meta.get("log")
    guard = guards.Guard(
      data,
      config.batch_size,
      limit=config.get("skip_limit"),
      known=meta.get("guard"),
    )
    meta = {
      "model": run.arguments,
      "units": run.units,
      "config": workdirs.plain(config),
      **data.meta(),
      **static_meta,
    }
    log = metric_log.MetricLog(
      workdir,
      first_step=first,
      steps=config.steps,
      digest=written,
      is_leader=is_leader,
    )
    stream = batches.prefetch(run.batch, range(first, config.steps))
    started, waited = time.monotonic(), 0.0
    pending = collections.deque()  # steps under way, checked when they are old
    shown, values = {}, {}
    asking = preemption.requested(peers.agreed)
    with log, contextlib.closing(stream), asking as request:
      while True:
        waiting_since = time.monotonic()
        step, batch = next(stream, (None, None))
        waited += time.monotonic() - waiting_since
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
          values = {name: float(value) for name, value in metrics.items()}
          if event := guard.take(late, values, lambda: checkpoints.steps):
            log.write_event(late, event)
        if is_logged:
          shown["loss"] = f"{values['loss']:.3g}"
          values["learning_rate"] = float(rate(step))
          skipped = {"skipped": guard.skipped} if guard.skipped else {}
          log.write(done, values | skipped)
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
          meta |= {"log": log.digest(), "guard": guard.meta()}
          checkpoints.save(done, snapshot, meta, scores)
        if is_stopped:
          checkpoints.finish()
          raise preemption.Stopped(
            request.number, f"at step {done} of {config.steps}, which is saved"
          )
        log.advance(**shown)
    checkpoints.finish()
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
  """Trains a run, evaluates its best checkpoint and says how it went.

  A network of features is trained alone.
  """
  summary = train(config, workdir)
  if models.spec(config.model.name).is_features:
    return  # it makes no field finer: the validation says what it is worth
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
