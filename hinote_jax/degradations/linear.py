"""Reductions that are one real matrix an axis.

Beyond a wall the field is mirrored, or the reducing kernel cut off; on a
periodic axis it is wrapped. Their responses, f in cycles per fine cell and s
the scale:

    area      the mean over a coarse cell, sin(pi f s) / (s sin(pi f)) where s
              is an integer; keeps the mean of a field
    uniform   1: nothing is held back, everything beyond f = 1/(2s) aliases
    decimate  that of the kernel read at the coarse centres, s times wider, and
              so holding back what is beyond 1/(2s), with antialias
    truncate  1 below f = 1/(2s), 1/2 there, 0 beyond: no aliases, but the
              overshoots of a sharp cut (Gibbs)

truncate takes the field for the trigonometric polynomial through its cells,
cosines where there are walls (`spectral`). Each coarse cell depends on all the
fine ones: a window reads the whole field.
"""

from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import Any

import numpy as np

from hinote_jax.core import naming, spectral, taps
from hinote_jax.degradations import pipeline

KERNELS = ("nearest", "area", "truncate", *taps.KERNELS)
WALLS = ("mirror", "drop")
# Stages that are called otherwise than their kernels.
_STAGES = {"nearest": "uniform", "area": "area", "truncate": "truncate"}
# Coarse cells that a response averages over, for a scale such as 5/2 or 13/8
# a whole number of times all the places that they take between fine cells.
_PLACES = 120
# How far, relatively, a mode may be from the Nyquist to count as on it.
_ON_IT = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(pipeline.Degradation):
  """Blur and reduction by real matrices, and noise.

  Attributes:
    kernel: one of `KERNELS`; "area" averages, "nearest" reads the cell at the
      coarse centre, at even scales the one after it, "truncate" cuts the
      spectrum at the coarse grid's Nyquist.
    antialias: widen the kernel by the scale.
    wall: what the kernel reads beyond a wall: "mirror" the mirrored field, as
      MATLAB's imresize does, "drop" nothing, as Pillow does: what is left of
      the kernel is made to sum to 1.
  """

  kernel: str = "cubic"
  antialias: bool = False
  wall: str = "mirror"

  def __post_init__(self):
    super().__post_init__()
    naming.look_up("kernel", self.kernel, dict.fromkeys(KERNELS))
    naming.look_up("wall", self.wall, dict.fromkeys(WALLS))

  @property
  def is_convolution(self) -> bool:
    """Whether, at whole scales, it reads the field through one small kernel."""
    return self.kernel != "truncate"

  @property
  def stage(self) -> str:
    """The reducing stage, as text."""
    if self.kernel in _STAGES:
      return _STAGES[self.kernel]
    flags = ["antialias"] * self.antialias + ["drop"] * (self.wall == "drop")
    return f"decimate({', '.join([self.kernel, *flags])})"

  def of_windows(
    self,
    field_shape: tuple[int, int],
    *,
    starts: Sequence[tuple[float | int, float | int]],
    scales: Sequence[tuple[float | int, float | int]],
    count: tuple[int, int],
    periodic: tuple[bool, bool],
  ) -> list[list[tuple[np.ndarray, Any]]]:
    """Returns the blur and reduction of y and of x as gathers and matrices.

    Those of a window are the indices [m] of the cells to read, folded into the
    axis, and the matrix [count m] to multiply them by, float64 with rows that
    sum to 1; [r count m] where the blur is a sum of r products.

    Raises:
      ValueError: a scale is below 1, or coarse cells are centred beyond a wall
        that drops what is there.
    """
    keys = [
      [(a % 1.0, s, m) for a, s, m in zip(start, scale, count, strict=True)]
      for start, scale in zip(starts, scales, strict=True)
    ]
    banded = {}
    if self.kernel != "truncate":
      banded = self._matrices(
        dict.fromkeys(key for pair in keys for key in pair)
      )
    operators = []
    for start, scale, pair in zip(starts, scales, keys, strict=True):
      profiles = self.blur.profiles(scale) if self.blur else (None, None)
      axes = [banded.get(key) for key in pair], profiles
      places = field_shape, start, scale, count, periodic
      operators.append(
        [self._axis(*parts) for parts in zip(*places, *axes, strict=True)]
      )
    return operators

  def gain(
    self, wavenumber: np.ndarray, scale: float | int, axis: int
  ) -> np.ndarray:
    """Returns the transfer function of the reduction alone."""
    del axis
    if self.kernel == "truncate":
      return _kept(wavenumber, scale).astype(np.complex128)
    u = pipeline.centers(0.0, scale, _PLACES)
    (index,), (weight,) = self._taps(u[None], np.array([float(scale)]))
    angle = 2.0 * np.pi * (index - u[:, None])
    wave = np.exp(1j * np.multiply.outer(np.asarray(wavenumber), angle))
    return np.sum(weight * wave, axis=-1).mean(-1)

  def _matrices(self, keys):
    """Returns the first cell read and the matrix of each (start, scale, count).

    Starts are between 0 and 1: a whole number of cells on, nothing else is new.
    """
    matrices = {}
    for count in {key[2] for key in keys}:
      alike = [key for key in keys if key[2] == count]
      start, scale, _ = np.transpose(alike)
      read = self._taps(pipeline.centers(start, scale, count), scale)
      matrices |= zip(alike, _banded(*read), strict=True)
    return matrices

  def _axis(self, n, start, scale, count, is_periodic, banded, profile):
    if banded is None:
      u = pipeline.centers(start, scale, count)
      first, matrix = 0, _truncation(u, n, scale, is_periodic)
    else:
      first, matrix = banded
      first += math.floor(start)
      if self.wall == "drop" and not is_periodic:
        matrix = self._dropped(matrix, first, n, start, scale)
    if profile is not None:
      reach, matrix = _blurred(matrix, profile)
      first -= reach
    last = first + matrix.shape[-1]
    indices = np.arange(first, last)
    if first < 0 or last > n:
      rule = "wrap" if is_periodic else "mirror"
      indices = np.asarray(taps.fold(indices, n, rule))
    return indices, matrix

  def _taps(self, u, scale):
    widen = self.antialias or self.kernel == "area"
    stretch = scale[:, None] if widen else np.ones((1, 1))
    return taps.at(u, method=self.kernel, stretch=stretch)

  def _dropped(self, matrix, first, n, start, scale):
    """Returns the matrix of which nothing is read beyond the walls."""
    middles = start + 0.5 * scale, start + (len(matrix) - 0.5) * scale
    if middles[0] < -_ON_IT or middles[1] > n + _ON_IT:
      raise ValueError(
        f"{self}: coarse cells from {start:g} on lie beyond the {n} cells of "
        "the axis: there is nothing to make them from"
      )
    cells = first + np.arange(matrix.shape[-1])
    is_inside = (cells >= 0) & (cells < n)
    if is_inside.all():
      return matrix
    matrix = np.where(is_inside, matrix, 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)

  def _reduced(self, prepared, along_y, along_x, rng):
    del rng
    if along_y.ndim == 2:
      return pipeline.along_both(along_y, along_x, prepared)
    products = [
      pipeline.along_both(y, x, prepared)
      for y, x in zip(along_y, along_x, strict=True)
    ]
    return functools.reduce(np.add, products)


