"""What networks do, to arrays and to lazy grids alike.

Given arrays, each of these computes; given a lazy grid, it returns the lazy
grid (or the total) of the same. Functions take what arrays they need in
`params`, and are frozen dataclasses or of a module's top level where they can:
equal functions are compiled once.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array
from hinote_jax.lazy.grid import (
  Domain,
  Grid,
  LazyGrid,
  Patch,
  Reading,
  Total,
  Window,
  bind,
  same_cells,
)


def _pointwise(function: Callable, has_params: bool, params, window, *patches):
  del window
  known = (params,) if has_params else ()
  return function(*known, *(patch.values for patch in patches))


def _local(function: Callable, ratio, params, window, patch):
  values = function(params, patch.values)
  start = jnp.asarray(patch.start) * jnp.asarray(ratio)
  return Patch(values, start, window.domain).crop(window)


def _whole(function: Callable, params, window, patch):
  # The shape of a window of one cell is asked for before there is a grid.
  values = function(params, patch.values)
  return Patch(values, (0, 0), window.domain).crop(window)


def _summed(function: Callable, params, window, patch):
  return function(params, patch, patch.inside(window))


@dataclasses.dataclass(frozen=True)
class Applied:
  """A layer outside of its network, as a function (variables, values)."""

  module: nn.Module

  def __call__(self, variables: Any, values: Array) -> Any:
    return self.module.apply(variables, values)


def layer(
  reach: int | Callable[[Any], int] = 0, ratio: int = 1
) -> Callable[[Callable], Callable]:
  """Returns a decorator for `__call__` of a layer: arrays or lazy grids.

  Args:
    reach: cells of the input that a cell depends on, each way; or a function
      of the module that says so. 0: a point depends on itself.
    ratio: how many times finer the output is.

  Example:
    class Conv(nn.Module):
      size: int

      @lazy.layer(reach=lambda conv: conv.size // 2)
      @nn.compact
      def __call__(self, x): ...
  """

  def decorate(call):
    @functools.wraps(call)
    def both(module, x):
      if not isinstance(x, LazyGrid):
        return call(module, x)
      # Detached, equal layers of a network are equal functions.
      function = Applied(module.clone(parent=None, name=None))
      cells = reach(module) if callable(reach) else reach
      return local(function, module.variables, x, reach=cells, ratio=ratio)

    return both

  return decorate


def pointwise(function: Callable, *inputs: Grid, params: Any = None) -> Any:
  """Returns function(*inputs): a point from the same point of each input.

  Args:
    function: of values [b h w c]; the first argument is `params`, if given.
    *inputs: on one grid.
    params: arrays, or totals.
  """
  known = () if params is None else (params,)
  if not isinstance(inputs[0], LazyGrid):
    return function(*known, *inputs)
  readings = tuple(same_cells(x) for x in inputs)  # type: ignore[arg-type]
  call = bind(_pointwise, function, params is not None)
  return LazyGrid(inputs[0].domain, readings, call, params)


def placed(
  function: Callable[[Any, Window, Array], Array], params: Any, x: Grid
) -> Any:
  """Returns function(params, window, values), which knows where points are."""
  if not isinstance(x, LazyGrid):
    height, width = x.shape[1:3]
    return function(params, Window.whole((height, width)), x)
  return LazyGrid(x.domain, (same_cells(x),), bind(_placed, function), params)


def _placed(function: Callable, params, window, patch):
  return function(params, window, patch.values)


def local(
  function: Callable[[Any, Array], Array],
  params: Any,
  x: Grid,
  *,
  reach: int | tuple[int, int],
  ratio: int | tuple[int, int] = 1,
) -> Any:
  """Returns function(params, x), of which a point depends on those around.

  Args:
    function: (params, [b h w c]) -> [b rh rw d], the same on every part of a
      grid but for `reach` cells at the ends of the part that are none of the
      grid; at walls it pads.
    params: arrays, or totals.
    x: the input.
    reach: cells of the input that a cell depends on, each way; or one for y
      and one for x.
    ratio: r, how many times finer the output is; or alike.
  """
  if not isinstance(x, LazyGrid):
    return function(params, x)
  reach, ratio = _both(reach), _both(ratio)
  if reach == (0, 0) and ratio == (1, 1):
    return pointwise(function, x, params=params)
  shape, periodic = x.domain
  lines = grids.pair(
    grids.Line(0, 1, n) if r == 1 else grids.cell_line(n, r * n)
    for n, r in zip(shape, ratio, strict=True)
  )
  reading = Reading(x, lines, reach)
  counts = grids.pair(line.count for line in lines)
  domain = Domain(counts, periodic)
  return LazyGrid(domain, (reading,), bind(_local, function, ratio), params)


def _both(value: int | tuple[int, int]) -> tuple[int, int]:
  return (value, value) if isinstance(value, int) else value


def whole(
  function: Callable[[Any, Array], Array],
  params: Any,
  x: Grid,
  shape: tuple[int, int],
) -> Any:
  """Returns function(params, x), of which every point depends on all.

  A lazy grid is then computed at once, whatever the memory: for what is cheap
  or has one channel.

  Args:
    function: (params, [b h w c]) -> [b H W d].
    params: arrays.
    x: the input.
    shape: (H, W) of the output.
  """
  if not isinstance(x, LazyGrid):
    return function(params, x)
  lines = grids.Line(0, 1, shape[0]), grids.Line(0, 1, shape[1])
  reading = Reading(x, lines, (None, None))
  return LazyGrid(
    Domain(shape, x.domain.periodic),
    (reading,),
    bind(_whole, function),
    params,
    is_stored=True,
    is_undivided=True,
  )


def along(
  function: Callable[[Any, Array], Array],
  params: Any,
  x: LazyGrid,
  *,
  axis: int,
  count: int,
) -> LazyGrid:
  """Returns function(params, x), of which a line depends on the same line.

  Computed and stored in whole lines: for transforms along one axis.

  Args:
    function: (params, [b h w c]) -> [b H w d] or [b h W d].
    params: arrays.
    x: the input; of arrays, call the function.
    axis: 0 for lines along y, 1 along x.
    count: H or W.
  """
  (h, w), periodic = x.domain
  shape = (count, w) if axis == 0 else (h, count)
  lines = grids.Line(0, 1, shape[0]), grids.Line(0, 1, shape[1])
  reading = Reading(x, lines, (None, 0) if axis == 0 else (0, None))
  return LazyGrid(
    Domain(shape, periodic),
    (reading,),
    bind(_along, function, axis),
    params,
    is_stored=True,
    line_axis=axis,
  )


def _along(function: Callable, axis: int, params, window, patch):
  values, size = function(params, patch.values), window.shape[axis]
  if values.shape[1 + axis] == size:
    return values
  start = window.start[axis]
  return jax.lax.dynamic_slice_in_dim(values, start, size, 1 + axis)


def stored(x: Any) -> Any:
  """Returns the same; a lazy grid is computed as a whole and stored here.

  What follows then reaches no further back: worth it before a costly step that
  is read with a halo, and wherever two passes would compute the same again.
  """
  if not isinstance(x, LazyGrid) or x.is_stored:
    return x
  return dataclasses.replace(x, is_stored=True)


def total(
  function: Callable[[Any, Patch, Array | None], Any],
  params: Any,
  x: Grid,
  *,
  reach: int = 0,
) -> Any:
  """Returns function(params, patch, inside) summed over all parts of x.

  Args:
    function: the share of a patch; `inside` [h w] is 1 for the cells that
      count and 0 for others, None if all do.
    params: arrays, or totals.
    x: what is summed over.
    reach: cells of x that a share depends on beyond those that count.

  Returns:
    arrays; of a lazy grid a `Total`, to be given as a parameter.
  """
  if not isinstance(x, LazyGrid):
    return function(params, Patch.whole(x), None)
  return Total(
    x.domain, (same_cells(x, reach),), bind(_summed, function), params
  )


def concatenate(inputs: Sequence[Grid]) -> Any:
  """Returns the channels of grids one after another."""
  return pointwise(_concatenate, *inputs)


def _concatenate(*values):
  return jnp.concatenate(values, axis=-1)


def constant(values: Array, x: Grid) -> Any:
  """Returns channels [b k] as a grid like x, the same everywhere."""
  return placed(_constant, values, x)


def _constant(channels, window, values):
  shape = *values.shape[:3], channels.shape[-1]
  return jnp.broadcast_to(channels[:, None, None], shape)


def resample(
  x: Grid,
  shape: tuple[int, int],
  *,
  method: str,
  boundary: tuple[str, str],
  antialias: bool = True,
  registration: str = "cells",
) -> Any:
  """Returns a field on another grid over the same extent, see `resize.resize`.

  Args:
    x: the field.
    shape: of the result.
    method: of `taps.KERNELS`.
    boundary: rule for (y, x); periodic axes of a lazy grid wrap.
    antialias: widen the kernel where the result is coarser.
    registration: of `resize.matrix`.
  """
  options: Any = dict(method=method, antialias=antialias)
  options |= dict(registration=registration)
  if not isinstance(x, LazyGrid):
    return resize.resize(x, shape, boundary=boundary, **options)
  lines, tables, reach = [], [], []
  for axis in (0, 1):
    n, count = x.domain.shape[axis], shape[axis]
    rule = "none" if x.domain.periodic[axis] else boundary[axis]
    reads = resize.reads(n, count, boundary=rule, **options)
    make = grids.node_line if registration == "nodes" else grids.cell_line
    lines.append(make(n, count))
    tables.append((reads.cells, reads.weight))
    reach.append(math.ceil(reads.reach))
  reading = Reading(x, (lines[0], lines[1]), (reach[0], reach[1]))
  domain = Domain(shape, x.domain.periodic)
  return LazyGrid(domain, (reading,), _resampled, tuple(tables))


def _resampled(tables, window, patch):
  along = []
  for axis, (index, weight) in enumerate(tables):
    count, n = window.domain.shape[axis], patch.domain.shape[axis]
    row = window.start[axis] + jnp.arange(window.shape[axis])
    turns = row // count  # whole circles; none beyond a wall
    index = index[row - turns * count]
    index = index + (turns * n)[:, None] - patch.start[axis]
    hits = index[..., None] == jnp.arange(patch.values.shape[1 + axis])
    weight = weight[row - turns * count]
    along.append(jnp.sum(jnp.where(hits, weight[..., None], 0.0), axis=-2))
  return resize.apply(patch.values, *along)
