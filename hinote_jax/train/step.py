"""The train step: a pure function of (state, batch)."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import linen as nn
from flax import struct
import jax
import jax.numpy as jnp
import optax

from hinote_jax.core import grids, scale_laws
from hinote_jax.losses import terms
from hinote_jax.models.spec import Spec
from hinote_jax.train import contract, optim


class TrainState(struct.PyTreeNode):
  """Everything a run needs to go on.

  Attributes:
    step: how many steps were taken, int32 scalar.
    params: {"model": ..., "loss": ...}.
    average: exponential moving average of the model's parameters.
    opt_state: of the optimiser.
    untrained: {"model": ..., "loss": ...}, the collections of each beside its
      parameters; of neither where it has none.
  """

  step: Any
  params: Any
  average: Any
  opt_state: Any
  untrained: Any = struct.field(default_factory=dict)

  def to_dict(self) -> dict[str, Any]:
    """Returns what a checkpoint holds: the fields that are not empty.

    So a run without untrained collections is stored as it was before there
    were any, and one of that time can be gone on with.
    """
    return {k: v for k, v in vars(self).items() if k != "untrained" or v}


def init_state(
  key: jax.Array,
  module: nn.Module,
  loss: nn.Module,
  transform: optax.GradientTransformation,
  batch: dict[str, Any],
  *,
  spec: Spec = contract.PLAIN,
) -> TrainState:
  """Returns a fresh state; `batch` gives the shapes, one example is enough."""
  one = jax.tree.map(lambda leaf: leaf[:1], batch)
  model_key, loss_key = jax.random.split(key)
  highres = one["highres"]
  prior = loss.init(loss_key, highres, highres, one["lowres"], one["coords"])
  every = {
    "model": contract.init(module, model_key, one, spec),
    "loss": dict(prior),
  }
  params = {part: own.pop("params", {}) for part, own in every.items()}

  @jax.jit  # one program, and not one a shape
  def begin(params):
    return jax.tree.map(jnp.copy, params["model"]), transform.init(params)

  average, opt_state = begin(params)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    average=average,
    opt_state=opt_state,
    untrained={part: rest for part, rest in every.items() if rest},
  )


def _is_product(primitive, *_, **__) -> bool:
  """Says what is worth to be remembered: what takes long and is small."""
  return primitive.name in ("dot_general", "conv_general_dilated")


def make_objective(
  module: nn.Module,
  loss: nn.Module,
  units: Sequence[scale_laws.Law] = (1.0,),
  *,
  spec: Spec = contract.PLAIN,
  remat: bool = False,
) -> Callable:
  """Returns objective(params, batch, untrained=None, key=None).

  It gives the mean loss and {"mse": ...}.

  Args:
    module: any model of the zoo.
    loss: any loss of `losses`.
    units: what the loss takes as one, a law of `scale_laws` a channel: a smooth
      variable, or a scale at which errors are small, then weighs as much as
      a rough one.
    spec: of the model.
    remat: whether the gradient remembers products and convolutions alone and
      computes all else again: less memory, more time.
  """

  def predict(variables, batch, key):
    return contract.apply(module, variables, batch, spec, key=key)

  if remat:
    predict = jax.checkpoint(predict, policy=_is_product)

  def objective(params, batch, untrained=None, key=None):
    if len(units) not in (1, batch["highres"].shape[-1]):
      raise ValueError(
        f"{len(units)} units do not fit {batch['highres'].shape[-1]} channels"
      )
    shape = grids.pair(batch["lowres"].shape[1:3])
    unit = scale_laws.at(units, grids.scale_of(batch["cell"], shape))
    variables = {
      part: {"params": own, **(untrained or {}).get(part, {})}
      for part, own in params.items()
    }
    pred = predict(variables["model"], batch, key)
    pred = contract.scored(pred, batch)
    own_unit: Any = {"unit": unit} if isinstance(loss, terms.WithTerms) else {}
    each = loss.apply(
      variables["loss"],
      pred / unit,
      batch["highres"] / unit,
      batch["lowres"] / unit,
      batch["coords"],
      **own_unit,
    )
    mse = jnp.mean(jnp.square(pred - batch["highres"]))
    own = contract.own_loss(module, variables["model"], batch, spec)
    return jnp.mean(jnp.asarray(each)) + own, {"mse": mse}

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
  units: Sequence[scale_laws.Law] = (1.0,),
  spec: Spec = contract.PLAIN,
  seed: int = 0,
  remat: bool = False,
  loss_scale: float = 1.0,
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
    spec: of the model: what it takes from the batch, and draws.
    seed: of what it draws.
    remat: see `make_objective`.
    loss_scale: what the loss is multiplied by for the gradient, which is
      divided by it again: small gradients are then within float16.

  The step reduces over `axis_name` where one is given. Metrics: loss, mse (of
  normalised values) and grad_norm before clipping; where one of them is no
  number only the step is counted.
  """
  objective = make_objective(module, loss, units, spec=spec, remat=remat)

  def scaled(*args):
    value, parts = objective(*args)
    return value * loss_scale, parts

  gradient = jax.value_and_grad(scaled, has_aux=True)

  def step(state: TrainState, batch, axis_name: str | None = None):
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    total = None
    for part in _split(batch, accumulate):
      result = gradient(state.params, part, state.untrained, key)
      total = result if total is None else jax.tree.map(jnp.add, total, result)
    (value, parts), grads = jax.tree.map(lambda t: t / accumulate, total)
    if loss_scale != 1:
      value, grads = jax.tree.map(lambda t: t / loss_scale, (value, grads))
    if axis_name is not None:
      value, parts, grads = jax.lax.pmean((value, parts, grads), axis_name)
    updates, opt_state = transform.update(grads, state.opt_state, state.params)
    params: Any = optax.apply_updates(state.params, updates)
    average = optim.ema(
      state.average, params["model"], decay=ema_decay, step=state.step
    )
    metrics = {"loss": value, **parts, "grad_norm": optax.tree.norm(grads)}
    moved = state.replace(params=params, average=average, opt_state=opt_state)
    is_finite = jnp.all(jnp.isfinite(jnp.stack([*metrics.values()])))
    state = jax.tree.map(
      lambda new, old: jnp.where(is_finite, new, old), moved, state
    )
    return state.replace(step=state.step + 1), metrics

  return step
