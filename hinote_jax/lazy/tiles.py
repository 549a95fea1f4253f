"""A graph of lazy grids carried out tile by tile, in bounded memory.

Every pass is one compiled function of a tile; all tiles of a pass have one
size, so those at the far end overlap their neighbours. A pass either stores a
grid, or sums a total, in float64, in the order of the tiles. The result is
that of the whole, to the rounding of float32.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import compiling
from hinote_jax.lazy import grid, schedule, stores
from hinote_jax.lazy.grid import LazyGrid, Total

# Side of a tile where memory allows: beyond, nothing gets faster.
_SIDE = {"cpu": 256}
_SIDE_ELSEWHERE = 1024
_LEAST = 16
# Tiles are this many times as long as their halo, where memory allows.
_HALOS = 12

Report = Callable[[str, int, int], None]


class Span(NamedTuple):
  """A tile along one axis: what is computed and what of it counts.

  Attributes:
    start: first cell computed.
    first: first cell that counts.
    last: one after the last.
  """

  start: int
  first: int
  last: int


Tile = tuple[Span, Span]


def spans(n: int, size: int, *, is_cut: bool = False) -> list[Span]:
  """Returns tiles of `size` cells that cover an axis of n cells once.

  The last begins earlier, to end with the axis; with `is_cut` it does not.
  """
  count = -(-n // size)
  return [
    Span(
      i * size if is_cut else min(i * size, n - size),
      i * size,
      min((i + 1) * size, n),
    )
    for i in range(count)
  ]


def even(n: int, limit: int) -> int:
  """Returns the size of the fewest equal tiles of at most `limit` cells."""
  return -(-n // -(-n // limit))


def memory_of(compiled: Any) -> int:
  """Returns the bytes that a compiled function takes while it runs."""
  stats = compiled.memory_analysis()
  return (
    stats.temp_size_in_bytes
    + stats.argument_size_in_bytes
    + 2 * stats.output_size_in_bytes
  )


class Pass:
  """One pass over the tiles of a grid or a total, compiled for one size.

  Attributes:
    root: what is computed.
    size: of the tiles.
  """

  def __init__(
    self,
    root: schedule.Root,
    size: tuple[int, int],
    programs: dict[Any, Any],
    totals: Callable[[Total], Any],
  ):
    """Compiles, unless an equal pass has been.

    Args:
      root: what is computed.
      size: of the tiles.
      programs: what is compiled already; added to.
      totals: gives the values of a total, or their shapes and types.
    """
    self.root, self.size = root, size
    n = root.domain.shape
    y, x = (spans(m, s) for m, s in zip(n, size, strict=True))
    self.tiles: list[Tile] = list(itertools.product(y, x))
    self._starts = [span.start for span in y], [span.start for span in x]
    self._schedule = self._at(*self._starts)
    params = grid.resolved(self._schedule.params, totals)
    members = self._schedule.members
    leaves, tree = jax.tree.flatten(params)
    kinds = tuple((np.shape(v), str(jnp.result_type(v))) for v in leaves)
    shapes = tuple(
      (b, *member.shape, c)
      for member, (b, _, _, c) in zip(
        members, [node.shape for node in self._schedule.stored], strict=False
      )
    )
    key = members, shapes, kinds, tree
    if key not in programs:
      programs[key] = _compiled(members, shapes, kinds, tree)
    self._program = programs[key]

  def _at(self, rows, columns):
    return schedule.make(
      self.root, self.size, (np.asarray(rows), np.asarray(columns))
    )

  @property
  def memory(self) -> int:
    """Bytes that a tile takes."""
    return memory_of(self._program)

  @property
  def reach(self) -> int:
    """How far stored windows reach beyond a tile, in its cells."""
    return schedule.reach(self._schedule)

  def run(self, tiles: Sequence[Tile], values: "Values") -> Iterator[Any]:
    """Yields the result of each tile, one computed ahead.

    Args:
      tiles: of `tiles`, or any others of this size.
      values: of what is read.
    """
    rows = sorted({y.start for y, _ in tiles})
    columns = sorted({x.start for _, x in tiles})
    is_all = (rows, columns) == self._starts
    plan = self._schedule if is_all else self._at(rows, columns)
    params = grid.resolved(plan.params, values.totals.__getitem__)
    leaves = jax.tree.leaves(jax.device_put(params))
    sources = [values.stores[node] for node in plan.stored]
    shapes = [member.shape for member in plan.members]
    pending = None
    for y, x in tiles:
      starts = plan.start(rows.index(y.start), columns.index(x.start))
      held = [
        source.read((int(start[0]), int(start[1])), shape)
        for source, start, shape in zip(sources, starts, shapes, strict=False)
      ]
      owned = np.asarray([y[1:], x[1:]], np.int32)
      result = self._program(starts, owned, held, leaves)
      if pending is not None:
        yield pending
      pending = result
    if pending is not None:
      yield pending


def _compiled(members, shapes, kinds, tree):
  def tile(starts, owned, held, leaves):
    params = tree.unflatten(leaves)
    return schedule.evaluate(members, starts, held, params, owned)

  rows = len(members) + sum(len(member.edges) for member in members)
  starts = jax.ShapeDtypeStruct((rows, 2), jnp.int32)
  owned = jax.ShapeDtypeStruct((2, 2), jnp.int32)
  held = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  leaves = [jax.ShapeDtypeStruct(shape, kind) for shape, kind in kinds]
  return compiling.jit(tile).lower(starts, owned, held, leaves).compile()


class Values(NamedTuple):
  """What is known of a graph for one input.

  Attributes:
    stores: of grids that are stored and read again.
    totals: that are summed up.
  """

  stores: dict[LazyGrid, stores.Store]
  totals: dict[Total, Any]

  @property
  def bytes_in_memory(self) -> int:
    """What the stores take that are not in scratch files."""
    return sum(store.bytes_in_memory for store in self.stores.values())


class Answer:
  """The last grid of a graph, computed tile by tile where it is read.

  Attributes:
    grid: that is computed.
    tiles: of the result; each counts the cells `first` to `last` of an axis.
    size: of every tile.
  """

  def __init__(self, last: Pass, values: Values, report: Report):
    assert isinstance(last.root, LazyGrid)
    self._pass, self.grid, self.values = last, last.root, values
    self.size, self.tiles, self._report = last.size, last.tiles, report

  def __call__(
    self, tiles: Sequence[Tile] | None = None
  ) -> Iterator[tuple[Tile, np.ndarray]]:
    """Yields tiles and what counts of them, [b h w c]; all by default."""
    tiles = self.tiles if tiles is None else tiles
    results = self._pass.run(tiles, self.values)
    for i, (tile, values) in enumerate(zip(tiles, results, strict=True)):
      rows, columns = (slice(s.first - s.start, s.last - s.start) for s in tile)
      yield tile, np.asarray(values)[:, rows, columns]
      self._report("answer", i + 1, len(tiles))

  def read(self, rows: slice, columns: slice) -> np.ndarray:
    """Returns any window of the result, [b h w c]."""
    lines = [
      [
        Span(
          min(part.start + span.start, n - size),
          part.start + span.first,
          part.start + span.last,
        )
        for span in spans(part.stop - part.start, size, is_cut=True)
      ]
      for part, n, size in zip(
        (rows, columns), self._pass.root.domain.shape, self.size, strict=True
      )
    ]
    bands = [[(y, x) for x in lines[1]] for y in lines[0]]
    parts = [[values for _, values in self(band)] for band in bands]
    return np.concatenate(
      [np.concatenate(band, axis=2) for band in parts], axis=1
    )


class Tiles:
  """Carries a graph out over tiles; used again, nothing is compiled."""

  def __init__(
    self,
    last: LazyGrid,
    memory: float | int,
    report: Report | None = None,
    *,
    side: int | None = None,
  ):
    """Orders the passes of a graph; compiles when they are first run.

    Args:
      last: the grid that is asked for.
      memory: bytes for tiles, and for grids that are stored in memory; larger
        ones are stored in a scratch file.
      report: called as report(what, done, total) after every tile.
      side: longest side of a tile; None chooses.
    """
    self._last, self._memory, self._side = last, int(memory), side
    self.report: Report = report or (lambda what, done, total: None)
    self._programs: dict[Any, Any] = {}
    self._passes: dict[int, Pass] = {}
    self._order = schedule.passes_before(last)
    # After which pass a stored grid is read no more.
    self._last_reader = {
      id(node): i
      for i, root in enumerate((*self._order, last))
      for node in schedule.sources(root)[0]
    }

  def __call__(self, inputs: Mapping[LazyGrid, np.ndarray]) -> Answer:
    """Runs all passes but the last, which runs where it is read.

    Args:
      inputs: values [b h w c] of every input of the graph.

    Raises:
      ValueError: not even the smallest tile fits the memory.
    """
    given = {n: stores.Store.of(np.asarray(v)) for n, v in inputs.items()}
    values = Values(given, {})
    for i, root in enumerate(self._order):
      if isinstance(root, Total):
        values.totals[root] = self._sum(root, values)
      else:
        values.stores[root] = self._stored(root, values)
      for node in list(values.stores):
        if self._last_reader.get(id(node), -1) == i:
          del values.stores[node]
    return Answer(self._pass(self._last), values, self.report)

  def _stored(self, root: LazyGrid, values: Values) -> stores.Store:
    one, size = self._pass(root), 4 * math.prod(root.shape)
    is_scratch = values.bytes_in_memory + size > self._memory / 4
    store = stores.Store(root.shape, is_scratch=is_scratch)
    results = one.run(one.tiles, values)
    for i, ((y, x), result) in enumerate(zip(one.tiles, results, strict=True)):
      # Cells of two tiles are written twice, and alike.
      store.write(y.start, x.start, np.asarray(result))
      self.report("features", i + 1, len(one.tiles))
    return store

  def _sum(self, root: Total, values: Values) -> Any:
    one, total = self._pass(root), None
    for i, part in enumerate(one.run(one.tiles, values)):
      part = jax.tree.map(_wide, part)
      total = part if total is None else jax.tree.map(np.add, total, part)
      self.report("sums", i + 1, len(one.tiles))
    kinds = root.abstract
    return jax.tree.map(lambda t, k: jnp.asarray(t, k.dtype), total, kinds)

  def _pass(self, root: schedule.Root) -> Pass:
    """Returns the pass of the largest tiles that fit the memory."""
    if id(root) not in self._passes:
      self._passes[id(root)] = self._fitted(root)
    return self._passes[id(root)]

  def _fitted(self, root: schedule.Root) -> Pass:
    shape = root.domain.shape
    if isinstance(root, LazyGrid) and root.is_undivided:
      return self._make(root, shape)
    side = self._side
    if side is None:
      side = _SIDE.get(jax.default_backend(), _SIDE_ELSEWHERE)
      size = _size(root, side)
      starts = np.zeros(1, np.int64)
      halo = schedule.reach(schedule.make(root, size, (starts, starts)))
      side = max(side, _HALOS * halo)
    while True:
      size = _size(root, side)
      one = self._make(root, size)
      if one.memory <= self._memory:
        return one
      if side <= _LEAST or max(size) <= _LEAST:
        raise ValueError(
          f"the smallest tile, {size[0]} x {size[1]} points and its halo of "
          f"{one.reach}, takes {one.memory / 1e6:.0f} MB and "
          f"{self._memory / 1e6:.0f} MB are left for it: give more memory"
        )
      smaller = int(side * math.sqrt(self._memory / one.memory))
      side = max(_LEAST, min(smaller, side - 1))

  def _make(self, root, size) -> Pass:
    return Pass(root, size, self._programs, lambda total: total.abstract)


def _size(root: schedule.Root, side: int) -> tuple[int, int]:
  """Returns the size of tiles of about side x side points."""
  h, w = root.domain.shape
  line_axis = root.line_axis if isinstance(root, LazyGrid) else None
  if line_axis == 0:
    return h, even(w, max(1, side * side // h))
  if line_axis == 1:
    return even(h, max(1, side * side // w)), w
  return even(h, side), even(w, side)


def _wide(values: jax.Array) -> np.ndarray:
  """Returns values in double precision."""
  kind = np.complex128 if jnp.iscomplexobj(values) else np.float64
  return np.asarray(values).astype(kind)
