"""What every degradation is: blur, reduction to coarser cells, noise.

Coarse cell i of a window covers the fine cells [start + i scale,
start + (i + 1) scale) of an axis. A window of the coarse field equals the same
cells of the whole one. Constants stay.
"""

import abc
from collections.abc import Sequence
import dataclasses
from typing import Any, ClassVar, TypeVar

import numpy as np

from hinote_jax.degradations import blurs

T = TypeVar("T", bound="Degradation")

# OpenBLAS puts products beyond 2^18 multiplications, of complex numbers beyond
# 2^15, on several threads, which wait for each other: 30 times slower while a
# training step holds the cores.
_ONE_THREAD = {np.float32: 1 << 17, np.complex64: 1 << 15}
_BLOCK = 32
# Wider bands are cut, lest a block on one thread be a few columns wide, and
# lest one column, to OpenBLAS a vector, go on several threads from a matrix of
# 9,216 real or 4,096 complex numbers on.
_BAND = {np.float32: 240, np.complex64: 120}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Degradation(abc.ABC):
  """A pipeline blur -> reduction -> noise; write it as text with `parse`.

  Attributes:
    blur: before the reduction, or None.
    noise: deviation of white noise added after it, in the field's own units:
      on a normalised field that is a fraction of each channel's deviation.
    is_linear: whether, without noise, it is a linear operator.
    is_local: whether a window depends on the cells around it alone. Where it
      depends on the whole field, `prepare` does once what windows share.

  Examples:
    >>> from hinote_jax import degradations
    >>> degradations.parse("blur(0.5)|area").is_linear
    True
  """

  blur: blurs.Blur | None = None
  noise: float | int = 0.0
  is_linear: ClassVar[bool] = True
  is_local: ClassVar[bool] = True

  def __post_init__(self):
    if not 0.0 <= self.noise < np.inf:
      raise ValueError(
        f"noise must be finite and not below 0, got {self.noise}"
      )

  def __str__(self) -> str:
    stages = [str(self.blur)] if self.blur else []
    stages.append(self.stage)
    return "|".join(stages + [f"noise({self.noise!r})"] * bool(self.noise))

  @property
  def is_convolution(self) -> bool:
    """Whether, at whole scales, it reads the field through one small kernel."""
    return False

  @property
  @abc.abstractmethod
  def stage(self) -> str:
    """The reducing stage, as text."""

  @abc.abstractmethod
  def gain(
    self, wavenumber: np.ndarray, scale: float | int, axis: int
  ) -> np.ndarray:
    """Returns the transfer function of the reduction alone.

    See `responses.response` for the arguments and the result.
    """

  @abc.abstractmethod
  def of_windows(
    self,
    field_shape: tuple[int, int],
    *,
    starts: Sequence[tuple[float | int, float | int]],
    scales: Sequence[tuple[float | int, float | int]],
    count: tuple[int, int],
    periodic: tuple[bool, bool],
  ) -> list[list[tuple[np.ndarray, Any]]]:
    """Returns `operators` of several windows, one `start` and `scale` each."""

  def operators(
    self,
    field_shape: tuple[int, int],
    *,
    start: tuple[float | int, float | int],
    scale: tuple[float | int, float | int],
    count: tuple[int, int],
    periodic: tuple[bool, bool],
  ) -> list[tuple[np.ndarray, Any]]:
    """Returns what `apply` needs for a window of a field.

    Args:
      field_shape: (H, W), fine cells of the whole field.
      start: fine cell edges (y, x) at which the window begins.
      scale: fine cells per coarse cell (y, x), at least 1.
      count: (h, w), coarse cells of the window.
      periodic: which axes (y, x) wrap around.

    Returns:
      for y and for x the indices [m] of the cells to `take`, and what to hand
      to `apply` with them.

    Raises:
      ValueError: the scale is below 1, or the window lies where there is
        nothing to make it from.
    """
    (one,) = self.of_windows(
      field_shape,
      starts=[start],
      scales=[scale],
      count=count,
      periodic=periodic,
    )
    return one

  @abc.abstractmethod
  def _reduced(self, prepared, along_y, along_x, rng) -> np.ndarray:
    """Returns what `apply` does after `prepare` and before its noise."""

  def prepare(self, cells: np.ndarray) -> np.ndarray:
    """Returns what `apply_prepared` needs of cells, whatever the window.

    Args:
      cells: [m n c], gathered by `take`.
    """
    return cells.astype(np.float32, copy=False)

  def with_zero(self: T, zero: Any) -> T:
    """Returns the degradation of fields whose zero is elsewhere.

    A degradation of magnitudes must know which value stands for no signal:
    that of a normalised field is `normaliser.normalise(0)`. To the linear ones
    it is all the same.

    Args:
      zero: one number, or one a channel, [c].
    """
    del zero
    return self

  def without_noise(self: T) -> T:
    """Returns the degradation, which then draws nothing."""
    return dataclasses.replace(self, noise=0.0)

  def apply(
    self,
    cells: np.ndarray,
    along_y: Any,
    along_x: Any,
    *,
    rng: np.random.Generator | None = None,
  ) -> np.ndarray:
    """Returns coarse cells of the fine cells gathered by `take`.

    Args:
      cells: [m n c].
      along_y: of `operators`.
      along_x: of `operators`.
      rng: draws the noise; needed only where there is some.

    Returns:
      [h w c] float32.
    """
    return self.apply_prepared(self.prepare(cells), along_y, along_x, rng=rng)

  def apply_prepared(
    self,
    prepared: np.ndarray,
    along_y: Any,
    along_x: Any,
    *,
    rng: np.random.Generator | None = None,
  ) -> np.ndarray:
    """Returns what `apply` does, of what `prepare` made of the cells."""
    coarse = self._reduced(prepared, along_y, along_x, rng)
    if not self.noise:
      return coarse
    white = self._generator(rng).standard_normal(coarse.shape, np.float32)
    return coarse + np.float32(self.noise) * white

  def apply_window(
    self,
    values: np.ndarray,
    *,
    start: tuple[float | int, float | int],
    scale: tuple[float | int, float | int],
    shape: tuple[int, int],
    periodic: tuple[bool, bool],
    rng: np.random.Generator | None = None,
  ) -> np.ndarray:
    """Returns one window of the coarse field, [h w c] float32.

    Args:
      values: the whole fine field, [H W c], array or memory map; only the
        cells that the window depends on are read.
      start: fine cell edges (y, x) at which the window begins.
      scale: fine cells per coarse cell (y, x).
      shape: (h, w), coarse cells of the window.
      periodic: which axes (y, x) wrap around.
      rng: draws the noise; needed only where there is some.
    """
    (iy, along_y), (ix, along_x) = self.operators(
      values.shape[:2], start=start, scale=scale, count=shape, periodic=periodic
    )
    return self.apply(take(values, iy, ix), along_y, along_x, rng=rng)

  def field(
    self,
    values: np.ndarray,
    shape: tuple[int, int],
    *,
    periodic: tuple[bool, bool],
    rng: np.random.Generator | None = None,
  ) -> np.ndarray:
    """Returns a whole field [H W c] on a coarser grid of `shape`, [h w c].

    Both grids cover the same extent; the scale of an axis is H/h and need not
    be an integer.
    """
    scale = tuple(n / m for n, m in zip(values.shape[:2], shape, strict=True))
    if min(scale) < 1.0:
      raise ValueError(
        f"coarse shape {tuple(shape)} is larger than the field's "
        f"{values.shape[:2]}: a degradation only reduces"
      )
    return self.apply_window(
      values,
      start=(0.0, 0.0),
      scale=scale,
      shape=shape,
      periodic=periodic,
      rng=rng,
    )

  def _generator(self, rng):
    if rng is None:
      raise ValueError(f"{self} adds noise: pass a numpy Generator as rng")
    return rng


