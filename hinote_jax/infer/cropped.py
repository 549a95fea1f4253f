"""Networks that see a field in crops, as their authors run them.

A crop is computed at once and where crops overlap their answers are averaged,
always in the same order: the result depends on the crops, which the network
says, and not on the memory. That says how many answers are kept; what is not
kept is computed again where it is needed.
"""

from collections.abc import Callable, Iterator, Sequence
import functools
from typing import Any

from flax import linen as nn
import numpy as np

from hinote_jax.core import compiling
from hinote_jax.lazy import tiles

Tile = tuple[slice, slice]


class Cropped:
  """A network ready for fields of one shape."""

  def __init__(self, module: nn.Module, memory: int | None):
    """Makes it ready.

    Args:
      module: has `crops`, `scale` and `enlarge(lowres, start)`.
      memory: for a crop and the answers that are kept, bytes; None: as many
        answers as two rows of crops.
    """
    self._module, self._memory = module, memory
    self._run: Any = None

  def __call__(
    self, variables: Any, lowres: np.ndarray, report: Callable | None
  ) -> "Answer":
    """Returns the answer for a field, [1 h w c].

    Raises:
      ValueError: a crop does not fit the memory.
    """
    crops = self._module.crops
    counts = [min(crops.side, n) for n in lowres.shape[1:3]]
    starts = [crops.starts(n) for n in lowres.shape[1:3]]
    start = np.zeros(2, np.int32)
    if self._run is None:
      one = lowres[:, : counts[0], : counts[1]]
      apply = compiling.jit(
        functools.partial(self._module.apply, method="enlarge")
      )
      self._run = apply.lower(variables, one, start).compile()
    kept_answers = 2 * len(starts[1]) + 1
    if self._memory is not None:
      needed = tiles.memory_of(self._run)
      scale: Any = self._module.scale
      size = 4 * np.prod(counts) * scale**2 * lowres.shape[-1]
      if needed + size > self._memory:
        raise ValueError(
          f"crops of {counts[0]} x {counts[1]} cells need "
          f"{(needed + size) / 1e6:.0f} MB beside what the process holds, and "
          f"{self._memory / 1e6:.0f} MB are left: give more, or take smaller "
          "crops by the options crop=64 and stride=56, which are another answer"
        )
      kept_answers = min(kept_answers, int((self._memory - needed) // size))
    run = functools.partial(self._run, variables)
    size = self._module.scale, crops.stride
    return Answer(run, lowres, starts, counts, *size, kept_answers, report)


class Answer:
  """The finer field, computed where it is asked for."""

  def __init__(
    self, run, lowres, starts, counts, scale, stride, kept_answers, report
  ):
    self._run, self._lowres, self._scale = run, lowres, scale
    self._starts, self._counts = starts, counts
    self._report, self._done = report, set()
    self._crop = functools.lru_cache(max(1, kept_answers))(self._of_crop)
    self._shape = [scale * n for n in lowres.shape[1:3]]
    side = scale * stride
    self._cuts = [[*range(0, n, side), n] for n in self._shape]

  def tiles(self) -> list[Tile]:
    """Returns the tiles, row by row: as long as a stride, the last shorter."""
    rows, columns = (
      [slice(*ends) for ends in zip(cuts[:-1], cuts[1:], strict=True)]
      for cuts in self._cuts
    )
    return [(y, x) for y in rows for x in columns]

  def __call__(
    self, wanted: Sequence[Tile]
  ) -> Iterator[tuple[Tile, np.ndarray]]:
    """Yields some of the tiles; the others are not computed."""
    for tile in wanted:
      yield tile, self.read(*tile)

  def read(self, rows: slice, columns: slice) -> np.ndarray:
    """Returns a window, [r s c]."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    total = np.zeros((*shape, self._lowres.shape[-1]), np.float32)
    count = np.zeros((*shape, 1), np.float32)
    for y in self._starts[0]:
      for x in self._starts[1]:
        inside = [
          slice(
            max(self._scale * first, window.start),
            min(self._scale * (first + n), window.stop),
          )
          for first, n, window in zip(
            (y, x), self._counts, (rows, columns), strict=True
          )
        ]
        if any(part.start >= part.stop for part in inside):
          continue
        in_window, in_crop = (
          tuple(
            slice(part.start - first, part.stop - first)
            for part, first in zip(inside, firsts, strict=True)
          )
          for firsts in (
            (rows.start, columns.start),
            (self._scale * y, self._scale * x),
          )
        )
        total[in_window] += self._crop(y, x)[in_crop]
        count[in_window] += 1.0
    return total / count

  def _of_crop(self, y: int, x: int) -> np.ndarray:
    h, w = self._counts
    one = self._lowres[:, y : y + h, x : x + w]
    values = np.asarray(self._run(one, np.array([y, x], np.int32))[0])
    self._done.add((y, x))
    if self._report is not None:
      every = len(self._starts[0]) * len(self._starts[1])
      self._report("crops", len(self._done), every)
    return values
