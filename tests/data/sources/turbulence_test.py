"""Tests of generated turbulence: the flow's physics and the source."""

import dataclasses
from importlib import metadata
import itertools

import numpy as np
import pytest

from experiments.turbulence import physics
from hinote_jax import data
from hinote_jax.core import spectral
from hinote_jax.data import builder
from hinote_jax.data.sources import turbulence
from hinote_jax.data.sources import turbulence_solver as solver
from tests.data import leaks

pytest.importorskip("exponax")

# The cheapest source: half a unit of time to the first field and to the next.
_QUICK = dict(grid=48, reynolds=25, spinup=0.5, spacing=0.5)


def _flow(kind, reynolds=50.0, grid=64):
  return solver.resolved(kind, reynolds=reynolds, grid=grid)


def _advance(flow, state, steps):
  return np.asarray(solver.advance(flow, state, steps))


def _turbulent(flow, time):
  """A state after so many units of time."""
  return _advance(flow, solver.initial(flow.grid, (0,)), time * flow.rate)


def _fields(flow, state, *, steps, count):
  """The vorticity every `steps` time steps, `count` times, [t N N]."""
  states = [state]
  while len(states) < count:
    states.append(_advance(flow, states[-1], steps))
  return np.stack([solver.to_field(state, "omega") for state in states])


def _state_of(omega):
  """The state of vorticity given at the nodes, [1 N N/2+1]."""
  return np.fft.rfft2(omega)[None].astype(np.complex64)


def _nodes(grid):
  x = 2.0 * np.pi * np.arange(grid) / grid
  return x[:, None], x


def _distance(state, other, flow, *, below=np.inf):
  """Relative L2 distance of two states in the modes |k| < below."""
  ky, kx = physics.wavenumbers(flow.grid)
  inside = np.hypot(ky, kx) < below
  other = other[0][inside]
  return np.linalg.norm(state[0][inside] - other) / np.linalg.norm(other)


@pytest.fixture(scope="module")
def tiny():
  """The flow of size tiny, a state in turbulence, and seven fields."""
  size = turbulence.SIZES["tiny"]
  flow = _flow("forced", size.reynolds, size.grid)
  state = _turbulent(flow, 6)
  return flow, state, _fields(flow, state, steps=flow.rate, count=7)


@pytest.mark.parametrize("kind", solver.KINDS)
def test_fields_obey_the_vorticity_equation(kind):
  flow = dataclasses.replace(_flow(kind), rate=256)
  before, now, after = _fields(flow, _turbulent(flow, 2), steps=1, count=3)
  rate = (after.astype(np.float64) - before) * flow.rate / 2.0
  (u,), (v,) = physics.velocity(now[None])
  (along_x,), (along_y,) = gradient = physics.gradient(now[None])
  laplacian = sum(physics.gradient(d)[i][0] for i, d in enumerate(gradient))
  want = -u * along_x - v * along_y + laplacian / flow.reynolds
  if kind == "forced":
    x = 2.0 * np.pi * (np.arange(flow.grid) + 0.5) / flow.grid
    want += -4.0 * np.cos(4.0 * x) - 0.1 * now
  ky, kx = physics.wavenumbers(flow.grid)
  is_kept = (np.abs(ky) <= flow.cutoff) & (kx <= flow.cutoff)
  missed = np.fft.irfft2(np.fft.rfft2(rate - want) * is_kept)
  # Central differences are of second order; float32 leaves 1e-4.
  assert np.abs(missed).max() < 1e-3 * np.abs(want).max()


@pytest.mark.parametrize("kind", solver.KINDS)
def test_energy_and_enstrophy_balances_close(kind):
  flow = _flow(kind)
  omega = _fields(flow, _turbulent(flow, 2), steps=4, count=33)
  for balance in physics.balances_of(flow, omega):
    # Of what is lost in two units of time; float32 leaves 2e-6.
    assert physics.residual(balance, 4 / flow.rate) < 2e-5
  wrong = dataclasses.replace(flow, reynolds=51.0)
  for balance in physics.balances_of(wrong, omega):
    assert physics.residual(balance, 4 / flow.rate) > 5e-3