def centers(start: Any, scale: Any, count: int) -> np.ndarray:
  """Returns where coarse cells are centred, in fine index, [.. count] float64.

  Rounded, so that a point on a cell edge falls alike in window and whole.

  Args:
    start: where the first cell begins, [..].
    scale: fine cells per coarse cell, [..].
    count: coarse cells.

  Raises:
    ValueError: a scale is below 1.
  """
  start, scale = np.asarray(start, np.float64), np.asarray(scale, np.float64)
  is_one = (scale >= 1.0) & (scale < np.inf)
  if not is_one.all():
    raise ValueError(
      f"scale must be finite and at least 1, got {scale[~is_one].flat[0]:g}"
    )
  step = scale * count / count
  cells = (np.arange(count) + 0.5) * step[..., None] - 0.5
  return np.round(start[..., None] + cells, 9)


def run(index: np.ndarray) -> slice | None:
  """Returns the slice that indices are, where each follows the one before."""
  first, last = int(index[0]), int(index[-1])
  if last - first != len(index) - 1:
    return None
  is_run = (index[1:] - index[:-1] == 1).all()
  return slice(first, last + 1) if is_run else None


def take(values: np.ndarray, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
  """Returns values[iy][:, ix] of [H W c]; contiguous runs cost no gather."""
  rows, columns = run(iy), run(ix)
  values = values[rows] if rows else np.take(values, iy, axis=0)
  return values[:, columns] if columns else np.take(values, ix, axis=1)


def along_both(
  along_y: np.ndarray, along_x: np.ndarray, cells: np.ndarray
) -> np.ndarray:
  """Returns along_y @ cells @ along_x^T of each channel, in single precision.

  Works in blocks that hold the band of a matrix and are small enough for one
  thread.

  Args:
    along_y: [h m], real or complex.
    along_x: [w n], alike.
    cells: [m n c], float32 or complex64.

  Returns:
    [h w c], float32 or complex64.
  """
  (m, n, c), h = cells.shape, len(along_y)
  rows = _product(along_y, cells.reshape(m, n * c)).reshape(h, n, c)
  # One product: many, each with a vector, are slower.
  rows = rows.transpose(1, 0, 2).reshape(n, h * c)
  return _product(along_x, rows).reshape(-1, h, c).transpose(1, 0, 2)


def _product(matrix, cells):
  """Returns matrix @ cells, [h m] by [m k]."""
  kind = np.complex64 if np.iscomplexobj(matrix) else np.float32
  count, k = len(matrix), cells.shape[-1]
  if count <= _BLOCK and matrix.size * k <= _ONE_THREAD[kind]:
    return matrix.astype(kind) @ cells
  out = np.empty((count, k), kind)
  for i in range(0, count, _BLOCK):
    rows = slice(i, i + _BLOCK)
    used = np.flatnonzero(matrix[rows].any(0))
    first, last = used[0], used[-1] + 1
    for start in range(first, last, _BAND[kind]):
      band = slice(start, min(start + _BAND[kind], last))
      block = matrix[rows, band].astype(kind)
      step = max(1, _ONE_THREAD[kind] // block.size)
      for j in range(0, k, step):
        columns = slice(j, j + step)
        part = block @ cells[band, columns]
        if start == first:
          out[rows, columns] = part
        else:
          out[rows, columns] += part
  return out
