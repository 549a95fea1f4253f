"""One field divided among devices, with the answer of one device.

Every plane is cut into slabs of rows, one a device. What a window reads of a
neighbour's slab comes by `ppermute`, the sums of a Galerkin integral are
`psum`s. Within its slab a device goes over bands, which bounds its memory. The
devices may belong to several processes.
"""

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any, NamedTuple

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import numpy as np

from hinote_jax.lazy import planes, streaming
from hinote_jax.nn import bands

AXIS = "rows"


class _Slab(NamedTuple):
  """The rows of a plane that a device holds, [b t W c], and who has which."""

  values: jax.Array
  spans: tuple[streaming.Span, ...]


class _Whole(NamedTuple):
  """A plane that every device holds, [b H W c]."""

  values: jax.Array


def slabs(n: int, devices: int) -> tuple[streaming.Span, ...]:
  """Returns the rows of each device; some may have none that count."""
  size = -(-n // devices)
  found = streaming.spans(n, size)
  idle = streaming.Span(n - size, n, n)
  return tuple(found + [idle] * (devices - len(found)))


class Devices:
  """A `planes.Run` within `shard_map`; every method is traced."""

  def __init__(self, count: int, most: int):
    """Makes a run.

    Args:
      count: devices along `AXIS`.
      most: points of a band.
    """
    self._count, self._most = count, most

  def hold(self, values, periodic) -> planes.Held:
    """Returns an array [b h w c] that every device has as a plane."""
    grid = planes.Grid(values.shape[1:3], tuple(periodic))
    return planes.Held(grid, store=_Whole(jnp.asarray(values)))

  def small(self, function: Callable, *args: Any) -> None:
    """Returns None: what can be divided is."""
    del function, args

  def call(self, function: Callable, *args: Any) -> Any:
    """Returns function(*args), on every device alike."""
    return function(*args)

  def store(self, plane: planes.Plane) -> planes.Held:
    """Returns the plane, its slab computed on every device."""
    if isinstance(plane, planes.Held):
      return plane
    values = self.values(plane)
    spans = slabs(plane.grid.shape[0], self._count)
    return planes.Held(plane.grid, store=_Slab(values, spans))

  def values(self, plane: planes.Plane) -> jax.Array:
    """Returns the device's slab of a plane, [b t W c]."""
    work = _Work(self, plane.grid, plane.inputs)
    params = jax.tree.map(jnp.asarray, plane.params)
    parts = work.each(lambda here, parts: plane.function(params, here, *parts))
    if len(parts) == 1:
      return parts[0]
    rows = [
      parts[i, :, span.first - span.start :]
      for i, span in enumerate(work.spans)
    ]
    return jnp.concatenate(rows, axis=1)

  def whole(self, plane: planes.Plane) -> jax.Array:
    """Returns all values of a plane on every device, [b h w c]."""
    store = self.store(plane).store
    if isinstance(store, _Whole):
      return store.values
    every = jax.lax.all_gather(store.values, AXIS)
    rows = [
      every[d, :, s.first - s.start : s.last - s.start]
      for d, s in enumerate(store.spans)
    ]
    return jnp.concatenate(rows, axis=1)

  def sum(self, grid, inputs, function, params) -> Any:
    """Returns function(params, here, *parts) summed over bands and devices."""
    work = _Work(self, grid, inputs)

    def add(sums, index):
      total, excess = sums
      here, parts = work.band(index)
      part = function(params, here, *parts)
      # What rounding added before is taken away: Kahan's sum.
      part = jax.tree.map(jnp.subtract, part, excess)
      new = jax.tree.map(jnp.add, total, part)
      excess = jax.tree.map(lambda n, t, p: (n - t) - p, new, total, part)
      return (new, excess), None

    def first():
      here, parts = work.band(0)
      return function(params, here, *parts)

    if len(work.spans) == 1:
      return jax.lax.psum(first(), AXIS)
    zero = jax.tree.map(
      lambda t: jnp.zeros(t.shape, t.dtype), jax.eval_shape(first)
    )
    steps = jnp.arange(len(work.spans))
    (total, _), _ = jax.lax.scan(add, (zero, zero), steps)
    return jax.lax.psum(total, AXIS)


class _Work:
  """The bands of a slab, and what each reads."""

  def __init__(self, run, grid, inputs):
    count, (height, width) = run._count, grid.shape
    slab = slabs(height, count)
    rows = -(-height // count)
    most = max(1, run._most // width)
    self.spans = streaming.spans(rows, streaming.even(rows, most))
    self.grid, self.inputs = grid, inputs
    self.size = (self.spans[0].last, width)
    starts, owned, reads = [], [], []
    for device in slab:
      for band in self.spans:
        start = device.start + band.start, 0
        found, held = planes.windows(inputs, start, self.size)
        starts.append([start, *found])
        reads.append(held)
        first = max(device.first, device.start + band.first)
        last = min(device.last, device.start + band.last)
        owned.append([[first, max(first, last)], [0, width]])
    shape = count, len(self.spans)
    me = jax.lax.axis_index(AXIS)
    self._starts = jnp.asarray(_table(starts, shape))[me]
    self._owned = jnp.asarray(_table(owned, shape))[me]
    self._held = [
      _Reader([band[i] for band in reads], shape, me)
      for i in range(len(reads[0]))
    ]
    self._params = jax.tree.map(jnp.asarray, planes.params_of(inputs))

  def band(self, index):
    """Returns where a band is and the parts that it reads."""
    starts = self._starts[index]
    here = planes.Here(starts[0], self.size, self.grid, self._owned[index])
    parts = planes.parts_of(
      self.inputs,
      self.size,
      iter(starts[1:]),
      (read(index) for read in self._held),
      iter(self._params),
    )
    return here, parts

  def each(self, function):
    """Returns function(here, parts) of all bands, stacked."""
    if len(self.spans) == 1:
      return function(*self.band(0))[None]
    steps = jnp.arange(len(self.spans))
    return jax.lax.map(lambda i: function(*self.band(i)), steps)


def _table(values, shape):
  values = np.asarray(values, np.int32)
  return values.reshape(*shape, *values.shape[1:])


class _Reader:
  """The windows of one held plane that the bands of a device read."""

  def __init__(self, reads: Sequence[planes.Read], shape, me):
    self.held, self.shape = reads[0].held, reads[0].shape
    starts = np.asarray([read.start for read in reads]).reshape(*shape, 2)
    height, width = self.held.grid.shape
    self._columns = (starts[0, 0, 1] + np.arange(self.shape[1])) % width
    store = self.held.store
    if isinstance(store, _Whole):
      self._values, first = store.values, np.zeros(len(starts), np.int64)
      self._wraps = height
    else:
      first = starts[:, :, 0].min(axis=1)
      last = starts[:, :, 0].max(axis=1) + self.shape[0]
      span = int((last - first).max())
      if not self.held.grid.periodic[0]:
        first = np.minimum(first, height - span)
      rows = (first[:, None] + np.arange(span)) % height
      self._values, self._wraps = _exchanged(store, rows, me), None
    self._offsets = jnp.asarray(starts[:, :, 0] - first[:, None])[me]

  def __call__(self, index):
    offset = self._offsets[index]
    if self._wraps is None:
      values = jax.lax.dynamic_slice_in_dim(
        self._values, offset, self.shape[0], axis=1
      )
    else:
      rows = (offset + jnp.arange(self.shape[0])) % self._wraps
      values = jnp.take(self._values, rows, axis=1)
    if len(self._columns) == values.shape[2] and not self._columns[0]:
      return values
    return values[:, :, self._columns]


def _exchanged(store: _Slab, rows: np.ndarray, me: jax.Array) -> jax.Array:
  """Returns the rows that a device asks for, from its slab and others'.

  Args:
    store: slabs of a plane.
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
    lines: tuple[Any, Any],
    periodic: tuple[bool, bool],
    *,
    devices: Sequence[Any],
    most: int | None = None,
  ):
    """Prepares a network for query points.

    Args:
      module: a model of `hinote_jax.models` that streams.
      variables: its own.
      lines: query points along y and x.
      periodic: of the query grid.
      devices: of all processes.
      most: points of a band; None: 64 times `bands.at_once`.
    """
    self._lines, self._module = lines, module
    self._grid = planes.Grid(tuple(a.count for a in lines), periodic)
    most = 64 * bands.at_once(None) if most is None else most
    self._run = functools.partial(Devices, len(devices), most)
    self._mesh = jax.sharding.Mesh(np.asarray(devices), (AXIS,))
    nowhere = jax.sharding.PartitionSpec()
    rows = jax.sharding.PartitionSpec(None, AXIS)
    self._everywhere = jax.sharding.NamedSharding(self._mesh, nowhere)
    self._variables = self._put(variables)
    self._apply = jax.jit(
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

  def _slab(self, variables, lowres, coords, cell):
    run = self._run()
    queries = planes.Queries(self._lines, coords, cell, self._grid)
    plane = self._module.planes(run, variables, lowres, queries)
    return run.values(plane)

  def __call__(self, lowres, coords, cell) -> np.ndarray:
    """Returns the answer at all query points, [b H W c], on every process."""
    slabs_ = self._apply(self._variables, *self._put((lowres, coords, cell)))
    if self._mesh.is_multi_process:
      every = multihost_utils.process_allgather(slabs_, tiled=True)
    else:
      every = np.asarray(slabs_)
    height, count = self._grid.shape[0], self._mesh.size
    size = math.ceil(height / count)
    rows = [
      every[:, d * size + s.first - s.start : d * size + s.last - s.start]
      for d, s in enumerate(slabs(height, count))
    ]
    return np.concatenate(rows, axis=1)
