"""Weather at 0.1 degree, told of the place or not, on longitudes of its own.

    python -m experiments.told.run --fields=hres.nc --orography=orography.nc
    python -m experiments.told.run --score            # trains nothing
    python -m experiments.told.run --smoke ...        # a minute, in runs/

The fields are one forecast at one time; the orography is that forecast's own.
A run goes on where it was stopped. What is scored is kept in results.json, of
which `show` makes the page.
"""

import argparse
import json
import pathlib
import shlex

from configs import hinote
from experiments import equal_time
from experiments.told import show
from hinote_jax import models as zoo
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import scores
from hinote_jax.io import inputs
from hinote_jax.train import (
  loop,
  run_data,
  static_run,
  workdir,
)

ROOT = pathlib.Path("runs/told")
SCALES = (2.0, 4.0, 8.0, 15.7, 32.0)
# Trained on, chosen by, scored on; five degrees lie between them.
PLACES = ("120:240,310:370,405:418", "275:305", "245:270,375:400")
STATIC = {
  "nothing": (),
  "own": ("orography.nc:z", "earth:land"),
  "earth": ("earth:orography", "earth:land", "earth:roughness"),
}
_FIELDS = hinote.LEVELS | {
  "data.domain": "weather",
  "data.variables": ("t2m", "tcwv", "u10", "v10"),
  "data.places": PLACES,
  "split.validation": 1,
  "split.test": 1,
  "split.gap": 0,
  "degradation": "area",
  "windows.whole": 0.25,
  "windows.max_scale": 8.0,
  "model.size": "S",
  "batch_size": 8,
  "optim.learning_rate": 4e-3,
  "steps": 1500,
  "validate_every": 250,
}
_SMOKE = {
  "windows.window": (16, 16),
  "windows.queries": (24, 24),
  "model.width": 16,
  "model.blocks": 2,
  "steps": 20,
  "validate_every": 10,
  "validation_examples": 4,
}


def prepare(path: pathlib.Path, out: pathlib.Path, *, every: int = 1) -> None:
  """Writes a file without its first row, the pole, and of whole blocks of 32.

  So that rows and columns divide by all scales.

  Args:
    path: latitudes of 0.1 degree from the north, longitudes.
    out: what to write.
    every: take each so many-th row and column, for a smoke run.
  """
  if out.is_file():
    return
  xarray = inputs.require("xarray", "data")
  out.parent.mkdir(parents=True, exist_ok=True)
  with xarray.open_dataset(path) as fields:
    rows, columns = (fields.sizes[n] for n in ("latitude", "longitude"))
    rows, columns = (rows - 1) // 32 * 32, columns // 32 * 32
    fields.isel(
      latitude=slice(1, rows + 1, every), longitude=slice(0, columns, every)
    ).to_netcdf(out)


def flags(root: pathlib.Path, name: str, *, is_smoke: bool) -> list[str]:
  """Returns what trains a run, as arguments of `hinote_jax.main`."""
  return [
    "--config=configs/hinote.py:files",
    f"--workdir={root / name}",
    *(f"--config.{k}={v}" for k, v in _given(root, name, is_smoke).items()),
  ]


def _given(root, name, is_smoke):
  static = tuple(
    f"{root / source}" if ".nc:" in source else source
    for source in STATIC[name]
  )
  given = _FIELDS | (_SMOKE if is_smoke else {})
  given = given | {"data.path": f"{root / 'fields.nc'}"}
  return given | ({"data.static": static} if static else {})


def config(root: pathlib.Path, name: str, *, is_smoke: bool):
  """Returns the config of a run."""
  made = hinote.get_config("files")
  made.update_from_flattened_dict(_given(root, name, is_smoke))
  made.evaluate.scales = SCALES
  # Interpolations know of nothing: one run has them all.
  plain = zoo.INTERPOLATIONS if name == "nothing" else (scores.BASELINE,)
  made.evaluate.against = plain
  return made


def errors(made, folder: pathlib.Path) -> list[dict]:
  """Returns mean squared errors where the held-out place is, a row each.

  "mse" weighs cells alike, "area_mse" by their area on the globe.
  """
  data = run_data.make(made, folder)
  rows = equal_time.held_out(
    scoring.predictors(made, folder, data),
    data,
    SCALES,
    dataset=static_run.told(data.dataset, data.static, data.degradation),
  )
  kept = ("model", "variable", "scale", "mse")
  return [
    {k: row[k] for k in kept} | {"area_mse": row["area_rmse"] ** 2}
    for row in rows
  ]


def score(root: pathlib.Path, name: str, *, is_smoke: bool) -> dict:
  """Returns the errors of a run, and of what stands beside it."""
  made, folder = config(root, name, is_smoke=is_smoke), root / name
  given, cost = flags(root, name, is_smoke=is_smoke), equal_time.cost(folder)
  return {
    "static": STATIC[name],
    "command": shlex.join(["python", "-m", "hinote_jax.main", *given]),
    "versions": workdir.versions(),
    **{k: cost[k] for k in ("best_step", "steps", "seconds", "parameters")},
    "rows": errors(made, folder),
  }


def main() -> None:
  """Trains what is missing, scores it, and writes the page."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--fields", type=pathlib.Path, help="NetCDF, 0.1 degree")
  parser.add_argument("--orography", type=pathlib.Path, help="NetCDF with z")
  parser.add_argument("--only", default=",".join(STATIC), help="by commas")
  parser.add_argument("--score", action="store_true", help="train nothing")
  parser.add_argument("--smoke", action="store_true", help="a minute, no page")
  arguments = parser.parse_args()
  is_smoke = arguments.smoke
  root = ROOT.with_name("told_smoke") if is_smoke else ROOT
  for path, name in ((arguments.fields, "fields"), (arguments.orography, "")):
    out = root / f"{name or 'orography'}.nc"
    if path is None and not out.is_file():
      parser.error(f"--{name or 'orography'} is needed to make {out}")
    prepare(path, out, every=4 if is_smoke else 1)
  results = root / "results.json" if is_smoke else show.RESULTS
  known = json.loads(results.read_text()) if results.is_file() else {}
  for name in arguments.only.split(","):
    given = flags(root, name, is_smoke=is_smoke)
    print(f"\n{shlex.join(['python', '-m', 'hinote_jax.main', *given])}")
    if not arguments.score:
      loop.train(config(root, name, is_smoke=is_smoke), root / name)
    if (root / name / "checkpoints").is_dir():
      known[name] = score(root, name, is_smoke=is_smoke)
      known = {n: known[n] for n in STATIC if n in known}
      workdir.write_json(results, known)
  print(show.table(known))
  if not is_smoke:
    show.write()


if __name__ == "__main__":
  main()
