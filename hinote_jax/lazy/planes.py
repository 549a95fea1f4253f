"""Grids of values that are made window by window, and what each window reads.

A `Plane` says how a window of it is made from windows of others. Nothing is
computed until one is asked for, so a chain of planes is one compiled function
of a tile, and the halo of every step follows from how far it reaches. Windows
are cut off at walls, where the network's own padding is then the right one,
and run on around periodic axes.

How planes are stored, summed over and shared among devices is the business of
a `Run`; a network says with these what it does, whoever runs it.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic

# Positions are known to about this in cells; what lies nearer is touched.
_TOUCH = 1e-6


class Grid(NamedTuple):
  """Shape (h, w) of a grid and which of its axes close on themselves."""

  shape: tuple[int, int]
  periodic: Periodic = (False, False)


class Here(NamedTuple):
  """The window that is being made.

  Attributes:
    start: [2] int32, of its first cell; on a periodic axis it may lie outside
      of [0, n).
    shape: (h, w) of the window.
    grid: that it is of.
    owned: [2 2] int32, first and last + 1 row and column that no other window
      counts; only where something is summed.
  """

  start: jax.Array
  shape: tuple[int, int]
  grid: Grid
  owned: jax.Array | None = None

  def indices(self, axis: int) -> jax.Array:
    """Returns the rows (0) or columns (1) of the window, folded if periodic."""
    index = self.start[axis] + jnp.arange(self.shape[axis])
    if self.grid.periodic[axis]:
      index = index % self.grid.shape[axis]
    return index


class Part(NamedTuple):
  """A window of an input, and where it lies.

  Attributes:
    values: [b h w c].
    start: [2] int32, as of `Here`.
    grid: that it is of.
  """

  values: jax.Array
  start: jax.Array
  grid: Grid

  @property
  def place(self) -> grids.Part:
    """Where the values lie on their grid."""
    return grids.Part(self.start, self.grid.shape)

  def at(self, here: Here, ratio: int = 1) -> "Part":
    """Returns the part, its start in cells `ratio` times finer."""
    grid = Grid(here.grid.shape, self.grid.periodic)
    return Part(self.values, self.start * ratio, grid)

  def crop(self, here: Here) -> jax.Array:
    """Returns what of the values lies in a window of the same grid."""
    b, _, _, c = self.values.shape
    y, x = here.start - self.start
    size = (b, *here.shape, c)
    return jax.lax.dynamic_slice(self.values, (0, y, x, 0), size)

  def inside(self, here: Here) -> Float[Array, "h w"]:
    """Returns 1 for the cells that the window `here` owns, 0 for others."""
    sides = []
    for axis in (0, 1):
      index = self.start[axis] + jnp.arange(self.values.shape[1 + axis])
      first, last = here.owned[axis]
      sides.append((index >= first) & (index < last))
    return (sides[0][:, None] & sides[1]).astype(jnp.float32)


class Input(NamedTuple):
  """What a plane reads of another.

  Attributes:
    plane: the other.
    lines: where the cells of the reading plane lie in the cells of the other,
      along y and x.
    reach: cells of the other that are read each way from there.
  """

  plane: "Plane"
  lines: tuple[grids.Line, grids.Line]
  reach: float | int


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
  """A grid of values that are computed where they are asked for.

  Attributes:
    grid: that the values lie on.
    inputs: what is read.
    function: (params, here, *parts) -> [b h w c], the values of a window. It
      may keep nothing but shapes: all arrays come in `params`.
    params: arrays.
  """

  grid: Grid
  inputs: Sequence[Input]
  function: Callable
  params: Any = ()

  def map(self, function: Callable, params: Any = ()) -> "Plane":
    """Returns the plane of function(params, values), a point from a point."""
    return Plane(
      self.grid,
      (same(self),),
      lambda params, here, part: function(params, part.values),
      params,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Held(Plane):
  """A plane whose values are held somewhere; what holds them is in `store`."""

  inputs: Sequence[Input] = ()
  function: Callable = None
  params: Any = ()
  store: Any = None


@runtime_checkable
class Run(Protocol):
  """Who carries planes out: tile after tile, or on many devices."""

  def hold(self, values: Array, periodic: Periodic) -> Held:
    """Returns an array [b h w c] as a plane."""

  def store(self, plane: Plane) -> Held:
    """Returns the plane with its values computed and kept."""

  def whole(self, plane: Plane) -> Array:
    """Returns all values of a plane, [b h w c]."""

  def small(self, function: Callable, *args: Any) -> Any:
    """Returns function(*args), or None where that should not be done whole."""

  def call(self, function: Callable, *args: Any) -> Any:
    """Returns function(*args), compiled; as a plane's, it keeps no array."""

  def sum(
    self, grid: Grid, inputs: Sequence[Input], function: Callable, params: Any
  ) -> Any:
    """Returns function(params, here, *parts) summed over windows of a grid.

    Each cell is `owned` by one window. Sums over windows are kept in more
    than float32, or compensated.
    """


def same(plane: Plane, reach: int = 0) -> Input:
  """Returns the input that reads cells around the same cell."""
  return Input(
    plane, tuple(grids.Line(0, 1, n) for n in plane.grid.shape), reach
  )


