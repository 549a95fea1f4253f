"""The physics of generated turbulence: a table and two figures.

    python -m experiments.turbulence.run             # all of it, half an hour
    python -m experiments.turbulence.run --only=tiny
    python -m experiments.turbulence.run --print

Everything is measured on the fields that `turbulence2d` gives, by NumPy in
float64. --only keeps the other results that there are.
"""

import argparse
import dataclasses
from importlib import metadata
import json
import pathlib
import time

import jax
import numpy as np

from experiments.turbulence import physics
from hinote_jax.data.sources import turbulence
from hinote_jax.data.sources import turbulence_solver as solver
from hinote_jax.plots import maps, style
from hinote_jax.train import workdir

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results.json"
# How many trajectories of each size to make, of 8 fields each.
TRAJECTORIES = {"tiny": 10, "small": 4, "medium": 1}
# Wavenumbers between which the slope of the spectrum is fitted: beyond the
# force, and before the spectrum bends down.
CASCADE = {"tiny": (6, 12), "small": (6, 24), "medium": (6, 48)}
_LARGE = 8  # wavenumbers below it are the large scales


def _make(size: str, kind: str) -> tuple[np.ndarray, dict[str, float]]:
  """Returns vorticity, [t N N], and what it took to make it."""
  source = turbulence.turbulence2d(
    size=size, kind=kind, trajectories=TRAJECTORIES[size]
  )
  wall, cpu = time.time(), time.process_time()
  omega = np.stack([source.read(i)[..., 0] for i in range(len(source.times))])
  return omega, {
    "seconds": time.time() - wall,
    "cpu_seconds": time.process_time() - cpu,
  }


def _state(omega: np.ndarray) -> np.ndarray:
  """Returns the state whose vorticity at the cell centres is given."""
  grid = len(omega)
  ky, kx = physics.wavenumbers(grid)
  half_a_cell = np.exp(-1j * np.pi / grid * (ky + kx))
  modes = np.fft.rfft2(omega.astype(np.float64)) * half_a_cell
  return modes[None].astype(np.complex64)


def _residuals(flow, omega: np.ndarray) -> list[float]:
  """Returns how far both balances are from closing in a unit of time."""
  states = [_state(omega)]
  for _ in range(32):
    steps = flow.rate // 32
    states.append(np.asarray(solver.advance(flow, states[-1], steps)))
  fields = np.stack([solver.to_field(state, "omega") for state in states])
  return [
    physics.residual(b, 1.0 / 32.0) for b in physics.balances_of(flow, fields)
  ]


def _change(flow, other, omega: np.ndarray) -> dict[str, float]:
  """Returns how a finer grid or step changes the flow in a unit of time."""
  state = _state(omega)
  coarse = np.asarray(solver.advance(flow, state, flow.rate))
  state = solver.regridded(state, other.grid)
  fine = np.asarray(solver.advance(other, state, other.rate))
  fine = solver.regridded(fine, flow.grid)
  ky, kx = physics.wavenumbers(flow.grid)
  large = np.hypot(ky, kx) < _LARGE

  def distance(inside):
    rest = np.linalg.norm((coarse - fine)[0][inside])
    return float(rest / np.linalg.norm(fine[0][inside]))

  return {"large": distance(large), "all": distance(large | ~large)}


