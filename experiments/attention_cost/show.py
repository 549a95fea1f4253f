"""Fills the page and draws the figure from committed results.

python -m experiments.attention_cost.show
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

import numpy as np

from hinote_jax.evaluate import markdown
from hinote_jax.io import files
from hinote_jax.plots import style

FOLDER = pathlib.Path(__file__).parent
README = FOLDER / "README.md"
RESULTS = FOLDER / "results.json"
FIGURE = "time.png"
PASSES = {"forward": "forward", "both": "forward and backward"}
NONE = "–"

Results = Mapping[str, Any]


def _kinds(rows: Sequence[Results], name: str = "kind") -> list[str]:
  return list(dict.fromkeys(row[name] for row in rows))


def _of(rows: Sequence[Results], kind: str, points: int, name: str, key: str):
  """Returns one number of the costs, None where there is none."""
  for row in rows:
    if (row["kind"], row["points"]) == (kind, points):
      return row[name].get(key)
  return None


def _table_of(rows: Sequence[Results], name: str, key: str, text) -> str:
  sizes = sorted({row["points"] for row in rows})
  lines = [["points", *(f"{n:,}" for n in sizes)]]
  for kind in _kinds(rows):
    values = [_of(rows, kind, n, name, key) for n in sizes]
    lines.append([kind, *(NONE if v is None else text(v) for v in values)])
  return markdown.table(lines)


def _seconds(value: float) -> str:
  """Returns three digits of a time."""
  return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def times(rows: Sequence[Results], name: str) -> str:
  """Returns a pass's seconds of the processor, a row a kind."""
  return _table_of(rows, name, "seconds", _seconds)


def memory(rows: Sequence[Results]) -> str:
  """Returns the peak memory of a process, both passes made."""
  return _table_of(rows, "both", "peak_gb", lambda v: f"{v:.2f} GB")


def reasons(rows: Sequence[Results]) -> str:
  """Returns why a pass has no number, a line each."""
  lines = []
  for row in rows:
    for name, words in PASSES.items():
      if reason := row[name].get("reason"):
        lines.append(
          f"* {row['kind']}, {row['points']:,} points, {words}: {reason}; "
          "more points were not tried"
        )
        break  # the other pass has the same reason, or a number
  return "\n".join(lines)


def _summary(values: Sequence[float]) -> str:
  """Returns a mean, and the least and largest where they differ."""
  low, mean, high = min(values), np.mean(values), max(values)
  text = f"{mean:.3f}"
  return text if len(values) == 1 else f"{text} ({low:.3f}-{high:.3f})"


def distances(rows: Sequence[Results]) -> str:
  """Returns distances to softmax, a row a way, a column a spread of logits."""
  spreads = sorted({row["spread"] for row in rows})
  lines = [["standard deviation of the logits", *(f"{s:g}" for s in spreads)]]
  for way in _kinds(rows, "way"):
    found = [
      [r["distance"] for r in rows if (r["way"], r["spread"]) == (way, s)]
      for s in spreads
    ]
    lines.append([way, *map(_summary, found)])
  return markdown.table(lines)


def tasks(rows: Sequence[Results]) -> str:
  """Returns errors of the learned maps, a row a kind."""
  maps = list(rows[0]["same"])
  head = [f"{m}{more}" for m in maps for more in ("", ", twice as fine")]
  lines = [["attention", *head, "seeds"]]
  for kind in _kinds(rows):
    own = [r for r in rows if r["kind"] == kind]
    cells = [
      _summary([r[where][m] for r in own])
      for m in maps
      for where in ("same", "finer")
    ]
    lines.append([kind, *cells, str(len(own))])
  return markdown.table(lines)


def _joined(parts: Sequence[str]) -> str:
  return " and ".join(
    ", ".join(part) for part in (parts[:-1], parts[-1:]) if part
  )


def answer(results: Results) -> str:
  """Returns in two sentences which attention costs what, and is worth what."""
  parts = []
  if results["cost"]:
    parts.append(_cost_in_words(results["cost"]))
  if results["task"]:
    parts.append(_worth_in_words(results["task"], results["plan"]["steps"]))
  return " ".join(parts)


