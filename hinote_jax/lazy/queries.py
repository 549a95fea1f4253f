"""Query points of networks on lazy grids, and what is read around them."""

from collections.abc import Callable, Mapping
import math
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import numpy as np

from hinote_jax.core import grids, resize, taps
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy.grid import Domain, Grid, LazyGrid, Patch, Reading, bind

# Extras of a call that are on no grid, even where their shape is that of one.
OFF_GRID = ("kernel", "noise")


class Queries(NamedTuple):
  """The query points that a network on lazy grids is asked for.

  They take the place of `grids.Axes` in the call of a model.

  Attributes:
    lines: where they lie along y and x, in cells of the input.
    coords: the same as coordinates, [H] and [W].
    shape: (h, w) of the input.
  """

  lines: tuple[grids.Line, grids.Line]
  coords: grids.Axes
  shape: tuple[int, int]

  @classmethod
  def of_lines(
    cls, lines: tuple[grids.Line, grids.Line], shape: tuple[int, int]
  ) -> "Queries":
    """Returns the points on lines through the cells of a grid (h, w)."""
    y, x = (line.coords(n) for line, n in zip(lines, shape, strict=True))
    return cls(lines, grids.Axes(y, x), shape)

  @property
  def counts(self) -> tuple[int, int]:
    """How many points there are along y and x."""
    return self.lines[0].count, self.lines[1].count

  def cell(self) -> np.ndarray:
    """Returns the size of a query cell in coordinates, [1 2]."""
    both = zip(self.lines, self.shape, strict=True)
    return np.asarray([[2 * line.step / n for line, n in both]], np.float32)

  def on(self, x: Grid, reach: int | None) -> Reading:
    """Returns the reading of the cells around each query.

    Args:
      x: a grid over the extent of the input, as fine or finer.
      reach: 1 for the cells on both sides of a query.
    """
    assert isinstance(x, LazyGrid)
    lines = []
    for line, n, m in zip(self.lines, self.shape, x.domain.shape, strict=True):
      ratio = m / n
      first = (line.first + 0.5) * ratio - 0.5
      lines.append(grids.Line(first, line.step * ratio, line.count))
    return Reading(x, (lines[0], lines[1]), (reach, reach))


Coords = grids.Coords | Queries


def is_regular(coords: Coords) -> bool:
  """Says whether query points are a regular window."""
  return isinstance(coords, grids.Axes | Queries)


def query_shape(coords: Coords) -> tuple[int, int]:
  """Returns (H, W), the shape in which the query points are arranged."""
  if isinstance(coords, Queries):
    return coords.counts
  return grids.query_shape(coords)


def _at_points(function: Callable, params, window, *patches):
  coords, params = params
  y, x = (c[window.indices(axis)] for axis, c in enumerate(coords))
  points = grids.batched(grids.Axes(y, x), len(patches[0].values))
  return function(params, points, *patches)


def at_queries(
  function: Callable[..., Array],
  params: Any,
  coords: Coords,
  *inputs: Grid,
  reach: int | None = 1,
  periodic: Periodic = (False, False),
) -> Any:
  """Returns function(params, points, *patches) at the query points, [b H W c].

  Args:
    function: takes `grids.Axes` of [b H] and [b W], or points [b H W 2], and a
      patch of each input.
    params: arrays, or totals.
    coords: query points; `Queries` where the inputs are lazy.
    *inputs: grids over the extent of the field.
    reach: cells of an input that are read on each side of a query; None for
      all of it.
    periodic: which axes of the query points close on themselves, for what
      comes after.
  """
  if not isinstance(coords, Queries):
    points = grids.batched(coords, inputs[0].shape[0])
    return function(params, points, *(Patch.whole(x) for x in inputs))
  readings = tuple(coords.on(x, reach) for x in inputs)
  domain = Domain(coords.counts, periodic)
  known = (coords.coords, params)
  return LazyGrid(domain, readings, bind(_at_points, function), known)


def interpolate(
  x: Grid,
  coords: Coords,
  *,
  method: str,
  boundary: tuple[str, str],
  snap: float = 0.0,
) -> Any:
  """Returns a field interpolated at query points, see `resize.sample`."""
  function = bind(_interpolated, method, grids.pair(boundary), snap)
  if isinstance(x, LazyGrid) or isinstance(coords, Queries):
    reach = math.ceil(taps.radius(method))
    return at_queries(function, (), coords, x, reach=reach)
  options: Any = dict(method=method, boundary=boundary, snap=snap)
  return resize.sample(x, coords, **options)


def _interpolated(
  method: str, boundary: tuple[str, str], snap: float, params, points, patch
):
  del params
  return resize.sample(
    patch.values,
    points,
    method=method,
    boundary=boundary,
    snap=snap,
    placement=patch.placement,
  )


class Graph(NamedTuple):
  """A network on lazy grids.

  Attributes:
    last: its answer at the query points.
    inputs: the field, then of the extras those that lie on a grid.
  """

  last: LazyGrid
  inputs: tuple[LazyGrid, ...]

  def given(
    self, lowres: Any, extras: Mapping[str, Any] | None = None
  ) -> dict[LazyGrid, Any]:
    """Returns the values of every input, as whoever carries it out takes them.

    Args:
      lowres: the field, [b h w c].
      extras: of the same shapes as the graph was made with.
    """
    shapes = self.inputs[0].domain.shape, self.last.domain.shape
    leaves = jax.tree.leaves_with_path(dict(extras or {}))
    on_grid = [leaf for p, leaf in leaves if _is_on_grid(p, leaf, *shapes)]
    return dict(zip(self.inputs, [lowres, *on_grid], strict=True))


def graph(
  module: nn.Module,
  variables: Mapping[str, Any],
  shape: tuple[int, int, int, int],
  lines: tuple[grids.Line, grids.Line],
  extras: Mapping[str, Any] | None = None,
) -> Graph:
  """Returns the graph of a model: its own call, on lazy grids.

  Args:
    module: a model, `periodic` as the field is.
    variables: its own.
    shape: (b, h, w, c) of the field.
    lines: query points along y and x.
    extras: keyword arguments of the call, arrays or shapes and types; those on
      the grid of the field or of the query points become inputs.
  """
  lowres = LazyGrid.input(shape, module.periodic)
  queries = Queries.of_lines(lines, (shape[1], shape[2]))
  inputs, known = [lowres], []
  leaves, tree = jax.tree_util.tree_flatten_with_path(dict(extras or {}))
  for path, leaf in leaves:
    if _is_on_grid(path, leaf, (shape[1], shape[2]), queries.counts):
      leaf = LazyGrid.input(leaf.shape, module.periodic)
      inputs.append(leaf)
    known.append(leaf)
  cell = np.tile(queries.cell(), (shape[0], 1))
  given = tree.unflatten(known)
  last = module.apply(variables, lowres, queries, cell, **given)
  assert isinstance(last, LazyGrid)
  return Graph(last, tuple(inputs))


def loose(extras: Mapping[str, Any]) -> list[Any]:
  """Returns the extras that are on no grid, whatever their shapes."""
  leaves = jax.tree.leaves_with_path(dict(extras))
  return [v for p, v in leaves if p[0].key in OFF_GRID or v.ndim < 4]


def _is_on_grid(path, leaf: Any, *shapes: tuple[int, int]) -> bool:
  """Says whether an array [b h w c] has one of the shapes (h, w)."""
  is_field = len(leaf.shape) == 4 and path[0].key not in OFF_GRID
  return is_field and tuple(leaf.shape[1:3]) in shapes
