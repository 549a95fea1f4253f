"""Fields that meet what is known of them under a convolution and a decimation.

    z = argmin |D z - y|^2 + alpha |z - x|^2,   (D z)_i = (k * z)_(s i + o)

on a periodic grid, * the circular convolution with a kernel k, s whole and one
an axis. D D^T is then a circular convolution of the coarse grid, whose response
is the mean of |K|^2 over the waves that alias there, and

    z = x + D^T (D D^T + alpha)^-1 (y - D x)

is two transforms of the fine grid and one of the coarse. Nothing is divided by
alpha, which may go to 0. It is the data module of USRNet (Zhang et al., CVPR
2020, equations 7 and 9) in another order.

An axis with walls is mirrored about the outer cell edges. For a kernel that is
even along it and in the middle of a coarse cell this is the least squares over
such fields, exactly; for others the residual is exact and what is made of it is
not, near the walls.

Arrays of NumPy give arrays of NumPy, in their own precision.
"""

from typing import Any, NamedTuple

from jaxtyping import Complex, Float
import numpy as np

from hinote_jax.core import grids, kernels
from hinote_jax.core.typing import Array, Periodic

REGISTRATIONS = ("cells", "corner")

Scale = tuple[int, int]


class Operator(NamedTuple):
  """D of one shape, with what all solutions by it share.

  Attributes:
    response: of the kernel, half spectrum [b H W/2+1 c]; b and c may be 1.
    gram: of D D^T, half spectrum [b h w/2+1 c], real.
    shape: (H, W) of the periodic grid: twice the field's along mirrored axes.
    scale: (s_y, s_x), which divide it.
    periodic: which axes (y, x) are not mirrored.
  """

  response: Any
  gram: Any
  shape: tuple[int, int]
  scale: Scale
  periodic: Periodic

  def degrade(self, x: Float[Array, "b H W c"]) -> Any:
    """Returns D x, [b h w c]."""
    xp, (h, w) = kernels.namespace(x), self.coarse
    spectrum = self.response * _forward(mirrored(x, self.periodic))
    coarse = _aliased(spectrum, self.shape, self.scale)
    coarse = xp.fft.irfft2(coarse, s=(h, w), axes=(1, 2))
    return self._cropped(coarse, self.scale)

  def spectrum(self, y: Float[Array, "b h w c"]) -> Any:
    """Returns the half spectrum of a coarse field, mirrored at walls."""
    return _forward(mirrored(y, self.periodic))

  def solve(
    self,
    x: Float[Array, "b H W c"],
    spectrum: Complex[Array, "b j k c"],
    alpha: Float[Array, " #b"],
  ) -> Any:
    """Returns z, [b H W c].

    Args:
      x: what z should be near to.
      spectrum: of y.
      alpha: above 0, or not below it where D takes no wave to 0.
    """
    xp = kernels.namespace(x)
    fine = self.response * _forward(mirrored(x, self.periodic))
    missed = spectrum - self._seen(_aliased(fine, self.shape, self.scale))
    weighed = self._seen(missed / (self.gram + alpha[:, None, None, None]))
    spread = _tiled(weighed, self.shape, self.scale)
    added = xp.conj(self.response) * spread
    added = xp.fft.irfft2(added, s=self.shape, axes=(1, 2))
    return x + self._cropped(added, (1, 1))

  def _seen(self, spectrum):
    """Returns a coarse half spectrum of which walls show the first half."""
    if all(self.periodic):
      return spectrum
    fft = kernels.namespace(spectrum).fft
    coarse = fft.irfft2(spectrum, s=self.coarse, axes=(1, 2))
    return self.spectrum(self._cropped(coarse, self.scale))

  @property
  def coarse(self) -> tuple[int, int]:
    """(h, w), the periodic coarse grid."""
    (height, width), (y, x) = self.shape, self.scale
    return height // y, width // x

  def _cropped(self, values, scale):
    height, width = (
      n // s // (1 if is_periodic else 2)
      for n, s, is_periodic in zip(
        self.shape, scale, self.periodic, strict=True
      )
    )
    return values[:, :height, :width]


