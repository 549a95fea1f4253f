"""Generated two-dimensional turbulence, forced or decaying, at any size.

The flows are those of `turbulence_solver`, their numbers given as if the box
were 2 pi metres wide and time were in seconds.

    size    grid   Reynolds  trajectories x fields  made in
    tiny     128        200        10 x 8           a minute, 2 CPU cores
    small    256        800        16 x 8           8 minutes, 2 CPU cores
    medium   512      3,200        16 x 8           an hour or two, 2 CPU cores
    paper  2,048     16,000        20 x 8           an accelerator

The grids resolve the flow: the enstrophy spectrum falls below 1e-4 of its
maximum before the modes end. Trajectories are independent. Forced flows are
given from 15 units of time on, three times what drag takes to damp energy, when
they are steady; their fields are 3 units apart, when less than a tenth of the
correlation of vorticity is left, beside that of the mean flow. Decaying flows
are given from 2 to 9 units of time, when waves of random phase have become
vortices; their enstrophy falls from field to field. `experiments/turbulence`
shows the physics.
"""

from collections.abc import Sequence
import dataclasses
import hashlib
from importlib import metadata
import json

import numpy as np
import tqdm

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.data import series
from hinote_jax.data.sources import pairs
from hinote_jax.data.sources import turbulence_solver as solver
from hinote_jax.io import inputs

VARIABLES = {
  name: fields.Variable(name, units, {"long_name": long_name})
  for name, units, long_name in (
    ("omega", "s-1", "vorticity"),
    ("u", "m s-1", "velocity along x"),
    ("v", "m s-1", "velocity along y"),
  )
}
_CITATION = (
  "Generated with exponax (Koehler et al. 2024, APEBench, NeurIPS; MIT "
  "licence): {kind} two-dimensional turbulence, Reynolds number {reynolds:g}, "
  "{grid} x {grid} modes, ETDRK4. Forcing and Reynolds number as in Chandler & "
  "Kerswell 2013 (doi:10.1017/jfm.2013.122), drag as in Kochkov et al. 2021 "
  "(doi:10.1073/pnas.2101784118)."
)
# To be raised when the same options come to give other fields.
_REVISION = 1
_BEAT = 0.5  # times are multiples of it: that long runs between two reports


@dataclasses.dataclass(frozen=True)
class Size:
  """What a size stands for: cells a side, Reynolds number and how many."""

  grid: int
  reynolds: float
  trajectories: int
  snapshots: int = 8


SIZES = {
  "tiny": Size(128, 200.0, 10),
  "small": Size(256, 800.0, 16),
  "medium": Size(512, 3200.0, 16),
  "paper": Size(2048, 16000.0, 20),
}
# Time before the first field and between two of them.
_TIMES = {"forced": (15.0, 3.0), "decaying": (2.0, 1.0)}


def turbulence2d(
  variables: Sequence[str] | None = None,
  *,
  size: str = "tiny",
  kind: str = "forced",
  seed: int = 0,
  reynolds: float | int | None = None,
  grid: int | None = None,
  trajectories: int | None = None,
  snapshots: int | None = None,
  spinup: float | int | None = None,
  spacing: float | int | None = None,
  coarse: int = 1,
  lead: float | int = 0.5,
) -> series.Source:
  """Returns fields of two-dimensional turbulence, made as they are read.

  A trajectory is simulated when one of its fields is read and kept until
  another one's is: read in order, each is simulated once. Trajectory i of a
  seed does not depend on how many there are, and starts alike at every size. On
  one kind of machine the same options give the same bits; on another one the
  last digits differ, and after tens of units of time so do forced flows, but
  not their statistics.

  With `coarse`, each field is paired with that of a real coarse model (see
  `pairs`): `lead` before its time the resolved flow is cut to the modes of a
  grid `coarse` times coarser, which is stepped on there, with the same time
  step and viscosity. It lacks what unresolved scales would have done meanwhile.

  Args:
    variables: some of omega [s-1], u and v [m s-1]; None is omega.
    size: one of `SIZES`: tiny, small, medium or paper.
    kind: "forced" (Kolmogorov, steady) or "decaying".
    seed: of the initial states, not negative.
    reynolds: Reynolds number, at most grid**2 / 80; None takes the size's.
    grid: cells along each side, even; None takes the size's.
    trajectories: number of independent runs; None takes the size's.
    snapshots: number of fields of each; None takes the size's.
    spinup: time of the first field, a multiple of 0.5; None takes the kind's.
    spacing: time between fields, a multiple of 0.5; None takes the kind's.
    coarse: how many times coarser the grid of `lowres` is; 1 for none.
    lead: how long the coarse grid is stepped, a multiple of 0.5.

  Raises:
    ModuleNotFoundError: exponax is not installed.
    ValueError: an option is unknown or out of range, or the grid does not
      resolve the Reynolds number.
  """
  names = ("omega",) if variables is None else variables
  names = inputs.choose(names, VARIABLES, "turbulence2d")
  plan = _planned(
    naming.look_up("size", size, SIZES),
    kind,
    seed,
    grid=grid,
    reynolds=reynolds,
    trajectories=trajectories,
    snapshots=snapshots,
    spinup=spinup,
    spacing=spacing,
  )
  if _count("coarse", coarse) == 1:
    return _source(plan, names, plan.flow, _Simulation(plan).read)
  return _paired(plan, names, coarse, _time("lead", lead))


@dataclasses.dataclass(frozen=True)
class _Plan:
  """All that decides the resolved fields; times in units of time."""

  flow: solver.Flow
  seed: int
  trajectories: int
  snapshots: int
  spinup: float
  spacing: float


