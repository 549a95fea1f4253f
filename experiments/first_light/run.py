"""First light: three decoders at equal time on the demo's data.

    python -m experiments.first_light.run [--seconds=180] [--seeds=2]
    python -m experiments.first_light.run --only="plain pointwise head"
    python -m experiments.first_light.run --print

Every model trains for the same wall-clock seconds: the time of a step is
measured first, and sets how many steps its schedule has. Data, batches, loss,
learning rate and seeds are the same. The table is printed from results.json.
"""

import argparse
import json
import pathlib
import shutil
import time

import jax
import numpy as np

from configs import hinote
from experiments import equal_time
from hinote_jax.train import workdir

RESULTS = pathlib.Path(__file__).with_name("results.json")
MODELS = {
  "hinote, preset levels": dict(preset="levels"),
  "levels without their operator": dict(preset="local"),
  "hinote, preset paper": dict(preset="paper"),
  "plain pointwise head": dict(preset="pointwise"),
}


def _config(arguments: dict, seed: int, steps: int):
  config = hinote.get_config("untold")
  config.update_from_flattened_dict(hinote.LEVELS)
  config.model.update(arguments)
  config.seed = seed
  config.steps = steps
  config.validate_every = max(steps // 8, 1)
  config.evaluate.scales = (2.0, 4.0, 8.0)
  return config


def _train(name: str, seed: int, seconds: float, root: pathlib.Path) -> dict:
  arguments = MODELS[name]
  probe = _config(arguments, 0, 1)
  step = equal_time.seconds_a_step(probe, root / "probe")
  config = _config(arguments, seed, int(seconds / step))
  folder = root / f"{name.replace(' ', '_')}_{seed}"
  shutil.rmtree(folder, ignore_errors=True)
  scored = equal_time.trained(config, folder)
  return {"model": name, "seed": seed, "seconds_a_step": step} | scored


def run(
  seconds: float, seeds: int, root: pathlib.Path, only: str | None
) -> None:
  """Trains every model with every seed and writes the results.

  With `only`, one model, its results put beside the others that are kept.
  """
  wanted = [only] if only else list(MODELS)
  kept = json.loads(RESULTS.read_text())["results"] if only else []
  results = [r for r in kept if r["model"] not in wanted]
  results += [
    _train(name, seed, seconds, root)
    for seed in range(seeds)
    for name in wanted
  ]
  results.sort(key=lambda r: (list(MODELS).index(r["model"]), r["seed"]))
  record = {
    "seconds": seconds,
    "seeds": seeds,
    "date": time.strftime("%Y-%m-%d"),
    "versions": workdir.versions(),
    "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    "results": results,
  }
  workdir.write_json(RESULTS, record)


def _ratios(result: dict, scale: float) -> dict[str, float]:
  """Returns the model's MSE as a fraction of bicubic's, by variable."""
  mse = {
    (r["model"], r["variable"]): r["mse"]
    for r in result["rows"]
    if r["scale"] == scale
  }
  names = {variable for _, variable in mse}
  return {v: mse["hinote", v] / mse["bicubic", v] for v in sorted(names)}


def table(record: dict) -> str:
  """Returns the committed results as Markdown."""
  first = record["results"][0]
  scales = sorted({r["scale"] for r in first["rows"]})
  variables = sorted({r["variable"] for r in first["rows"]})
  lines = [
    "MSE on held-out times as a fraction of bicubic's, mean over "
    f"{record['seeds']} seeds (smallest to largest over the seeds in "
    f"brackets where they differ in the third digit), after "
    f"{record['seconds']:g} s of training each on {record['devices']}.\n",
    "| model | parameters | steps | ms a step | variable | "
    + " | ".join(f"x{s:g}" for s in scales)
    + " |",
    "|---|---|---|---|---|" + "---|" * len(scales),
  ]
  for name in dict.fromkeys(r["model"] for r in record["results"]):
    same = [r for r in record["results"] if r["model"] == name]
    steps = " / ".join(str(r["steps"]) for r in same)
    milliseconds = np.mean([1e3 * r["seconds_a_step"] for r in same])
    for variable in variables:
      cells = [
        _cell([_ratios(r, scale)[variable] for r in same]) for scale in scales
      ]
      lines.append(
        f"| {name} | {same[0]['parameters']:,} | {steps} "
        f"| {milliseconds:.0f} | {variable} | " + " | ".join(cells) + " |"
      )
  return "\n".join(lines)


def _cell(values: list[float]) -> str:
  low, mean, high = min(values), float(np.mean(values)), max(values)
  if f"{low:.3f}" == f"{high:.3f}":
    return f"{mean:.3f}"
  return f"{mean:.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
  """Runs the experiment, or prints the table of its committed results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--seconds", type=float, default=180.0)
  parser.add_argument("--seeds", type=int, default=2)
  parser.add_argument("--root", type=pathlib.Path, default="runs/first_light")
  parser.add_argument("--only", choices=MODELS)
  parser.add_argument("--print", action="store_true", dest="only_print")
  arguments = parser.parse_args()
  if not arguments.only_print:
    run(arguments.seconds, arguments.seeds, arguments.root, arguments.only)
  print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
  main()