def operator(
  kernel: Float[Array, "#b p q #c"],
  shape: tuple[int, int],
  scale: Scale,
  *,
  periodic: Periodic = (True, True),
  registration: str = "cells",
) -> Operator:
  """Returns D for fields of a shape.

  Args:
    kernel: centred at cell (p // 2, q // 2), as it spreads a point; b and c may
      be 1.
    shape: (H, W), which `scale` divides.
    scale: (s_y, s_x), whole.
    periodic: which axes (y, x) close on themselves; the others are mirrored.
    registration: see `offset`.

  Raises:
    ValueError: the scale does not divide the shape.
  """
  if any(n % s for n, s in zip(shape, scale, strict=True)):
    raise ValueError(
      f"the closed form wants whole scales that divide the grid, got {scale} "
      f"for {tuple(shape)} cells"
    )
  height, width = (
    n if is_periodic else 2 * n
    for n, is_periodic in zip(shape, periodic, strict=True)
  )
  begins = (
    offset(n, s, registration)
    for n, s in zip(kernel.shape[1:3], scale, strict=True)
  )
  whole = height, width
  response = transfer(kernel, whole, offset=tuple(begins))
  coarse = grids.pair(n // s for n, s in zip(whole, scale, strict=True))
  return Operator(response, gram(kernel, coarse, scale), whole, scale, periodic)


def gram(
  kernel: Float[Array, "#b p q #c"], shape: tuple[int, int], scale: Scale
) -> Any:
  """Returns the response of D D^T on a periodic coarse grid, [b h w/2+1 c].

  It is the convolution with every s-th tap of the kernel's autocorrelation, so
  that no fine grid is needed.

  Args:
    kernel: as of `operator`.
    shape: (h, w).
    scale: (s_y, s_x).
  """
  xp = kernels.namespace(kernel)
  reach = [(n - 1) // s for n, s in zip(kernel.shape[1:3], scale, strict=True)]
  sides = [2 * n for n in kernel.shape[1:3]]
  power = xp.square(xp.abs(xp.fft.rfft2(kernel, s=sides, axes=(1, 2))))
  taps = xp.fft.irfft2(power, s=sides, axes=(1, 2))
  for axis, (r, s) in enumerate(zip(reach, scale, strict=True), 1):
    taps = xp.take(taps, s * np.arange(-r, r + 1), axis=axis, mode="wrap")
  return xp.maximum(transfer(taps, shape).real, 0.0)


def data_step(
  x: Float[Array, "b H W c"],
  y: Float[Array, "b h w c"],
  kernel: Float[Array, "#b p q #c"],
  alpha: Float[Array, " #b"],
  *,
  periodic: Periodic = (True, True),
  registration: str = "cells",
) -> Any:
  """Returns z = argmin |D z - y|^2 + alpha |z - x|^2, [b H W c].

  Steps that share a kernel share an `operator`.

  Args:
    x: what z should be near to.
    y: what D z should be; it has 1 / s of the sides of x.
    kernel: of D, see `operator`.
    alpha: above 0.
    periodic: which axes (y, x) close on themselves; the others are mirrored.
    registration: see `offset`.

  Raises:
    ValueError: the sides of x are no multiples of those of y.
  """
  (height, width), (h, w) = x.shape[1:3], y.shape[1:3]
  scale = max(1, height // h), max(1, width // w)
  if (scale[0] * h, scale[1] * w) != (height, width):
    raise ValueError(
      f"the closed form wants whole scales: {height} x {width} cells are no "
      f"multiple of {h} x {w}"
    )
  made = operator(
    kernel,
    (height, width),
    scale,
    periodic=periodic,
    registration=registration,
  )
  return made.solve(x, made.spectrum(y), alpha)


def offset(size: int, scale: int, registration: str) -> int:
  """Returns o, the fine cell of a coarse one at which k * z is read.

  Args:
    size: of the kernel.
    scale: fine cells in a coarse one.
    registration: "cells": the middle of the kernel in the middle of the coarse
      cell. Where one of `size` and `scale` is even and the other is not, that
      is between cells, and the later one is taken. "corner": the first cell,
      as USRNet was published.
  """
  if registration == "corner":
    return 0
  if registration != "cells":
    raise ValueError(
      f"registration is one of {', '.join(REGISTRATIONS)}, got {registration!r}"
    )
  return scale // 2 if size % 2 else (scale - 1) // 2


def transfer(
  kernel: Float[Array, "#b p q #c"],
  shape: tuple[int, int],
  *,
  offset: tuple[int, ...] = (0, 0),
) -> Any:
  """Returns the response of a kernel on a periodic grid, [b H W/2+1 c].

  Args:
    kernel: centred at (p // 2, q // 2); one larger than the grid goes around.
    shape: (H, W).
    offset: (y, x), how many cells later its result is read.
  """
  xp = kernels.namespace(kernel)
  for axis, n in enumerate(shape, 1):
    size = kernel.shape[axis]
    turns = -(-size // n)
    room = [(0, 0)] * kernel.ndim
    room[axis] = 0, turns * n - size
    lead, tail = kernel.shape[:axis], kernel.shape[axis + 1 :]
    folded = xp.pad(kernel, room).reshape(*lead, turns, n, *tail).sum(axis)
    kernel = xp.roll(folded, -(size // 2) - offset[axis - 1], axis)
  return _forward(kernel)


def mirrored(values: Float[Array, "b h w c"], periodic: Periodic) -> Any:
  """Returns a field with its mirror image behind it along axes with walls."""
  xp = kernels.namespace(values)
  for axis, is_periodic in zip((1, 2), periodic, strict=True):
    if not is_periodic:
      values = xp.concatenate([values, xp.flip(values, axis)], axis)
  return values


def _forward(values):
  return kernels.namespace(values).fft.rfft2(values, axes=(1, 2))


def _aliased(spectrum, shape, scale):
  """Returns the half spectrum of every s-th cell of that of a field."""
  xp, (height, width), (y, x) = kernels.namespace(spectrum), shape, scale
  b, _, half, c = spectrum.shape
  h, w = height // y, width // x
  rows = spectrum.reshape(b, y, h, half, c).mean(1)
  if x == 1:
    return rows
  wave = np.arange(w // 2 + 1)[:, None] + w * np.arange(x)
  columns = xp.take(rows, np.minimum(wave, width - wave), axis=2)
  # Beyond the half that is held, a wave is the conjugate of the opposite one.
  others = xp.conj(xp.take(columns, -np.arange(h) % h, axis=1))
  is_held = (wave <= width // 2)[..., None]
  return xp.where(is_held, columns, others).mean(3)


def _tiled(spectrum, shape, scale):
  """Returns the half spectrum of a coarse field with zeros in between."""
  xp, (height, width), (y, x) = kernels.namespace(spectrum), shape, scale
  h, w = height // y, width // x
  if x > 1:
    wave = np.arange(width // 2 + 1) % w
    columns = xp.take(spectrum, np.minimum(wave, w - wave), axis=2)
    others = xp.conj(xp.take(columns, -np.arange(h) % h, axis=1))
    spectrum = xp.where((wave <= w // 2)[:, None], columns, others)
  return xp.concatenate([spectrum] * y, 1) if y > 1 else spectrum
