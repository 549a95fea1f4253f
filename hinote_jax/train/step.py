"""The train step: a pure function of (state, batch)."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import linen as nn
from flax import struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from hinote_jax.train import optim


class TrainState(struct.PyTreeNode):
  """Everything a run needs to go on.

  Attributes:
    step: how many steps were taken, int32 scalar.
    params: {"model": ..., "loss": ...}.
    average: exponential moving average of the model's parameters.
    opt_state: of the optimiser.
  """

  step: Any
  params: Any
  average: Any
  opt_state: Any


def init_state(
  key: jax.Array,
  module: nn.Module,
  loss: nn.Module,
  transform: optax.GradientTransformation,
  batch: dict[str, Any],
) -> TrainState:
  """Returns a fresh state; `batch` gives the shapes, one example is enough."""
  one = jax.tree.map(lambda leaf: leaf[:1], batch)
  model_key, loss_key = jax.random.split(key)
  inputs = one["lowres"], one["coords"], one["cell"]
  model = jax.jit(module.init)(model_key, *inputs).get("params", {})
  highres = one["highres"]
  prior = loss.init(loss_key, highres, highres, one["lowres"], one["coords"])
  params = {"model": model, "loss": prior.get("params", {})}
  copy = jax.tree.map(jnp.copy, model)
  return TrainState(
    jnp.zeros((), jnp.int32), params, copy, transform.init(params)
  )


def make_objective(
  module: nn.Module, loss: nn.Module, units: Sequence[float] = (1.0,)
) -> Callable:
  """Returns objective(params, batch) -> (mean loss, {"mse": ...}).

  Args:
    module: any model of the zoo.
    loss: any loss of `losses`.
    units: what the loss takes as one, a number a channel: a smooth variable,
      whose errors are small, then weighs as much as a rough one.
  """
  units = np.asarray(units, np.float32)

  def objective(params, batch):
    inputs = batch["lowres"], batch["coords"], batch["cell"]
    if units.size not in (1, batch["highres"].shape[-1]):
      raise ValueError(
        f"{units.size} units do not fit {batch['highres'].shape[-1]} channels"
      )
    pred = module.apply({"params": params["model"]}, *inputs)
    each = loss.apply(
      {"params": params["loss"]},
      pred / units,
      batch["highres"] / units,
      batch["lowres"] / units,
      batch["coords"],
    )
    mse = jnp.mean(jnp.square(pred - batch["highres"]))
    return jnp.mean(each), {"mse": mse}

  return objective


def _split(batch, parts: int):
  """Splits a batch along its first axis; raises where it does not divide."""
  size = jax.tree.leaves(batch)[0].shape[0]
  if size % parts:
    raise ValueError(
      f"accumulate={parts} does not divide the {size} examples of a device"
    )
  return [
    jax.tree.map(lambda leaf, i=i: leaf[i::parts], batch) for i in range(parts)
  ]


def make_train_step(
  module: nn.Module,
  loss: nn.Module,
  transform: optax.GradientTransformation,
  *,
  ema_decay: float = 0.999,
  accumulate: int = 1,
  units: Sequence[float] = (1.0,),
) -> Callable:
  """Returns step(state, batch, axis_name=None) -> (state, metrics).

  Args:
    module: any model of the zoo.
    loss: any loss of `losses`.
    transform: the optimiser.
    ema_decay: of the average of the weights.
    accumulate: the batch is taken in this many parts, one after the other,
      and their gradients averaged: the memory of a part, the step of a batch.
      The parts are unrolled: a scan over convolutions is slow on a CPU.
    units: of the loss, see `make_objective`.

  The step reduces over `axis_name` where one is given. Metrics: loss, mse (of
  normalised values) and grad_norm before clipping.
  """
  gradient = jax.value_and_grad(
    make_objective(module, loss, units), has_aux=True
  )

  def step(state: TrainState, batch, axis_name: str | None = None):
    total = None
    for part in _split(batch, accumulate):
      result = gradient(state.params, part)
      total = result if total is None else jax.tree.map(jnp.add, total, result)
    (value, parts), grads = jax.tree.map(lambda t: t / accumulate, total)
    if axis_name is not None:
      value, parts, grads = jax.lax.pmean((value, parts, grads), axis_name)
    updates, opt_state = transform.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = optim.ema(
      state.average, params["model"], decay=ema_decay, step=state.step
    )
    metrics = {"loss": value, **parts, "grad_norm": optax.tree.norm(grads)}
    state = TrainState(state.step + 1, params, average, opt_state)
    return state, metrics

  return step