def _planned(size, kind, seed, *, spinup, spacing, **given) -> _Plan:
  """Returns the plan of a size, with what is given in place of its own."""
  given = {name: value for name, value in given.items() if value is not None}
  size = dataclasses.replace(size, **given)
  flow = solver.resolved(kind, reynolds=size.reynolds, grid=size.grid)
  first, between = _TIMES[kind]
  return _Plan(
    flow=flow,
    seed=_count("seed", seed, least=0),
    trajectories=_count("trajectories", size.trajectories),
    snapshots=_count("snapshots", size.snapshots),
    spinup=_time("spinup", first if spinup is None else spinup),
    spacing=_time("spacing", between if spacing is None else spacing),
  )


def _paired(plan, names, coarse, lead) -> series.Source:
  """Returns the resolved fields with those of a coarse grid beside them."""
  if lead > min(plan.spinup, plan.spacing):
    raise ValueError(
      f"lead {lead:g} is longer than spinup {plan.spinup:g} or spacing "
      f"{plan.spacing:g}: shorten it"
    )
  coarse_flow = plan.flow.coarsened(coarse)
  run = _Simulation(plan, coarse_flow, lead)
  lowres = _source(plan, names, coarse_flow, run.read_coarse, lead)
  return pairs.pair(_source(plan, names, plan.flow, run.read), lowres)


def _source(plan, names, flow, read, lead=0.0) -> series.Source:
  """Returns the fields whose states `read` gives, of flow's grid."""

  def reader(i):
    state = read(i)
    return np.stack([solver.to_field(state, name) for name in names], axis=-1)

  is_coarse = flow.grid < plan.flow.grid
  groups = [f"trajectory {i}" for i in range(plan.trajectories)]
  times = plan.spinup + plan.spacing * np.arange(plan.snapshots)
  centers = 2.0 * np.pi / flow.grid * (np.arange(flow.grid) + 0.5)
  y, x = (fields.Axis(name, centers, "m", is_periodic=True) for name in "yx")
  return series.Source(
    name="turbulence2d_coarse" if is_coarse else "turbulence2d",
    header=fields.Header(tuple(VARIABLES[name] for name in names), y, x),
    times=tuple(f"{group}, t={t:.1f}" for group in groups for t in times),
    citation=_CITATION.format(**dataclasses.asdict(flow)),
    fingerprint=_fingerprint(plan, names, flow.grid, lead),
    reader=reader,
    groups=tuple(group for group in groups for _ in times),
    domain="turbulence",
  )


class _Simulation:
  """The states of a plan; of the last trajectory, the coarse ones of all."""

  def __init__(self, plan, coarse=None, lead=0.0):
    self._plan, self._coarse, self._lead = plan, coarse, lead
    self._last, self._states, self._coarse_states = None, [], {}

  def read(self, i: int) -> np.ndarray:
    """Returns the state of field i, [1 N N/2+1]."""
    trajectory, snapshot = divmod(i, self._plan.snapshots)
    if trajectory != self._last:
      self._simulate(trajectory)
    return self._states[snapshot]

  def read_coarse(self, i: int) -> np.ndarray:
    """Returns the coarse state of field i, [1 n n/2+1]."""
    if i not in self._coarse_states:
      self._simulate(i // self._plan.snapshots)
    return self._coarse_states[i]

  def _simulate(self, trajectory) -> None:
    plan, states = self._plan, []
    spans = [plan.spinup, *[plan.spacing] * (plan.snapshots - 1)]
    state = solver.initial(plan.flow.grid, (plan.seed, trajectory))
    name = f"turbulence2d, trajectory {trajectory + 1} of {plan.trajectories}"
    with tqdm.tqdm(
      total=sum(spans), desc=name, delay=2.0, disable=None, leave=False
    ) as bar:
      for snapshot, span in enumerate(spans):
        before = _run(plan.flow, state, span - self._lead, bar)
        state = _run(plan.flow, before, self._lead, bar)
        states.append(np.asarray(state))
        if self._coarse is not None:
          cut = solver.regridded(np.asarray(before), self._coarse.grid)
          cut = np.asarray(_run(self._coarse, cut, self._lead))
          self._coarse_states[trajectory * plan.snapshots + snapshot] = cut
    self._last, self._states = trajectory, states


def _run(flow, state, span, bar=None):
  """Returns the state a span of time later."""
  for _ in range(round(span / _BEAT)):
    state = solver.advance(flow, state, round(flow.rate * _BEAT))
    if not np.isfinite(state[0, 0, solver.FORCING]):
      raise ValueError(
        f"the {flow.kind} flow at Reynolds number {flow.reynolds:g} on "
        f"{flow.grid} cells blew up: lower reynolds or raise grid"
      )
    if bar is not None:
      bar.update(_BEAT)
  return state


def _fingerprint(plan, names, grid, lead) -> str:
  """Digest of the options, the revision of this module and the solver's."""
  try:
    version = metadata.version("exponax")
  except metadata.PackageNotFoundError as error:
    raise ModuleNotFoundError(
      "exponax is needed here: pip install 'hinote_jax[data]'"
    ) from error
  given = dataclasses.asdict(plan) | {"names": names, "grid": grid}
  given |= {"lead": lead, "exponax": version, "revision": _REVISION}
  return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _count(name: str, value: int, least: int = 1) -> int:
  if value < least:
    raise ValueError(f"{name} must be at least {least}, got {value}")
  return int(value)


def _time(name: str, value: float | int) -> float:
  if value <= 0 or value % _BEAT:
    raise ValueError(
      f"{name} must be a positive multiple of {_BEAT}, got {value:g}"
    )
  return float(value)
