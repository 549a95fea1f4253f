"""The linear reduction of a field to coarser cells, with blur and noise.

Coarse cell i of a window covers the fine cells [start + i scale,
start + (i + 1) scale) of an axis. Blur and reduction are one matrix an axis,
so a window of the coarse field equals the same cells of the whole one.
Constants stay. Beyond a wall the field is mirrored, or the reducing kernel cut
off; on a periodic axis it is wrapped.
"""

import dataclasses

import numpy as np

from hinote_jax import naming, resize

KERNELS = ("nearest", "area", *resize.KERNELS)
WALLS = ("mirror", "drop")
# Beyond four deviations a Gaussian holds 6e-5 of its weight.
_BLUR_REACH = 4.0
# OpenBLAS puts products beyond 2^18 multiplications on several threads, which
# wait for each other: 30 times slower while a training step holds the cores.
_ONE_THREAD = 1 << 17
_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class Degradation:
  """A pipeline blur -> reduction -> noise; write it as text with `parse`.

  Attributes:
    kernel: one of `KERNELS`; "area" averages, "nearest" reads the cell at the
      coarse centre, at even scales the one after it.
    antialias: widen the kernel by the scale.
    wall: what the kernel reads beyond a wall: "mirror" the mirrored field, as
      MATLAB's imresize does, "drop" nothing, as Pillow does: what is left of
      the kernel is made to sum to 1.
    blur: deviation of a Gaussian before the reduction, in coarse cells.
    noise: deviation of white noise added after it, in the field's own units:
      on a normalised field that is a fraction of each channel's deviation.
  """

  kernel: str = "cubic"
  antialias: bool = False
  wall: str = "mirror"
  blur: float | int = 0.0
  noise: float | int = 0.0

  def __post_init__(self):
    naming.look_up("kernel", self.kernel, dict.fromkeys(KERNELS))
    naming.look_up("wall", self.wall, dict.fromkeys(WALLS))
    for name in ("blur", "noise"):
      value = getattr(self, name)
      if not 0.0 <= value < np.inf:
        raise ValueError(f"{name} must be finite and not below 0, got {value}")

  def __str__(self) -> str:
    stages = [f"blur({self.blur!r})"] if self.blur else []
    if self.kernel in ("area", "nearest"):
      stages.append("area" if self.kernel == "area" else "uniform")
    else:
      flags = ["antialias"] * self.antialias + ["drop"] * (self.wall == "drop")
      stages.append(f"decimate({', '.join([self.kernel, *flags])})")
    return "|".join(stages + [f"noise({self.noise!r})"] * bool(self.noise))

  def axis_operator(
    self,
    n: int,
    *,
    scale: float | int,
    start: float | int = 0.0,
    count: int,
    is_periodic: bool,
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns the blur and reduction of one axis as a gather and a matrix.

    Args:
      n: fine cells of the whole axis.
      scale: fine cells per coarse cell, at least 1.
      start: fine cell edge at which the first coarse cell begins.
      count: number of coarse cells.
      is_periodic: wrap around the ends, else mirror about them.

    Returns:
      indices [m] of the cells to read, folded into the axis, and the matrix
      [count m] to multiply them by, float64 with rows that sum to 1.

    Raises:
      ValueError: the scale is below 1, or coarse cells are centred beyond a
        wall that drops what is there.
    """
    if not 1.0 <= scale < np.inf:
      raise ValueError(f"scale must be finite and at least 1, got {scale}")
    # Rounded, so that a point on a cell edge falls alike in window and whole.
    u = np.round(start + resize.centers(count * scale, count), 9)
    widen = self.antialias or self.kernel == "area"
    index, weight = resize.taps(
      u, method=self.kernel, stretch=float(scale) if widen else 1.0
    )
    if self.wall == "drop" and not is_periodic:
      if u.min() < -0.5 or u.max() > n - 0.5:
        raise ValueError(
          f"{self}: coarse cells from {start:g} on lie beyond the {n} cells of "
          "the axis: there is nothing to make them from"
        )
      _, weight = resize.settle(index, weight, n, "drop")
    first, matrix = _banded(index, weight)
    if self.blur:
      reach, matrix = _blurred(matrix, self.blur * scale)
      first -= reach
    boundary = "wrap" if is_periodic else "mirror"
    indices = first + np.arange(matrix.shape[1])
    return resize.fold(indices, n, boundary), matrix

  def operators(
    self,
    field_shape: tuple[int, int],
    *,
    start: tuple[float | int, float | int],
    scale: tuple[float | int, float | int],
    count: tuple[int, int],
    periodic: tuple[bool, bool],
  ) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns `axis_operator` of y and of x for a window of a field."""
    return [
      self.axis_operator(n, scale=s, start=a, count=m, is_periodic=p)
      for n, s, a, m, p in zip(
        field_shape, scale, start, count, periodic, strict=True
      )
    ]

  def apply(
    self,
    cells: np.ndarray,
    along_y: np.ndarray,
    along_x: np.ndarray,
    *,
    rng: np.random.Generator | None = None,
  ) -> np.ndarray:
    """Returns coarse cells of the fine cells gathered by `take`.

    Args:
      cells: [m n c].
      along_y: [h m], of `axis_operator`.
      along_x: [w n].
      rng: draws the noise; needed only where there is some.

    Returns:
      [h w c] float32.
    """
    m, n, c = cells.shape
    cells = cells.astype(np.float32, copy=False).reshape(m, n * c)
    rows = _product(along_y, cells).reshape(-1, n, c)
    coarse = _product(along_x, rows)
    if not self.noise:
      return coarse
    if rng is None:
      raise ValueError(f"{self} adds noise: pass a numpy Generator as rng")
    white = rng.standard_normal(coarse.shape, dtype=np.float32)
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


def take(values: np.ndarray, iy: np.ndarray, ix: np.ndarray) -> np.ndarray:
  """Returns values[iy][:, ix] of [H W c]; contiguous runs cost no gather."""
  return _take(_take(values, iy, 0), ix, 1)


def _take(values, index, axis):
  steps = np.diff(index)
  if np.all(steps == 1):
    inside = slice(int(index[0]), int(index[-1]) + 1)
    return values[inside] if axis == 0 else values[:, inside]
  return np.take(values, index, axis=axis)


def _product(matrix, cells):
  """Returns matrix @ cells, [h m] by [.. m k], for a matrix with a band.

  Works in blocks that hold the band and are small enough for one thread.
  """
  count, k = len(matrix), cells.shape[-1]
  out = np.empty((*cells.shape[:-2], count, k), np.float32)
  for i in range(0, count, _BLOCK):
    rows = slice(i, i + _BLOCK)
    used = np.flatnonzero(matrix[rows].any(0))
    band = slice(used[0], used[-1] + 1)
    block = matrix[rows, band].astype(np.float32)
    step = max(1, _ONE_THREAD // block.size)
    for j in range(0, k, step):
      columns = slice(j, j + step)
      out[..., rows, columns] = block @ cells[..., band, columns]
  return out


def _banded(index, weight):
  """Returns the first cell read and the dense matrix from that cell on."""
  first = int(index.min())
  matrix = np.zeros((len(index), int(index.max()) - first + 1))
  np.put_along_axis(matrix, index - first, weight, axis=1)
  return first, matrix


def _blurred(matrix, sigma):
  """Returns how far a Gaussian reaches, and matrix @ Gaussian, that wider."""
  reach = int(np.ceil(_BLUR_REACH * sigma))
  weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  count, m = matrix.shape
  wide = np.zeros((count, m + 2 * reach))
  for k, w in enumerate(weight / weight.sum()):
    wide[:, k : k + m] += w * matrix
  return reach, wide
