"""What is static, by windows: as batches of training have it."""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from hinote_jax import degradations
from hinote_jax.data import climatology as climatologies
from hinote_jax.degradations import pipeline


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class StaticWindows:
  """Static channels at the cells of a data set, and coarsened.

  They are coarsened as the fields are, but without noise.

  Attributes:
    fixed: what is the same for all fields, normalised, [H W k].
    climatology: what is not: every field has that of the others; or None.
    mean: of the climatology's channels, [2*c].
    std: the same.
    degradation: of the fields; None where they are paired.
    periodic: which axes (y, x) close.
    window: (h, w), coarse cells of a window.
    queries: (H, W), fine cells asked for.
  """

  fixed: np.ndarray
  climatology: climatologies.Climatology | None = None
  mean: Any = ()
  std: Any = ()
  degradation: pipeline.Degradation | None
  periodic: tuple[bool, bool]
  window: tuple[int, int]
  queries: tuple[int, int]

  def of(self, draws: Iterable[Any]) -> dict[str, np.ndarray]:
    """Returns fine [b H W s] and coarse [b h w s] of draws of `Windows`."""
    draws = list(draws)
    fine = [self._fine(draw) for draw in draws]
    coarse = [self._coarse(draw) for draw in draws]
    return {"fine": np.stack(fine), "coarse": np.stack(coarse)}

  def cells(self, field: int, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
    """Returns the rows iy and columns ix for a field, [m n s]."""
    fixed = pipeline.take(self.fixed, iy, ix)
    if self.climatology is None:
      return fixed
    known = self.climatology.without(field, iy, ix)
    known = ((known - self.mean) / self.std).astype(np.float32)
    return np.concatenate([fixed, known], axis=-1)

  def _fine(self, draw) -> np.ndarray:
    first = [round(a + q) for a, q in zip(draw.start, draw.query, strict=True)]
    places = zip(first, self.queries, self.fixed.shape[:2], strict=True)
    iy, ix = (np.arange(a, a + count) % n for a, count, n in places)
    return self.cells(draw.field, iy, ix)

  def _coarse(self, draw) -> np.ndarray:
    (iy, along_y), (ix, along_x) = self._quiet.operators(
      self.fixed.shape[:2],
      start=(float(draw.start[0]), float(draw.start[1])),
      scale=(draw.scale, draw.scale),
      count=self.window,
      periodic=self.periodic,
    )
    if self._quiet.is_local:
      prepared = self._quiet.prepare(self.cells(draw.field, iy, ix))
    else:
      is_same = self.climatology is None
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
  reduce = degradation or degradations.parse("area")
  return dataclasses.replace(reduce, noise=0.0)  # type: ignore[type-var]


def coarsened(
  degradation: pipeline.Degradation | None,
  fine: np.ndarray,
  shape: Sequence[int],
  periodic: tuple[bool, bool],
) -> np.ndarray:
  """Returns static fields [H W s] on a coarser grid, [h w s]."""
  shape = shape[0], shape[1]
  return _quiet(degradation).field(fine, shape, periodic=periodic)
