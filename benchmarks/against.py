"""An older tree of this package and this one, case by case in turns.

    git worktree add ../before v0.1
    python -m benchmarks.against ../before [--rounds=3] [PATTERN]
    python -m benchmarks.against --print

What is measured is kept in against.json, and not measured again for the same
tree.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks import case, rounds, streaming
from hinote_jax.evaluate import markdown

RESULTS = pathlib.Path(__file__).with_name("against.json")
_MODULES = (case, streaming)


def _python(tree: pathlib.Path, *words: str) -> rounds.Command:
  return rounds.Command((sys.executable, *words), tree.resolve())


def known(tree: pathlib.Path, module: str) -> list[str]:
  """Returns the cases that a tree's module of benchmarks has."""
  lists = f"import json, {module} as m; print(json.dumps(list(m.CASES)))"
  return _python(tree, "-c", lists)()


def pairs(
  older: pathlib.Path, pattern: str
) -> dict[str, tuple[rounds.Command, rounds.Command]]:
  """Returns the cases that both trees have, ours and the older tree's."""
  return {
    name: (
      _python(rounds.HERE, "-m", module.__name__, name),
      _python(older, "-m", module.__name__, name),
    )
    for module in _MODULES
    for name in known(older, module.__name__)
    if name in module.CASES and pattern in name
  }


def table(record: dict[str, Any]) -> str:
  """Returns what was measured as Markdown, a row a case."""
  lines = [["case", "seconds", "older / this", "memory", "older"]]
  for name, measured in record["results"].items():
    seconds, _ = rounds.medians(measured["seconds"])
    own, older = rounds.medians(measured["peak_gb"])
    row = [name, f"{seconds:.3f}", rounds.ratio(measured)]
    lines.append([*row, f"{own:.2f} GB", f"{older:.2f} GB"])
  return markdown.table(lines)


def main() -> None:
  """Measures what is not kept yet, or prints what is."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("older", nargs="?", type=pathlib.Path, metavar="TREE")
  rounds.add_options(parser)
  asked = parser.parse_args()
  if asked.only_print:
    print(table(json.loads(RESULTS.read_text())))
    return
  if asked.older is None:
    parser.error("say where the older tree is")
  git = ["git", "-C", str(asked.older), "rev-parse", "--short", "HEAD"]
  header = {"older": subprocess.check_output(git, text=True).strip()}
  cases = pairs(asked.older, asked.pattern)
  print(table(rounds.keep(RESULTS, header, cases, asked.rounds)))


if __name__ == "__main__":
  main()