@pytest.mark.parametrize("k", [1, 3])
def test_taylor_green_vortices_decay_by_viscosity_alone(k):
  flow = _flow("decaying")
  y, x = _nodes(flow.grid)
  state = _state_of(2.0 * k * np.cos(k * x) * np.cos(k * y))
  got = _advance(flow, state, 2 * flow.rate)
  # The nonlinear term of either mode vanishes; float32 over 128 steps.
  want = state * np.exp(-2.0 * k**2 * 2.0 / flow.reynolds)
  assert _distance(got, want, flow) < 1e-5


def test_waves_of_one_length_do_not_interact():
  # Modes (0, 5), (3, 4), (4, -3) and (5, 0) advect one another to no effect.
  flow = _flow("decaying")
  y, x = _nodes(flow.grid)
  waves = np.cos(5 * x) + np.sin(3 * y + 4 * x) - 2 * np.sin(4 * y - 3 * x)
  state = _state_of(waves + 3.0 * np.sin(5 * y + 1.0))
  got = _advance(flow, state, flow.rate)
  want = state * np.exp(-25.0 / flow.reynolds)
  assert _distance(got, want, flow) < 1e-5


def test_force_drives_the_laminar_kolmogorov_flow():
  flow = _flow("forced")
  rest = np.zeros((1, flow.grid, flow.grid // 2 + 1), np.complex64)
  got = solver.to_field(_advance(flow, rest, flow.rate), "omega")
  damping = 16.0 / flow.reynolds + 0.1
  x = 2.0 * np.pi * (np.arange(flow.grid) + 0.5) / flow.grid
  want = -4.0 * (1.0 - np.exp(-damping)) / damping * np.cos(4.0 * x)
  np.testing.assert_allclose(got, np.tile(want, (flow.grid, 1)), atol=2e-5)


def test_decaying_flow_loses_energy_and_enstrophy_all_the_time():
  flow = _flow("decaying")
  start = solver.initial(flow.grid, (3,))
  energy, enstrophy = physics.balances_of(
    flow, _fields(flow, start, steps=8, count=33)
  )
  for balance in (energy, enstrophy):
    assert np.all(np.diff(balance.total) < 0.0)
  # The cascade takes enstrophy to viscosity, but not energy.
  left = [
    balance.total[-1] / balance.total[0] for balance in (energy, enstrophy)
  ]
  assert left[1] < 0.5 * left[0]


@pytest.mark.parametrize("kind", solver.KINDS)
def test_tiny_is_resolved(kind, tiny):
  flow, _, omega = tiny
  if kind == "decaying":
    flow = dataclasses.replace(flow, kind=kind)
    omega = _fields(flow, _turbulent(flow, 2), steps=flow.rate, count=4)
  # Seen in all 80 fields: up to 1.0e-4, 4e-5 on average.
  assert physics.tail(omega).mean() < 1e-4
  beyond = physics.spectrum(omega)[:, int(1.5 * flow.cutoff) :]
  assert beyond.max() < 1e-10 * physics.spectrum(omega).max()


def test_every_size_keeps_the_resolution_of_tiny():
  tiny = turbulence.SIZES["tiny"]
  for size, kind in itertools.product(turbulence.SIZES.values(), solver.KINDS):
    flow = _flow(kind, size.reynolds, size.grid)
    assert size.grid**2 / size.reynolds >= tiny.grid**2 / tiny.reynolds
    assert flow.rate >= size.grid


def test_energy_goes_up_and_enstrophy_down_the_scales(tiny):
  flow, _, omega = tiny
  energy, enstrophy = physics.balances_of(flow, omega)
  to_small = [flux.mean(axis=0) for flux in physics.fluxes(omega)]
  # Advection makes and destroys neither.
  assert abs(to_small[0][-1]) < 1e-6 * energy.gain.mean()
  assert abs(to_small[1][-1]) < 1e-6 * enstrophy.gain.mean()
  assert to_small[0][3] < -0.25 * energy.gain.mean()
  assert np.all(to_small[1][5:17] > 0.05 * enstrophy.gain.mean())
  assert to_small[1][8] > 0.2 * enstrophy.gain.mean()
  # Between the force and viscosity; -1 is the limit of no viscosity or drag.
  assert -3.9 < physics.slope(omega, 6, 16) < -2.9


@pytest.mark.trial
def test_twice_the_resolution_changes_large_scales_little(tiny):
  flow, state, _ = tiny
  fine = _flow("forced", flow.reynolds, 2 * flow.grid)
  on_fine = _advance(fine, solver.regridded(state, fine.grid), fine.rate)
  got = _advance(flow, state, flow.rate)
  want = solver.regridded(on_fine, flow.grid)
  assert _distance(got, want, flow, below=8.0) < 5e-4  # seen: 7e-5
  assert _distance(got, want, flow) < 1e-2  # seen: 2e-3


def test_half_the_time_step_changes_little(tiny):
  flow, state, _ = tiny
  finer = dataclasses.replace(flow, rate=2 * flow.rate)
  got = _advance(flow, state, flow.rate // 2)
  assert _distance(got, _advance(finer, state, flow.rate), flow) < 3e-5


def test_initial_flow_has_its_speed_and_spectrum_on_every_grid():
  coarse, fine = (solver.initial(grid, (0, 1)) for grid in (48, 96))
  np.testing.assert_allclose(
    solver.regridded(fine, 48), coarse, rtol=1e-6, atol=1e-4
  )
  u, v = (solver.to_field(fine, name) for name in "uv")
  np.testing.assert_allclose(np.mean(u**2 + v**2), 1.0, rtol=1e-5)
  modes = np.stack([solver.initial(48, (0, i))[0, :9, :9] for i in range(300)])
  power = np.mean(np.abs(modes) ** 2, axis=0)
  k = np.hypot(np.arange(9)[:, None], np.arange(9))
  want = k**6 * np.exp(-2.5 * (k / 4) ** 2)  # a ring has k modes: k^2 E / k
  # The mean of 300 exponential variates is 6 % off: five times that.
  np.testing.assert_allclose(
    power / power.sum(), want / want.sum(), rtol=0.3, atol=1e-6
  )


def test_velocities_have_the_vorticity_as_curl_and_no_divergence():
  state = _turbulent(_flow("forced"), 1)
  omega, u, v = (solver.to_field(state, n)[None] for n in ("omega", "u", "v"))
  (u_x, u_y), (v_x, v_y) = physics.gradient(u), physics.gradient(v)
  np.testing.assert_allclose(v_x - u_y, omega, atol=1e-4)
  np.testing.assert_allclose(u_x + v_y, 0.0, atol=1e-4)


def test_coarser_states_are_the_same_field_on_coarser_cells():
  state = solver.regridded(_turbulent(_flow("forced"), 2), 48)
  coarse = solver.to_field(solver.regridded(state, 24), "omega")
  held = solver.regridded(solver.regridded(state, 24), 48)
  fine = solver.to_field(held, "omega")[None, :, :, None]
  want = spectral.resize(fine, (24, 24), periodic=(True, True))
  np.testing.assert_allclose(coarse, want[0, ..., 0], atol=1e-4)


def test_source_says_what_its_fields_are():
  source = turbulence.turbulence2d(
    ("v", "omega"), trajectories=2, snapshots=3, **_QUICK
  )
  assert source.field_shape == (48, 48, 2)
  assert [v.units for v in source.variables] == ["m s-1", "s-1"]
  assert source.times[4] == "trajectory 1, t=1.0"
  assert source.groups == ("trajectory 0",) * 3 + ("trajectory 1",) * 3
  assert source.periodic == (True, True) and source.domain == "turbulence"
  np.testing.assert_allclose(
    source.y.values, np.pi / 24 * (np.arange(48) + 0.5)
  )
  for fact in ("exponax", "forced", "number 25,", "48 x 48"):
    assert fact in source.citation
  v, omega = np.moveaxis(source.read(4), -1, 0)
  curl_of_v, _ = physics.gradient(v[None])
  assert np.corrcoef(curl_of_v[0].ravel(), omega.ravel())[0, 1] > 0.5


def test_fields_are_those_of_seed_and_trajectory():
  def read(i, **options):
    return turbulence.turbulence2d(snapshots=2, **_QUICK, **options).read(i)

  source = turbulence.turbulence2d(trajectories=2, snapshots=2, **_QUICK)
  backwards = [source.read(i) for i in (3, 2, 1, 0)][::-1]
  for i, field in enumerate(backwards):
    np.testing.assert_array_equal(field, read(i, trajectories=2))
  # Two trajectories are the first two of more.
  np.testing.assert_array_equal(backwards[3], read(3, trajectories=9))
  flow = _flow("forced", 25, 48)
  state = _advance(flow, solver.initial(48, (0, 1)), 2 * 24)
  np.testing.assert_allclose(
    backwards[3][..., 0], solver.to_field(state, "omega"), atol=1e-4
  )
  others = [*backwards, read(0, seed=1), read(0, kind="decaying")]
  for field, other in itertools.combinations(others, 2):
    assert np.std(field - other) > 0.1 * np.std(field)


def test_split_is_by_trajectory_never_within_one(tmp_path):
  options = dict(kind="decaying", snapshots=3, **_QUICK)
  source = turbulence.turbulence2d(trajectories=5, **options)
  flow = _flow("decaying", 25, 48)
  states = [
    _advance(flow, solver.initial(48, (0, k)), flow.rate // 2) for k in range(5)
  ]
  firsts = [solver.to_field(state, "omega") for state in states]

  def owner(values):
    """Which of five flows, simulated apart, went through a field."""
    fields = [field.ravel() for field in (values[..., 0], *firsts)]
    likeness = np.corrcoef(fields)[0, 1:]
    first, second = np.sort(likeness)[:-3:-1]
    assert first > 0.5 > 2.0 * second
    return int(np.argmax(likeness))

  owners = leaks.check(
    source, tmp_path / "split.json", owner, validation=1, test=2
  )
  assert owners == {"train": {0, 1}, "validation": {2}, "test": {3, 4}}


def test_fingerprint_is_of_all_options(monkeypatch):
  options = [{}, {"kind": "decaying"}, {"size": "small"}, {"variables": ["u"]}]
  options += [{"seed": 1}, {"reynolds": 150}, {"grid": 192}, {"coarse": 4}]
  options += [{"coarse": 4, "lead": 1.0}, {"trajectories": 3}]
  options += [{"snapshots": 3}, {"spinup": 20}, {"spacing": 2.0}]
  found = {turbulence.turbulence2d(**o).fingerprint for o in options}
  assert len(found) == len(options)
  assert turbulence.turbulence2d(reynolds=200.0).fingerprint in found
  monkeypatch.setattr(metadata, "version", lambda name: "0.0")
  assert turbulence.turbulence2d().fingerprint not in found


def test_coarse_runs_start_from_the_resolved_flow():
  options = dict(trajectories=2, snapshots=2, **_QUICK, coarse=3, lead=0.5)
  source = turbulence.turbulence2d(**options)
  lowres = source.lowres
  assert lowres.field_shape == (16, 16, 1) and source.field_shape[0] == 48
  assert (lowres.times, lowres.groups) == (source.times, source.groups)
  alone = turbulence.turbulence2d(**options | {"coarse": 1})
  assert alone.lowres is None
  flow = _flow("forced", 25, 48)
  state = _advance(flow, solver.initial(48, (0, 1)), 24)
  cut = solver.regridded(state, 16)
  state = _advance(flow, state, 24)
  cut = _advance(flow.coarsened(3), cut, 24)
  want = solver.to_field(cut, "omega")
  np.testing.assert_allclose(lowres.read(3)[..., 0], want, atol=1e-4)
  for i in range(4):
    np.testing.assert_array_equal(source.read(i), alone.read(i))
  filtered = solver.to_field(solver.regridded(state, 16), "omega")
  error = np.std(want - filtered) / np.std(filtered)
  assert 0.01 < error < 0.5


def test_size_may_follow_the_name():
  small = data.source("turbulence2d:small")
  assert small.fingerprint == turbulence.turbulence2d(size="small").fingerprint
  with pytest.raises(ValueError, match="turbulence2d:small and .* 'tiny'"):
    data.source("turbulence2d:small", size="tiny")
  with pytest.raises(ValueError, match="'sevir' takes no 'size'"):
    data.source("sevir:tiny", path="x")


def test_builder_makes_it_once(tmp_path, monkeypatch):
  pytest.importorskip("array_record")

  def load():
    source = turbulence.turbulence2d(
      trajectories=3, snapshots=1, coarse=2, **_QUICK
    )
    return source, builder.cached(source, tmp_path)

  source, made = load()
  monkeypatch.setattr(solver, "advance", None)
  _, again = load()
  assert made.groups == ("trajectory 0", "trajectory 1", "trajectory 2")
  for dataset, known in ((made, source), (made.lowres, source.lowres)):
    np.testing.assert_array_equal(dataset.values[2], known.read(2))
  np.testing.assert_array_equal(again.lowres.values, made.lowres.values)


@pytest.mark.parametrize(
  "options, message",
  [
    (dict(size="tiney"), "unknown size 'tiney'; did you mean 'tiny'"),
    (dict(kind="force"), "unknown kind of turbulence 'force'; did you mean"),
    (dict(variables=("w",)), "turbulence2d has no 'w'; known: omega, u, v"),
    (dict(reynolds=300), "128 cells resolves .* 1 to 204, got 300: change"),
    (dict(reynolds=0), "Reynolds numbers from 1 to 204, got 0"),
    (dict(grid=130, reynolds=1e9), "130 cells resolves .* to 211, got 1e.09"),
    (dict(grid=127), "even number of at least 48 cells, got 127"),
    (dict(grid=32), "even number of at least 48 cells, got 32"),
    (dict(trajectories=0), "trajectories must be at least 1, got 0"),
    (dict(snapshots=0), "snapshots must be at least 1, got 0"),
    (dict(seed=-1), "seed must be at least 0, got -1"),
    (dict(spinup=0), "spinup must be a positive multiple of 0.5, got 0"),
    (dict(spacing=0.7), "spacing must be a positive multiple of 0.5, got 0.7"),
    (dict(coarse=0), "coarse must be at least 1, got 0"),
    (dict(coarse=5), "coarse=5 makes 25.6 cells of 128: choose a divisor"),
    (dict(coarse=16), "coarse=16 makes 8 cells .* at least 15 cells"),
    (dict(coarse=4, lead=3.5), "lead 3.5 is longer than .* spacing 3: short"),
    (dict(coarse=4, lead=0), "lead must be a positive multiple of 0.5, got 0"),
  ],
)
def test_refuses_what_cannot_be(options, message):
  with pytest.raises(ValueError, match=message):
    turbulence.turbulence2d(**options)


def test_a_flow_that_blows_up_says_so():
  flow = dataclasses.replace(_flow("forced", 25.0, 48), rate=2)
  state = 1e3 * solver.initial(48, (0,))
  with pytest.raises(
    ValueError, match="forced flow at Reynolds number 25 on 4"
  ):
    turbulence._run(flow, state, 10.0)


def test_missing_exponax_names_the_extra(monkeypatch):
  def missing(name):
    raise metadata.PackageNotFoundError(name)

  monkeypatch.setattr(metadata, "version", missing)
  with pytest.raises(ModuleNotFoundError, match=r"exponax .* 'hinote_jax\[dat"):
    turbulence.turbulence2d()
