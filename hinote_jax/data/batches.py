"""Batches of fixed shape at a continuous random scale.

Every example is a function of (seed, step, row) alone, by a counter-based
generator: never of the batch it is in, of what was drawn before, or of the
number of processes. A run that resumes at a step needs no iterator state.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import queue
import threading
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import grids
from hinote_jax.data import fields, normalise
from hinote_jax.degradations import pipeline

Batch = dict[str, Any]

_TRAINING, _FIXED = 0, 1

# 100 cells at scale 1.15 cover 115 fine cells, which floats miss by 1e-14.
_ROUNDING = 1e-9


class Draw(NamedTuple):
  """What was drawn for one example; positions are fine cells (y, x).

  Attributes:
    field: time index in the dataset.
    time: its label.
    scale: fine cells per coarse cell.
    start: where the window begins in the field.
    query: where the queries begin, relative to `start`.
  """

  field: int
  time: str
  scale: float
  start: tuple[int, int]
  query: tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
  """Random windows of a dataset, as the training step takes them.

  Attributes:
    dataset: the fields.
    indices: the times that may be drawn.
    normaliser: fitted on the training part.
    degradation: makes the coarse window; its noise acts on normalised fields.
    window: (h, w), coarse cells of a window.
    queries: (H, W), fine cells asked for, contiguous, inside the window.
    scale_range: (low, high) of the scale, drawn uniformly; equal for a fixed
      one. One scale serves both axes.
    seed: of the whole stream, 0 or more.

  Raises:
    ValueError: the sizes do not fit the fields or one another.
  """

  dataset: fields.Dataset
  indices: Sequence[int]
  normaliser: normalise.Normaliser
  degradation: pipeline.Degradation
  _: dataclasses.KW_ONLY
  window: tuple[int, int]
  queries: tuple[int, int]
  scale_range: tuple[float | int, float | int]
  seed: int

  def __post_init__(self):
    if not len(self.indices):
      raise ValueError("no times to draw windows from: the indices are empty")
    if self.seed < 0:
      raise ValueError(f"seed must not be negative, got {self.seed}")
    self._check_sizes(*self.scale_range)

  def batch(self, step: int, rows: Iterable[int]) -> Batch:
    """Returns the examples `rows` of a step, normalised float32.

    Args:
      step: training step, 0 or more.
      rows: indices in the batch of all processes together; a process passes
        those it needs.

    Returns:
      lowres [b h w c], coords `grids.Axes` of y [b H] and x [b W], cell [b 2],
      highres [b H W c].
    """
    return _stack([self._example(_TRAINING, step, row) for row in rows])

  def fixed(
    self,
    count: int,
    *,
    batch_size: int | None = None,
    scale: float | int | None = None,
  ) -> list[Batch]:
    """Returns batches that are the same at every call, for validation.

    Args:
      count: examples in all.
      batch_size: examples a batch, a divisor of `count`; None makes one batch.
      scale: of all examples; None draws from `scale_range`.
    """
    size = batch_size or count
    if count < 1 or count % size:
      raise ValueError(f"{count} examples do not make batches of {size}")
    if scale is not None:
      self._check_sizes(scale, scale)
    examples = [self._example(_FIXED, 0, i, scale) for i in range(count)]
    return [_stack(examples[i : i + size]) for i in range(0, count, size)]

  def describe(self, step: int, rows: Iterable[int]) -> list[Draw]:
    """Returns what `batch` draws for these rows, for error messages."""
    streams = (_generator(self.seed, _TRAINING, step, row) for row in rows)
    return [self._draw(rng) for rng in streams]

  def _check_sizes(self, low, high):
    if not 1.0 <= low <= high < np.inf:
      raise ValueError(
        f"scales must be finite, at least 1 and in order, got {low} to {high}"
      )
    for axis, n, cells, count in zip(
      "yx", self.dataset.shape, self.window, self.queries, strict=True
    ):
      if cells * high > n + _ROUNDING:
        finer = f" or the largest scale to {np.floor(100 * n / cells) / 100:g}"
        raise ValueError(
          f"a window of {cells} coarse cells at scale {high:g} covers "
          f"{cells * high:g} fine cells and the field has {n} along {axis}: "
          f"lower the window to {int(n // high)}{finer if n >= cells else ''}"
        )
      if count > cells * low + _ROUNDING:
        raise ValueError(
          f"{count} queries along {axis} do not fit a window of {cells} "
          f"coarse cells at scale {low:g}: lower the queries to "
          f"{int(cells * low)} or raise the smallest scale to "
          f"{np.ceil(100 * count / cells) / 100:g}"
        )

  def _draw(self, rng, scale=None):
    field = int(self.indices[rng.integers(len(self.indices))])
    drawn = float(rng.uniform(*self.scale_range))
    scale = drawn if scale is None else float(scale)
    start, query = [], []
    for n, is_periodic, cells, count in zip(
      self.dataset.shape,
      self.dataset.periodic,
      self.window,
      self.queries,
      strict=True,
    ):
      covered = int(np.floor(cells * scale + _ROUNDING))
      walled = int(np.floor(n - cells * scale + _ROUNDING)) + 1
      start.append(int(rng.integers(n if is_periodic else walled)))
      query.append(int(rng.integers(covered - count + 1)))
    time = self.dataset.times[field]
    return Draw(field, time, scale, tuple(start), tuple(query))

  def _example(self, stream, step, row, scale=None):
    rng = _generator(self.seed, stream, step, row)
    draw = self._draw(rng, scale)
    values = np.asarray(self.dataset.values[draw.field])
    operators = self.degradation.operators(
      self.dataset.shape,
      start=(float(draw.start[0]), float(draw.start[1])),
      scale=(draw.scale, draw.scale),
      count=self.window,
      periodic=self.dataset.periodic,
    )
    cells = pipeline.take(values, *(index for index, _ in operators))
    lowres = self.degradation.apply(
      self.normaliser.normalise(cells),
      *(matrix for _, matrix in operators),
      rng=rng,
    )
    targets = (
      (start + first + np.arange(count)) % n
      for start, first, count, n in zip(
        draw.start, draw.query, self.queries, values.shape[:2], strict=True
      )
    )
    highres = self.normaliser.normalise(pipeline.take(values, *targets))
    extent = tuple(cells * draw.scale for cells in self.window)
    coords = grids.Axes(
      *(
        grids.window(float(first), count, 0.0, length)
        for first, count, length in zip(
          draw.query, self.queries, extent, strict=True
        )
      )
    )
    return lowres, coords, grids.cell_size(extent), highres


def _generator(seed, stream, step, row):
  # The upper half of the counter names the example, the lower half counts
  # what it draws: streams of different examples never meet.
  return np.random.Generator(
    np.random.Philox(key=[seed, stream], counter=[0, 0, step, row])
  )


def _stack(examples) -> Batch:
  if not examples:
    raise ValueError("a batch needs at least one row")
  lowres, coords, cell, highres = zip(*examples, strict=True)
  y, x = (np.stack(axis) for axis in zip(*coords, strict=True))
  return {
    "lowres": np.stack(lowres),
    "coords": grids.Axes(y, x),
    "cell": np.stack(cell),
    "highres": np.stack(highres),
  }


def prefetch(
  make_batch: Callable[[int], Batch], steps: Iterable[int], depth: int = 2
) -> Iterator[tuple[int, Batch]]:
  """Yields (step, make_batch(step)), made ahead by one background thread.

  An error of `make_batch` is raised to the consumer at its step. Closing the
  generator, or leaving the loop, stops the thread.

  Args:
    make_batch: makes the batch of a step; runs in the thread.
    steps: which steps, in order; may be endless.
    depth: how many batches may wait.
  """
  waiting = queue.Queue(maxsize=depth)
  stop = threading.Event()

  def put(item) -> bool:
    while not stop.is_set():
      try:
        waiting.put(item, timeout=0.1)
        return True
      except queue.Full:
        continue
    return False

  def work():
    try:
      for step in steps:
        if not put(((step, make_batch(step)), None)):
          return
      put((None, None))
    except BaseException as error:
      put((None, error))

  thread = threading.Thread(target=work, name="prefetch", daemon=True)
  thread.start()
  try:
    while True:
      item, error = waiting.get()
      if error is not None:
        raise error
      if item is None:
        return
      yield item
  finally:
    stop.set()
    thread.join()
