"""Two-dimensional turbulence in a periodic box, stepped by exponax.

The vorticity w of an incompressible flow (u, v) on the box [0, 2 pi)^2 obeys

    dw/dt + u dw/dx + v dw/dy = nu laplacian(w) - drag w + f

with nu = 1 / Reynolds number. A "decaying" flow has neither drag nor forcing.
A "forced" one is Kolmogorov's: the force of unit amplitude -sin(4 x) along y,
so f = -4 cos(4 x), and a linear drag of 0.1 that takes the energy which the
inverse cascade brings to the largest scales. There is no hyperviscosity.

The Reynolds number is that of Chandler & Kerswell (2013, eq. 2.5): of the unit
length (the box over 2 pi) and the velocity sqrt(force x length) of the forcing,
or, decaying, the root mean square speed at the start. Both are 1.

Numerics: Fourier modes with the 2/3 rule, under which truncation conserves
energy and enstrophy, and exponential time differencing of order 4 (Cox &
Matthews 2002, Kassam & Trefethen 2005) in float32. A state is the spectrum of w
at the nodes (0, h, 2 h, ...); fields are handed out at cell centres.
"""

import dataclasses
import functools

import jax
import numpy as np

from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.io import inputs

KINDS = ("forced", "decaying")
FORCING = 4  # wavenumber of the force, and where initial energy is largest
DRAG = 0.1
MIN_GRID = 48  # the fewest cells whose modes hold the initial field
# grid**2 / reynolds at which the enstrophy spectrum falls to 1e-4 of its
# maximum before the modes end: the enstrophy cascade ends near
# reynolds**0.5, by dimension (Kraichnan 1967).
_CELLS_OF_REYNOLDS = 80.0
# Initial modes up to this wavenumber; those beyond hold 1e-5 of the energy.
_INITIAL_BAND = 12


@dataclasses.dataclass(frozen=True)
class Flow:
  """A flow and how it is stepped.

  Attributes:
    kind: one of `KINDS`.
    reynolds: Reynolds number, 1 / viscosity.
    grid: cells along each side of the box, even.
    rate: time steps in a unit of time.
  """

  kind: str
  reynolds: float
  grid: int
  rate: int

  @property
  def drag(self) -> float:
    """Linear drag, one over time."""
    return DRAG if self.kind == "forced" else 0.0

  @property
  def cutoff(self) -> int:
    """The largest wavenumber along an axis that the 2/3 rule keeps."""
    return _cutoff(self.grid)

  def coarsened(self, factor: int) -> "Flow":
    """Returns the same flow and time step on a grid `factor` times coarser.

    Raises:
      ValueError: the grid cannot be divided so, or is too coarse for the force.
    """
    grid, rest = divmod(self.grid, factor)
    coarse = dataclasses.replace(self, grid=grid)
    if rest or grid % 2 or coarse.cutoff < FORCING:
      raise ValueError(
        f"coarse={factor} makes {self.grid / factor:g} cells of "
        f"{self.grid}: choose a divisor that leaves an even number of at least "
        f"{3 * FORCING + 3} cells"
      )
    return coarse


def _cutoff(grid: int) -> int:
  return grid // 3 - 1


def resolved(kind: str, *, reynolds: float | int, grid: int) -> Flow:
  """Returns a flow that its grid resolves, with a stable time step.

  The step is 1 / grid. With speeds up to 5 (seen: 4.6), the waves that the
  2/3 rule keeps turn by at most 2.4 a step; the scheme is stable up to 2.8.

  Args:
    kind: "forced" or "decaying".
    reynolds: at most grid**2 / 80.
    grid: cells along each side of the box.

  Raises:
    ValueError: the kind is unknown, the grid is odd or too coarse, or it does
      not resolve this Reynolds number.
  """
  naming.look_up("kind of turbulence", kind, dict.fromkeys(KINDS))
  if grid % 2 or grid < MIN_GRID:
    raise ValueError(
      f"grid must be an even number of at least {MIN_GRID} cells, got {grid}"
    )
  most = int(grid**2 / _CELLS_OF_REYNOLDS)
  if not 1.0 <= reynolds <= most:
    raise ValueError(
      f"a grid of {grid} cells resolves Reynolds numbers from 1 to {most}, "
      f"got {reynolds:g}: change reynolds, or choose a larger size or grid"
    )
  return Flow(kind, float(reynolds), grid, grid)


