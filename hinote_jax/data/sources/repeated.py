"""Degradations at one scale, which away from walls are alike everywhere.

To make the operators of a window takes longer than to apply them. Whether those
of another window are the same, further on, and whether applying them only picks
cells, is looked at and not taken for granted: of a degradation that reads the
whole field they are not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hinote_jax.data import crops
from hinote_jax.degradations import pipeline


class Repeated:
  """The operators of one window, for all windows that have the same."""

  def __init__(
    self,
    degradation: pipeline.Degradation,
    operators: Callable[[tuple[int, int]], Any],
    *,
    room: tuple[float | int, float | int],
    shape: tuple[int, int],
    periodic: tuple[bool, bool],
  ):
    """Makes the operators of a window in the middle and of its neighbour.

    Args:
      degradation: applies them.
      operators: gives those of the window that begins at a cell.
      room: cells of the field that a window leaves free along y and x.
      shape: (H, W) of the field.
      periodic: which axes wrap around.
    """
    self._degradation = degradation
    self._shape, self._periodic = shape, periodic
    middle_y, middle_x = (int(free / 2) for free in room)
    self._middle = middle_y, middle_x
    self._picks, self._is_alike = None, False
    if any(
      free < 1 and not goes_around
      for free, goes_around in zip(room, periodic, strict=True)
    ):
      return  # no neighbour to compare with
    in_middle = operators(self._middle)
    further = operators((middle_y + 1, middle_x + 1))
    self._first = [int(index[0]) for index, _ in in_middle]
    self._along = [matrix for _, matrix in in_middle]
    rows, columns = (len(index) for index, _ in in_middle)
    self._cells = rows, columns
    self._is_alike = all(
      isinstance(matrix, np.ndarray)
      and np.array_equal(matrix, other)
      and np.array_equal((index + 1) % n, after)
      and np.all(np.diff(index) == 1)
      for n, (index, matrix), (after, other) in zip(
        shape, in_middle, further, strict=True
      )
    )
    if self._is_alike:
      self._picks = self._find_picks()

  def put(
    self,
    fine: crops.Crops,
    draw: Any,
    rng: np.random.Generator,
    out: np.ndarray,
  ) -> bool:
    """Writes a coarse window, unless it has operators of its own.

    Args:
      fine: the fields.
      draw: which field, and where in it the window begins.
      rng: draws the noise.
      out: [h w c] float32.

    Returns:
      Whether it was written.
    """
    if not self._is_alike:
      return False
    first = [
      a + start - middle
      for a, start, middle in zip(
        self._first, draw.start, self._middle, strict=True
      )
    ]
    for d, (n, m) in enumerate(zip(self._shape, self._cells, strict=True)):
      if not self._periodic[d] and not 0 <= first[d] <= n - m:
        return False
    if self._picks is None:
      cells = fine.window(draw.field, first, self._cells)
      out[:] = self._degradation.apply(cells, *self._along, rng=rng)
    elif all(pick.step == 1 for pick in self._picks):
      start = [a + p.start for a, p in zip(first, self._picks, strict=True)]
      fine.put(draw.field, start, out)
    else:
      out[:] = fine.window(draw.field, first, self._cells)[self._picks]
    return True

  def _find_picks(self):
    """Returns the rows and columns picked, if applying does only that."""
    if self._degradation.noise or any(m.ndim != 2 for m in self._along):
      return None
    picks = []
    for matrix in self._along:
      cells = np.argmax(matrix, axis=1)
      step = int(cells[-1] - cells[0]) // max(len(cells) - 1, 1) or 1
      picks.append(slice(int(cells[0]), int(cells[-1]) + 1, step))
    picks = tuple(picks)
    cells = np.random.default_rng(0).normal(size=(*self._cells, 1))
    cells = cells.astype(np.float32)
    coarse = self._degradation.apply(cells, *self._along)
    return picks if np.array_equal(coarse, cells[picks]) else None
