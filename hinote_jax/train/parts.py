"""What a run is made of, from its config: data, network, loss, optimiser."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import os
import pathlib
from typing import Any

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import interop, losses, models
from hinote_jax.core import scale_laws
from hinote_jax.interop import attributes
from hinote_jax.train import (
  contract,
  feature_networks,
  optim,
  parallel,
  run_data,
)
from hinote_jax.train import step as train_step
from hinote_jax.train import workdir as workdirs


@dataclasses.dataclass
class Parts:
  """What a run is made of.

  Attributes:
    config: of the run.
    data: what it reads.
    units: of the loss.
    arguments: of `models.build`.
    module: the network.
    loss: of training.
    transform: the optimiser.
    rate: its learning rate, a function of the step.
    state: where it begins or goes on, on the host.
    meta: what belongs with that; empty where it begins.
  """

  config: workdirs.Config
  data: run_data.RunData
  units: Sequence[scale_laws.Law]
  arguments: dict[str, Any]
  module: Any
  loss: Any
  transform: Any
  rate: Callable
  state: train_step.TrainState
  meta: dict[str, Any]

  @property
  def first(self) -> int:
    """How many steps were taken."""
    return int(self.state.step)

  @property
  def spec(self):
    """What the network takes from a batch, and draws."""
    return models.spec_of(self.arguments)

  def make_batch(self, step: int, rows: Sequence[int]) -> dict[str, Any]:
    """Returns some rows of a step's batch, with their numbers."""
    batch = self.data.train.batch(step, rows)
    return batch | {contract.ROW: np.asarray(rows, np.uint32)}

  @property
  def _queries(self) -> int:
    return self.config.get("query_devices") or 1

  @functools.cached_property
  def _rows(self) -> range:
    return parallel.process_rows(self.config.batch_size)

  def batch(self, step: int) -> Any:
    """Returns a step's batch on the devices of this process."""
    batch = self.make_batch(step, self._rows)
    return parallel.put_batch(
      batch, self.config.parallel, queries=self._queries
    )

  def step(self) -> parallel.Programs:
    """Returns the step over all devices, see `parallel`."""
    step = train_step.make_train_step(
      self.module,
      self.loss,
      self.transform,
      ema_decay=self.config.ema_decay,
      accumulate=self.config.accumulate,
      units=self.units,
      spec=self.spec,
      seed=self.config.seed,
      remat=bool(self.config.get("remat")),
      loss_scale=self.config.get("loss_scale") or 1.0,
    )
    mode = self.config.parallel
    return parallel.Programs(
      parallel.parallelize(step, mode, queries=self._queries)
    )


def make(
  config: workdirs.Config,
  workdir: str | os.PathLike,
  restore: Callable[[dict[str, Any]], tuple[Any, dict] | None] | None = None,
) -> Parts:
  """Makes what a run is made of, where it begins or goes on.

  Args:
    config: of the run, checked.
    workdir: of the run; may be missing.
    restore: from what a checkpoint looks like to (values, meta) of one, or
      None; without it the run begins.

  Raises:
    ValueError: the config does not fit the data or the devices.
  """
  parallel.check_batch(
    config.batch_size, config.parallel, config.get("query_devices") or 1
  )
  loss = feature_networks.loss(workdirs.set_fields(config.loss))
  if losses.is_of_batch(loss):
    name = f"config.loss.name: {config.loss.name}"
    parallel.check_whole(name, config.parallel, config.accumulate)
  data = run_data.make(config, pathlib.Path(workdir))
  logging.info("data: %s, %s", data.dataset.name, data.split)
  # A network of features gives fields back, of which no residual is known.
  is_features = models.spec(config.model.name).is_features
  units = [1.0] if is_features else run_data.residual_scale(data.train)
  arguments, meta = model_arguments(config, data, units), {}
  module = models.build(**arguments)
  transform, rate = optim.build(
    steps=config.steps, **workdirs.set_fields(config.optim)
  )
  state = train_step.init_state(
    jax.random.key(config.seed),
    module,
    loss,
    transform,
    data.train.batch(0, [0]),
    spec=models.spec_of(arguments),
  )
  restored = restore(state.to_dict()) if restore else None
  if restored is not None:
    # What was measured on the data stays as it was, to the last bit.
    values, meta = restored
    state = train_step.TrainState(**values)
    units, arguments = meta["units"], meta["model"]
    module = models.build(**arguments)
  elif config.get("start"):
    state = _begun(state, config.start, arguments)
  return Parts(
    config,
    data,
    units,
    arguments,
    module,
    loss,
    transform,
    rate,
    state,
    meta,
  )


def model_arguments(
  config: workdirs.Config,
  data: run_data.RunData,
  units: Sequence[scale_laws.Law],
) -> dict[str, Any]:
  """Returns what `models.build` needs: one channel a variable of the data.

  `residual_scale="auto"` in the config stands for the measured one, where
  fields are paired their scale is the largest, and tables end where fields do,
  static ones too.
  """
  arguments = {
    **workdirs.set_fields(config.model),
    "channels": len(data.dataset.variables),
  }
  is_consistent = arguments.pop("consistent", False)
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
  if is_consistent:  # of the network, whatever that is
    arguments["consistent"] = data.consistent()
  return arguments


def _begun(
  state: train_step.TrainState, path: str, arguments: Mapping[str, Any]
) -> train_step.TrainState:
  """Returns a fresh state whose model begins as the network of a file.

  Args:
    state: fresh.
    path: the file.
    arguments: of `models.build`.

  Raises:
    ValueError: it is of other parameters, or answers otherwise.
  """
  imported = interop.load_checkpoint(path)
  given = imported.variables["params"]
  shapes = [
    jax.tree.map(np.shape, params) for params in (given, state.params["model"])
  ]
  if shapes[0] != shapes[1]:
    raise ValueError(
      f"config.start: {path} has the parameters {shapes[0]} and config.model "
      f"{shapes[1]}: make the model that of the file"
    )
  _require_same(path, imported, arguments)
  given = jax.tree.map(jnp.asarray, given)
  return state.replace(
    params={**state.params, "model": given},
    average=jax.tree.map(jnp.copy, given),
  )


def _require_same(
  path: str, imported: interop.Imported, arguments: Mapping[str, Any]
) -> None:
  """Refuses a file whose network has the model's parameters and is another.

  What makes its answers consistent is no part of it.
  """
  around = ("name", "consistent")
  kwargs = {n: v for n, v in arguments.items() if n not in around}
  own = {"name": arguments["name"], **attributes.of(arguments["name"], kwargs)}
  read = {"name": imported.name, **attributes.of(*imported[:2])}
  differing = attributes.differing(own, read, apart=("periodic",))
  if differing:
    ours, theirs = attributes.in_words(differing)
    raise ValueError(
      f"config.start: {path} is of a network with {theirs} and config.model "
      f"has {ours}: make the model that of the file"
    )
