"""Grids of values that are computed window by window, and what a window reads.

A `LazyGrid` says how a window of it is made from windows of other grids.
Nothing is computed when one is made: a network called on a lazy grid returns a
graph of them. Whoever carries the graph out (`tiles`, `devices`) asks the last
grid for windows; how far each window reaches into the grids before follows by
composition. Windows are cut off at walls, where the padding of the network's
own layers is then the right one, and run on around periodic axes.

Two things end a pass over windows. A grid that is `is_stored` is computed as a
whole and stored, so that those after it need no halo of all before it. A
`Total` is a sum over all windows (of a Galerkin integral, say) that later grids
take as a parameter.
"""

from collections.abc import Callable
import dataclasses
import functools
import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic


@dataclasses.dataclass(frozen=True)
class Bound:
  """A function with its first arguments given; equal ones are compiled once."""

  function: Callable
  given: tuple[Any, ...]

  def __call__(self, *args: Any) -> Any:
    return self.function(*self.given, *args)


def bind(function: Callable, *given: Any) -> Bound:
  """Returns `function` with its first arguments given.

  Args:
    function: of a module's top level, so that it equals itself.
    *given: what may be compared: numbers, names, types, functions.
  """
  return Bound(function, given)


class Domain(NamedTuple):
  """Shape (h, w) of a grid and which of its axes close on themselves."""

  shape: tuple[int, int]
  periodic: Periodic = (False, False)


class Window(NamedTuple):
  """The window of a grid that is being computed.

  Attributes:
    start: [2] int32, its first cell; on a periodic axis it may lie outside of
      [0, n).
    shape: (h, w) of the window.
    domain: of the whole grid.
    owned: [2 2] int32, first and last + 1 row and column that no other window
      counts; only where something is summed.
  """

  start: jax.Array
  shape: tuple[int, int]
  domain: Domain
  owned: jax.Array | None = None

  @classmethod
  def whole(cls, shape: tuple[int, int]) -> "Window":
    """Returns the window that is all of a grid."""
    return cls(jnp.zeros(2, jnp.int32), shape, Domain(shape))

  def indices(self, axis: int) -> jax.Array:
    """Returns the rows (0) or columns (1) of the window, folded if periodic."""
    index = self.start[axis] + jnp.arange(self.shape[axis])
    if self.domain.periodic[axis]:
      index = index % self.domain.shape[axis]
    return index


class Patch(NamedTuple):
  """The values of a window of a grid, and where it lies.

  Attributes:
    values: [b h w c].
    start: [2] int32, as of `Window`.
    domain: of the whole grid.
  """

  values: Array
  start: jax.Array | tuple[int, int]
  domain: Domain

  @classmethod
  def whole(cls, values: "Grid") -> "Patch":
    """Returns an array [b h w c] as the patch that is all of its grid."""
    assert not isinstance(values, LazyGrid)
    height, width = values.shape[1:3]
    return cls(jnp.asarray(values), (0, 0), Domain((height, width)))

  @property
  def placement(self) -> grids.Placement:
    """Where the values lie on their grid."""
    return grids.Placement(self.start, self.domain.shape)

  def crop(self, window: Window) -> jax.Array:
    """Returns what of the values lies in a window of the same grid."""
    b, _, _, c = self.values.shape
    y, x = window.start - jnp.asarray(self.start)
    size = (b, *window.shape, c)
    return jax.lax.dynamic_slice(self.values, (0, y, x, 0), size)

  def inside(self, window: Window) -> Float[Array, "h w"]:
    """Returns 1 for the cells that the window owns, 0 for others."""
    assert window.owned is not None
    is_inside = []
    for axis in (0, 1):
      index = self.start[axis] + jnp.arange(self.values.shape[1 + axis])
      first, last = window.owned[axis]
      is_inside.append((index >= first) & (index < last))
    return (is_inside[0][:, None] & is_inside[1]).astype(jnp.float32)


