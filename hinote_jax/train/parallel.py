"""One step on many devices: the only file that says pmap.

Three ways to the same numbers: "pmap", "shard_map" and "jit" with shardings.
The state is replicated and never stacked; the batch is split along its first
axis. A step is step(state, batch, axis_name) and reduces over the axis it is
given; in "jit" mode it gets none, because the batch is whole. There devices may
also share the rows of an example, queries and input, where a window is larger
than a device: XLA's partitioner exchanges halos and adds up sums.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from hinote_jax.core import compiling, naming

AXIS, ROWS = "batch", "rows"
MODES = ("pmap", "shard_map", "jit")
# What of a batch has rows: second axes of images, and the y of their points.
_DIVIDED = ("lowres", "highres", "known", "coords", "coords/y")
_DIVIDED += ("static/fine", "static/coarse")
_INPUTS = ("lowres", "static/coarse")


def _check(mode: str):
  naming.look_up("parallel mode", mode, dict.fromkeys(MODES))


def _dividing(rows: int, count: int) -> str:
  """Returns what goes with a batch that does not divide, to end a sentence."""
  fits = [str(n) for n in range(1, min(rows, 4096) + 1) if rows % n == 0]
  fits = ", ".join(fits[:-1]) + (" or " if fits[1:] else "") + fits[-1]
  near = [n * count for n in (rows // count, rows // count + 1) if n]
  return (
    f"a batch of {rows} does not divide among {count} devices; use a multiple "
    f"of {count}, such as {' or '.join(map(str, near))}, or "
    f"{fits} device{'s' * (fits != '1')}"
  )


def check_batch(rows: int, mode: str = "pmap", queries: int = 1) -> None:
  """Checks that a batch divides among the devices of all processes.

  Args:
    rows: of the batch.
    mode: one of `MODES`.
    queries: devices that share the rows of an example.

  Raises:
    ValueError: it does not; says which batches and how many devices do.
  """
  count = jax.local_device_count()
  if queries > 1 and mode != "jit":
    raise ValueError(
      f"config.query_devices: {queries} takes config.parallel='jit', got "
      f"{mode!r}"
    )
  if count % queries:
    raise ValueError(
      f"config.query_devices: {queries} does not divide the {count} devices of "
      "a process"
    )
  count = jax.device_count() // queries
  if rows % count:
    raise ValueError(f"config.batch_size: {_dividing(rows, count)}")


def check_whole(what: str, mode: str = "pmap", accumulate: int = 1) -> None:
  """Checks that a batch is taken as a whole, for what is of the whole.

  Args:
    what: names it.
    mode: one of `MODES`; with "jit" it is whole on any devices.
    accumulate: in how many parts it is taken.

  Raises:
    ValueError: it is taken in parts, or divided among devices.
  """
  if accumulate > 1:
    raise ValueError(
      f"{what} is of a batch as a whole, and config.accumulate={accumulate} "
      "takes it in parts; set that to 1"
    )
  if (count := jax.device_count()) > 1 and mode != "jit":
    raise ValueError(
      f"{what} is of a batch as a whole, and config.parallel={mode!r} divides "
      f"it among {count} devices; set that to 'jit'"
    )


def make_mesh(devices=None, queries: int = 1) -> Mesh:
  """Returns a mesh of examples and of rows of each over `devices`.

  Args:
    devices: by default all.
    queries: how many share the rows of an example.
  """
  devices = np.asarray(devices or jax.devices())
  return Mesh(devices.reshape(-1, queries), (AXIS, ROWS))


def _shardings(devices, queries: int = 1):
  mesh = make_mesh(devices, queries)
  return mesh, NamedSharding(mesh, P()), NamedSharding(mesh, P(AXIS))


def _divided(mesh: Mesh, path, leaf) -> NamedSharding:
  """Returns how a part of a batch lies on a mesh: by examples, and rows.

  Raises:
    ValueError: the rows of queries do not divide.
  """
  ways = mesh.shape[ROWS]
  name = jax.tree_util.keystr(path, simple=True, separator="/")
  if ways == 1 or name not in _DIVIDED:
    return NamedSharding(mesh, P(AXIS))
  if leaf.shape[1] % ways == 0:
    return NamedSharding(mesh, P(AXIS, ROWS))
  if name in _INPUTS:
    return NamedSharding(mesh, P(AXIS))
  raise ValueError(
    f"config.windows.queries: {leaf.shape[1]} rows do not divide among the "
    f"{ways} devices of config.query_devices"
  )


def parallelize(
  step: Callable, mode: str = "pmap", devices=None, queries: int = 1
) -> Callable:
  """Compiles step(state, batch, axis_name) over devices, state donated.

  Args:
    step: pure; returns (state, metrics), both equal on all devices.
    mode: one of `MODES`.
    devices: the devices to use, by default all.
    queries: how many share the rows of an example, with "jit".

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
  mesh, whole, split = _shardings(devices, queries)
  if mode == "shard_map":
    # With its varying-axes check, shard_map would sum the gradients itself.
    step = jax.shard_map(
      functools.partial(step, axis_name=AXIS),
      mesh=mesh,
      in_specs=(P(), P(AXIS)),
      out_specs=(P(), P()),
      check_vma=False,
    )
  return compiling.jit(
    step,
    in_shardings=(whole, split) if queries == 1 else None,
    out_shardings=(whole, whole),
    donate_argnums=(0,),
  )


