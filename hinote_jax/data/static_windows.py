"""What is static, by windows: as batches of training have it."""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
import math
from typing import Any

import numpy as np

from hinote_jax import degradations
from hinote_jax.degradations import pipeline

# (field, rows, columns) -> what is not the same for all fields, [m n k].
Varying = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
_KEPT = 1 << 28  # bytes of what the windows of all fields share


class Operators:
  """What a degradation needs for the windows of a batch, made when asked."""

  def __init__(
    self,
    degradation: pipeline.Degradation,
    draws: Sequence[Any],
    shape: tuple[int, int],
    **options: Any,
  ):
    """Makes nothing yet; options of `Degradation.of_windows`."""
    self._degradation, self._draws = degradation, draws
    self._shape, self._options = shape, options

  def __getitem__(self, i: int) -> Any:
    """Returns those of window i."""
    return self._made[i]

  @functools.cached_property
  def _made(self):
    return self._degradation.of_windows(
      self._shape,
      starts=[draw.start for draw in self._draws],
      scales=[(draw.scale, draw.scale) for draw in self._draws],
      **self._options,
    )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class StaticWindows:
  """Static channels at the cells of a data set, and coarsened.

  They are coarsened as the fields are, but without noise.

  Attributes:
    fixed: what is the same for all fields, normalised, [H W k].
    varying: what is not, normalised: the sun of each date, the climatology of
      the other fields; or None.
    count: number of fields, those of all parts.
    degradation: of the fields; None where they are paired.
    periodic: which axes (y, x) close.
    window: (h, w), coarse cells of a window.
    queries: (H, W), fine cells asked for.
  """

  fixed: np.ndarray
  varying: Varying | None = None
  count: int = 0
  degradation: pipeline.Degradation | None
  periodic: tuple[bool, bool]
  window: tuple[int, int]
  queries: tuple[int, int]

  def of(
    self, draws: Iterable[Any], operators: Operators | None = None
  ) -> dict[str, np.ndarray]:
    """Returns fine [b H W s] and coarse [b h w s] of draws of `Windows`.

    Args:
      draws: of `Windows`.
      operators: those of the degradation, where they are at hand; None makes
        them.
    """
    draws = list(draws)
    if operators is None:
      shape = self.fixed.shape[0], self.fixed.shape[1]
      operators = Operators(
        self._quiet, draws, shape, count=self.window, periodic=self.periodic
      )
    fine = [self._fine(draw) for draw in draws]
    coarse = [self._coarse(draw, operators[i]) for i, draw in enumerate(draws)]
    return {"fine": np.stack(fine), "coarse": np.stack(coarse)}

  def cells(self, field: int, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """Returns the rows iy and columns ix for a field, [m n s]."""
    if self.varying is None:
      return pipeline.take(self.fixed, iy, ix)
    if self._whole is not None:
      return pipeline.take(self._whole(field), iy, ix)
    return self._made(self.varying, field, iy, ix)

  def _made(self, varying, field, iy, ix) -> np.ndarray:
    parts = pipeline.take(self.fixed, iy, ix), varying(field, iy, ix)
    return np.concatenate(parts, axis=-1, dtype=np.float32)

  @functools.cached_property
  def _whole(self) -> Callable[[int], np.ndarray] | None:
    """Returns field -> all of its cells, where those of all fields fit."""
    varying, one = self.varying, np.arange(1)
    assert varying is not None
    channels = self.fixed.shape[-1] + varying(0, one, one).shape[-1]
    size = 4 * math.prod(self.fixed.shape[:2]) * channels
    if size * self.count > _KEPT:
      return None
    rows, columns = (np.arange(n) for n in self.fixed.shape[:2])
    return functools.cache(
      lambda field: self._made(varying, field, rows, columns)
    )

  def _fine(self, draw) -> np.ndarray:
    first = [round(a + q) for a, q in zip(draw.start, draw.query, strict=True)]
    places = zip(first, self.queries, self.fixed.shape[:2], strict=True)
    iy, ix = (np.arange(a, a + count) % n for a, count, n in places)
    return self.cells(draw.field, iy, ix)

  def _coarse(self, draw, operators) -> np.ndarray:
    (iy, along_y), (ix, along_x) = operators
    if self._quiet.is_local:
      prepared = self._quiet.prepare(self.cells(draw.field, iy, ix))
    else:
      is_same = self.varying is None
      prepared = self._prepared(0 if is_same else draw.field)
    return self._quiet.apply_prepared(prepared, along_y, along_x)

  @functools.cached_property
  def _quiet(self) -> pipeline.Degradation:
    return _quiet(self.degradation)

  @functools.cached_property
  def _prepared(self) -> Callable[[int], np.ndarray]:
    """Returns field -> what windows of it share, the latest ones kept."""

    @functools.lru_cache(maxsize=8)
    def prepared(field):
      rows, columns = (np.arange(n) for n in self.fixed.shape[:2])
      return self._quiet.prepare(self.cells(field, rows, columns))

    return prepared


def _quiet(degradation: pipeline.Degradation | None) -> pipeline.Degradation:
  """Returns a degradation without its noise; "area" for None."""
  return (degradation or degradations.parse("area")).without_noise()


def coarsened(
  degradation: pipeline.Degradation | None,
  fine: np.ndarray,
  shape: Sequence[int],
  periodic: tuple[bool, bool],
) -> np.ndarray:
  """Returns static fields [H W s] on a coarser grid, [h w s]."""
  shape = shape[0], shape[1]
  return _quiet(degradation).field(fine, shape, periodic=periodic)
