"""The authors' PyTorch code and this package, case by case in turns.

    python -m benchmarks.beside PYTHON CODE [--rounds=3] [PATTERN]
    python -m benchmarks.beside --print

PYTHON is an interpreter that has PyTorch, CODE a folder with the published
repositories, see `benchmarks/pytorch.py`. Both sides compute in float32 on all
cores. What is measured is kept in beside.json.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from benchmarks import case, rounds
from hinote_jax.evaluate import markdown

RESULTS = pathlib.Path(__file__).with_name("beside.json")
_SCRIPT = str(pathlib.Path(__file__).with_name("pytorch.py"))
# Of `pytorch.NETWORKS`: name there and in the cases.
NETWORKS = (
  "hinote_official",
  "srno",
  "liif",
  "lte",
  "metasr",
  "hat S",
  "swinir",
)
_ABOUT = """
import resource, torch
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(torch.__version__, torch.get_num_threads(), round(peak / 1e6, 1))
"""


def _network(name: str) -> str | None:
  """Returns which network a case is of, if it is of one of these."""
  own = (each for each in NETWORKS if name.startswith(f"{each} "))
  return next(own, None)


def pairs(
  python: str, code: pathlib.Path, pattern: str
) -> dict[str, tuple[rounds.Command, rounds.Command]]:
  """Returns the cases that have published code, ours and the authors'."""
  made = {}
  for name, known in case.CASES.items():
    network = _network(name)
    if network is None or pattern not in name:
      continue
    sizes = (known.lowres, known.queries, known.batch)
    words = (network, *map(str, sizes), *(["step"] if known.is_step else []))
    own = rounds.Command((sys.executable, "-m", "benchmarks.case", name))
    made[name] = own, rounds.Command((python, _SCRIPT, str(code), *words))
  return made


def summary(record: dict[str, Any]) -> str:
  """Returns how many times as fast networks are here, a row a network."""
  results = record["results"]
  lines = [["network", "forward", "training step"]]
  for network in NETWORKS:
    own = [name for name in results if _network(name) == network]
    forward = [name for name in own if not case.CASES[name].is_step]
    step = [name for name in own if case.CASES[name].is_step]
    if own:
      row = (_times(results, forward), _times(results, step))
      lines.append([network, *row])
  return markdown.table(lines)


def _times(results, names):
  if not names:
    return ""
  pairs = [pair for name in names for pair in results[name]["seconds"]]
  return f"{statistics.median(o / own for own, o in pairs):.2f} times"


def table(record: dict[str, Any]) -> str:
  """Returns what was measured as Markdown, a row a case."""
  header = ["case", "seconds", "PyTorch's", "PyTorch's / ours", "memory"]
  lines = [[*header, "PyTorch's"]]
  for name in filter(record["results"].get, case.CASES):
    measured = record["results"][name]
    row = [name, *(f"{s:.3f}" for s in rounds.medians(measured["seconds"]))]
    memory = rounds.medians(measured["peak_gb"])
    lines.append(
      [*row, rounds.ratio(measured), *map("{:.2f} GB".format, memory)]
    )
  return (
    f"Networks of others at the sizes that their authors publish, here and in "
    f"their own code (torch {record['torch']}, {record['threads']} threads), "
    f"in turns in rounds on one machine, each in a fresh process; ratios are "
    f"medians, lowest to highest round. Of its memory that build of PyTorch "
    f"takes {record['import_gb']} GB when it is imported:\n\n"
    + markdown.table(lines)
  )


def read() -> dict[str, Any]:
  """Returns what is kept."""
  return json.loads(RESULTS.read_text())


def main() -> None:
  """Measures what is not kept yet, or prints what is."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("python", nargs="?", metavar="PYTHON")
  parser.add_argument("code", nargs="?", type=pathlib.Path, metavar="CODE")
  rounds.add_options(parser)
  asked = parser.parse_args()
  if asked.only_print:
    print(table(read()))
    return
  if asked.code is None:
    parser.error("say which Python has PyTorch, and where the code is")
  said = subprocess.check_output([asked.python, "-c", _ABOUT], text=True)
  version, threads, memory = said.split()
  header = {
    "torch": version,
    "threads": int(threads),
    "import_gb": float(memory),
  }
  cases = pairs(asked.python, asked.code.resolve(), asked.pattern)
  print(table(rounds.keep(RESULTS, header, cases, asked.rounds)))


if __name__ == "__main__":
  main()