class Programs:
  """What `parallelize` gave, compiled once for every shape of a batch.

  Example:
    >>> def step(state, batch, axis_name):
    ...   return state + jax.lax.pmean(batch.sum(), axis_name), {}
    >>> programs = Programs(parallelize(step))
    >>> state = put_state(np.float32(1.0))
    >>> batch = put_batch(np.ones((jax.device_count(), 3), np.float32))
    >>> float(programs(state, batch)[0])
    4.0
  """

  def __init__(self, step: Callable):
    """Takes a step over all devices."""
    self._step = step
    self._compiled: dict[tuple, jax.stages.Compiled] = {}

  def compile(self, state: Any, batch: Any) -> jax.stages.Compiled:
    """Returns the program of a batch's shapes, before it is called.

    Args:
      state: as `put_state` gave it; it is only looked at.
      batch: as `put_batch` gave it.
    """
    shapes = tuple((x.shape, x.dtype) for x in jax.tree.leaves(batch))
    if shapes not in self._compiled:
      lowered = self._step.lower(state, batch)  # pyright: ignore
      self._compiled[shapes] = lowered.compile(compiling.options())
    return self._compiled[shapes]

  def __call__(self, state: Any, batch: Any) -> tuple[Any, Any]:
    """Returns what the step does of (state, batch); the state is donated."""
    if jax.process_count() > 1:  # pmap takes what each holds, its program not
      return self._step(state, batch)
    return self.compile(state, batch)(state, batch)


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


def put_batch(
  batch: Any, mode: str = "pmap", devices=None, queries: int = 1
) -> Any:
  """Splits this process's rows of a batch over its devices.

  Args:
    batch: of this process.
    mode: one of `MODES`.
    devices: the devices to use, by default all.
    queries: how many share the rows of an example, with "jit".

  Raises:
    ValueError: the rows do not divide among the devices.
  """
  _check(mode)
  count = len(devices) if devices else jax.local_device_count()
  count //= queries
  rows = jax.tree.leaves(batch)[0].shape[0]
  if rows % count:
    raise ValueError(_dividing(rows, count))
  if mode == "pmap":
    return jax.tree.map(
      lambda leaf: leaf.reshape(count, rows // count, *leaf.shape[1:]),
      batch,
    )
  mesh = make_mesh(devices, queries)
  return jax.tree_util.tree_map_with_path(
    lambda path, leaf: jax.make_array_from_process_local_data(
      _divided(mesh, path, leaf), leaf
    ),
    batch,
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
