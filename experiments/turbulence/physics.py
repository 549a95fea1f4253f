"""Budgets, spectra and fluxes of two-dimensional flow, from its fields.

In NumPy and float64, sharing nothing with the solver whose fields they judge.
Vorticity lies at the cell centres of the box [0, 2 pi)^2, [t N N], y before x.
"""

from typing import Any, NamedTuple

import numpy as np

FORCED = 4  # wavenumber of the force along y, -sin(4 x)


class Balance(NamedTuple):
  """What there is of a quantity, and its change: total' = gain - loss, [t]."""

  total: np.ndarray
  gain: np.ndarray
  loss: np.ndarray


def wavenumbers(grid: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns ky [N 1] and kx [N/2+1] of the real transform of N x N cells."""
  ky = np.fft.fftfreq(grid, 1.0 / grid)[:, None]
  return ky, np.fft.rfftfreq(grid, 1.0 / grid)


def velocity(omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns u along x and v along y, [t N N] each."""
  grid = omega.shape[-1]
  ky, kx = wavenumbers(grid)
  stream = -np.fft.rfft2(omega.astype(np.float64))
  stream /= np.maximum(kx**2 + ky**2, 1.0)
  shape = (grid, grid)
  return (
    np.fft.irfft2(-1j * ky * stream, shape),
    np.fft.irfft2(1j * kx * stream, shape),
  )


def gradient(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the derivatives along x and y, [t N N] each."""
  grid = field.shape[-1]
  ky, kx = wavenumbers(grid)
  modes, shape = np.fft.rfft2(field.astype(np.float64)), (grid, grid)
  return np.fft.irfft2(1j * kx * modes, shape), np.fft.irfft2(
    1j * ky * modes, shape
  )


def balances(
  omega: np.ndarray, *, reynolds: float, drag: float, is_forced: bool
) -> tuple[Balance, Balance]:
  """Returns the balances of energy and of enstrophy, per unit of mass.

  Gained by the force, lost to viscosity and drag.

  Args:
    omega: vorticity, [t N N].
    reynolds: Reynolds number, 1 / viscosity.
    drag: linear drag, one over time.
    is_forced: whether the force acts.
  """
  omega = omega.astype(np.float64)
  _, v = moved = velocity(omega)
  x = 2.0 * np.pi * (np.arange(omega.shape[-1]) + 0.5) / omega.shape[-1]
  force, curl = -np.sin(FORCED * x), -FORCED * np.cos(FORCED * x)

  def mean(values):
    return values.mean(axis=(1, 2))

  energy = 0.5 * mean(sum(part**2 for part in moved))
  enstrophy = 0.5 * mean(omega**2)
  palinstrophy = 0.5 * mean(sum(part**2 for part in gradient(omega)))
  return (
    Balance(
      energy,
      is_forced * mean(v * force),
      2.0 * enstrophy / reynolds + 2.0 * drag * energy,
    ),
    Balance(
      enstrophy,
      is_forced * mean(omega * curl),
      2.0 * palinstrophy / reynolds + 2.0 * drag * enstrophy,
    ),
  )


def balances_of(flow: Any, omega: np.ndarray) -> tuple[Balance, Balance]:
  """Returns the `balances` of fields of a flow, of which it reads the options.

  Args:
    flow: has `reynolds`, `drag` and `kind`.
    omega: as of `balances`.
  """
  return balances(
    omega,
    reynolds=flow.reynolds,
    drag=flow.drag,
    is_forced=flow.kind == "forced",
  )


def residual(balance: Balance, step: float) -> float:
  """Returns how far a balance is from closing, as a share of the loss.

  |change - integral of gain - loss| / integral of loss, by Simpson's rule.

  Args:
    balance: at an odd number of times.
    step: between two of them.
  """
  weights = np.full(len(balance.total), 2.0)
  weights[1::2], weights[[0, -1]] = 4.0, 1.0
  weights *= step / 3.0
  change = balance.total[-1] - balance.total[0]
  rest = change - weights @ (balance.gain - balance.loss)
  return float(abs(rest) / (weights @ balance.loss))


def rings(values: np.ndarray) -> np.ndarray:
  """Sums over modes whose wavenumber rounds to 0, 1, 2, .., [t k].

  Args:
    values: of the modes of a real transform, [t N N/2+1].
  """
  ky, kx = wavenumbers(values.shape[1])
  pairs = np.where((kx == 0) | (kx == values.shape[1] / 2), 1.0, 2.0)
  ring = np.rint(np.hypot(ky, kx)).astype(int).ravel()
  flat = (values * pairs).reshape(len(values), -1)
  return np.stack([np.bincount(ring, row) for row in flat])


def spectrum(omega: np.ndarray) -> np.ndarray:
  """Returns the enstrophy in every ring of wavenumbers 0, 1, .., [t k]."""
  modes = np.fft.rfft2(omega.astype(np.float64), norm="forward")
  return 0.5 * rings(np.abs(modes) ** 2)


def fluxes(omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns what advection takes out of the disc of wavenumbers up to k.

  Args:
    omega: vorticity without modes beyond a third of N, [t N N].

  Returns:
    Fluxes of energy and of enstrophy to larger wavenumbers, [t k] each.
  """
  u, v = velocity(omega)
  along_x, along_y = gradient(omega)
  ky, kx = wavenumbers(omega.shape[-1])
  advected = np.fft.rfft2(u * along_x + v * along_y, norm="forward")
  modes = np.fft.rfft2(omega.astype(np.float64), norm="forward")
  transfer = (np.conj(modes) * advected).real
  energy = transfer / np.maximum(kx**2 + ky**2, 1.0)
  return np.cumsum(rings(energy), axis=1), np.cumsum(rings(transfer), axis=1)


def tail(omega: np.ndarray) -> np.ndarray:
  """Returns the enstrophy spectrum at the last full ring over its maximum.

  Args:
    omega: vorticity without modes beyond N // 3 - 1, [t N N].

  Returns:
    [t].
  """
  power = spectrum(omega)
  return power[:, omega.shape[-1] // 3 - 1] / power.max(axis=1)


def slope(omega: np.ndarray, first: int, last: int) -> float:
  """Returns the exponent of the mean enstrophy spectrum between wavenumbers."""
  k = np.arange(first, last + 1)
  power = spectrum(omega).mean(axis=0)[k]
  return float(np.polyfit(np.log(k), np.log(power), 1)[0])
