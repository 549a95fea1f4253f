"""Prints the table of speed and memory.

    python -m benchmarks.run [--write | --print] [PATTERN]

Each case runs in a fresh process, so that peak memory is its own. The rate of
a float32 matrix product of side 2048 is measured in the same process; the
fraction is of that rate, with operations counted by `operations`. Peak memory
is the whole process: interpreter, JAX, compilation and all.
"""

import argparse
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
  told,
  trainer,
  windows,
)
from hinote_jax.evaluate import markdown

RESULTS = pathlib.Path(__file__).with_name("results.json")
PUBLISHED = pathlib.Path(__file__).with_name("published.json")

# Module that runs a case -> its cases.
_CASES = {
  "case": case.CASES,
  "streaming": streaming.CASES,
  "windows": windows.CASES,
  "tables": tables.CASES,
  "consistent": consistent.CASES,
  "data_step": data_step.CASES,
  "trainer": trainer.CASES,
  "told": told.CASES,
  "cores": cores.CASES,
}


def measure(name: str) -> dict:
  """Runs one case in a process of its own."""
  module = next(m for m, cases in _CASES.items() if name in cases)
  done = subprocess.run(
    [sys.executable, "-m", f"benchmarks.{module}", name],
    check=True,
    capture_output=True,
    text=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def table(results: list[dict]) -> str:
  """Returns the results as Markdown, those with a published rival apart."""
  published = json.loads(PUBLISHED.read_text())
  tiled = [r for r in results if r["case"] in streaming.CASES]
  made = [r for r in results if r["case"] in windows.CASES]
  read = [r for r in results if r["case"] in tables.CASES]
  met = [r for r in results if r["case"] in consistent.CASES]
  steps = [r for r in results if r["case"] in data_step.CASES]
  trained = [r for r in results if r["case"] in trainer.CASES]
  given = [r for r in results if r["case"] in told.CASES]
  shared = [r for r in results if r["case"] in cores.CASES]
  others = tiled + made + read + met + steps + trained + given + shared
  results = [r for r in results if r not in others]
  turned, alone = published["alternately"], published["alone"]
  rivals = [r for r in results if r["case"] in turned["results"]]
  distant = [r for r in results if r["case"] in alone["results"]]
  own = [r for r in results if r not in rivals + distant]
  parts = [_speeds(own)] if own else []
  if rivals:
    parts.append(
      "The networks of others, at the sizes that their authors publish; beside "
      f"them {turned['source']}:\n\n"
      + _speeds(rivals, turned=turned["results"])
    )
  if distant:
    parts.append(
      f"Others, and {alone['source']}:\n\n"
      + _speeds(distant, alone=alone["results"])
    )
  if shared:
    parts.append(
      "What it wins to have convolutions run on all cores, as every network "
      "here is compiled on a CPU, over what XLA does by itself, in turns in "
      "one process:\n\n" + _shared(shared)
    )
  if tiled:
    parts.append(
      f"Exact inference in tiles with `memory={streaming.MEMORY}` (1GB for "
      "networks of one scale), beside the same result computed whole in the "
      "same process and how far the two differ, in standard deviations:\n\n"
      + _tiled(tiled)
    )
  if made:
    parts.append(
      "Training windows from the cache a second, by the one thread that makes "
      f"them in a run and by {made[0]['cores']} processes:\n\n" + _made(made)
    )
  if read:
    parts.append(
      "Look-up tables over a photograph of bytes, in colour, compiled by "
      "Numba, beside Pillow's bicubic in the same process:\n\n" + _read(read)
    )
  if met:
    parts.append(
      "The input met by `--consistent` at twice its cells, in closed form and "
      "by the iterations that were there before, in seconds of the processor, "
      "and how far the results are from each other as a part of their range:"
      "\n\n" + _met(met)
    )
  if steps:
    parts.append(
      "The closed form that networks that unfold have in each iteration, "
      "beside the Fourier transforms of its grid alone, forth and back, in "
      "turns in one process:\n\n" + _stepped(steps)
    )
  if trained:
    parts.append(
      "A training run's step beside the compiled program alone, in turns in "
      "one process, and what a checkpoint that is written behind holds up:"
      "\n\n" + _trained(trained)
    )
  if given:
    parts.append(
      "A training step told of the static fields of the demo beside one told "
      "nothing, in turns in one process:\n\n" + _given(given)
    )
  return "\n\n".join(parts)


def _given(results) -> str:
  lines = [["case", "told nothing", "told", "times as long"]]
  for r in results:
    seconds = (r["untold_seconds"], r["told_seconds"])
    row = [r["case"], *(f"{1e3 * each:.0f} ms" for each in seconds)]
    lines.append([*row, f"{r['ratio']:.2f}"])
  return markdown.table(lines)


def _trained(results) -> str:
  lines = [["case", "compiled step", "step of a run", "more", "checkpoint"]]
  for r in results:
    bare, whole = r["bare_seconds"], r["trained_seconds"]
    row = [r["case"], f"{1e3 * bare:.1f} ms", f"{1e3 * whole:.1f} ms"]
    row += [f"{100 * (whole / bare - 1):.1f} %"]
    lines.append([*row, f"{100 * r['saving_seconds'] / bare:.1f} % of a step"])
  return markdown.table(lines)


def _stepped(results) -> str:
  lines = [["case", "times the transforms"]]
  lines += [[r["case"], f"{r['ratio']:.1f}"] for r in results]
  return markdown.table(lines)


def _met(results) -> str:
  lines = [["case", "closed form", "steps", "before", "steps", "difference"]]
  for r in results:
    row = [r["case"], f"{r['consistent_seconds']:.2f} s", str(r["steps"])]
    row += [f"{r['before_seconds']:.2f} s", str(r["before_steps"])]
    lines.append([*row, f"{r['difference']:.1e}"])
  return markdown.table(lines)


def _read(results) -> str:
  lines = [["case", "ms", "Pillow's bicubic", "times Pillow's"]]
  for r in results:
    own, pillow = 1e3 * r["seconds"], 1e3 * r["pillow"]
    row = [r["case"], f"{own:.1f}", f"{pillow:.1f}", f"{own / pillow:.1f}"]
    lines.append(row)
  return markdown.table(lines)


def _made(results) -> str:
  lines = [["case", "one thread", "all cores"]]
  for r in results:
    rates = (r["windows_a_second"], r["windows_a_second_of_all"])
    lines.append([r["case"], *(f"{rate:,.0f}" for rate in rates)])
  return markdown.table(lines)


def _tiled(results) -> str:
  lines = [
    [
      "case",
      "seconds",
      "ns a point",
      "passes",
      "peak memory",
      "whole",
      "tiles / whole",
      "whole, peak memory",
      "difference",
    ]
  ]
  for r in results:
    whole = ["-"] * 4
    if "untiled_seconds" in r:
      whole = [
        f"{r['untiled_seconds']:.2f} s",
        f"{r['seconds'] / r['untiled_seconds']:.2f}",
        f"{r['untiled_peak_gb']:.2f} GB",
        f"{r['error']:.1e}" if "error" in r else "-",
      ]
    seconds, each = r["seconds"], 1e9 * r["seconds"] / r["points"]
    peak = f"{r['peak_gb']:.2f} GB"
    row = [r["case"], f"{seconds:.2f}", f"{each:.0f}", str(r["passes"]), peak]
    lines.append(row + whole)
  return markdown.table(lines)


def _shared(results) -> str:
  lines = [["case", "XLA's own pass", "times faster"]]
  lines[0] += ["XLA's own gradient", "times faster"]
  for r in results:
    row = [r["case"]]
    for kind in ("forward", "gradient"):
      row.append(f"{1e3 * r[f'{kind}_seconds']:.0f} ms")
      row.append(f"{r[f'{kind}_ratio']:.2f}")
    lines.append(row)
  return markdown.table(lines)


def _speeds(results, turned=None, alone=None) -> str:
  lines = [
    ["case", "seconds", "peak memory", "operations", "of the matmul rate"]
  ]
  if turned:
    lines[0] += [
      "PyTorch's seconds / ours, in turns",
      "memory, ours, PyTorch's",
    ]
  if alone:
    lines[0] += ["published code, alone"]
  for r in results:
    count, fraction = "-", "-"
    if r["operations"]:
      count = f"{r['operations'] / 1e9:.1f} G"
      rate = r["matmul_rate"] / 1e9
      fraction = f"{100 * r['fraction']:.0f} % of {rate:.0f} G/s"
    seconds, memory = f"{r['seconds']:.3f}", f"{r['peak_gb']:.2f} GB"
    lines.append([r["case"], seconds, memory, count, fraction])
    if turned:
      other = turned[r["case"]]
      low, middle, high = sorted(other["ratios"])
      lines[-1].append(f"{middle} ({low} to {high})")
      lines[-1].append("{:.2f}, {:.2f} GB".format(*other["peak_gb"]))
    if alone:
      other = alone[r["case"]]
      lines[-1].append(f"{other['seconds']:.3g} s, {other['peak_gb']:.2f} GB")
  return markdown.table(lines)


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
  known = [name for cases in _CASES.values() for name in cases]
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