def initial(grid: int, seed: tuple[int, ...]) -> np.ndarray:
  """Returns a random state of root mean square speed 1, [1 N N/2+1] complex64.

  Energy is spread as k^5 exp(-5/2 (k / 4)^2), with random phases. The field is
  the same on every grid: the modes are drawn, not the cells.

  Args:
    grid: N, cells along each side.
    seed: of the generator; numbers that name this field.
  """
  band = _INITIAL_BAND
  ky, kx = np.arange(-band, band + 1)[:, None], np.arange(band + 1)
  draw = np.random.default_rng(seed).standard_normal(
    (2, 2 * band + 1, band + 1)
  )
  k = np.hypot(ky, kx)
  modes = (draw[0] + 1j * draw[1]) * k**3 * np.exp(-1.25 * (k / FORCING) ** 2)
  modes[:band, 0] = np.conj(modes[:band:-1, 0])  # of a real field
  modes[band, 0] = 0.0
  pairs = np.where(kx == 0, 1.0, 2.0)
  squared_speed = np.sum(pairs * np.abs(modes) ** 2 / np.maximum(k, 1.0) ** 2)
  state = np.zeros((1, grid, grid // 2 + 1), np.complex64)
  state[0, ky % grid, kx] = grid**2 * modes / np.sqrt(squared_speed)
  return state


def advance(flow: Flow, state: Array, steps: int) -> jax.Array:
  """Returns a state `steps` time steps later, [1 N N/2+1].

  Raises:
    ModuleNotFoundError: exponax is not installed.
  """
  return _compiled()(_stepper(flow), state, steps)


@functools.lru_cache(maxsize=4)
def _stepper(flow):
  steppers = inputs.require("exponax", "data").stepper
  place = (2, 2.0 * np.pi, flow.grid, 1.0 / flow.rate)
  options = dict(diffusivity=1.0 / flow.reynolds, order=4)
  if flow.kind == "decaying":
    return steppers.NavierStokesVorticity(*place, **options)
  return steppers.KolmogorovFlowVorticity(
    *place, drag=-flow.drag, injection_mode=FORCING, **options
  )


@functools.cache
def _compiled():
  """Returns what steps, the stepper's arrays being arguments, not constants."""
  return inputs.require("equinox", "data").filter_jit(_advance)


def _advance(stepper, state, steps):
  def step(state, _):
    return stepper.step_fourier(state), None

  return jax.lax.scan(step, state, None, length=steps)[0]


def regridded(state: np.ndarray, grid: int) -> np.ndarray:
  """Returns a state on another grid: the modes that both of them step.

  Args:
    state: [1 N N/2+1].
    grid: n, cells along each side.

  Returns:
    [1 n n/2+1].
  """
  before = state.shape[1]
  cutoff = _cutoff(min(before, grid))
  ky, kx = np.arange(-cutoff, cutoff + 1)[:, None], np.arange(cutoff + 1)
  after = np.zeros((1, grid, grid // 2 + 1), state.dtype)
  after[0, ky % grid, kx] = state[0, ky % before, kx] * (grid / before) ** 2
  return after


def to_field(state: np.ndarray, name: str) -> np.ndarray:
  """Returns vorticity or a velocity at the cell centres, [N N] float32.

  Rows go along y, columns along x; cell i is centred at (i + 1/2) 2 pi / N.

  Args:
    state: [1 N N/2+1].
    name: "omega" vorticity, "u" velocity along x, or "v" along y.
  """
  grid = state.shape[1]
  ky = np.fft.fftfreq(grid, 1 / grid)[:, None]
  kx = np.fft.rfftfreq(grid, 1 / grid)
  # Of the stream function p, laplacian(p) = w, u = -dp/dy and v = dp/dx.
  squared = np.maximum(kx**2 + ky**2, 1.0)
  factor = {"omega": 1.0, "u": 1j * ky / squared, "v": -1j * kx / squared}[name]
  half_a_cell = np.exp(1j * np.pi / grid * (kx + ky))
  modes = state[0].astype(np.complex128) * half_a_cell * factor
  return np.fft.irfft2(modes, (grid, grid)).astype(np.float32)
