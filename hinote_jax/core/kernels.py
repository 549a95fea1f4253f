"""Interpolation kernels: how much a cell counts at a distance from it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core.typing import Array


class Kernel(NamedTuple):
  """An interpolation kernel: its half-width in cells and its values."""

  radius: float
  values: Callable[[Array], Array]


def namespace(values: Array):
  """Returns jax.numpy for JAX's arrays, numpy for others."""
  return jnp if isinstance(values, jax.Array) else np


def _linear(t):
  xp = namespace(t)
  return xp.maximum(1.0 - xp.abs(t), 0.0)


def _cubic(a: float):
  """Keys' cubic convolution kernel (Keys 1981, eq. 4) with parameter a."""

  def values(t):
    xp = namespace(t)
    t = xp.abs(t)
    near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    far = ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    return xp.where(t <= 1.0, near, xp.where(t < 2.0, far, 0.0))

  return values


def _lanczos(lobes: int):
  def values(t):
    xp = namespace(t)
    inside = xp.sinc(t) * xp.sinc(t / lobes)
    return xp.where(xp.abs(t) < lobes, inside, 0.0)

  return values


def _kaiser_sinc(radius: int, beta: float):
  """Ideal low-pass at the Nyquist of a unit grid, Kaiser window."""

  def values(t):
    xp = namespace(t)
    inside = xp.maximum(1.0 - (t / radius) ** 2, 0.0)
    taper = xp.i0(beta * xp.sqrt(inside)) / np.i0(beta)
    return xp.where(xp.abs(t) < radius, xp.sinc(t) * taper, 0.0)

  return values


KERNELS: dict[str, Kernel] = {
  "linear": Kernel(1.0, _linear),
  "cubic": Kernel(2.0, _cubic(-0.5)),
  "cubic_torch": Kernel(2.0, _cubic(-0.75)),
  "lanczos": Kernel(3.0, _lanczos(3)),
  "lanczos2": Kernel(2.0, _lanczos(2)),
  "sinc": Kernel(6.0, _kaiser_sinc(6, 5.0)),
}
