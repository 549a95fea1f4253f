"""Trials of damage, all kinds of them, by seeds; and what became of them.

    python -m tests.faults.run --share 0.1

prints a table and writes it to tests/faults/summary.md. Bad ones are listed
with their seeds: `trials(seed, 1)` of the part makes one again. What is done is
kept in runs/faults, so that the same command goes on where it was stopped;
--anew begins again.
"""

import argparse
import collections
import concurrent.futures
import importlib
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time

import tqdm

from tests import quick_xla
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
_KEPT = pathlib.Path("runs/faults")
_CHUNK = 50  # trials that one process makes and hands in together


def _environment() -> None:
  """Sets what is read once, when JAX is imported."""
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
  # Tiny programs gain nothing by the compiler's best.
  os.environ.setdefault("XLA_FLAGS", quick_xla.flags(1))


def _run(part: str, seed: int, count: int) -> list[outcome.Outcome]:
  trials = importlib.import_module(f"tests.faults.{part}").trials
  return list(trials(seed, count))


def _chunks(share: float) -> list[tuple[str, int, int]]:
  """Returns the part, first seed and count of what is run together."""
  chunks = []
  for part, count in PARTS.items():
    count = max(round(count * share), 2)
    size = min(_CHUNK, -(-count // 2))
    for seed in range(0, count, size):
      chunks.append((part, seed, min(size, count - seed)))
  return chunks


def run(
  share: float, kept: pathlib.Path, processes: int = 2
) -> list[outcome.Outcome]:
  """Returns what became of a share of all trials, by processes at once.

  Args:
    share: of all trials.
    kept: folder of what was run before, a file a chunk, which is not run again.
    processes: at once.
  """
  kept.mkdir(parents=True, exist_ok=True)
  chunks = _chunks(share)
  files = {c: kept / f"{'-'.join(map(str, c))}.json" for c in chunks}
  due = [c for c in chunks if not files[c].exists()]
  total = sum(count for *_, count in due)
  pool = concurrent.futures.ProcessPoolExecutor(
    processes, initializer=_environment
  )
  with pool, tqdm.tqdm(total=total, unit="trial") as progress:
    waiting = {pool.submit(_run, *chunk): chunk for chunk in due}
    for done in concurrent.futures.as_completed(waiting):
      chunk = waiting[done]
      part = files[chunk].with_suffix(".part")
      part.write_text(json.dumps(done.result()))
      part.replace(files[chunk])
      progress.update(chunk[-1])
      progress.set_postfix_str(chunk[0])
  rows = [row for c in chunks for row in json.loads(files[c].read_text())]
  return [outcome.Outcome(*row) for row in rows]


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
  for kind, seed, verdict, detail in bad:
    lines.append(f"* {kind} {seed}, {verdict}: {' '.join(detail.split())}")
  return "\n".join(lines) + "\n"


def main() -> int:
  """Runs them; the exit code is 1 where one is bad."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--share", type=float, default=1.0, help="of all trials")
  parser.add_argument("--anew", action="store_true", help="forget what is kept")
  asked = parser.parse_args()
  _environment()
  started = time.monotonic()
  if asked.anew:
    shutil.rmtree(_KEPT, ignore_errors=True)
  outcomes = run(asked.share, _KEPT)
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
