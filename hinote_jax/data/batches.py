"""Batches of fixed shape at a continuous random scale.

Every example is a function of (seed, step, row) alone, by a counter-based
generator: never of the batch it is in, of what was drawn before, or of the
number of processes. A run that resumes at a step needs no iterator state.
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np

from hinote_jax.core import grids
from hinote_jax.data import (
  crops,
  holes,
  normalise,
  series,
  static_windows,
  streams,
  symmetries,
)
from hinote_jax.data.prefetch import prefetch as prefetch
from hinote_jax.data.sources import pairs, repeated
from hinote_jax.degradations import pipeline

Batch = dict[str, Any]

_TRAINING, _FIXED = 0, 1
_KEPT = 1 << 29  # bytes of what windows of a field share

# 100 cells at scale 1.15 cover 115 fine cells, which floats miss by 1e-14.
_ROUNDING = 1e-9


class Draw(NamedTuple):
  """What was drawn for one example; positions are fine cells (y, x).

  Attributes:
    field: time index in the dataset.
    time: its label.
    scale: fine cells per coarse cell.
    start: where the window begins in the field; between cells where fields are
      paired at a fractional scale.
    query: where the queries begin, relative to `start`.
    degradation: of this example alone, or None.
  """

  field: int
  time: str
  scale: float
  start: tuple[float | int, float | int]
  query: tuple[float | int, float | int]
  degradation: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
  """Random windows of a dataset, as the training step takes them.

  Where the dataset is paired (`Dataset.lowres`), windows begin at coarse cells
  and have the coarse fields' own values, in the same normalised units; nothing
  is degraded.

  Attributes:
    dataset: the fields.
    indices: the times that may be drawn.
    normaliser: fitted on the training part.
    degradation: makes the coarse window; its noise acts on normalised fields.
      None where the dataset is paired.
    window: (h, w), coarse cells of a window.
    queries: (H, W), fine cells asked for, contiguous, inside the window.
    scale_range: (low, high) of the scale; equal for a fixed one, which that of
      paired fields is. One scale serves both axes.
    seed: of the whole stream, 0 or more.
    power: scales s are drawn with a density of s**-power: 0 is uniform, 1
      uniform in their logarithm, 2 in the number of coarse cells.
    whole: share of the examples at a whole scale in the range. What is drawn
      else never is, and where cells line up a degradation may be another one.
    static: what is known of the place, which batches then have too.
    turns: symmetries under which training windows are seen; fixed ones are
      seen as they are.

  Raises:
    ValueError: the sizes do not fit the fields or one another.
  """

  dataset: series.Dataset
  indices: Sequence[int]
  normaliser: normalise.Normaliser
  degradation: pipeline.Degradation | None
  _: dataclasses.KW_ONLY
  window: tuple[int, int]
  queries: tuple[int, int]
  scale_range: tuple[float | int, float | int]
  seed: int
  whole: float | int = 0.0
  power: float | int = 0.0
  static: static_windows.StaticWindows | None = None
  turns: symmetries.Symmetries | None = None

  def __post_init__(self):
    if self.turns is not None:
      if self.static is not None:
        raise ValueError(
          "config.windows.symmetries: what is known of a place does not turn "
          "with a window: leave it or config.data.static out"
        )
      self.turns.check(self.window, self.queries, self.degradation)
    if not len(self.indices):
      raise ValueError("no times to draw windows from: the indices are empty")
    if not 0.0 <= self.whole <= 1.0:
      raise ValueError(f"whole is a share, from 0 to 1, got {self.whole}")
    if self.whole and not len(self._whole_scales):
      raise ValueError(
        f"no scale from {self.scale_range[0]:g} to {self.scale_range[1]:g} is "
        "whole: set config.windows.whole to 0"
      )
    if self.seed < 0:
      raise ValueError(f"seed must not be negative, got {self.seed}")
    if (self.degradation is None) != (self.dataset.lowres is not None):
      raise ValueError(
        f"{self.dataset.name} needs a degradation, or a low resolution of its "
        "own, and not both"
      )
    self._check_sizes(*self.scale_range)

  def batch(self, step: int, rows: Iterable[int]) -> Batch:
    """Returns the examples `rows` of a step, normalised float32.

    Args:
      step: training step, 0 or more.
      rows: indices in the batch of all processes together; a process passes
        those it needs.

    Returns:
      lowres [b h w c], coords `grids.Axes` of y [b H] and x [b W], cell [b 2],
      highres [b H W c]; where something static is known, static: a dict of
      fine [b H W s] and coarse [b h w s]; where the dataset has holes, known
      [b H W c], 0 in them.
    """
    return self._batch(_TRAINING, step, rows)

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
    return [
      self._batch(_FIXED, 0, range(i, i + size), scale)
      for i in range(0, count, size)
    ]

  def describe(self, step: int, rows: Iterable[int]) -> list[Draw]:
    """Returns what `batch` draws for these rows, for error messages."""
    numbers = streams.Streams(self.seed, _TRAINING, step)
    return [self._draw(numbers.of(row)) for row in rows]

  @functools.cached_property
  def _fine(self) -> crops.Crops:
    return crops.Crops(self.dataset.values, self.normaliser)

  @functools.cached_property
  def _coarse(self) -> crops.Crops:
    assert self.dataset.lowres is not None
    return crops.Crops(self.dataset.lowres.values, self.normaliser)

  def _check_sizes(self, low, high):
    if not 1.0 <= low <= high < np.inf:
      raise ValueError(
        f"scales must be finite, at least 1 and in order, got {low} to {high}"
      )
    if (paired := self.dataset.lowres) is not None:
      scale = pairs.scale(self.dataset.shape, paired.shape)
      if max(abs(low - scale), abs(high - scale)) > 1e-6:
        raise ValueError(
          f"{self.dataset.name} is paired at a scale of {scale:g} and windows "
          f"are asked for at {low:g} to {high:g}: give that scale alone"
        )
    for axis, (n, _, cells, count) in zip("yx", self._axes, strict=True):
      if cells * high > n + _ROUNDING:
        cures = [f"the window to {n // high:g}"] * (n >= high)
        if n >= cells:
          cures += [f"the largest scale to {int(100 * n / cells) / 100:g}"]
        raise ValueError(
          f"a window of {cells} coarse cells at scale {high:g} covers "
          f"{cells * high:g} fine cells and the field has {n} along {axis}: "
          + (f"lower {' or '.join(cures)}" if cures else "take finer fields")
        )
      room = self._covered(cells, low)
      if count > room:
        raise ValueError(
          f"{count} queries along {axis} do not fit a window of {cells} "
          f"coarse cells at scale {low:g}: lower the queries to {room} or "
          f"raise the smallest scale to {np.ceil(100 * count / cells) / 100:g}"
        )

  def _covered(self, cells, scale) -> int:
    """Returns how many whole fine cells every window covers along an axis."""
    whole = int(np.floor(cells * scale + _ROUNDING))
    if self.dataset.lowres is None or float(scale).is_integer():
      return whole
    return whole - 1  # it may begin and end between two

  @functools.cached_property
  def _whole_scales(self) -> range:
    low, high = self.scale_range
    return range(math.ceil(low), math.floor(high) + 1)

  @functools.cached_property
  def _whole_shares(self) -> np.ndarray | None:
    if not self.power:
      return None
    density = np.asarray(self._whole_scales, float) ** -self.power
    return density / density.sum()

  @functools.cached_property
  def _axes(self):
    """Cells, periodicity, coarse cells and queries of y and of x."""
    dataset = self.dataset
    return tuple(
      zip(
        dataset.shape, dataset.periodic, self.window, self.queries, strict=True
      )
    )

  def _draw(self, rng, scale=None):
    if self._holes is None:
      return self._draw_any(rng, scale)
    draws = (self._draw_any(rng, scale) for _ in range(holes.DRAWS))
    return self._holes.first(draws, self.window, self.queries)

  @functools.cached_property
  def _holes(self) -> holes.Holes | None:
    measured = self.dataset.measured
    if measured is None:
      return None
    return holes.Holes(crops.Crops(measured, self.normaliser))

  def _draw_any(self, rng, scale):
    field = int(self.indices[rng.integers(len(self.indices))])
    drawn = streams.scale(rng, *self.scale_range, self.power)
    if self.whole and rng.random() < self.whole:
      drawn = float(rng.choice(self._whole_scales, p=self._whole_shares))
    scale = drawn if scale is None else float(scale)
    place = self._place if self.dataset.lowres is None else self._paired_place
    (y, query_y), (x, query_x) = [place(rng, scale, *a) for a in self._axes]
    time = self.dataset.times[field]
    return Draw(field, time, scale, (y, x), (query_y, query_x))

  def _place(self, rng, scale, n, is_periodic, cells, count):
    """Draws where a window begins along an axis, and its queries in it."""
    covered = int(np.floor(cells * scale + _ROUNDING))
    walled = int(np.floor(n - cells * scale + _ROUNDING)) + 1
    start = int(rng.integers(n if is_periodic else walled))
    return start, int(rng.integers(covered - count + 1))

  def _paired_place(self, rng, scale, n, is_periodic, cells, count):
    """Draws the same at a coarse cell of paired fields."""
    coarse = round(n / scale)
    first = int(rng.integers(coarse if is_periodic else coarse - cells + 1))
    start = first * n / coarse
    inside = int(np.ceil(start - _ROUNDING))
    end = int(np.floor(start + cells * n / coarse + _ROUNDING))
    query = inside + int(rng.integers(end - inside - count + 1)) - start
    return (int(start), int(query)) if start.is_integer() else (start, query)

  def _batch(self, stream, step, rows, scale=None) -> Batch:
    rows, numbers = list(rows), streams.Streams(self.seed, stream, step)
    if not rows:
      raise ValueError("a batch needs at least one row")
    channels = len(self.dataset.variables)
    lowres = np.empty((len(rows), *self.window, channels), np.float32)
    highres = np.empty((len(rows), *self.queries, channels), np.float32)
    own = self._holes
    known = None if own is None else np.empty_like(highres)
    draws, states, turned = [], [], []
    for row in rows:
      draws.append(self._draw(numbers.of(row), scale))
      states.append(numbers.state)
    operators = self._operators(draws)
    for i, draw in enumerate(draws):
      rng = numbers.at(states[i])
      if operators is not None:
        self._degrade(i, draw, operators, rng, lowres[i])
      else:
        first = [round(a / draw.scale) for a in draw.start]
        self._coarse.put(draw.field, first, lowres[i])
      corner = [
        round(a + q) for a, q in zip(draw.start, draw.query, strict=True)
      ]
      self._fine.put(draw.field, corner, highres[i])
      if own is not None and known is not None:
        known[i] = own.known(draw.field, corner, self.queries)
      if self.turns is not None and stream == _TRAINING:
        turned.append(self.turns.draw(rng))
    query = np.array([draw.query for draw in draws])[..., None]
    extent = np.multiply.outer([draw.scale for draw in draws], self.window)
    y, x = (
      grids.window(query[:, d], count, 0, extent[:, d, None])
      for d, count in enumerate(self.queries)
    )
    batch = {
      "lowres": lowres,
      "coords": grids.Axes(y, x),
      "cell": grids.cell_size(extent),
      "highres": highres,
      **self._extras_of(draws),
    }
    if known is not None:
      batch["known"] = known
    if self.static is not None:
      batch["static"] = self.static.of(draws, operators)
    return symmetries.turn(batch, turned) if turned else batch

  def _extras_of(self, draws) -> Batch:
    """Returns what else a batch says of its examples."""
    del draws
    return {}

  def _degrade(self, i, draw, operators, rng, out) -> None:
    if draw.scale == self.scale_range[0] == self.scale_range[1]:
      if self._repeated.put(self._fine, draw, rng, out):
        return
    (iy, along_y), (ix, along_x) = operators[i]
    assert self.degradation is not None
    if self.degradation.is_local:
      cells = self._fine.normalised(draw.field, iy, ix)
      prepared = self.degradation.prepare(cells)
    else:
      prepared = self._prepared(draw.field)
    out[:] = self.degradation.apply_prepared(
      prepared, along_y, along_x, rng=rng
    )

  def _operators(self, draws) -> static_windows.Operators | None:
    if self.degradation is None:
      return None
    return static_windows.Operators(
      self.degradation,
      draws,
      self.dataset.shape,
      count=self.window,
      periodic=self.dataset.periodic,
    )

  @functools.cached_property
  def _prepared(self) -> Callable[[int], np.ndarray]:
    """Returns field -> what windows of it share, the latest ones kept."""
    degradation = self.degradation
    assert degradation is not None
    height, width = self.dataset.shape
    size = 8 * height * width * self.dataset.channels  # complex64

    @functools.lru_cache(maxsize=max(1, _KEPT // size))
    def prepared(field):
      rows, columns = np.arange(height), np.arange(width)
      cells = self._fine.normalised(field, rows, columns)
      return degradation.prepare(cells)

    return prepared

  @functools.cached_property
  def _repeated(self) -> repeated.Repeated:
    degradation, scale = self.degradation, float(self.scale_range[0])
    assert degradation is not None
    (height, width), (rows, columns) = self.dataset.shape, self.window
    return repeated.Repeated(
      degradation,
      lambda start: degradation.operators(
        self.dataset.shape,
        start=start,
        scale=(scale, scale),
        count=self.window,
        periodic=self.dataset.periodic,
      ),
      room=(height - rows * scale, width - columns * scale),
      shape=self.dataset.shape,
      periodic=self.dataset.periodic,
    )
