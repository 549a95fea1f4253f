"""Tables on fields: error and time beside every interpolation and hinote S.

    python -m experiments.tables.fields            # goes on where it stopped
    python -m experiments.tables.fields --smoke    # minutes, keeps nothing

An IM-LUT of NLC and a hinote of size S learn the same fields; the table is made
of the former. All are scored on fields held out, and timed at x4 on one of
them.
"""

import argparse
from collections.abc import Callable, Sequence
import json
import pathlib
import statistics
import time
from typing import Any

import numpy as np

from configs import hinote, tables
from experiments import equal_time, flows
from hinote_jax import infer
from hinote_jax import models as zoo
from hinote_jax.evaluate import markdown, scores
from hinote_jax.infer import tabulating
from hinote_jax.io import files
from hinote_jax.train import loop, run_data, workdir

ROOT = pathlib.Path("runs/tables")
RESULTS = pathlib.Path(__file__).with_name("fields.json")
README = RESULTS.with_name("README.md")
FIELDS = ("weather", "turbulence")
SCALES = (2.0, 2.5, 3.0, 4.0)
NETWORK, TABLE = "im_lut, network", "im_lut, table"
_SMOKE = {"windows.window": (16, 16), "windows.queries": (24, 24)}


def config(name: str, model: str, *, is_smoke: bool = False) -> Any:
  """Returns the config of a run: of "hinote", or of the "table"."""
  if model == "hinote":
    made = hinote.get_config("untold")
    made.update_from_flattened_dict(hinote.LEVELS)
  else:
    made = tables.get_config("weather")
  if name == "turbulence":
    flows.put(made, is_small=is_smoke)
  if is_smoke:
    short = {"steps": 4, "validate_every": 2, "validation_examples": 2}
    made.update_from_flattened_dict(_SMOKE | short)
  return made


def predictors(root: pathlib.Path, name: str, data: Any) -> dict[str, Any]:
  """Returns interpolations, the table, its network and hinote."""
  shared = dict(normaliser=data.normaliser, periodic=data.dataset.periodic)
  made = {
    name: infer.Predictor(zoo.build(name), {}, **shared)
    for name in zoo.INTERPOLATIONS
  }
  path = root / f"{name}.npz"
  tabulating.tabulate(root / f"{name}-table", path, which="latest")
  made[TABLE] = infer.load(path)
  made[NETWORK] = infer.load(root / f"{name}-table", "latest")
  made["hinote S"] = infer.load(root / f"{name}-hinote")
  return made


def errors(made: dict[str, Any], data: Any) -> dict[str, dict[str, float]]:
  """Returns model -> scale -> MSE over bicubic's, mean over variables."""
  mse: dict[tuple[str, float], list[float]] = {}
  for row in equal_time.held_out(made, data, SCALES):
    mse.setdefault((row["model"], row["scale"]), []).append(row["mse"])
  return {
    name: {
      f"{scale:g}": float(
        np.mean(np.divide(mse[name, scale], mse[scores.BASELINE, scale]))
      )
      for scale in SCALES
    }
    for name in made
  }


def seconds(predict: Callable[..., Any], data: Any, repeats: int = 7) -> float:
  """Returns seconds of a held-out field at x4, from a fourth of its cells."""
  values = np.asarray(data.dataset.values[data.split.test[0]])
  lowres, taken = np.ascontiguousarray(values[::4, ::4]), []
  shape = (4 * lowres.shape[0], 4 * lowres.shape[1])
  for _ in range(repeats + 1):
    begun = time.perf_counter()
    predict(lowres, shape=shape)
    taken.append(time.perf_counter() - begun)
  return statistics.median(taken[1:])  # the first compiles


def scored(root: pathlib.Path, name: str, *, is_smoke: bool) -> dict[str, Any]:
  """Trains what is not there, and returns errors and seconds of all."""
  for model in ("table", "hinote"):
    loop.train(config(name, model, is_smoke=is_smoke), root / f"{name}-{model}")
  first = config(name, "hinote", is_smoke=is_smoke)
  data = run_data.make(first, root / f"{name}-hinote")
  made = predictors(root, name, data)
  return {
    "shape": list(data.dataset.values.shape[1:3]),
    "errors": errors(made, data),
    "seconds": {n: seconds(predict, data) for n, predict in made.items()},
    "versions": workdir.versions(),
  }


def table(name: str, known: dict[str, Any]) -> str:
  """Returns errors and times of the models of some fields."""
  header = [name, *(f"x{scale:g}" for scale in SCALES), "ms a field at x4"]
  lines = [header]
  for model, own in known["errors"].items():
    row = [model, *(f"{own[f'{scale:g}']:.3f}" for scale in SCALES)]
    lines.append([*row, f"{1e3 * known['seconds'][model]:.1f}"])
  return markdown.table(lines)


def show() -> str:
  """Fills the page; returns its tables."""
  known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  made = "\n\n".join(table(name, own) for name, own in known.items())
  text = README.read_text()
  files.write_text(README, markdown.filled(text, {"fields": made}))
  return made


def main(argv: Sequence[str] | None = None) -> None:
  """Trains and scores, and fills the page."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--only", choices=FIELDS)
  parser.add_argument("--smoke", action="store_true")
  asked = parser.parse_args(argv)
  names = [asked.only] if asked.only else FIELDS
  if asked.smoke:
    root = ROOT.with_name("tables-smoke")
    for name in names:
      print(table(name, scored(root, name, is_smoke=True)))
    return
  known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  for name in names:
    known[name] = scored(ROOT, name, is_smoke=False)
    files.write_text(RESULTS, json.dumps(known, indent=1) + "\n")
  print(show())


if __name__ == "__main__":
  main()
