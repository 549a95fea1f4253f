"""What a run will need and take, before anything of it is begun."""

import os
import statistics
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from hinote_jax.train import host_memory, parallel, parts, schema
from hinote_jax.train import workdir as workdirs

_STEPS = 3  # that are taken and thrown away, after a first one


class Plan(NamedTuple):
  """What a run will need and take.

  Attributes:
    parameters: numbers that are trained.
    operations: of floating point, a step and device; 0 where the compiler
      does not count them.
    state: bytes of parameters, averages and the optimiser on a device.
    batch: bytes of a device's share of a batch.
    temporary: bytes of a device within a step, beside those: the compiler's
      sum; on a CPU what is seen where that is more.
    host: most bytes of this process so far; None where the system does not say.
    compilation: seconds; few where a compiled program is at hand.
    step: seconds.
    steps: of the run.
    run: seconds of all steps.
    devices: how many there are.
    batch_size: examples of a step.
  """

  parameters: int
  operations: float
  state: int
  batch: int
  temporary: int
  host: int | None
  compilation: float
  step: float
  steps: int
  run: float
  devices: int
  batch_size: int

  @property
  def device(self) -> int:
    """Bytes of a device."""
    return self.state + self.batch + self.temporary

  def text(self) -> str:
    """Returns it for people, a line a matter."""
    mega = 1e6
    host = (
      "" if self.host is None else f"; this process {self.host / mega:,.0f}"
    )
    return "\n".join(
      (
        f"parameters   {self.parameters:,}",
        f"operations   {self.operations / 1e9:,.3g} G a step and device",
        f"memory       {self.device / mega:,.0f} MB a device: state "
        f"{self.state / mega:,.0f}, batch {self.batch / mega:,.0f}, within a "
        f"step {self.temporary / mega:,.0f}{host}",
        f"compilation  {self.compilation:.1f} s",
        f"a step       {self.step:.3g} s: {self.batch_size} examples on "
        f"{self.devices} {'devices' if self.devices > 1 else 'device'}",
        f"the run      {_duration(self.run)}: {self.steps:,} steps, without "
        "validation",
      )
    )


def _duration(seconds: float) -> str:
  """Returns seconds as people say them."""
  if seconds < 100:
    return f"{seconds:.1f} s"
  minutes, hours = seconds / 60, seconds / 3600
  if minutes < 100:
    return f"{minutes:.1f} min"
  return f"{hours:.1f} h" if hours < 100 else f"{hours / 24:.1f} days"


def _bytes(tree: Any) -> int:
  return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree))


def plan(config: workdirs.Config, workdir: str | os.PathLike) -> Plan:
  """Compiles the step of a run, takes a few and throws them away.

  Nothing is written but the cache of the data.

  Args:
    config: of the run.
    workdir: of the run; may be missing.

  Raises:
    ValueError: the config does not fit the data or the devices.
  """
  schema.check(config)
  run = parts.make(config, workdir)
  batch = run.batch(0)
  state, seconds = parallel.put_state(run.state, config.parallel), []
  begun = time.monotonic()
  take = run.step().compile(state, batch)
  compilation = time.monotonic() - begun
  with host_memory.growth() as more:
    state, metrics = take(state, batch)
    jax.block_until_ready(metrics)
  for _ in range(_STEPS):
    begun = time.monotonic()
    state, metrics = take(state, batch)
    jax.block_until_ready(metrics)
    seconds.append(time.monotonic() - begun)
  memory: Any = take.memory_analysis()
  own = jax.local_device_count()
  known = take.cost_analysis() or {}
  states, step = _bytes(run.state), statistics.median(seconds)
  whole = memory.argument_size_in_bytes + memory.temp_size_in_bytes
  whole += memory.output_size_in_bytes - memory.alias_size_in_bytes
  share = _bytes(batch) // own
  temporary = whole - states - share
  if jax.default_backend() == "cpu":  # whose threads pack what they multiply
    temporary = max(temporary, max(more) // own)
  return Plan(
    parameters=sum(np.size(p) for p in jax.tree.leaves(run.state.params)),
    operations=max(float(known.get("flops", 0.0)), 0.0),
    state=states,
    batch=share,
    temporary=max(temporary, 0),
    host=host_memory.peak(),
    compilation=compilation,
    step=step,
    steps=config.steps,
    run=step * config.steps,
    devices=jax.device_count(),
    batch_size=config.batch_size,
  )
