"""What networks do to planes: convolve, and resample to other grids."""

from collections.abc import Callable
import math
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import grids, resize
from hinote_jax.lazy import planes


def local(
  plane: planes.Plane,
  function: Callable,
  params: Any,
  reach: int,
  ratio: int = 1,
) -> planes.Plane:
  """Returns the plane of what a network of convolutions makes of another.

  Args:
    plane: its input.
    function: (params, [b h w c]) -> [b rh rw d].
    params: arrays.
    reach: cells of the input that a cell depends on, each way.
    ratio: r, how many times finer the output is.
  """
  grid = plane.grid
  shape = tuple(ratio * n for n in grid.shape)
  lines = tuple(
    grids.Line(0, 1, n) if ratio == 1 else grids.cell_line(n, ratio * n)
    for n in grid.shape
  )

  def window(params, here, part):
    values = function(params, part.values)
    return part._replace(values=values, start=part.start * ratio).crop(here)

  return planes.Plane(
    planes.Grid(shape, grid.periodic),
    (planes.Input(plane, lines, reach),),
    window,
    params,
  )


def applied(module: nn.Module) -> Callable:
  """Returns the function (params, values) -> values of a module."""
  return lambda params, values: module.apply({"params": params}, values)


def joined(a: planes.Plane, b: planes.Plane) -> planes.Plane:
  """Returns the channels of two planes on one grid, one after the other."""
  inputs = planes.same(a), planes.same(b)
  return planes.Plane(a.grid, inputs, _join)


def _join(params, here, a, b):
  del params, here
  return jnp.concatenate([a.values, b.values], axis=-1)


def add(a: planes.Plane, b: planes.Plane) -> planes.Plane:
  """Returns the sum of two planes on one grid."""
  inputs = planes.same(a), planes.same(b)
  return planes.Plane(a.grid, inputs, _add)


def _add(params, here, a, b):
  del params, here
  return a.values + b.values


def resampled(
  plane: planes.Plane,
  shape: tuple[int, int],
  *,
  method: str,
  wall: str,
  antialias: bool = True,
  registration: str = "cells",
) -> planes.Plane:
  """Returns a plane on another grid over the same extent, see `resize`.

  Args:
    plane: the one to read.
    shape: of the result.
    method: of `resize`; not one that asks for cells.
    wall: rule at walls; periodic axes wrap.
    antialias: widen the kernel where the result is coarser.
    registration: of `resize.matrix`.
  """
  grid = plane.grid
  make = grids.node_line if registration == "nodes" else grids.cell_line
  lines, tables, reach = [], [], 0.0
  for n, count, closed in zip(grid.shape, shape, grid.periodic, strict=True):
    line = make(n, count)
    stretch = max(1.0, line.step) if antialias else 1.0
    # The positions of `resize.matrix`, to the last bit.
    nodes = registration == "nodes"
    u = resize.nodes(n, count) if nodes else resize.centers(n, count)
    index, weight = resize.taps(u, method=method, stretch=stretch)
    if not closed:
      index, weight = resize.settle(index, weight, n, wall)
    lines.append(line)
    tables.append((index.astype(np.int32), weight.astype(np.float32)))
    reach = max(reach, resize.KERNELS[method].radius * stretch)

  def window(tables, here, part):
    along = []
    for axis, (index, weight) in enumerate(tables):
      row = here.start[axis] + jnp.arange(here.shape[axis])
      turns = row // shape[axis]  # whole circles; none beyond a wall
      index = index[row - turns * shape[axis]]
      index = index + (turns * grid.shape[axis])[:, None] - part.start[axis]
      hits = index[..., None] == jnp.arange(part.values.shape[1 + axis])
      weight = weight[row - turns * shape[axis]]
      along.append(jnp.sum(jnp.where(hits, weight[..., None], 0.0), axis=-2))
    return resize.apply(part.values, *along)

  source = planes.Input(plane, tuple(lines), math.ceil(reach))
  return planes.Plane(
    planes.Grid(shape, grid.periodic), (source,), window, tuple(tables)
  )
