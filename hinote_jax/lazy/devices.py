"""A graph of lazy grids carried out by many devices, each a slab of rows.

What a window reads of a neighbour's slab comes by `ppermute`, totals are
`psum`s. Within its slab a device goes over bands, which bounds its memory; rows
need not divide among the devices, which may belong to several processes. (Left
to XLA, a division of rows needs a count that divides, and every device holds
its whole share of every layer at once.)
"""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import compiling, grids, sums
from hinote_jax.lazy import grid, queries, schedule, tiles
from hinote_jax.lazy.grid import LazyGrid, Total

AXIS = "rows"


class _Slab(NamedTuple):
  """The rows of a grid that a device holds, [b t W c], and who has which."""

  values: jax.Array
  spans: tuple[tiles.Span, ...]


class _Whole(NamedTuple):
  """A grid that every device holds, [b H W c]."""

  values: jax.Array


def slabs(n: int, devices: int) -> tuple[tiles.Span, ...]:
  """Returns the rows of each device; some may have none that count."""
  size = -(-n // devices)
  spans = tiles.spans(n, size)
  idle = tiles.Span(n - size, n, n)
  return tuple(spans + [idle] * (devices - len(spans)))


class _Devices:
  """Carries a graph out within `shard_map`; every method is traced."""

  def __init__(self, count: int, points: int):
    """Makes a run of `count` devices, in bands of at most `points` points."""
    self.count, self.points = count, points
    self._stores: dict[LazyGrid, _Slab | _Whole] = {}
    self._totals: dict[Total, Any] = {}

  def slab(self, last: LazyGrid, inputs: Mapping[LazyGrid, Any]) -> jax.Array:
    """Returns the device's rows of the grid that is asked for, [b t W c]."""
    for node, values in inputs.items():
      self._stores[node] = _Whole(jnp.asarray(values))
    for root in schedule.passes_before(last):
      if isinstance(root, Total):
        self._totals[root] = self._sum(root)
      elif root.is_undivided:
        self._stores[root] = self._undivided(root)
      else:
        spans = slabs(root.domain.shape[0], self.count)
        self._stores[root] = _Slab(self._values(root), spans)
    return self._values(last)

  def _params(self, params):
    known = grid.resolved(params, lambda total: self._totals[total])
    return jax.tree.map(jnp.asarray, known)

  def _values(self, root: LazyGrid) -> jax.Array:
    work = _Work(self, root)
    steps = jnp.arange(len(work.spans))
    if len(work.spans) == 1:
      return work.band(0)
    parts = jax.lax.map(work.band, steps)
    rows = [
      parts[i, :, span.first - span.start :]
      for i, span in enumerate(work.spans)
    ]
    return jnp.concatenate(rows, axis=1)

  def _sum(self, root: Total) -> Any:
    work = _Work(self, root)
    return jax.lax.psum(sums.over(work.band, jnp.arange(len(work.spans))), AXIS)

  def _undivided(self, root: LazyGrid) -> _Whole:
    """Computes a grid on every device alike."""
    shape, start = root.domain.shape, np.zeros(1, np.int64)
    plan = schedule.make(root, shape, (start, start))
    starts = plan.start(0, 0)
    windows = zip(plan.stored, starts, plan.members, strict=False)
    values = schedule.evaluate(
      plan.members,
      jnp.asarray(starts),
      [self._window(node, at, member.shape) for node, at, member in windows],
      [self._params(params) for params in plan.params],
    )
    return _Whole(values)

  def _window(self, node: LazyGrid, start, shape) -> jax.Array:
    """Returns a window of a grid on every device, [b h w c].

    It reaches around axes that close, where what reads it does.
    """
    values = self._gathered(self._stores[node])
    for axis, (first, count) in enumerate(zip(start, shape, strict=True), 1):
      if (first, count) != (0, values.shape[axis]):
        index = (first + np.arange(count)) % values.shape[axis]
        values = jnp.take(values, index, axis)
    return values

  def _gathered(self, store: _Slab | _Whole) -> jax.Array:
    """Returns all values of a grid on every device, [b h w c]."""
    if isinstance(store, _Whole):
      return store.values
    every = jax.lax.all_gather(store.values, AXIS)
    rows = [
      every[d, :, s.first - s.start : s.last - s.start]
      for d, s in enumerate(store.spans)
    ]
    return jnp.concatenate(rows, axis=1)

  def store(self, node: LazyGrid) -> _Slab | _Whole:
    """Returns where the values of a stored grid are."""
    return self._stores[node]


class _Work:
  """The bands of a slab, and what each reads."""

  def __init__(self, run: _Devices, root: schedule.Root):
    height, width = root.domain.shape
    rows = -(-height // run.count)
    limit = max(1, run.points // width)
    self.spans = tiles.spans(rows, tiles.even(rows, limit))
    size = self.spans[0].last, width
    starts, owned = [], []
    for device in slabs(height, run.count):
      for band in self.spans:
        starts.append(device.start + band.start)
        first = max(device.first, device.start + band.first)
        last = min(device.last, device.start + band.last)
        owned.append([[first, max(first, last)], [0, width]])
    plan = schedule.make(root, size, (np.asarray(starts), np.zeros(1, int)))
    table = np.stack([plan.start(i, 0) for i in range(len(starts))])
    shape = run.count, len(self.spans)
    me = jax.lax.axis_index(AXIS)
    self._starts = _of_device(table, shape, me)
    self._owned = _of_device(np.asarray(owned, np.int32), shape, me)
    self._readers = [
      _Reader(run.store(node), node, table[:, i], member.shape, shape, me)
      for i, (node, member) in enumerate(
        zip(plan.stored, plan.members, strict=False)
      )
    ]
    self._members = plan.members
    self._params = [run._params(params) for params in plan.params]

  def band(self, index: jax.Array | int) -> Any:
    """Returns what the root is in one of the bands."""
    return schedule.evaluate(
      self._members,
      self._starts[index],
      [read(index) for read in self._readers],
      self._params,
      self._owned[index],
    )


def _of_device(table: np.ndarray, shape: tuple[int, int], me: jax.Array):
  return jnp.asarray(table.reshape(*shape, *table.shape[1:]))[me]


class _Reader:
  """The windows of one stored grid that the bands of a device read."""

  def __init__(self, store, node, starts, window, shape, me):
    """Brings the rows together that the bands of this device read.

    Args:
      store: where the values are.
      node: the grid.
      starts: first row and column of each window, [devices * bands 2].
      window: (h, w) of each.
      shape: (devices, bands).
      me: index of this device.
    """
    height, width = node.domain.shape
    starts = starts.reshape(*shape, 2)
    self._rows = window[0]
    self._columns = (starts[0, 0, 1] + np.arange(window[1])) % width
    if isinstance(store, _Whole):
      first = np.zeros(shape[0], np.int64)
      self._values, self._wraps = store.values, height
    else:
      first = starts[:, :, 0].min(axis=1)
      last = starts[:, :, 0].max(axis=1) + self._rows
      span = int((last - first).max())
      if not node.domain.periodic[0]:
        first = np.minimum(first, height - span)
      rows = (first[:, None] + np.arange(span)) % height
      self._values, self._wraps = _exchanged(store, rows, me), None
    self._offsets = jnp.asarray(starts[:, :, 0] - first[:, None])[me]

  def __call__(self, index):
    offset = self._offsets[index]
    if self._wraps is None:
      values = jax.lax.dynamic_slice_in_dim(
        self._values, offset, self._rows, axis=1
      )
    else:
      rows = (offset + jnp.arange(self._rows)) % self._wraps
      values = jnp.take(self._values, rows, axis=1)
    if len(self._columns) == values.shape[2] and not self._columns[0]:
      return values
    return values[:, :, self._columns]


def _exchanged(store: _Slab, rows: np.ndarray, me: jax.Array) -> jax.Array:
  """Returns the rows that a device asks for, from its slab and others'.

  Args:
    store: slabs of a grid.
    rows: which rows each device asks for, [devices s].
    me: index of the device.
  """
  count = len(store.spans)
  lasts = np.asarray([span.last for span in store.spans])
  starts = np.asarray([span.start for span in store.spans])
  owner = np.searchsorted(lasts, rows, side="right")
  local = rows - starts[owner]
  hop = (owner - np.arange(count)[:, None]) % count
  pieces, place, done = [], np.zeros_like(rows), 0
  for h in np.unique(hop):
    wanted = hop == h
    first, last = local[wanted].min(), local[wanted].max() + 1
    piece = store.values[:, first:last]
    if h:
      ring = [((d + int(h)) % count, d) for d in range(count)]
      piece = jax.lax.ppermute(piece, AXIS, ring)
    pieces.append(piece)
    place[wanted] = done + local[wanted] - first
    done += int(last - first)
  place = jnp.asarray(place)[me]
  return jnp.take(jnp.concatenate(pieces, axis=1), place, axis=1)


class Sharded:
  """A network on many devices, compiled once for a shape."""

  def __init__(
    self,
    module: Any,
    variables: Any,
    lines: tuple[grids.Line, grids.Line],
    *,
    devices: Sequence[Any],
    points: int | None = None,
  ):
    """Prepares a network for query points.

    Args:
      module: a model of `hinote_jax.models`.
      variables: its own.
      lines: query points along y and x.
      devices: of all processes.
      points: of a band at most; None chooses.
    """
    self._lines, self._module = lines, module
    if points is None:
      points = 1 << 16 if jax.default_backend() == "cpu" else 1 << 22
    self._points = points
    self._mesh = jax.sharding.Mesh(np.asarray(devices), (AXIS,))
    nowhere = jax.sharding.PartitionSpec()
    rows = jax.sharding.PartitionSpec(None, AXIS)
    self._everywhere = jax.sharding.NamedSharding(self._mesh, nowhere)
    self._variables = self._put(variables)
    self._apply: Callable = compiling.jit(
      jax.shard_map(
        self._slab,
        mesh=self._mesh,
        in_specs=nowhere,
        out_specs=rows,
        check_vma=False,
      )
    )

  def _put(self, tree):
    """Returns arrays that every device of every process has."""
    make = jax.make_array_from_process_local_data
    return jax.tree.map(lambda t: make(self._everywhere, np.asarray(t)), tree)

  def _slab(self, variables, lowres, extras):
    network = queries.graph(
      self._module, variables, lowres.shape, self._lines, extras
    )
    run = _Devices(self._mesh.size, self._points)
    inputs = network.given(lowres, extras)
    return run.slab(network.last, inputs)

  def __call__(
    self, lowres: np.ndarray, extras: Mapping[str, Any] | None = None
  ) -> np.ndarray:
    """Returns the answer at all query points, [b H W c], on every process."""
    given = self._put((lowres, dict(extras or {})))
    parts = self._apply(self._variables, *given)
    if self._mesh.is_multi_process:
      every = multihost_utils.process_allgather(parts, tiled=True)
    else:
      every = np.asarray(parts)
    height, count = self._lines[0].count, self._mesh.size
    size = math.ceil(height / count)
    rows = [
      every[:, d * size + s.first - s.start : d * size + s.last - s.start]
      for d, s in enumerate(slabs(height, count))
    ]
    return np.concatenate(rows, axis=1)
