"""What the runs of a question scored, and how a page shows it."""

from collections.abc import Mapping, Sequence
import functools
import pathlib
from typing import Any

import numpy as np

from hinote_jax.evaluate import markdown, scores
from hinote_jax.plots import style

MSE, PARTING = "mse", "parting_wavenumber"


def key(fields: str, variant: str, seed: int) -> str:
  """Returns what a run is called."""
  return f"{fields}/{variant}/{seed}"


class Errors:
  """What the runs of a question scored, over bicubic interpolation."""

  def __init__(self, question: Any, known: Mapping[str, Any]):
    """Takes what results.json holds."""
    self.question, self.known = question, known

  @functools.cached_property
  def fields(self) -> list[str]:
    """Returns the fields of which there are runs."""
    return [name for name in self.question.fields if self.variants(name)]

  def variants(self, fields: str) -> list[str]:
    """Returns the variants of which there are runs."""
    return [
      name
      for name in self.question.variants_of(fields)
      if self.seeds(fields, name)
    ]

  def seeds(self, fields: str, variant: str) -> list[int]:
    """Returns the seeds of which there are runs."""
    parts = (name.rsplit("/", 1) for name in self.known["runs"])
    return sorted(int(s) for name, s in parts if name == f"{fields}/{variant}")

  def of(
    self, fields: str, variant: str, scale: float | None = None, score=MSE
  ) -> dict[int, float]:
    """Returns seed -> a score, mean over variables.

    Args:
      fields: of the question.
      variant: likewise.
      scale: one of them; None is the mean over all.
      score: of a row of the report; `MSE` is over bicubic's.
    """
    made = {}
    for seed in self.seeds(fields, variant):
      rows = self.known["runs"][key(fields, variant, seed)]["rows"]
      made[seed] = _mean(rows, rows[0]["model"], scale, score)
    return made

  def rivals(self, fields: str, scale: float, score: str) -> dict[str, float]:
    """Returns name -> a score of what was scored beside the runs, untrained."""
    variant = self.variants(fields)[0]
    seed = self.seeds(fields, variant)[0]
    rows = self.known["runs"][key(fields, variant, seed)]["rows"]
    names = dict.fromkeys(row["model"] for row in rows)
    del names[rows[0]["model"]]
    return {name: _mean(rows, name, scale, score) for name in names}

  def change(
    self,
    fields: str,
    variant: str,
    scale: float | None = None,
    reference: str | None = None,
  ) -> np.ndarray:
    """Returns by what part the error differs, a number a seed.

    Args:
      fields: of the question.
      variant: likewise.
      scale: as of `of`.
      reference: another variant, of the same seed; None is the first of the
        group.
    """
    own = self.of(fields, variant, scale)
    other = self.of(
      fields, reference or self.question.reference(variant), scale
    )
    both = [seed for seed in own if seed in other]
    return np.array([own[seed] / other[seed] - 1.0 for seed in both])


def _mean(rows, model, scale, score):
  """Returns a score of one model, the mean over variables, and over scales."""
  own, base = (
    {
      (row["variable"], row["scale"]): row[score]
      for row in rows
      if row["model"] == name and scale in (None, row["scale"])
    }
    for name in (model, scores.BASELINE)
  )
  unit = base if score == MSE else dict.fromkeys(own, 1.0)
  return float(np.mean([own[k] / unit[k] for k in own]))


def words(change: np.ndarray) -> str:
  """Returns a change as "+3.1 % (2.0 to 4.4)", or that there is none."""
  if not len(change):
    return "not run"
  mean, low, high = 100 * np.array([change.mean(), change.min(), change.max()])
  spread = f" ({low:+.1f} to {high:+.1f})" * (len(change) > 1)
  return f"{mean:+.1f} %{spread}"


def is_told(change: np.ndarray) -> bool:
  """Returns whether all seeds say the same of a change, and more than 1 %."""
  signs = set(np.sign(change))
  return bool(len(change) > 1 and len(signs) == 1 and abs(change.mean()) > 0.01)


