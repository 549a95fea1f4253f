"""A step of a run taken once more: what was drawn, and what it did."""

import os
from typing import Any

import jax
import numpy as np
import optax

from hinote_jax.train import checkpoint, guards, parallel, parts, schema
from hinote_jax.train import step as train_step
from hinote_jax.train import workdir as workdirs


def replay(
  config: workdirs.Config, workdir: str | os.PathLike, step: int
) -> dict[str, Any]:
  """Takes a step again as it was, from the last checkpoint before it.

  Nothing is written. Where no checkpoint stands before it, it is taken from the
  beginning of the run.

  Args:
    config: of the run.
    workdir: of the run.
    step: as the logs count it, from 1.

  Returns:
    The metrics of the step, "from": the step it was taken from, and "examples":
    of each what was drawn, its loss and the norm of its gradient.

  Raises:
    FileNotFoundError: nothing was trained in the workdir.
    ValueError: the run has no such step, or is of another config.
  """
  schema.check(config)
  if not 1 <= step <= config.steps:
    raise ValueError(
      f"--step is one of the {config.steps} steps of the run, got {step}"
    )
  workdirs.read_config(workdir)
  workdir = workdirs.check(workdir, config)
  stored = checkpoint.Checkpoints(workdir, is_reader=True)
  run = parts.make(config, workdir, lambda like: stored.before(step, like))
  take, state = run.step(), parallel.put_state(run.state, config.parallel)
  for done in range(run.first, step - 1):
    batch = run.batch(done)
    state, _ = take(state, batch)
  before = jax.tree.map(np.array, parallel.get_state(state))
  batch = run.batch(step - 1)
  _, metrics = take(state, batch)
  metrics = {name: float(value) for name, value in metrics.items()}
  examples = _examples(run, before, step)
  return {"step": step, "from": run.first, **metrics, "examples": examples}


def _examples(run: parts.Parts, state: Any, step: int) -> list[dict[str, Any]]:
  """Returns what each example of a step is and does by itself."""
  objective = train_step.make_objective(
    run.module, run.loss, run.units, spec=run.spec
  )
  gradient = jax.value_and_grad(objective, has_aux=True)

  @jax.jit
  def one(batch):
    key = jax.random.fold_in(jax.random.key(run.config.seed), state.step)
    (loss, _), grads = gradient(state.params, batch, state.untrained, key)
    return loss, optax.tree.norm(grads)

  draws = guards.drawn(run.data, step, run.config.batch_size)
  for row, draw in enumerate(draws):
    batch = run.make_batch(step - 1, [row])
    loss, norm = map(float, one(batch))
    draw |= {"loss": loss, "grad_norm": norm}
    highest = max(np.abs(batch[n]).max() for n in ("lowres", "highres"))
    draw["largest value"] = float(highest)
  return draws


def text(replayed: dict[str, Any]) -> str:
  """Returns what `replay` gave for people, an example a line.

  >>> from hinote_jax.train import replay
  >>> draw = {"field": 3, "time": "12 UTC", "scale": 2.0, "start": [4.0, 0.0]}
  >>> draw |= {"loss": 0.5, "grad_norm": 1.0, "largest value": 2.0}
  >>> print(replay.text({"step": 7, "from": 5, "loss": 0.5, "grad_norm": 1.0,
  ...                    "examples": [draw]}))
  step 7, from the state of step 5: loss 0.5, gradient norm 1
  row 0: field 3 (12 UTC) x2.000 at (4, 0): loss 0.5, gradient norm 1, largest
  value 2
  """
  lines = [
    f"step {replayed['step']}, from the state of step {replayed['from']}: loss "
    f"{replayed['loss']:.6g}, gradient norm {replayed['grad_norm']:.6g}"
  ]
  lines += [
    f"row {row}: {guards.words([draw])}: loss {draw['loss']:.6g}, gradient "
    f"norm {draw['grad_norm']:.6g}, largest value {draw['largest value']:.6g}"
    for row, draw in enumerate(replayed["examples"])
  ]
  return "\n".join(lines)