def _cost_in_words(rows: Sequence[Results]) -> str:
  """Returns the times at the largest size that all kinds had or gave up."""
  sizes = sorted({row["points"] for row in rows})
  had = {
    kind: [n for n in sizes if _of(rows, kind, n, "both", "seconds")]
    for kind in _kinds(rows)
  }
  ended = {row["kind"] for row in rows if "reason" in row["both"]}
  largest = min(
    (max(own) for kind, own in had.items() if own and kind not in ended),
    default=sizes[0],
  )
  seconds = {
    kind: _of(rows, kind, largest, "both", "seconds")
    for kind, own in had.items()
    if largest in own
  }
  ranked = sorted(seconds, key=lambda kind: seconds[kind])
  said = _joined([f"{kind} {_seconds(seconds[kind])}" for kind in ranked])
  text = (
    f"Forward and backward over {largest:,} points take, in seconds of the "
    f"processor: {said}"
  )
  last = [
    f"{kind} at {own[-1]:,}"
    for kind, own in had.items()
    if own and own[-1] < largest
  ]
  return text + (f"; others end before, {_joined(last)}." if last else ".")


def _worth_in_words(rows: Sequence[Results], steps: int) -> str:
  maps = list(rows[0]["same"])
  errors = {
    kind: [
      float(np.mean([r["same"][m] for r in rows if r["kind"] == kind]))
      for m in maps
    ]
    for kind in _kinds(rows)
  }
  said = _joined(
    [
      f"{kind} {' / '.join(f'{100 * e:.0f} %' for e in errors[kind])}"
      for kind in sorted(errors, key=errors.__getitem__)
    ]
  )
  return (
    f"After {steps} steps each, the relative error of the learned maps "
    f"({' / '.join(maps)}) is: {said}."
  )


def machine(results: Results) -> str:
  """Returns on what the times were measured."""
  versions = results["versions"]
  return (
    f"{results['machine']}, jax {versions['jax']}; the load of the machine was "
    f"{results['load']:.1f} at the end, where 1 is a core in use."
  )


def blocks(results: Results) -> dict[str, str]:
  """Returns what the page holds, by name; nothing of what has not been run."""
  cost = results["cost"]
  made = {"answer": answer(results), "machine": machine(results)}
  if cost:
    made |= {name: times(cost, name) for name in PASSES}
    made |= {"memory": memory(cost), "reasons": reasons(cost)}
    made["figure"] = f"![time against points]({FIGURE})"
  if results["distance"]:
    made["distance"] = distances(results["distance"])
  if results["task"]:
    made["task"] = tasks(results["task"])
  return made


def draw(rows: Sequence[Results], path: pathlib.Path) -> None:
  """Draws time against points, a curve a kind; dots are the forward pass."""
  names = _kinds(rows)
  colors = style.colors(names)
  with style.context():
    drawn = style.figure(7.0, 4.2)
    axes = drawn.subplots()
    for kind in names:
      for name, dash in (("both", "-"), ("forward", ":")):
        points = [
          (row["points"], row[name]["seconds"])
          for row in rows
          if row["kind"] == kind and "seconds" in row[name]
        ]
        if points:
          label = kind if name == "both" else None
          look = dict(color=colors[kind], ls=dash, marker=".", label=label)
          axes.loglog(*zip(*points, strict=True), **look)
    axes.set(
      xlabel="points",
      ylabel="seconds of the processor",
      title="Forward and backward; forward alone (dots)",
    )
    axes.grid(True)
    axes.legend()
    style.save(drawn, path)


def fill(folder: pathlib.Path, results: Results) -> None:
  """Writes the page and its figure; elsewhere a copy of the page."""
  page = markdown.filled(README.read_text(), blocks(results))
  files.write_text(folder / README.name, page)
  if results["cost"]:
    draw(results["cost"], folder / FIGURE)
  print(answer(results))


def main() -> None:
  """Fills the page and prints its answer."""
  fill(FOLDER, json.loads(RESULTS.read_text()))


if __name__ == "__main__":
  main()
