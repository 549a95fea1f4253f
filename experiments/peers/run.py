"""hinote, SRNO, LIIF, LTE and MetaSR at equal time and equal steps.

    python -m experiments.peers.run ARCHIVES --time          # a quiet machine
    python -m experiments.peers.run ARCHIVES                 # half a day
    python -m experiments.peers.run ARCHIVES --only=weather,rain
    python -m experiments.peers.run ARCHIVES --redraw        # one run a model
    python -m experiments.peers.run ARCHIVES --others        # other hinotes
    python -m experiments.peers.run ARCHIVES --smoke         # minutes

Three steps a set, each kept in results/SET.json and done once: a step of every
model is timed, alone; its learning rate is the best of three or four, by the
validation part after a seventh of a run; it is trained with three seeds for the
same time, and hinote once more for as many steps as the slowest takes in it.
What is kept is not done again; a run that was stopped goes on. --redraw holds
out another part and takes another seed, by the rates of the first; the page
says whether the order of the models is the same. --others times hinote and
trains it otherwise (`plan.OTHERS`), for the same time, by the validation part
alone.
"""

import argparse
from collections.abc import Sequence
import functools
import pathlib

from experiments import equal_time, kept
from experiments.peers import plan, show
from hinote_jax.core import naming

_FIELDS = ("model", "variable", "scale", "mse")


def _kept(name: str) -> kept.Kept:
  return kept.Kept(show.RESULTS / f"{name}.json")


def timed(name: str, source: pathlib.Path) -> None:
  """Times a step of every model of a set, in turns, once."""
  configs = {
    model: plan.config(name, model, source=source, steps=1)
    for model in plan.SETS[name].models
  }
  equal_time.keep_seconds(_kept(name), configs, plan.ROOT / "probe")


def tried(name: str, model: str, source: pathlib.Path) -> dict[str, float]:
  """Returns the validation error of every learning rate, over bicubic's."""
  is_whole = model in plan.SETS[name].tried_whole
  errors, many = {}, int(steps(name, model) * (1 if is_whole else plan.TRIED))
  *_, usual, largest = plan.RATES
  for rate in plan.RATES:
    if rate == largest and min(errors, key=errors.get) != f"{usual:g}":
      break
    folder = plan.ROOT / "rates" / f"{name}-{model}-{rate:g}"
    made = plan.config(
      name, model, source=source, steps=many, rate=rate, validations=1
    )
    errors[f"{rate:g}"] = equal_time.validation_error(made, folder)
  return errors


def steps(name: str, model: str) -> int:
  """Returns how many steps a model takes in `plan.SECONDS`.

  Raises:
    SystemExit: its step is not timed.
  """
  return int(plan.SECONDS / _kept(name).seconds_a_step(model))


def trained(
  name: str, source: pathlib.Path, models: Sequence[str] | None = None
) -> None:
  """Tries rates and trains what is missing of a set, or of some models."""
  own = _kept(name)
  models = [m for m in plan.SETS[name].models if m in (models or [m])]
  for model in models:
    own.once("rates", model, lambda m=model: tried(name, m, source))
  fewest = min(steps(name, model) for model in plan.SETS[name].models)
  for seed in plan.SEEDS:
    for model in models:
      ways = {"time": steps(name, model)}
      if model == "hinote":
        ways["steps"] = fewest
      for way, many in ways.items():
        own.once(
          "runs",
          f"{model} {way} {seed}",
          functools.partial(
            _scored, name, model, f"{way} {seed}", source, many, seed=seed
          ),
        )


def scored_elsewhere(name: str, source: pathlib.Path) -> None:
  """Scores runs of another set on the fields of this one; trains nothing."""
  other = plan.SETS[name].of
  for key, run in _kept(other).read()["runs"].items():
    model, way, seed = key.split(" ")
    made = _config(name, model, source, run["steps"], seed=int(seed))
    folder = _folder(other, model, f"{way} {seed}")
    _kept(name).once(
      "runs",
      key,
      lambda m=made, f=folder, r=run: (
        r | {"rows": _shortened(equal_time.rows(m, f))}
      ),
    )


def _config(name, model, source, many, **changes):
  """Returns the config of a run at the best of the rates that were tried."""
  rates = _kept(plan.SETS[name].of or name).read()["rates"][model]
  rate = float(min(rates, key=rates.get))
  return plan.config(
    name, model, source=source, steps=many, rate=rate, **changes
  )


def _folder(name, model, what) -> pathlib.Path:
  return plan.ROOT / f"{name}-{model}-{what}".replace(" ", "-")


def _shortened(rows):
  return [{f: row[f] for f in _FIELDS} for row in rows]


def _scored(name, model, what, source, many, **changes):
  """Returns what a run of so many steps scores."""
  made = _config(name, model, source, many, **changes)
  scored = equal_time.trained(made, _folder(name, model, what))
  return scored | {"rows": _shortened(scored["rows"])}


def redrawn(name: str, source: pathlib.Path) -> None:
  """Trains once more for the same time, another part held out, another seed.

  Raises:
    SystemExit: there is nothing to compare with yet.
  """
  changes = dict(seed=max(plan.SEEDS) + 1, is_redrawn=True)
  for model in plan.SETS[name].models:
    if f"{model} time {plan.SEEDS[0]}" not in _kept(name).read()["runs"]:
      raise SystemExit(f"{name}, {model}: train it first, without --redraw")
    _kept(name).once(
      "redrawn",
      model,
      functools.partial(
        _scored, name, model, "redrawn", source, steps(name, model), **changes
      ),
    )


def others(
  name: str, source: pathlib.Path, models: Sequence[str] | None = None
) -> None:
  """Trains hinote otherwise for the same time, and validates it."""
  own, models = _kept(name), ("hinote", *(models or plan.OTHERS))
  configs = {m: plan.config(name, m, source=source, steps=1) for m in models}
  equal_time.keep_seconds(own, configs, plan.ROOT / "probe")
  for model in models:
    own.once("rates", model, lambda m=model: tried(name, m, source))
    own.once("others", model, lambda m=model: _validated(name, m, source))


def _validated(name, model, source):
  """Returns the steps of a run of `plan.SECONDS` and its validation error."""
  many = steps(name, model)
  made = _config(name, model, source, many)
  folder = _folder(name, model, f"time {plan.SEEDS[0]}")
  return {"steps": many, "error": equal_time.validation_error(made, folder)}


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
  parser.add_argument("--models", help="train these alone, by commas")
  parser.add_argument("--time", action="store_true", help="time steps alone")
  parser.add_argument(
    "--redraw", action="store_true", help="another test part and seed"
  )
  parser.add_argument(
    "--others", action="store_true", help="train hinote otherwise"
  )
  parser.add_argument("--smoke", action="store_true", help="minutes, no page")
  arguments = parser.parse_args(argv)
  names = arguments.only.split(",")
  for name in names:
    naming.look_up("set", name, plan.SETS)
  if arguments.smoke:
    smoke([n for n in names if plan.SETS[n].of is None], arguments.source)
    return
  models = arguments.models and arguments.models.split(",")
  for name in names:
    if plan.SETS[name].of is not None:
      if not (arguments.time or arguments.redraw or arguments.others):
        scored_elsewhere(name, arguments.source)
    elif arguments.time:
      timed(name, arguments.source)
    elif arguments.redraw:
      redrawn(name, arguments.source)
    elif arguments.others:
      others(name, arguments.source, models)
    else:
      trained(name, arguments.source, models)
  show.main()


if __name__ == "__main__":
  main()
