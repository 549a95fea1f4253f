"""Prints the table of speed and memory.

    python -m benchmarks.run [--write | --print] [PATTERN]

Each case runs in a fresh process, so that peak memory is its own. The rate of
a float32 matrix product of side 2048 is measured in the same process; the
fraction is of that rate, with operations counted by `operations`.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys

import tqdm

from benchmarks import case

RESULTS = pathlib.Path(__file__).with_name("results.json")


def measure(name: str) -> dict:
  """Runs one case in a process of its own."""
  done = subprocess.run(
    [sys.executable, "-m", "benchmarks.case", name],
    check=True,
    capture_output=True,
    text=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def table(results: list[dict]) -> str:
  """Returns the results as a Markdown table."""
  lines = [
    "| case | seconds | peak memory | operations | of the matmul rate |",
    "|---|---|---|---|---|",
  ]
  for r in results:
    count, fraction = "-", "-"
    if r["operations"]:
      count = f"{r['operations'] / 1e9:.1f} G"
      fraction = (
        f"{100 * r['fraction']:.0f} % of {r['matmul_rate'] / 1e9:.0f} G/s"
      )
    lines.append(
      f"| {r['case']} | {r['seconds']:.3f} | {r['peak_gb']:.2f} GB "
      f"| {count} | {fraction} |"
    )
  return "\n".join(lines)


def main() -> None:
  """Measures the cases whose name holds the pattern and prints them."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("pattern", nargs="?", default="")
  parser.add_argument("--write", action="store_true", help="keep the results")
  parser.add_argument(
    "--print", action="store_true", dest="only_print", help="the kept results"
  )
  arguments = parser.parse_args()
  if arguments.only_print:
    print(table(json.loads(RESULTS.read_text())["results"]))
    return
  names = [n for n in case.names() if arguments.pattern in n]
  results = [measure(name) for name in tqdm.tqdm(names)]
  if arguments.write:
    record = {"machine": platform.machine(), "results": results}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
  print(table(results))


if __name__ == "__main__":
  main()
