"""Cells of a grid added, left out, repeated and moved; see `ops`."""

from typing import Any

import jax.numpy as jnp

from hinote_jax.core import grids, taps
from hinote_jax.core.typing import Periodic
from hinote_jax.lazy.grid import Domain, Grid, LazyGrid, Reading, bind
from hinote_jax.lazy.ops import local


def crop(
  x: Grid, shape: tuple[int, int], periodic: Periodic = (False, False)
) -> Any:
  """Returns the first rows and columns of a grid.

  Args:
    x: the grid.
    shape: how many are left.
    periodic: which axes of the result close on themselves.
  """
  if not isinstance(x, LazyGrid):
    return x[:, : shape[0], : shape[1]]
  lines = grids.Line(0, 1, shape[0]), grids.Line(0, 1, shape[1])
  reading = Reading(x, lines, (0, 0))
  domain = Domain(shape, grids.pair(periodic))
  # What goes around after it did not before is stored between.
  is_stored = domain.periodic != x.domain.periodic
  return LazyGrid(domain, (reading,), _cropped, is_stored=is_stored)


def _cropped(params, window, patch):
  del params, window
  return patch.values


def pad_by_reflection(
  x: Grid, more: tuple[int, int], periodic: Periodic = (False, False)
) -> Any:
  """Returns a grid with rows and columns added at its far ends, mirrored there.

  Args:
    x: the grid; it has more cells than are added.
    more: how many rows and columns.
    periodic: which axes of the result close on themselves.
  """
  return _padded(x, more, "reflect", periodic)


def pad_by_edge(
  x: Grid, more: tuple[int, int], periodic: Periodic = (False, False)
) -> Any:
  """As `pad_by_reflection`, but the last row and column are repeated."""
  return _padded(x, more, "edge", periodic)


def _padded(x, more, mode, periodic):
  if not isinstance(x, LazyGrid):
    sides = [(0, 0), (0, more[0]), (0, more[1]), (0, 0)]
    return jnp.pad(x, sides, mode=mode)
  h, w = x.domain.shape
  shape = h + more[0], w + more[1]
  # Beyond the end, cell n - 1 + i is cell n - 1 - i: twice as far away.
  lines = grids.Line(0, 1, shape[0]), grids.Line(0, 1, shape[1])
  reach = 2 * more[0], 2 * more[1]
  reading = Reading(x, lines, reach)
  return LazyGrid(Domain(shape, periodic), (reading,), bind(_folded, mode))


def _folded(mode: str, params, window, patch):
  del params
  values, start, (shape, _) = patch
  for axis, n in enumerate(shape):
    if window.domain.shape[axis] == n:  # nothing is added, or it is a circle
      continue
    index = taps.fold(window.indices(axis), n, mode) - start[axis]
    values = jnp.take(values, index, axis=1 + axis)
  return values


def pixel_shuffle(x: Grid, factor: int) -> Any:
  """Moves factor^2 channel groups into space, [b h w f*f*c] -> [b fh fw c]."""
  return local(bind(_shuffled, factor), (), x, reach=0, ratio=factor)


def _shuffled(factor: int, params, x):
  del params
  (b, h, w, k), f = x.shape, factor
  x = x.reshape(b, h, w, f, f, k // f**2)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(b, h * f, w * f, k // f**2)


def pixel_unshuffle(x: Grid, factor: int | tuple[int, int]) -> Any:
  """Moves blocks of cells into channels, [b fh gw c] -> [b h w f*g*c].

  Args:
    x: a grid whose sides the factor divides.
    factor: f = g, or (f, g).
  """
  f, g = (factor, factor) if isinstance(factor, int) else factor
  if not isinstance(x, LazyGrid):
    return _unshuffled(x, f, g)
  counts = x.domain.shape[0] // f, x.domain.shape[1] // g
  lines = tuple(
    grids.Line(0.5 * r - 0.5, r, n) for r, n in zip((f, g), counts, strict=True)
  )
  reading = Reading(x, (lines[0], lines[1]), (0.5 * f - 0.5, 0.5 * g - 0.5))
  return LazyGrid(
    Domain(counts, x.domain.periodic), (reading,), bind(_gathered, f, g)
  )


def _gathered(f: int, g: int, params, window, patch):
  del params
  fine = window._replace(
    start=window.start * jnp.asarray((f, g)),
    shape=(window.shape[0] * f, window.shape[1] * g),
  )
  return _unshuffled(patch.crop(fine), f, g)


def _unshuffled(x, f: int, g: int):
  b, h, w, c = x.shape
  x = x.reshape(b, h // f, f, w // g, g, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // f, w // g, f * g * c)


def repeat(x: Grid, factor: int | tuple[int, int]) -> Any:
  """Returns every cell `factor` times along both axes, or (y, x) times."""
  pair = (factor, factor) if isinstance(factor, int) else factor
  return local(bind(_repeated, *pair), (), x, reach=0, ratio=pair)


def _repeated(y: int, x_: int, params, x):
  del params
  return x.repeat(y, axis=1).repeat(x_, axis=2)
