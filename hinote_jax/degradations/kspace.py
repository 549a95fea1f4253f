"""The low resolution of an MRI scanner: a central rectangle of k-space.

A scanner measures the Fourier modes of a slice one by one; a coarse image is
made of the central ones. Of a magnitude image:

    spectrum   the DFT over both axes, periodic whatever their walls
    rectangle  the modes k in [-m/2, m/2) of an axis, m its coarse cells; with
               `partial` only those up to (partial - 1/2) m of y, the axis that
               is encoded in phase
    noise      complex and white, in each mode that is measured
    window     an apodisation over |k| / (m/2)
    image      the inverse DFT at the coarse cells' centres
    magnitude  its absolute value

The response is the window up to the Nyquist of the coarse grid and nothing
beyond, so a point becomes a sinc (of 1.21 coarse cells at half its height, with
side lobes of -22 %; 1.8 and under 1 % by the Hamming window) and an edge rings:
it overshoots by 9 % of its height (Gibbs; 0.2 % by the Hamming window). A mode
that is measured without its conjugate counts by half on bright ground. The mean
is kept before the last step, which turns what rings below zero over and lifts
it there. Noise makes magnitudes Rician: over no signal their mean is
sqrt(pi/2) times its deviation.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import fft

from hinote_jax.core import naming
from hinote_jax.degradations import pipeline

# Over x = |k| / (m/2) in [0, 1].
WINDOWS = {
  "none": np.ones_like,
  "hamming": lambda x: 0.54 + 0.46 * np.cos(np.pi * x),
  # Flat up to the half, then a cosine down to 0.
  "tukey": lambda x: 0.5 - 0.5 * np.cos(2 * np.pi * np.maximum(x, 0.5)),
}
_ON_IT = 1e-9
# Of the largest value: rounding, or what a resampling left below zero.
_BELOW = 0.01


class Lines(NamedTuple):
  """The modes of one axis that are measured, and the way back from them.

  Attributes:
    modes: [k] integers.
    back: [count k], complex: window, inverse DFT and coarse centres in one.
    blur: [r k], complex: the responses of the blur's profiles.
    total: modes of the full rectangle.
  """

  modes: np.ndarray
  back: np.ndarray
  blur: np.ndarray
  total: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class KSpace(pipeline.Degradation):
  """Blur, the central rectangle of k-space, magnitude, and noise.

  Attributes:
    window: one of `WINDOWS`.
    partial: fraction of the rectangle's lines along y that are measured, from
      one end, above 1/2 and up to 1; the others are left 0.
    mode_noise: deviation of the real and of the imaginary part of the noise
      that all modes of the rectangle, without a window, would put on the coarse
      image; in the field's own units, as `noise`.
    zero: the value that stands for no signal, one or one a channel.
  """

  window: str = "none"
  partial: float | int = 1.0
  mode_noise: float | int = 0.0
  zero: tuple[float, ...] = (0.0,)

  is_linear: ClassVar[bool] = False
  is_local: ClassVar[bool] = False

  def __post_init__(self):
    super().__post_init__()
    naming.look_up("window", self.window, WINDOWS)
    if not 0.5 < self.partial <= 1.0:
      raise ValueError(
        "kspace measures more than half of the lines, partial in (0.5, 1], got "
        f"{self.partial}"
      )
    if not 0.0 <= self.mode_noise < np.inf:
      raise ValueError(
        "the noise of kspace must be finite and not below 0, got "
        f"{self.mode_noise}"
      )

  @property
  def stage(self) -> str:
    """The reducing stage, as text."""
    flags = [self.window] if self.window != "none" else []
    flags += [f"partial={self.partial!r}"] * (self.partial != 1)
    flags += [f"noise={self.mode_noise!r}"] * bool(self.mode_noise)
    return f"kspace({', '.join(flags)})" if flags else "kspace"

  def with_zero(self, zero: Any) -> "KSpace":
    """Returns the degradation of fields whose zero is elsewhere."""
    values = np.atleast_1d(np.asarray(zero, np.float64))
    return dataclasses.replace(self, zero=tuple(values.tolist()))

  def without_noise(self) -> "KSpace":
    """Returns the degradation without noise of either kind."""
    return dataclasses.replace(self, noise=0.0, mode_noise=0.0)

  def of_windows(
    self,
    field_shape: tuple[int, int],
    *,
    starts: Sequence[tuple[float | int, float | int]],
    scales: Sequence[tuple[float | int, float | int]],
    count: tuple[int, int],
    periodic: tuple[bool, bool],
  ) -> list[list[tuple[np.ndarray, Any]]]:
    """Returns all cells and the `Lines` of y and of x, for every window."""
    del periodic
    return [
      self._lines(field_shape, *window, count)
      for window in zip(starts, scales, strict=True)
    ]

  def _lines(self, field_shape, start, scale, count):
    profiles = [np.ones((1, 1))] * 2
    if self.blur:
      profiles = self.blur.profiles(scale)
    operators = []
    for axis, n in enumerate(field_shape):
      u = pipeline.centers(start[axis], scale[axis], count[axis])
      size = n / scale[axis]
      modes = np.arange(-(n // 2), n - n // 2)
      first = modes >= -0.5 * size - _ON_IT * n
      total = np.count_nonzero(first & (modes < 0.5 * size - _ON_IT * n))
      modes = modes[first & (modes < self._end(axis) * size - _ON_IT * n)]
      weight = WINDOWS[self.window](np.minimum(np.abs(modes) / (0.5 * size), 1))
      back = np.exp(2j * np.pi / n * u[:, None] * modes) * weight / n
      blur = _transfer(profiles[axis], modes / n)
      operators.append((np.arange(n), Lines(modes, back, blur, int(total))))
    return operators

  def gain(
    self, wavenumber: np.ndarray, scale: float | int, axis: int
  ) -> np.ndarray:
    """Returns the transfer function of a faint wave on bright ground.

    Of a mode and its conjugate the magnitude sees the mean.
    """
    x = 2.0 * scale * np.asarray(wavenumber)
    weight = WINDOWS[self.window](np.minimum(np.abs(x), 1.0))
    end = 2.0 * self._end(axis)
    measured = sum(
      (way >= -1.0 - _ON_IT) & (way < end - _ON_IT) for way in (x, -x)
    )
    return (0.5 * weight * measured).astype(np.complex128)

  def _end(self, axis):
    """Returns where the measured modes end, in coarse sampling rates."""
    return (self.partial if axis == 0 else 1.0) - 0.5

  def prepare(self, cells: np.ndarray) -> np.ndarray:
    """Returns the spectrum of a whole slice above its zero, complex64."""
    signal = cells.astype(np.float32, copy=False) - self._zero
    self._require_magnitudes(signal)
    return np.asarray(fft.fft2(signal, axes=(0, 1)))

  def _reduced(self, prepared, along_y, along_x, rng):
    m, n, _ = prepared.shape
    spectrum = prepared[np.ix_(along_y.modes % m, along_x.modes % n)]
    if self.blur:
      blur = np.einsum("ry,rx->yx", along_y.blur, along_x.blur)
      spectrum *= blur.astype(np.complex64)[..., None]
    if self.mode_noise:
      # Of all modes together the inverse DFT then leaves `mode_noise`.
      size = self.mode_noise * m * n / np.sqrt(along_y.total * along_x.total)
      white = self._generator(rng).standard_normal(
        (*spectrum.shape, 2), np.float32
      )
      spectrum += np.float32(size) * white.view(np.complex64)[..., 0]
    image = pipeline.along_both(along_y.back, along_x.back, spectrum)
    return np.abs(image) + self._zero

  @property
  def _zero(self):
    return np.asarray(self.zero, np.float32)

  def _require_magnitudes(self, signal):
    lowest, highest = signal.min(), signal.max()
    if not np.isfinite(lowest + highest):
      raise ValueError(
        f"{self} spreads a value over the whole slice: the field holds values "
        "that are not finite; fill them first"
      )
    if lowest < -_BELOW * max(highest, 0.0):
      raise ValueError(
        f"{self} is of magnitudes, and the field goes down to {lowest:g} below "
        f"its zero, with {highest:g} above it; take another degradation, or "
        "say by `with_zero` which value stands for no signal"
      )


def _transfer(profiles, wavenumber):
  """Returns the response of each profile at cycles per cell, [r k]."""
  reach = profiles.shape[1] // 2
  place = np.arange(-reach, reach + 1)
  return profiles @ np.exp(2j * np.pi * place[:, None] * wavenumber)