def _short(values: np.ndarray, grid: int) -> list[float]:
  """Returns the values of the wavenumbers that the grid steps, four digits."""
  return [float(f"{value:.4g}") for value in values[: grid // 3]]


def _correlation(omega: np.ndarray, count: int) -> float:
  """Returns that of fields one spacing apart, without the mean flow."""
  parts = (omega - omega.mean(axis=0)).reshape(-1, count, omega[0].size)
  ahead, behind = parts[:, 1:], parts[:, :-1]
  return float(np.mean(ahead * behind) / np.mean(parts**2))


def measure(size: str, kind: str) -> tuple[dict, np.ndarray]:
  """Returns the physics of a size, and the fields of its last trajectory."""
  omega, cost = _make(size, kind)
  count = turbulence.SIZES[size].snapshots
  found = turbulence.SIZES[size]
  flow = solver.resolved(kind, reynolds=found.reynolds, grid=found.grid)
  finer = solver.resolved(kind, reynolds=found.reynolds, grid=2 * found.grid)
  energy, enstrophy = physics.balances_of(flow, omega)
  to_small = [flux.mean(axis=0) for flux in physics.fluxes(omega)]
  scale = [
    b.gain.mean() if flow.drag else b.loss.mean() for b in (energy, enstrophy)
  ]
  tail, first = physics.tail(omega), omega[-count]
  return {
    "size": size,
    "kind": kind,
    "reynolds": flow.reynolds,
    "grid": flow.grid,
    "fields": len(omega),
    **cost,
    "speed": float(np.sqrt(2.0 * energy.total.mean())),
    "vorticity": float(np.sqrt(2.0 * enstrophy.total.mean())),
    "energy_gain": float(energy.gain.mean()),
    "energy_loss": float(energy.loss.mean()),
    "residuals": _residuals(flow, first),
    "tail": [float(tail.mean()), float(tail.max())],
    "slope": physics.slope(omega, *CASCADE[size]),
    "fluxes": [
      _short(f / s, flow.grid) for f, s in zip(to_small, scale, strict=True)
    ],
    "spectrum": _short(physics.spectrum(omega).mean(axis=0), flow.grid),
    # Of one trajectory alone, its own mean would pass for the mean flow.
    "correlation": (
      _correlation(omega, count)
      if flow.drag and TRAJECTORIES[size] > 1
      else None
    ),
    "doubled_grid": _change(flow, finer, first),
    "halved_step": _change(
      flow, dataclasses.replace(flow, rate=2 * flow.rate), first
    ),
  }, omega[-count:]


def table(record: dict) -> str:
  """Returns the committed results as Markdown, a column each."""
  columns = [_column(r) for r in record["results"]]
  lines = [
    "| " + " | ".join([name, *(column[name] for column in columns)]) + " |"
    for name in columns[0]
  ]
  lines.insert(1, "|" + "---|" * (1 + len(columns)))
  return "\n".join(lines)


def _column(r: dict) -> dict[str, str]:
  low, high = CASCADE[r["size"]]
  energy, enstrophy = r["fluxes"]
  correlation = r["correlation"]

  def few(values):
    return ", ".join(f"{value:.1e}" for value in values)

  return {
    "": f"{r['size']}, {r['kind']}",
    "grid, Reynolds number": f"{r['grid']}, {r['reynolds']:,.0f}",
    "fields, CPU seconds": f"{r['fields']}, {r['cpu_seconds']:.0f}",
    "rms speed, rms vorticity": f"{r['speed']:.2f}, {r['vorticity']:.2f}",
    "balance open by: energy, enstrophy": few(r["residuals"]),
    "tail: mean, worst field": few(r["tail"]),
    "energy flux at 3": f"{energy[3]:.2f}" if r["kind"] == "forced" else "",
    "enstrophy flux at 6, 12, 24": ", ".join(
      f"{enstrophy[k]:.2f}" for k in (6, 12, 24)
    ),
    "slope of enstrophy": f"{r['slope']:.2f} ({low} to {high})",
    "grid doubled: large, all scales": few(r["doubled_grid"].values()),
    "time step halved: all scales": few([r["halved_step"]["all"]]),
    "correlation of next fields": (
      "" if correlation is None else f"{correlation:.2f}"
    ),
  }


def draw_spectra(record: dict) -> None:
  """Draws spectra and fluxes of forced flows, and of the finest decaying."""
  shown = [r for r in record["results"] if r["kind"] == "forced"]
  shown.append(record["results"][-1])
  names = [f"{r['kind']}, Re {r['reynolds']:,.0f}" for r in shown]
  colors = style.colors(names)
  with style.context():
    drawn = style.figure(11.0, 4.2)
    left, right = drawn.subplots(1, 2)
    for name, r in zip(names, shown, strict=True):
      k = np.arange(1, r["grid"] // 3)
      look = dict(color=colors[name], label=name)
      left.loglog(k, np.array(r["spectrum"])[k], **look)
      energy, enstrophy = np.array(r["fluxes"])
      right.semilogx(k, enstrophy[k], **look)
      if r["kind"] == "forced":
        right.semilogx(k, energy[k], color=colors[name], ls=":")
    k = np.array([6.0, 60.0])
    left.loglog(k, 12.0 / k, color=style.MUTED, ls="--", label="slope -1")
    left.set(xlabel="wavenumber", title="Enstrophy spectrum [s⁻²]")
    right.axhline(0.0, color=style.MUTED, lw=0.8)
    right.set(
      xlabel="wavenumber",
      title="Flux to larger wavenumbers: enstrophy, energy (dots)",
    )
    for axes in (left, right):
      axes.axvline(solver.FORCING, color=style.FAINT)
      axes.legend()
    style.save(drawn, FOLDER / "spectra.png")


def draw_fields(fields: dict[tuple[str, str], np.ndarray]) -> None:
  """Draws the vorticity of the first field and, decaying, of the last."""
  shown = [(key, 0) for key in fields if key[1] == "forced"]
  shown += [(("small", "decaying"), i) for i in (0, -1)]
  with style.context():
    drawn = style.figure(3.0 * len(shown), 3.4)
    for axes, (key, i) in zip(
      drawn.subplots(1, len(shown)), shown, strict=True
    ):
      omega = fields[key][i]
      centers = 2.0 * np.pi / len(omega) * (np.arange(len(omega)) + 0.5)
      look = style.look_of_values(omega, "s-1", signed=True)
      frame = maps.frame(omega.shape, centers, centers)
      maps.show(axes, omega, frame, **look)
      reynolds = turbulence.SIZES[key[0]].reynolds
      axes.set_title(
        f"{key[1]}, Re {reynolds:,.0f}"
        f"{', later' if i else ''}, ±{look['vmax']:.0f} s⁻¹"
      )
    style.save(drawn, FOLDER / "vorticity.png")


def run(only: str | None) -> None:
  """Measures all sizes or one, and writes results and figures."""
  wanted = [only] if only else list(TRAJECTORIES)
  kept = json.loads(RESULTS.read_text())["results"] if only else []
  results, fields = [r for r in kept if r["size"] not in wanted], {}
  for size in wanted:
    for kind in solver.KINDS:
      found, fields[size, kind] = measure(size, kind)
      results.append(found)
  order = list(TRAJECTORIES)
  results.sort(key=lambda r: (r["kind"] != "forced", order.index(r["size"])))
  record = {
    "versions": workdir.versions() | {"exponax": metadata.version("exponax")},
    "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "results": results,
  }
  workdir.write_json(RESULTS, record)
  draw_spectra(record)
  if not only:
    draw_fields(fields)


def main() -> None:
  """Runs the measurements, or prints the table of the committed ones."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--only", choices=TRAJECTORIES)
  parser.add_argument("--print", action="store_true", dest="only_print")
  arguments = parser.parse_args()
  if not arguments.only_print:
    run(arguments.only)
  print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
  main()