def _span(line, reach, n, is_periodic, size) -> int:
  """Returns how many cells a window of `size` reads along an axis of n."""
  need = line.step * (size - 1) + 2 * reach
  is_exact = all(
    abs(v - round(v)) < _TOUCH for v in (line.first, line.step, reach)
  )
  need = round(need) + 1 if is_exact else math.ceil(need - _TOUCH) + 2
  return need if is_periodic else min(need, n)


def _first(line, reach, n, is_periodic, start, span) -> int:
  """Returns the first of these cells for a window that begins at `start`."""
  first = math.floor(line.first + line.step * start - reach + _TOUCH)
  return first if is_periodic else min(max(first, 0), n - span)


def _axes(source: Input, size: tuple[int, int]):
  grid = source.plane.grid
  return zip(source.lines, grid.shape, grid.periodic, size, strict=True)


def input_shape(source: Input, size: tuple[int, int]) -> tuple[int, int]:
  """Returns the shape of the window that a window of `size` reads."""
  return tuple(
    _span(line, source.reach, n, closed, s)
    for line, n, closed, s in _axes(source, size)
  )


def _input_start(source, start, size, shape):
  return tuple(
    _first(line, source.reach, n, closed, a, span)
    for (line, n, closed, _), a, span in zip(
      _axes(source, size), start, shape, strict=True
    )
  )


class Read(NamedTuple):
  """A window of a held plane that is read: its plane, start and shape."""

  held: Held
  start: tuple[int, int]
  shape: tuple[int, int]


def windows(
  inputs: Sequence[Input], start: tuple[int, int], size: tuple[int, int]
) -> tuple[list[tuple[int, int]], list[Read]]:
  """Returns the starts of all windows that a window reads, and held ones.

  In the order in which `evaluate` takes them.

  Args:
    inputs: of the plane.
    start: first row and column of its window.
    size: shape of the window.
  """
  starts, reads = [], []
  for source in inputs:
    shape = input_shape(source, size)
    first = _input_start(source, start, size, shape)
    starts.append(first)
    if isinstance(source.plane, Held):
      reads.append(Read(source.plane, first, shape))
    else:
      deeper = windows(source.plane.inputs, first, shape)
      starts += deeper[0]
      reads += deeper[1]
  return starts, reads


def params_of(inputs: Sequence[Input]) -> list[Any]:
  """Returns the parameters of all planes that are read, in the same order."""
  found = []
  for source in inputs:
    if not isinstance(source.plane, Held):
      found += [*params_of(source.plane.inputs), source.plane.params]
  return found


def reach_of(inputs: Sequence[Input]) -> float:
  """Returns how far the held cells reach beyond a window, in its own cells."""
  found = [0.0]
  for source in inputs:
    deeper = 0.0
    if not isinstance(source.plane, Held):
      deeper = reach_of(source.plane.inputs)
    # Points that all lie on one cell have no step.
    step = max(line.step for line in source.lines) or 1.0
    found.append((source.reach + deeper) / step)
  return max(found)


def parts_of(
  inputs: Sequence[Input],
  size: tuple[int, int],
  starts: Iterator[jax.Array],
  held: Iterator[jax.Array],
  params: Iterator[Any],
) -> list[Part]:
  """Returns the windows of the inputs for a window of `size`, traced.

  Args:
    inputs: of the plane.
    size: shape of its window.
    starts: of `windows`, [2] each.
    held: values of the held windows, [b h w c] each.
    params: of `params_of`.
  """
  parts = []
  for source in inputs:
    start, grid = next(starts), source.plane.grid
    shape = input_shape(source, size)
    if isinstance(source.plane, Held):
      values = next(held)
    else:
      below = parts_of(source.plane.inputs, shape, starts, held, params)
      here = Here(start, shape, grid)
      values = source.plane.function(next(params), here, *below)
    parts.append(Part(values, start, grid))
  return parts


class Queries(NamedTuple):
  """The grid of query points that a network is asked for.

  Attributes:
    lines: where they lie along y and x, in cells of the input.
    coords: the same as coordinates, [H] and [W].
    cell: size of a query cell, [b 2].
    grid: their shape; periodic as the network is.
  """

  lines: tuple[grids.Line, grids.Line]
  coords: grids.Axes
  cell: jax.Array
  grid: Grid

  def points(self, coords: grids.Axes, here: Here) -> grids.Axes:
    """Returns the points of a window, [b h] and [b w]; for a function."""
    y, x = (c[here.indices(axis)] for axis, c in enumerate(coords))
    return grids.batched(grids.Axes(y, x), len(self.cell))

  def plane(self, function: Callable, params: Any, *inputs: Input) -> Plane:
    """Returns the plane of function(params, points, *parts) at the queries."""

    def at(params, here, *parts):
      coords, params = params
      return function(params, self.points(coords, here), *parts)

    return Plane(self.grid, inputs, at, (self.coords, params))

  def on(self, plane: Plane, ratio: int = 1, reach: int = 1) -> Input:
    """Returns the input that reads a grid `ratio` times finer than the input's.

    Args:
      plane: features, for one.
      ratio: its cells per cell of the input, along an axis.
      reach: 1 for the cells on both sides of a query.
    """
    lines = tuple(
      grids.Line((a.first + 0.5) * ratio - 0.5, a.step * ratio, a.count)
      for a in self.lines
    )
    return Input(plane, lines, reach)
