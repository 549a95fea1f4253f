"""Windows with a blur and noise of their own, at scales drawn a batch.

What a network that unfolds a blur learns from: every example is blurred by
another kernel, decimated and given noise of another deviation, and its batch
says which, "kernel" [b p q] and "noise" [b].
"""

from collections.abc import Iterable, Sequence
import dataclasses
from typing import Any

import numpy as np

from hinote_jax.data import batches
from hinote_jax.degradations import drawn, linear

_SCALES = 2  # of the streams of a seed, beside those of `batches`


@dataclasses.dataclass(frozen=True, eq=False)
class BlurredWindows(batches.Windows):
  """Windows at one whole scale, see `batches.Windows`.

  Attributes:
    blurs: that are drawn, in place of the degradation's.

  Raises:
    ValueError: as of windows; or the degradation is no convolution, or windows
      are to be turned, with which kernels do not turn.
  """

  blurs: drawn.Blurs = dataclasses.field(kw_only=True)

  def __post_init__(self):
    degradation, scale = self._linear, int(self.scale_range[0])
    super().__post_init__()
    if self.turns is not None:
      raise ValueError(
        "config.windows.symmetries: drawn kernels have all directions already: "
        "leave it or config.windows.blurs out"
      )
    object.__setattr__(self, "_shape", self.blurs.shape(degradation, scale))

  @property
  def _linear(self) -> linear.Linear:
    known = self.degradation
    if not isinstance(known, linear.Linear) or not known.is_convolution:
      raise ValueError(
        f"config.windows.blurs: {known or 'a low resolution of its own'} has "
        "no kernel: leave it out, or take a degradation that decimates, as "
        "uniform or area"
      )
    return known

  def _draw_any(self, rng, scale):
    draw = super()._draw_any(rng, scale)
    return draw._replace(degradation=self.blurs.draw(rng, self._linear))

  def _extras_of(self, draws):
    degradations = [draw.degradation for draw in draws]
    return drawn.told(degradations, int(self.scale_range[0]), self._shape)  # pyright: ignore[reportAttributeAccessIssue]

  def _degrade(self, i, draw, operators, rng, out) -> None:
    del i, operators
    (iy, along_y), (ix, along_x) = draw.degradation.operators(
      self.dataset.shape,
      start=draw.start,
      scale=(draw.scale, draw.scale),
      count=self.window,
      periodic=self.dataset.periodic,
    )
    cells = self._fine.normalised(draw.field, iy, ix)
    out[:] = draw.degradation.apply(cells, along_y, along_x, rng=rng)


class ScaleWindows:
  """Windows at whole scales, one for all examples of a batch.

  The fine side stays, so that coarse windows have that over the scale.
  """

  def __init__(
    self,
    scales: Sequence[int],
    queries: tuple[int, int],
    blurs: drawn.Blurs | None,
    *arguments: Any,
    **options: Any,
  ):
    """Makes the windows of every scale.

    Args:
      scales: whole.
      queries: (H, W), which each of them divides.
      blurs: that are drawn; None leaves what the degradation has.
      *arguments: of `batches.Windows`.
      **options: likewise; the sides and scales are made here.

    Raises:
      ValueError: a scale does not divide the side, or as `batches.Windows`.
    """
    if options.get("static") is not None:
      raise ValueError(
        "config.windows.scales: what is known of a place is made for one size "
        "of window: leave it or config.data.static out"
      )
    self.scales = tuple(sorted(scales))
    self.scale_range = (self.scales[0], self.scales[-1])
    self.seed = options["seed"]
    self._windows = {}
    for s in self.scales:
      if s < 1 or any(n % s for n in queries):
        raise ValueError(
          f"config.windows.scales: {s} does not divide the queries "
          f"{queries[0]} x {queries[1]}: ask for a multiple of all scales"
        )
      given = options | dict(
        queries=queries,
        window=(queries[0] // s, queries[1] // s),
        scale_range=(s, s),
      )
      make = batches.Windows
      if blurs is not None:
        make, given = BlurredWindows, given | dict(blurs=blurs)
      self._windows[s] = make(*arguments, **given)
    one = self._windows[self.scales[-1]]
    self.dataset, self.degradation = one.dataset, one.degradation

  def batch(self, step: int, rows: Iterable[int]) -> batches.Batch:
    """Returns the examples `rows` of a step; see `batches.Windows.batch`."""
    return self._of(step).batch(step, rows)

  def describe(self, step: int, rows: Iterable[int]) -> list[Any]:
    """Returns what `batch` draws for these rows, for error messages."""
    return self._of(step).describe(step, rows)

  def fixed(
    self,
    count: int,
    *,
    batch_size: int | None = None,
    scale: float | int | None = None,
  ) -> list[batches.Batch]:
    """Returns batches that are the same at every call, scale after scale.

    Args:
      count: examples in all.
      batch_size: examples a batch; None makes one batch.
      scale: of all examples, the nearest there is; None takes all in turn, of
        one batch the largest.
    """
    windows = list(self._windows.values())
    if scale is not None or batch_size is None:
      at = self.scales[-1] if scale is None else scale
      nearest = int(np.argmin(np.abs(np.subtract(self.scales, at))))
      windows = [windows[nearest]]
    lists = [w.fixed(count, batch_size=batch_size) for w in windows]
    return [lists[i % len(lists)][i] for i in range(len(lists[0]))]

  def _of(self, step: int) -> batches.Windows:
    """Returns the windows of a step, whose scale all processes draw alike."""
    bits = np.random.Philox(key=[self.seed, _SCALES], counter=[0, 0, step, 0])
    return self._windows[int(np.random.Generator(bits).choice(self.scales))]
