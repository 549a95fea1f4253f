"""Measures what kinds of attention cost, how far they are off, their worth.

    python -m experiments.attention_cost.run             # what is missing
    python -m experiments.attention_cost.run --again     # all, anew
    python -m experiments.attention_cost.run --smoke     # a minute, in runs/
    python -m experiments.attention_cost.run --only=cost,distance,task

Every result is kept when it is there: a run that is stopped goes on. A kind
that does not fit at some size is not tried at larger ones.
"""

import argparse
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

from experiments.attention_cost import distance, kinds, show, task
from hinote_jax.train import workdir

PARTS = ("cost", "distance", "task")


class Plan(NamedTuple):
  """What is measured.

  Attributes:
    kinds: of attention.
    sides: of the fields whose attention is timed.
    seconds: of the processor that a case may take, both passes.
    limit_gb: of memory, above which a pass is not run.
    distance_side: of the field on which distances are measured.
    seeds: of distances, and of the task.
    steps: of training.
  """

  kinds: tuple[str, ...] = tuple(kinds.KINDS)
  sides: tuple[int, ...] = (32, 56, 96, 176, 320, 552, 1000)
  seconds: float = 120.0
  limit_gb: float = 8.0
  distance_side: int = 56
  seeds: int = 3
  steps: int = 300


SMOKE = Plan(("Galerkin", "softmax"), (8,), 30.0, 8.0, 16, 1, 2)


def cost(kind: str, side: int, plan: Plan) -> dict[str, Any]:
  """Returns the passes of one case, by name; a reason where one has none."""
  command = [sys.executable, "-m", "experiments.attention_cost.case"]
  # A program that is found in a cache has another peak of memory.
  environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
  limits = str(plan.limit_gb), str(plan.seconds)
  done = subprocess.run(
    [*command, kind, str(side), *limits],
    stdout=subprocess.PIPE,
    env=environment,
  )
  known = {
    0: "",
    -signal.SIGXCPU: f"not done after {plan.seconds:g} s of the processor",
    -signal.SIGKILL: "ended by the system, as it does for want of memory",
  }
  if done.returncode not in known:
    raise RuntimeError(f"{kind} at side {side}: exit code {done.returncode}")
  reason = known[done.returncode]
  lines = [json.loads(line) for line in done.stdout.splitlines()]
  passes = {line.pop("pass"): line for line in lines}
  return {name: passes.get(name, {"reason": reason}) for name in show.PASSES}


def _costs(plan: Plan, results: dict[str, Any], keep) -> None:
  for side in plan.sides:
    for kind in plan.kinds:
      known = [r for r in results["cost"] if r["kind"] == kind]
      is_over = any("reason" in r["both"] for r in known)
      if not is_over and all(r["points"] != side**2 for r in known):
        passes = cost(kind, side, plan)
        results["cost"].append({"kind": kind, "points": side**2, **passes})
        keep()


def _distances(plan: Plan, results: dict[str, Any], keep) -> None:
  if not results["distance"]:
    results["distance"] = list(distance.measure(plan.distance_side, plan.seeds))
    keep()


def _tasks(plan: Plan, results: dict[str, Any], keep) -> None:
  known = {(r["kind"], r["seed"]) for r in results["task"]}
  for seed in range(plan.seeds):
    for kind in (task.NONE, *(k for k in task.KINDS if k in plan.kinds)):
      if (kind, seed) not in known:
        start = time.perf_counter()
        result = task.train(kind, seed, plan.steps)
        result["seconds"] = time.perf_counter() - start
        results["task"].append(result)
        keep()


def main() -> None:
  """Measures what is asked for, and fills the page."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--smoke", action="store_true")
  parser.add_argument("--again", action="store_true")
  parser.add_argument("--only", default=",".join(PARTS))
  arguments = parser.parse_args()
  wanted = arguments.only.split(",")
  if unknown := set(wanted) - set(PARTS):
    parser.error(f"--only has {sorted(unknown)}; known: {', '.join(PARTS)}")
  plan, folder = Plan(), show.FOLDER
  if arguments.smoke:
    plan, folder = SMOKE, pathlib.Path("runs/attention_cost")
    folder.mkdir(parents=True, exist_ok=True)
  path = folder / show.RESULTS.name
  is_anew = arguments.again or arguments.smoke
  results = json.loads(path.read_text()) if path.exists() else {}
  for part in PARTS:
    if part not in results or (is_anew and part in wanted):
      results[part] = []
  results |= {
    "versions": workdir.versions(),
    "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    "plan": plan._asdict(),
  }

  def keep():
    results["load"] = os.getloadavg()[0]
    workdir.write_json(path, results)

  measures = {"cost": _costs, "distance": _distances, "task": _tasks}
  for part in wanted:
    measures[part](plan, results, keep)
  show.fill(folder, results)


if __name__ == "__main__":
  main()
