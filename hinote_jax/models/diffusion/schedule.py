"""The schedule of residual shifting (ResShift, Yue et al., NeurIPS 2023).

    q(x_t | x_0, y) = N(x_0 + eta_t (y - x_0), kappa^2 eta_t)

x_0 is the fine latent, y that of the enlarged input; eta goes from about 0 to
about 1. All tables are float64 NumPy, [T].
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Schedule:
  """The schedule and what its steps are made of.

  Attributes:
    steps: T.
    kappa: of the noise.
    power: of the way from the first eta to the last.
    min_noise: level of the first step.
    end: square root of the last eta.
    is_bounded: the first eta is at most 0.001, as SinSR has it.
    respacing: how many of the steps are taken; 0 for all.
  """

  steps: int = 15
  kappa: float | int = 2.0
  power: float | int = 0.3
  min_noise: float | int = 0.04
  end: float | int = 0.99
  is_bounded: bool = True
  respacing: int = 0

  @functools.cached_property
  def times(self) -> np.ndarray:
    """Which times the network is told."""
    count = self.respacing or self.steps
    return np.array([int(self.steps / count * i) for i in range(count)])

  @functools.cached_property
  def roots(self) -> np.ndarray:
    """Square roots of eta."""
    first = min(self.min_noise / self.kappa, self.min_noise)
    first = min(first, np.sqrt(0.001)) if self.is_bounded else first
    way = np.linspace(0.0, 1.0, self.steps) ** self.power
    return (first * (self.end / first) ** way)[self.times]

  @property
  def etas(self) -> np.ndarray:
    """Returns eta."""
    return self.roots**2

  @property
  def previous(self) -> np.ndarray:
    """Returns eta of the step before, 0 at first."""
    return np.append(0.0, self.etas[:-1])

  @property
  def input_scale(self) -> np.ndarray:
    """Returns what the network's input is multiplied by."""
    return 1.0 / np.sqrt(self.etas * self.kappa**2 + 1.0)

  def deterministic(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns k, m, j of x_{t-1} = k x_0 + m x_t + j y."""
    eta, before = self.etas, self.previous
    m = np.sqrt(before / eta)
    mixed = np.sqrt(before * eta)
    return 1.0 - before + mixed - m, m, before - mixed

  def stochastic(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a, b, s of x_{t-1} = a x_t + b x_0 + s noise."""
    eta, before = self.etas, self.previous
    alpha = eta - before
    variance = self.kappa**2 * before / eta * alpha
    return before / eta, alpha / eta, np.sqrt(variance)
