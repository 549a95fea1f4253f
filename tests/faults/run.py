"""Trials of damage, all kinds of them, by seeds; and what became of them.

    python -m tests.faults.run --share 0.1

prints a table and writes it to tests/faults/summary.md. Bad ones are listed
with their seeds: `trials(seed, 1)` of the part makes one again.
"""

import argparse
import collections
import concurrent.futures
import importlib
import importlib.util
import os
import pathlib
import sys
import time

from tests.faults import outcome

# Part -> how many trials.
PARTS = {
  "kills": 300,
  "corruptions": 300,
  "files": 2000,
  "configs": 1000,
  "arguments": 1000,
}
_SUMMARY = pathlib.Path(__file__).with_name("summary.md")


def _environment() -> None:
  """Sets what is read once, when JAX is imported."""
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
  # Tiny programs gain nothing by the compiler's best.
  os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def _run(part: str, seed: int, count: int) -> list[outcome.Outcome]:
  trials = importlib.import_module(f"tests.faults.{part}").trials
  return list(trials(seed, count))


def run(share: float, processes: int = 2) -> list[outcome.Outcome]:
  """Returns what became of a share of all trials, by processes at once."""
  outcomes = []
  pool = concurrent.futures.ProcessPoolExecutor(
    processes, initializer=_environment
  )
  with pool:
    waiting = []
    for part, most in PARTS.items():
      if importlib.util.find_spec(f"tests.faults.{part}") is None:
        continue
      count = max(round(most * share), processes)
      each = -(-count // processes)
      for seed in range(0, count, each):
        size = min(each, count - seed)
        waiting.append(pool.submit(_run, part, seed, size))
    for done in concurrent.futures.as_completed(waiting):
      outcomes += done.result()
  return outcomes


def table(outcomes: list[outcome.Outcome]) -> str:
  """Returns the counts of each kind and verdict, and every bad one."""
  verdicts = (*outcome.GOOD, *outcome.BAD)
  counts = collections.Counter((o.kind, o.verdict) for o in outcomes)
  rows = [("kind", *verdicts), ("---",) * (1 + len(verdicts))]
  for kind in sorted({o.kind for o in outcomes}):
    rows.append((kind, *(str(counts[kind, v]) for v in verdicts)))
  lines = [f"| {' | '.join(row)} |" for row in rows]
  bad = sorted(o for o in outcomes if o.verdict in outcome.BAD)
  lines += ["", f"{len(outcomes)} trials, {len(bad)} bad."]
  lines += [f"* {o.kind} {o.seed}, {o.verdict}: {o.detail}" for o in bad]
  return "\n".join(lines) + "\n"


def main() -> int:
  """Runs them; the exit code is 1 where one is bad."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--share", type=float, default=1.0, help="of all trials")
  asked = parser.parse_args()
  _environment()
  started = time.monotonic()
  outcomes = run(asked.share)
  text = table(outcomes)
  minutes = (time.monotonic() - started) / 60
  print(f"{text}\n{minutes:.1f} minutes")
  _SUMMARY.write_text(
    "# What became of all trials\n\n"
    f"`python -m tests.faults.run --share {asked.share:g}`\n\n{text}"
  )
  return int(any(o.verdict in outcome.BAD for o in outcomes))


if __name__ == "__main__":
  sys.exit(main())