class Reading(NamedTuple):
  """What a grid reads of another.

  Attributes:
    source: the other grid.
    lines: where the cells of the reading grid lie in the cells of the source,
      along y and x.
    reach: cells of the source that are read each way from there, along y and
      x; None for the whole axis.
  """

  source: "LazyGrid"
  lines: tuple[grids.Line, grids.Line]
  reach: tuple[float | None, float | None]


# (params, window, *patches) -> [b h w c], the values of the window.
Function = Callable[..., Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Total:
  """A sum over all cells of a domain, taken window by window.

  Attributes:
    domain: whose cells are summed over, each owned by one window.
    readings: what is read.
    function: (params, window, *patches) -> arrays, the part of a window.
    params: arrays, or totals of others.
  """

  domain: Domain
  readings: tuple[Reading, ...]
  function: Function
  params: Any = ()

  @functools.cached_property
  def abstract(self) -> Any:
    """Shapes and types of the sum."""
    return _abstract(self)


@dataclasses.dataclass(frozen=True, eq=False)
class LazyGrid:
  """A grid of values [b h w c] that are computed where they are asked for.

  It has the shape and arithmetic of an array, so that a network's lines serve
  both. Equal functions of equal shapes are compiled once: let functions be
  frozen dataclasses or of a module's top level, and arrays come in `params`.

  Attributes:
    domain: that the values lie on.
    readings: what is read; nothing by an input, whose values are given.
    function: (params, window, *patches) -> [b h w c], the values of a window.
    params: arrays, or totals.
    is_stored: computed as a whole and stored where it is read.
    is_undivided: computed by one window, whatever the memory.
    line_axis: 0 or 1 where windows should be as long as the grid, along it.
    given: (b, c) of an input.
  """

  domain: Domain
  readings: tuple[Reading, ...] = ()
  function: Function | None = None
  params: Any = ()
  is_stored: bool = False
  is_undivided: bool = False
  line_axis: int | None = None
  given: tuple[int, int] | None = None

  @classmethod
  def input(
    cls,
    shape: tuple[int, int, int, int],
    periodic: Periodic = (False, False),
  ) -> "LazyGrid":
    """Returns a grid whose values, of shape [b h w c], are given later."""
    b, h, w, c = shape
    return cls(
      Domain((h, w), grids.pair(periodic)), is_stored=True, given=(b, c)
    )

  @property
  def is_input(self) -> bool:
    """Whether the values are given."""
    return self.given is not None

  @functools.cached_property
  def shape(self) -> tuple[int, int, int, int]:
    """(b, h, w, c)."""
    b, c = self.given or _abstract(self).shape[::3]
    return b, *self.domain.shape, c

  @property
  def ndim(self) -> int:
    """4."""
    return 4

  @property
  def dtype(self) -> np.dtype:
    """float32: what is stored."""
    return np.dtype(np.float32)

  def _with(self, function, other, *, is_turned=False):
    if isinstance(other, LazyGrid):
      pair = (self, other)
      params: Any = ()
    else:
      pair, params = (self,), jnp.asarray(other)
    readings = tuple(same_cells(grid) for grid in pair)
    function = bind(_combined, function, is_turned)
    return LazyGrid(self.domain, readings, function, params)

  def __add__(self, other):
    return self._with(operator.add, other)

  def __radd__(self, other):
    return self._with(operator.add, other, is_turned=True)

  def __sub__(self, other):
    return self._with(operator.sub, other)

  def __rsub__(self, other):
    return self._with(operator.sub, other, is_turned=True)

  def __mul__(self, other):
    return self._with(operator.mul, other)

  def __rmul__(self, other):
    return self._with(operator.mul, other, is_turned=True)

  def __truediv__(self, other):
    return self._with(operator.truediv, other)

  # What NumPy and JAX must leave to the methods above.
  __array_ufunc__ = None
  __jax_array__ = None


# What the layers of a network take: an array, or a grid that is one later.
Grid = Array | LazyGrid


def _combined(
  operation: Callable, is_turned: bool, params, window, patch, *others
):
  """An operation on two grids, or on one and a constant."""
  del window
  a, b = patch.values, others[0].values if others else params
  return operation(b, a) if is_turned else operation(a, b)


def same_cells(source: LazyGrid, reach: float = 0) -> Reading:
  """Returns the reading of the cells around the same cell."""
  y, x = (grids.Line(0, 1, n) for n in source.domain.shape)
  return Reading(source, (y, x), (reach, reach))


def is_total(value: Any) -> bool:
  """Says whether a leaf of parameters is a `Total`."""
  return isinstance(value, Total)


def resolved(params: Any, values: Callable[[Total], Any]) -> Any:
  """Returns parameters with every total replaced by what `values` gives."""
  return jax.tree.map(
    lambda leaf: values(leaf) if is_total(leaf) else leaf,
    params,
    is_leaf=is_total,
  )


def totals_of(params: Any) -> list[Total]:
  """Returns the totals among parameters."""
  leaves = jax.tree.leaves(params, is_leaf=is_total)
  return [leaf for leaf in leaves if is_total(leaf)]


def _abstract(node: LazyGrid | Total) -> Any:
  """Returns what a window of one cell would be, as shapes and types."""
  assert node.function is not None
  params = resolved(node.params, lambda total: total.abstract)
  leaves, tree = jax.tree.flatten(params)
  kinds = tuple((np.shape(v), str(jnp.result_type(v))) for v in leaves)
  sources = tuple((r.source.shape, r.source.domain) for r in node.readings)
  shapes = tuple(
    (b, *read_shape(reading, (1, 1)), c)
    for reading, ((b, _, _, c), _) in zip(node.readings, sources, strict=True)
  )
  domains = tuple(domain for _, domain in sources)
  return _one_cell(node.function, node.domain, domains, shapes, kinds, tree)


@functools.lru_cache(maxsize=4096)
def _one_cell(function, domain, domains, shapes, kinds, tree) -> Any:
  def evaluate(place, owned, values, leaves):
    patches = [Patch(v, place, d) for v, d in zip(values, domains, strict=True)]
    window = Window(place, (1, 1), domain, owned)
    return function(tree.unflatten(leaves), window, *patches)

  place, owned = (jax.ShapeDtypeStruct(s, jnp.int32) for s in ((2,), (2, 2)))
  values = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  leaves = [jax.ShapeDtypeStruct(shape, kind) for shape, kind in kinds]
  return jax.eval_shape(evaluate, place, owned, values, leaves)


# Positions are known to about this in cells; what lies nearer is touched.
_TOUCH = 1e-6


def read_length(
  line: grids.Line, reach: float | None, n: int, is_periodic: bool, size: int
) -> int:
  """Returns how many cells of an axis of n a window of `size` cells reads.

  The same wherever the window begins: shapes are static.
  """
  if reach is None:
    return n
  need = line.step * (size - 1) + 2 * reach
  is_exact = all(
    abs(v - round(v)) < _TOUCH for v in (line.first, line.step, reach)
  )
  count = round(need) + 1 if is_exact else math.ceil(need - _TOUCH) + 2
  return count if is_periodic else min(count, n)


def read_start(
  line: grids.Line,
  reach: float | None,
  n: int,
  is_periodic: bool,
  start: np.ndarray,
  length: int,
) -> np.ndarray:
  """Returns the first of these cells for windows that begin at `start`."""
  if reach is None:
    return np.zeros_like(start)
  first = np.floor(line.first + line.step * start - reach + _TOUCH)
  first = first.astype(np.int64)
  return first if is_periodic else np.clip(first, 0, n - length)


def read_shape(reading: Reading, size: tuple[int, int]) -> tuple[int, int]:
  """Returns the shape of the window that a window of `size` reads."""
  y, x = (
    read_length(line, reach, n, closed, count)
    for line, reach, n, closed, count in zip(
      reading.lines, reading.reach, *reading.source.domain, size, strict=True
    )
  )
  return y, x
