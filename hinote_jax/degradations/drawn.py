"""Blurs and noise drawn at random, for networks that are told of them.

Those that USRNet was trained with (Zhang, Van Gool and Timofte, CVPR 2020):

    gaussian  variances of both principal axes uniform from 0.6 to 12 squared
              cells of the fine grid, at any angle
    motion    the path of a hand-held camera, smoothed; see `motion`

or the one kernel of a file, as of `psf.read`. Noise has a deviation of 0 in one
of nine examples and is else uniform up to the largest. The published kernels
are moved by up to half a coarse cell, lest the network know where samples lie:
ours are centred, and `deconvolution.offset` says where they are read.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from hinote_jax.degradations import blurs, linear, matrices, psf

KINDS = ("gaussian", "motion")
SIDE = 25  # of drawn kernels, fine cells
_VARIANCES = (0.6, 12.0)
_QUIET = 1.0 / 9.0
_STEPS = 400  # of a path
_SMOOTHING = 0.75  # deviation, fine cells


@dataclasses.dataclass(frozen=True)
class Blurs:
  """What may have blurred an example, and the largest noise.

  Attributes:
    kinds: some of `KINDS`, and files of kernels; each as often as the others.
      None leave the blur of the degradation.
    noise: largest deviation, in units of what is degraded.

  Raises:
    OSError: a file cannot be read.
    ValueError: it holds no kernel, or several, or the noise is below 0.

  Examples:
    >>> import numpy as np
    >>> from hinote_jax import degradations
    >>> rng, area = np.random.default_rng(0), degradations.parse("area")
    >>> drawn = Blurs(("gaussian",), 0.1).draw(rng, area)
    >>> drawn.blur.values.shape, drawn.noise < 0.1
    ((25, 25), True)
  """

  kinds: tuple[str, ...] = KINDS
  noise: float | int = 0.0

  def __post_init__(self):
    if not 0.0 <= self.noise < np.inf:
      raise ValueError(
        f"the largest noise must be finite and not below 0, got {self.noise}"
      )
    _ = self._files

  def draw(
    self, rng: np.random.Generator, degradation: linear.Linear
  ) -> linear.Linear:
    """Returns a degradation with another blur and noise."""
    blur: blurs.Blur | None = degradation.blur
    if self.kinds:
      kind = self.kinds[int(rng.integers(len(self.kinds)))]
      make = {"gaussian": gaussian, "motion": motion}.get(kind)
      kernel = make(rng) if make else self._files[kind]
      blur = blurs.Kernel(kind, "", kernel)
    is_quiet = rng.random() < _QUIET
    noise = 0.0 if is_quiet else float(rng.uniform(0.0, self.noise))
    return dataclasses.replace(degradation, blur=blur, noise=noise)

  def shape(self, degradation: linear.Linear, scale: int) -> tuple[int, int]:
    """Returns the sides of the kernels of all that is drawn, at a scale."""
    sides = [np.shape(kernel) for kernel in self._files.values()]
    if set(self.kinds) & set(KINDS):
      sides.append((SIDE, SIDE))
    if sides:
      full = np.ones(np.max(sides, axis=0))
      blur = blurs.Kernel("full", "", full / full.sum())
      degradation = dataclasses.replace(degradation, blur=blur)
    height, width = matrices.kernel(degradation, (scale, scale)).shape
    return height, width

  @functools.cached_property
  def _files(self) -> dict[str, np.ndarray]:
    files = [kind for kind in self.kinds if kind not in KINDS]
    kernels = {path: psf.read(path)[0] for path in files}
    for path, kernel in kernels.items():
      if kernel.ndim > 2:
        raise ValueError(
          f"{path} has a kernel a channel, {kernel.shape}, and what is drawn "
          "blurs all alike: give one of two sides"
        )
    return kernels


def gaussian(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
  """Returns a Gaussian at a random angle, [side side] with the sum 1."""
  angle = rng.uniform(0.0, np.pi)
  variances = rng.uniform(*_VARIANCES, 2)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  inverse = turn @ np.diag(1.0 / variances) @ turn.T
  places = np.indices((side, side)) - side // 2
  kernel = np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", places, inverse, places))
  return kernel / kernel.sum()


def motion(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
  """Returns the path of a camera that is held by hand, [side side], sum 1.

  A velocity that keeps most of itself, is disturbed at random and now and then
  turned around, as of Boracchi and Foi (IEEE Transactions on Image Processing
  2012); the path is centred, scaled to fit and smoothed.
  """
  nervous = 0.2 * rng.random()
  pulled = 0.7 * rng.random()
  velocity = np.exp(2j * np.pi * rng.random())
  place, path = 0.0j, np.empty(_STEPS, complex)
  shaken = rng.normal(size=(_STEPS, 2)) @ (1.0, 1.0j)
  is_turned = rng.random(_STEPS) < nervous / 20.0
  for i in range(_STEPS):
    path[i] = place
    velocity += 0.1 * (10.0 * nervous * shaken[i] - pulled * place / _STEPS)
    if is_turned[i]:
      velocity *= -2.0 * np.exp(1j * (rng.random() - 0.5))
    velocity /= abs(velocity)
    place += velocity
  path -= path.mean()
  # As long as the smoothed path fits, and at least an eighth of that.
  room = side // 2 - 3.0 * _SMOOTHING
  path *= (
    rng.uniform(0.125, 1.0)
    * room
    / max(abs(path.real).max(), 1e-9, abs(path.imag).max())
  )
  places = np.arange(side) - side // 2
  along = [
    np.exp(-0.5 * ((places[:, None] - at) / _SMOOTHING) ** 2)
    for at in (path.imag, path.real)
  ]
  kernel = along[0] @ along[1].T
  return kernel / kernel.sum()


def told(
  drawn: Sequence[linear.Linear], scale: int, shape: tuple[int, int]
) -> dict[str, Any]:
  """Returns what a network is told of degradations: kernel and noise.

  Args:
    drawn: one an example.
    scale: whole.
    shape: of `Blurs.shape`.
  """
  kernels = [matrices.kernel(d, (scale, scale), shape=shape) for d in drawn]
  return {
    "kernel": np.stack(kernels).astype(np.float32),
    "noise": np.array([d.noise for d in drawn], np.float32),
  }
