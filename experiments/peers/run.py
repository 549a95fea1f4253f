"""hinote, SRNO, LIIF, LTE and MetaSR at equal time and equal steps.

    python -m experiments.peers.run ARCHIVES --time          # a quiet machine
    python -m experiments.peers.run ARCHIVES                 # some five hours
    python -m experiments.peers.run ARCHIVES --only=weather,rain
    python -m experiments.peers.run ARCHIVES --redraw        # one run a model
    python -m experiments.peers.run ARCHIVES --smoke         # minutes

Three steps a set, each kept in results/SET.json and done once: a step of every
model is timed, alone; its learning rate is the best of three, by the validation
part after a quarter of a run; it is trained with three seeds for the same time,
and for as many steps as the slowest takes in it. What is kept is not done
again; a run that was stopped goes on. --redraw holds out another part and takes
another seed, and the page says whether the order of the models is the same.
"""

import argparse
import json
import pathlib
from typing import Any

from experiments import equal_time
from experiments.peers import plan, show
from hinote_jax.core import naming
from hinote_jax.train import checkpoint, loop, metric_log, workdir

_KEPT = ("model", "variable", "scale", "mse", "area_mse")


def read(name: str) -> dict[str, Any]:
  """Returns what is known of a set."""
  path = show.RESULTS / f"{name}.json"
  if path.is_file():
    return json.loads(path.read_text())
  return {"seconds_a_step": {}, "rates": {}, "runs": {}}


def _write(name, known):
  show.RESULTS.mkdir(exist_ok=True)
  workdir.write_json(show.RESULTS / f"{name}.json", known)


def timed(name: str, source: pathlib.Path) -> None:
  """Times a step of every model of a set that is not timed yet."""
  known = read(name)
  for model in plan.SETS[name].models:
    if model not in known["seconds_a_step"]:
      made = plan.config(name, model, source=source, steps=1)
      known["seconds_a_step"][model] = equal_time.seconds_a_step(
        made, plan.ROOT / "probe", 20
      )
      _write(name, known)


def tried(name: str, model: str, source: pathlib.Path, steps: int) -> dict:
  """Returns the validation error of every learning rate, over bicubic's."""
  errors = {}
  for rate in plan.RATES:
    folder = plan.ROOT / "rates" / f"{name}-{model}-{rate:g}"
    made = plan.config(name, model, source=source, steps=steps, rate=rate)
    made.validate_every = steps
    loop.train(made, folder)
    log = [r for r in metric_log.read(folder) if checkpoint.BEST_KEY in r]
    errors[f"{rate:g}"] = log[-1][checkpoint.BEST_KEY]
  return errors


def steps(known: dict[str, Any], model: str, way: str) -> int:
  """Returns how long a model trains: for `plan.SECONDS`, or as the slowest."""
  seconds = known["seconds_a_step"]
  slowest = max(seconds.values())
  return int(plan.SECONDS / (seconds[model] if way == "time" else slowest))


def trained(name: str, source: pathlib.Path) -> None:
  """Tries rates and trains what is missing of a set.

  Raises:
    SystemExit: the steps of a model are not timed.
  """
  known = read(name)
  for model in plan.SETS[name].models:
    if model not in known["seconds_a_step"]:
      raise SystemExit(f"{name}, {model}: time its step first, by --time")
  for model in plan.SETS[name].models:
    if model not in known["rates"]:
      many = int(plan.TRIED * steps(known, model, "time"))
      known["rates"][model] = tried(name, model, source, many)
      _write(name, known)
  for seed in plan.SEEDS:
    for model in plan.SETS[name].models:
      for way in plan.WAYS:
        _run(name, model, way, seed, source, known)


def _run(name, model, way, seed, source, known):
  key, many = f"{model} {way} {seed}", steps(known, model, way)
  if key in known["runs"]:
    return
  other = known["runs"].get(f"{model} time {seed}")
  if other is not None and other["steps"] == many:
    known["runs"][key] = other  # the slowest: one run is both
    _write(name, known)
    return
  known["runs"][key] = _scored(name, model, key, many, source, known, seed=seed)
  known["versions"] = workdir.versions()
  _write(name, known)


def _scored(name, model, key, many, source, known, **changes):
  rates = known["rates"][model]
  rate = float(min(rates, key=rates.get))
  made = plan.config(
    name, model, source=source, steps=many, rate=rate, **changes
  )
  folder = plan.ROOT / f"{name}-{key}".replace(" ", "-")
  scored = equal_time.trained(made, folder)
  scored["rows"] = [
    {field: row[field] for field in _KEPT if field in row}
    for row in scored["rows"]
  ]
  return scored


def redrawn(name: str, source: pathlib.Path) -> None:
  """Trains once more for the same time, another part held out, another seed.

  Raises:
    SystemExit: there is nothing to compare with yet.
  """
  known = read(name)
  seed = max(plan.SEEDS) + 1
  for model in plan.SETS[name].models:
    if f"{model} time {plan.SEEDS[0]}" not in known["runs"]:
      raise SystemExit(f"{name}, {model}: train it first, without --redraw")
    if model not in known.setdefault("redrawn", {}):
      many = steps(known, model, "time")
      changes = dict(seed=seed, is_redrawn=True)
      known["redrawn"][model] = _scored(
        name, model, f"{model} redrawn", many, source, known, **changes
      )
      _write(name, known)


def smoke(names: list[str], source: pathlib.Path) -> None:
  """Trains and scores hinote and liif for ten steps, kept nowhere."""
  for name in names:
    for model in ("hinote", "liif"):
      made = plan.config(name, model, source=source, steps=10, is_smoke=True)
      folder = plan.ROOT.with_name("peers-smoke") / f"{name}-{model}"
      rows = equal_time.trained(made, folder)["rows"]
      print(name, model, *(f"{row['mse']:.4g}" for row in rows[:2]))


def main(argv: list[str] | None = None) -> None:
  """Times, or trains what is missing, and writes the page."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("source", metavar="ARCHIVES", type=pathlib.Path)
  parser.add_argument("--only", default=",".join(plan.SETS), help="by commas")
  parser.add_argument("--time", action="store_true", help="time steps alone")
  parser.add_argument(
    "--redraw", action="store_true", help="another test part and seed"
  )
  parser.add_argument("--smoke", action="store_true", help="minutes, no page")
  arguments = parser.parse_args(argv)
  names = arguments.only.split(",")
  for name in names:
    naming.look_up("set", name, plan.SETS)
  if arguments.smoke:
    smoke(names, arguments.source)
    return
  do = timed if arguments.time else redrawn if arguments.redraw else trained
  for name in names:
    do(name, arguments.source)
  show.main()


if __name__ == "__main__":
  main()
