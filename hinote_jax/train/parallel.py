"""One step on many devices: the only file that says pmap.

Three ways to the same numbers: "pmap", "shard_map" and "jit" with shardings.
The state is replicated and never stacked; the batch is split along its first
axis. A step is step(state, batch, axis_name) and reduces over the axis it is
given; in "jit" mode it gets none, because the batch is whole.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from hinote_jax.core import naming

AXIS = "batch"
MODES = ("pmap", "shard_map", "jit")


def _check(mode: str):
  naming.look_up("parallel mode", mode, dict.fromkeys(MODES))


def make_mesh(devices=None) -> Mesh:
  """Returns a mesh of one axis over `devices`, by default all."""
  return Mesh(np.asarray(devices or jax.devices()), (AXIS,))


def _shardings(devices):
  mesh = make_mesh(devices)
  return mesh, NamedSharding(mesh, P()), NamedSharding(mesh, P(AXIS))


def parallelize(step: Callable, mode: str = "pmap", devices=None) -> Callable:
  """Compiles step(state, batch, axis_name) over devices, state donated.

  Args:
    step: pure; returns (state, metrics), both equal on all devices.
    mode: one of `MODES`.
    devices: the devices to use, by default all.

  Returns:
    f(state, batch) on what `put_state` and `put_batch` gave.
  """
  _check(mode)
  if mode == "pmap":
    return jax.pmap(
      functools.partial(step, axis_name=AXIS),
      axis_name=AXIS,
      in_axes=(None, 0),
      out_axes=(None, None),
      donate_argnums=(0,),
      devices=devices,
    )
  mesh, whole, split = _shardings(devices)
  if mode == "shard_map":
    # With its varying-axes check, shard_map would sum the gradients itself.
    step = jax.shard_map(
      functools.partial(step, axis_name=AXIS),
      mesh=mesh,
      in_specs=(P(), P(AXIS)),
      out_specs=(P(), P()),
      check_vma=False,
    )
  return jax.jit(
    step,
    in_shardings=(whole, split),
    out_shardings=(whole, whole),
    donate_argnums=(0,),
  )


def put_state(state: Any, mode: str = "pmap", devices=None) -> Any:
  """Copies a tree to every device; never aliases the caller's buffers."""
  _check(mode)
  if mode == "pmap":
    devices = devices or jax.local_devices()
  whole = _shardings(devices)[1]
  return jax.tree.map(
    lambda leaf: jax.make_array_from_process_local_data(whole, np.array(leaf)),
    state,
  )


def get_state(state: Any) -> Any:
  """Returns a replicated tree as it is on this process's first device."""
  return jax.tree.map(lambda leaf: leaf.addressable_data(0), state)


def put_batch(batch: Any, mode: str = "pmap", devices=None) -> Any:
  """Splits this process's rows of a batch over its devices.

  Raises:
    ValueError: the rows do not divide among the devices.
  """
  _check(mode)
  count = len(devices) if devices else jax.local_device_count()
  rows = jax.tree.leaves(batch)[0].shape[0]
  if rows % count:
    raise ValueError(
      f"a batch of {rows} does not divide among {count} devices; "
      f"use a multiple of {count}"
    )
  if mode == "pmap":
    return jax.tree.map(
      lambda leaf: leaf.reshape(count, rows // count, *leaf.shape[1:]),
      batch,
    )
  split = _shardings(devices)[2]
  return jax.tree.map(
    lambda leaf: jax.make_array_from_process_local_data(split, leaf), batch
  )


def process_rows(batch_size: int) -> range:
  """Returns the rows of the global batch that this process makes.

  Raises:
    ValueError: the batch does not divide among the processes.
  """
  count, index = jax.process_count(), jax.process_index()
  if batch_size % count:
    raise ValueError(
      f"a batch of {batch_size} does not divide among {count} processes"
    )
  size = batch_size // count
  return range(index * size, (index + 1) * size)
