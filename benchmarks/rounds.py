"""Cases of ours and of another program, in turns, each in a fresh process.

What slows the machine for a while slows both, so that their ratio may be said.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
import json
import os
import pathlib
import statistics
import subprocess
from typing import Any, NamedTuple

import tqdm

HERE = pathlib.Path(__file__).parents[1]


class Command(NamedTuple):
  """What prints a case as JSON, its "seconds" and "peak_gb", as its last line.

  Attributes:
    words: the program and its arguments.
    tree: the folder it runs in, and of the packages that it imports.
  """

  words: tuple[str, ...]
  tree: pathlib.Path = HERE

  def __call__(self) -> Any:
    """Returns what it prints."""
    done = subprocess.run(
      self.words,
      cwd=self.tree,
      env=os.environ | {"PYTHONPATH": str(self.tree)},
      check=True,
      stdout=subprocess.PIPE,
      text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def add_options(parser: argparse.ArgumentParser) -> None:
  """Adds what every comparison takes, after its own arguments."""
  parser.add_argument("pattern", nargs="?", default="")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--print", action="store_true", dest="only_print")


def measure(
  own: Callable[[], Any], other: Callable[[], Any], rounds: int
) -> dict[str, list[list[float]]]:
  """Returns seconds and peak memory of every round, [ours, the other's]."""
  pairs = [[own(), other()] for _ in range(rounds)]
  return {
    field: [[run[field] for run in pair] for pair in pairs]
    for field in ("seconds", "peak_gb")
  }


def keep(
  path: pathlib.Path,
  header: Mapping[str, Any],
  pairs: Mapping[str, tuple[Command, Command]],
  rounds: int,
) -> dict[str, Any]:
  """Measures what a file does not have yet; returns what it then has.

  Args:
    path: of the file.
    header: what the file says of the other program. Results beside another one
      are thrown away.
    pairs: name of a case -> ours and the other's.
    rounds: of each case.
  """
  record = json.loads(path.read_text()) if path.exists() else {}
  if {name: record.get(name) for name in header} != header:
    record = {**header, "results": {}}
  missing = [name for name in pairs if name not in record["results"]]
  for name in tqdm.tqdm(missing):
    record["results"][name] = measure(*pairs[name], rounds)
    path.write_text(json.dumps(record, indent=1) + "\n")
  return record


def ratio(measured: Mapping[str, Any]) -> str:
  """Returns the other's seconds over ours, median and range."""
  ratios = [other / own for own, other in measured["seconds"]]
  low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
  return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def medians(rows: Iterable[Iterable[float]]) -> list[float]:
  """Returns the median of ours and of the other's."""
  return [statistics.median(column) for column in zip(*rows, strict=True)]
