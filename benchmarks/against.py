"""An older tree of this package and this one, case by case in turns.

    git worktree add ../before v0.1
    python -m benchmarks.against ../before [--rounds=3] [PATTERN]
    python -m benchmarks.against --print

Each case of both runs in fresh processes, one of either tree after the other,
in rounds, so that what slows the machine for a while slows both. What is
measured is kept in against.json, and not measured again for the same tree.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import Any

import tqdm

from benchmarks import case, streaming
from hinote_jax.evaluate import markdown

RESULTS = pathlib.Path(__file__).with_name("against.json")
_ROOT = pathlib.Path(__file__).parents[1]
_MODULES = (case, streaming)


def _python(tree: pathlib.Path, *arguments: str) -> str:
  """Returns the last line that a process prints, with a tree as its package."""
  done = subprocess.run(
    [sys.executable, *arguments],
    cwd=tree,
    env=os.environ | {"PYTHONPATH": str(tree)},
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  )
  return done.stdout.splitlines()[-1]


def known(tree: pathlib.Path, module: str) -> list[str]:
  """Returns the cases that a tree's module of benchmarks has."""
  lists = f"import json, {module} as m; print(json.dumps(list(m.CASES)))"
  return json.loads(_python(tree, "-c", lists))


def measure(older: pathlib.Path, module: str, name: str, rounds: int) -> dict:
  """Returns a case's seconds and peak memory, of this tree and the older.

  Returns:
    "seconds" and "peak_gb": of every round, [this tree's, the older's].
  """
  pairs = [
    [
      json.loads(_python(tree, "-m", module, name))
      for tree in (_ROOT, older.resolve())
    ]
    for _ in range(rounds)
  ]
  return {
    field: [[run[field] for run in pair] for pair in pairs]
    for field in ("seconds", "peak_gb")
  }


def table(record: dict[str, Any]) -> str:
  """Returns what was measured as Markdown, a row a case."""
  lines = [["case", "seconds", "older / this", "memory", "older"]]
  for name, measured in record["results"].items():
    ratios = sorted(older / own for own, older in measured["seconds"])
    low, middle, high = ratios[0], statistics.median(ratios), ratios[-1]
    seconds = statistics.median(own for own, _ in measured["seconds"])
    own, older = zip(*measured["peak_gb"], strict=True)
    lines.append(
      [
        name,
        f"{seconds:.3f}",
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
        f"{statistics.median(own):.2f} GB",
        f"{statistics.median(older):.2f} GB",
      ]
    )
  return markdown.table(lines)


def main() -> None:
  """Measures what is not kept yet, or prints what is."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("older", nargs="?", type=pathlib.Path, metavar="TREE")
  parser.add_argument("pattern", nargs="?", default="")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--print", action="store_true", dest="only_print")
  asked = parser.parse_args()
  record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  if asked.only_print:
    print(table(record))
    return
  if asked.older is None:
    parser.error("say where the older tree is")
  git = ["git", "-C", str(asked.older), "rev-parse", "--short", "HEAD"]
  commit = subprocess.check_output(git, text=True).strip()
  if record.get("older") != commit:
    record = {"older": commit, "results": {}}
  names = [
    (module.__name__, name)
    for module in _MODULES
    for name in known(asked.older, module.__name__)
    if name in module.CASES and asked.pattern in name
  ]
  for module, name in tqdm.tqdm(names):
    if name not in record["results"]:
      measured = measure(asked.older, module, name, asked.rounds)
      record["results"][name] = measured
      RESULTS.write_text(json.dumps(record, indent=1) + "\n")
  print(table(record))


if __name__ == "__main__":
  main()