def doubt(change: np.ndarray, seeds: int = 3) -> str:
  """Returns what is to be said after a change that seeds do not confirm.

  Args:
    change: a number a seed.
    seeds: how many there should be.
  """
  if len(change) < 2:
    return ", by one seed"
  if not is_told(change):
    return ", which seeds do not agree on"
  return f", by {len(change)} seeds alone" if len(change) < seeds else ""


def table(errors: Errors, fields: str) -> str:
  """Returns errors over bicubic's, a row a variant; ± is half the spread."""
  question = errors.question
  header = ["variant", "parameters", "steps", "ms a step"]
  header += [f"x{scale:g}" for scale in question.scales]
  lines = [[*header, "error differs by", *question.columns]]
  for variant in errors.variants(fields):
    first = key(fields, variant, errors.seeds(fields, variant)[0])
    run = errors.known["runs"][first]
    step = errors.known["seconds_a_step"].get(f"{fields}/{variant}")
    row = [variant, f"{run['parameters']:,}", f"{run['steps']}"]
    row += [f"{1e3 * step:.0f}" if step else "-"]
    scored = {r["scale"] for r in run["rows"]}
    for scale in question.scales:
      values = scale in scored and errors.of(fields, variant, scale).values()
      row.append(cell(list(values)) if values else "-")
    change = words(errors.change(fields, variant))
    change = change if variant != question.reference(variant) else ""
    means = [
      np.mean(list(errors.of(fields, variant, max(scored), score).values()))
      for score in question.columns.values()
    ]
    lines.append([*row, change, *(f"{mean:.2f}" for mean in means)])
  largest = max(question.scales)
  for name in errors.rivals(fields, largest, MSE):
    row = [name, "", "", ""]
    for scale in question.scales:
      row.append(f"{errors.rivals(fields, scale, MSE)[name]:.3f}")
    row.append("")
    for score in question.columns.values():
      row.append(f"{errors.rivals(fields, largest, score)[name]:.2f}")
    lines.append(row)
  return markdown.table(lines)


def cell(values: Sequence[float] | None) -> str:
  """Returns a mean and half of what values differ by, "" for none."""
  if not values:
    return ""
  spread = 0.5 * (max(values) - min(values))
  return f"{np.mean(values):.3f}" + f" ± {spread:.3f}" * (len(values) > 1)


def figure(errors: Errors, path: pathlib.Path) -> None:
  """Draws how far every variant is from the first of its group, by seeds."""
  question = errors.question
  shown = {
    fields: {
      variant: 100 * errors.change(fields, variant)
      for variant in errors.variants(fields)
      if question.reference(variant) != variant
    }
    for fields in errors.fields
  }
  changes_figure(shown, "squared error differs by, %", path)


def changes_figure(
  shown: Mapping[str, Mapping[str, np.ndarray]], label: str, path: pathlib.Path
) -> None:
  """Draws changes, a panel a title, a row a variant, a point a seed.

  Args:
    shown: title -> variant -> a number a seed.
    label: of the numbers.
    path: of the figure.
  """
  count = max(map(len, shown.values()))
  with style.context():
    drawn = style.figure(4.8 * len(shown), 1.0 + 0.26 * count)
    panels = drawn.subplots(1, len(shown), squeeze=False)[0]
    for axes, (title, changes) in zip(panels, shown.items(), strict=True):
      rows = list(reversed(changes.items()))
      for place, (_, change) in enumerate(rows):
        axes.plot(change, [place] * len(change), "o", color="C0", alpha=0.5)
        axes.plot(change.mean(), place, "|", color="k", markersize=14)
      axes.axvline(0.0, color=style.FAINT)
      axes.set_yticks(range(len(rows)), [variant for variant, _ in rows])
      axes.set(xlabel=label, title=title)
    style.save(drawn, path)