def ending(degradation: pipeline.Degradation | str) -> dict[str, Any]:
  """Returns what ends a network in its data step, without the noise.

  Args:
    degradation: or its text.

  Raises:
    ValueError: it blurs before it reduces, or is no small kernel.

  Examples:
    >>> ending("area|noise(0.1)")
    {'degradation': 'area', 'method': 'area', 'antialias': False}
  """
  if isinstance(degradation, str):
    from hinote_jax.degradations import grammar

    degradation = grammar.parse(degradation)
  known = degradation.without_noise()
  if isinstance(known, Linear) and known.is_convolution and not known.blur:
    if known.wall == "mirror":
      own = dict(method=known.kernel, antialias=known.antialias)
      return {"degradation": str(known), **own}
  raise ValueError(
    f"{known} has no closed form at any scale, which a consistent model ends "
    "in: train on area or decimate, or ask for --consistent when a field is "
    "made finer"
  )


def _kept(wavenumber, scale):
  """Returns what truncation leaves of a wave in cycles per fine cell."""
  beyond = 2.0 * np.abs(wavenumber) * scale - 1.0
  return np.where(np.abs(beyond) < _ON_IT, 0.5, np.where(beyond < 0, 1.0, 0.0))


def _truncation(u, n, scale, is_periodic):
  """Returns the [count n] matrix of the band-limited field at positions u.

  The modes of the axis below the coarse Nyquist are kept, those on it by half.
  """
  period = n if is_periodic else 2 * n
  band = period / scale
  if abs(band - round(band)) < _ON_IT * band:
    band = round(band)
  else:
    band = 2 * int(np.ceil(0.5 * band)) - 1
  index = np.arange(n)
  matrix = spectral.dirichlet(u[:, None] - index, period, band)
  if is_periodic:
    return matrix
  return matrix + spectral.dirichlet(u[:, None] + index + 1.0, period, band)


def _banded(index, weight):
  """Returns the first cell read and the dense matrix from that cell on.

  Args:
    index: of taps that go up, [b count t].
    weight: of each.

  Returns:
    b pairs; the last column of a matrix is that of the last tap that weighs.
  """
  b, count, _ = index.shape
  first = index[:, 0, 0]
  column = index - first[:, None, None]
  matrix = np.zeros((b, count, int(column.max()) + 1))
  at = np.arange(b)[:, None, None], np.arange(count)[:, None], column
  matrix[at] = weight
  widths = np.where(weight != 0, column, 0).max((1, 2)) + 1
  return [
    (start, matrix[i, :, :width])
    for i, (start, width) in enumerate(
      zip(first.tolist(), widths.tolist(), strict=True)
    )
  ]


def _blurred(matrix, profile):
  """Returns how far a profile reaches, and each one with the matrix.

  Args:
    matrix: [count m].
    profile: [r 2p+1].

  Returns:
    p and [r count m+2p]; [count m+2p] of one profile.
  """
  (terms, width), (count, m) = profile.shape, matrix.shape
  wide = np.zeros((terms, count, m + width - 1))
  for k in range(width):
    wide[:, :, k : k + m] += profile[:, k, None, None] * matrix
  return width // 2, wide[0] if terms == 1 else wide
