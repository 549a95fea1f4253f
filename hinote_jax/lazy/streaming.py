"""Planes carried out tile by tile on one device, in bounded memory.

Every step of a network is one compiled function of a tile; all tiles of a step
have one size, so those at the far end overlap their neighbours. A pass over
the tiles either keeps values in a `Store`, or sums what a Galerkin integral
needs; sums over tiles are float64, in the order of the tiles. The result is
that of the whole, to the rounding of float32.
"""

from collections.abc import Callable, Iterator, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.lazy import planes, stores

# Side of a tile where memory allows: beyond, nothing gets faster.
_SIDE = {"cpu": 256}
_SIDE_ELSEWHERE = 1024
_LEAST = 16
# Tiles are this many times as long as their halo, where memory allows.
_HALOS = 12


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


def even(n: int, most: int) -> int:
  """Returns the size of the fewest equal tiles of at most `most` cells."""
  return -(-n // -(-n // most))


def _bytes(compiled) -> int:
  """Returns what a compiled function takes while it runs."""
  stats = compiled.memory_analysis()
  return (
    stats.temp_size_in_bytes
    + stats.argument_size_in_bytes
    + 2 * stats.output_size_in_bytes
  )


class Stage:
  """One compiled step: a function of windows, for tiles of one size."""

  def __init__(
    self,
    grid: planes.Grid,
    inputs: Sequence[planes.Input],
    function: Callable,
    params: Any,
    memory: int,
    side: int | None = None,
  ):
    """Chooses the largest tile that fits the memory, and compiles for it.

    Args:
      grid: of the tiles.
      inputs: of the function.
      function: as of a `planes.Plane`.
      params: its own.
      memory: bytes that a tile may take.
      side: longest side to begin with; None chooses.

    Raises:
      ValueError: not even the smallest tile fits.
    """
    self.grid = grid
    halo = math.ceil(planes.reach_of(inputs))
    if side is None:
      side = _SIDE.get(jax.default_backend(), _SIDE_ELSEWHERE)
      side = max(side, _HALOS * halo)
    while True:
      self.size = tuple(even(n, side) for n in grid.shape)
      self._compiled = self._compile(inputs, function, params)
      needed = self._needed()
      if needed <= memory:
        return
      smaller = int(side * math.sqrt(memory / needed))
      side = max(_LEAST, min(smaller, side - 1))
      if max(self.size) <= _LEAST:
        raise ValueError(
          f"the smallest tile, {self.size[0]} x {self.size[1]} points and its "
          f"halo of {halo}, takes {needed / 1e6:.0f} MB and "
          f"{memory / 1e6:.0f} MB are left for it: give more memory"
        )

  def _compile(self, inputs, function, params):
    size, grid = self.size, self.grid

    def tile(starts, owned, held, below, params):
      rows = iter(starts[1:])
      parts = planes.parts_of(inputs, size, rows, iter(held), iter(below))
      return function(params, planes.Here(starts[0], size, grid, owned), *parts)

    arguments = self._arguments((0, 0), np.zeros((2, 2), np.int32), inputs)
    below = planes.params_of(inputs)
    return jax.jit(tile).lower(*arguments, below, params).compile()

  def _needed(self) -> int:
    return _bytes(self._compiled)

  def _arguments(self, start, owned, inputs):
    starts, reads = planes.windows(inputs, start, self.size)
    held = [read.held.store.read(read.start, read.shape) for read in reads]
    return np.asarray([start, *starts], np.int32), owned, held

  def tiles(self) -> list[tuple[Span, Span]]:
    """Returns the tiles of the grid, row by row."""
    y, x = (
      spans(n, s) for n, s in zip(self.grid.shape, self.size, strict=True)
    )
    return [(a, b) for a in y for b in x]

  def run(
    self,
    inputs: Sequence[planes.Input],
    params: Any,
    tiles: Sequence[tuple[Span, Span]],
  ) -> Iterator[Any]:
    """Yields the result of each tile, one computed ahead."""
    below, params = jax.device_put((planes.params_of(inputs), params))
    pending = None
    for y, x in tiles:
      owned = np.asarray([y[1:], x[1:]], np.int32)
      arguments = self._arguments((y.start, x.start), owned, inputs)
      result = self._compiled(*arguments, below, params)
      if pending is not None:
        yield pending
      pending = result
    if pending is not None:
      yield pending


class Answer:
  """The last plane of a network, read tile by tile.

  Attributes:
    tiles: of the result; each counts the cells `first` to `last` of an axis.
    size: of every tile.
  """

  def __init__(self, stage: Stage, plane: planes.Plane, tell: Callable):
    self._stage, self._plane, self._tell = stage, plane, tell
    self.size = stage.size
    self.tiles = stage.tiles()

  def __call__(
    self, tiles: Sequence[tuple[Span, Span]] | None = None
  ) -> Iterator[tuple[tuple[Span, Span], np.ndarray]]:
    """Yields tiles and what counts of them, [b h w c]; all by default."""
    tiles = self.tiles if tiles is None else tiles
    plane = self._plane
    results = self._stage.run(plane.inputs, plane.params, tiles)
    for i, (tile, values) in enumerate(zip(tiles, results, strict=True)):
      y, x = tile
      rows, columns = (
        slice(s.first - s.start, s.last - s.start) for s in (y, x)
      )
      yield tile, np.asarray(values)[:, rows, columns]
      self._tell("answer", i + 1, len(tiles))

  def read(self, rows: slice, columns: slice) -> np.ndarray:
    """Returns any window of the result, [b h w c]."""
    tiles = [
      [
        Span(
          min(part.start + span.start, n - size),
          part.start + span.first,
          part.start + span.last,
        )
        for span in spans(part.stop - part.start, size, is_cut=True)
      ]
      for part, n, size in zip(
        (rows, columns), self._stage.grid.shape, self.size, strict=True
      )
    ]
    grid = [[(y, x) for x in tiles[1]] for y in tiles[0]]
    parts = [[values for _, values in self(line)] for line in grid]
    return np.concatenate(
      [np.concatenate(line, axis=2) for line in parts], axis=1
    )


class Stream:
  """A `planes.Run` that goes over tiles; used again, nothing is compiled."""

  def __init__(
    self,
    memory: float | int,
    tell: Callable | None = None,
    *,
    side: int | None = None,
  ):
    """Makes a run.

    Args:
      memory: bytes for tiles, and for planes that are kept in memory; larger
        ones are kept in a scratch file.
      tell: called as tell(what, done, total) after every tile.
      side: longest side of a tile, and nothing is done whole; None chooses.
    """
    self._memory, self._side = int(memory), side
    self._tell = tell or (lambda what, done, total: None)
    self._stages: list[Any] = []
    self._next = 0

  def begin(self) -> None:
    """Starts on another field of the same shape, by the same network."""
    self._next = 0

  def _stage(self, make: Callable) -> Any:
    """Returns the step whose turn it is, made the first time."""
    if self._next == len(self._stages):
      self._stages.append(make())
    self._next += 1
    return self._stages[self._next - 1]

  def _stage_of(self, plane) -> Stage:
    return self._sums_of(plane.grid, plane.inputs, plane.function, plane.params)

  def _sums_of(self, *what) -> Stage:
    return self._stage(lambda: Stage(*what, self._memory, self._side))

  def hold(self, values, periodic) -> planes.Held:
    """Returns an array [b h w c] as a plane."""
    store = stores.Store.of(np.asarray(values))
    grid = planes.Grid(store.shape[1:3], tuple(periodic))
    return planes.Held(grid, store=store)

  def answer(self, plane: planes.Plane) -> Answer:
    """Returns the plane ready to be read tile by tile."""
    return Answer(self._stage_of(plane), plane, self._tell)

  def store(self, plane: planes.Plane) -> planes.Held:
    """Returns the plane with its values computed and kept."""
    if isinstance(plane, planes.Held):
      return plane
    stage, store = self._stage_of(plane), None
    tiles = stage.tiles()
    results = stage.run(plane.inputs, plane.params, tiles)
    for i, ((y, x), values) in enumerate(zip(tiles, results, strict=True)):
      if store is None:
        store = self._new_store(values.shape, plane.grid.shape)
      # Cells of two tiles are written twice, and alike.
      store.write(y.start, x.start, np.asarray(values))
      self._tell("features", i + 1, len(tiles))
    return planes.Held(plane.grid, store=store)

  def _new_store(self, tile, shape):
    full = (tile[0], *shape, tile[-1])
    is_scratch = 4 * math.prod(full) > self._memory / 4
    return stores.Store(full, is_scratch=is_scratch)

  def whole(self, plane: planes.Plane) -> jax.Array:
    """Returns all values of a plane, [b h w c]."""
    return jnp.asarray(self.store(plane).store.read((0, 0), plane.grid.shape))

  def small(self, function: Callable, *args: Any) -> Any:
    """Returns function(*args) where that takes a third of the memory, or None.

    What is small is done whole: fewer steps, and no halo twice.
    """
    if self._side is not None:
      return None
    compiled = self._stage(lambda: jax.jit(function).lower(*args).compile())
    return compiled(*args) if 3 * _bytes(compiled) <= self._memory else None

  def call(self, function: Callable, *args: Any) -> Any:
    """Returns function(*args), compiled once."""
    return self._stage(lambda: jax.jit(function))(*args)

  def sum(self, grid, inputs, function, params) -> Any:
    """Returns function(params, here, *parts) summed over the tiles."""
    stage = self._sums_of(grid, inputs, function, params)
    tiles, total = stage.tiles(), None
    for i, part in enumerate(stage.run(inputs, params, tiles)):
      part = jax.tree.map(lambda t: np.asarray(t, np.float64), part)
      total = part if total is None else jax.tree.map(np.add, total, part)
      self._tell("sums", i + 1, len(tiles))
    return jax.tree.map(lambda t: jnp.asarray(t, jnp.float32), total)
