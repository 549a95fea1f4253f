"""Prints the table of speed and memory.

    python -m benchmarks.run [--write | --print] [PATTERN]

Each case runs in a fresh process, so that peak memory is its own. The rate of
a float32 matrix product of side 2048 is measured in the same process; the
fraction is of that rate, with operations counted by `operations`. Peak memory
is the whole process: interpreter, JAX, compilation and all.
"""

import argparse
import datetime
import json
import pathlib
import platform
import subprocess
import sys

import tqdm

from benchmarks import (
  case,
  consistent,
  cores,
  data_step,
  streaming,
  tables,
  terms,
  told,
  trainer,
  windows,
)

RESULTS = pathlib.Path(__file__).with_name("results.json")

# Each has CASES, prints one of them when it is run, and shows a `section`.
_MODULES = (
  case,
  cores,
  streaming,
  windows,
  tables,
  consistent,
  data_step,
  trainer,
  told,
  terms,
)


def measure(name: str) -> dict:
  """Runs one case in a process of its own."""
  module = next(module for module in _MODULES if name in module.CASES)
  done = subprocess.run(
    [sys.executable, "-m", module.__name__, name],
    check=True,
    capture_output=True,
    text=True,
  )
  today = datetime.date.today().isoformat()
  return json.loads(done.stdout.splitlines()[-1]) | {"measured": today}


def table(results: list[dict]) -> str:
  """Returns the results as Markdown, a section a module that has any."""
  made = [
    (module, [r for r in results if r["case"] in module.CASES])
    for module in _MODULES
  ]
  parts = [module.section(own) for module, own in made if own]
  days = sorted(r["measured"] for r in results if "measured" in r)
  if days:
    parts.append(
      f"{len(days)} of the {len(results)} cases were measured from {days[0]} "
      f"to {days[-1]}, the others before, by older code: those without a date "
      "in `benchmarks/results.json`."
    )
  return "\n\n".join(parts)


def main() -> None:
  """Measures the cases whose name holds the pattern and prints them."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("pattern", nargs="?", default="")
  parser.add_argument(
    "--write",
    action="store_true",
    help="keep the results, and of other cases those there are",
  )
  parser.add_argument(
    "--print", action="store_true", dest="only_print", help="the kept results"
  )
  arguments = parser.parse_args()
  if arguments.only_print:
    print(table(json.loads(RESULTS.read_text())["results"]))
    return
  known = [name for module in _MODULES for name in module.CASES]
  names = [n for n in known if arguments.pattern in n]
  results = [measure(name) for name in tqdm.tqdm(names)]
  if arguments.write:
    old = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else []
    new = {result["case"]: result for result in [*old, *results]}
    results = [new[name] for name in known if name in new]
    record = {"machine": platform.machine(), "results": results}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
  print(table(results))


if __name__ == "__main__":
  main()
