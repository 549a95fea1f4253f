"""A question that runs answer: variants of one training, on fields, by seeds.

A page's `run` says what its variants change and what their errors say; here
they are trained, kept and shown. Each run is kept in results.json and done
once; one that was stopped goes on.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import functools
import json
import pathlib
from typing import Any

import numpy as np

from configs import baselines, hinote
from experiments import equal_time, flows
from hinote_jax.core import naming
from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files, inputs
from hinote_jax.train import workdir

FIELDS = ("turbulence", "weather")
_SMOKE = {
  "windows.window": (8, 8),
  "windows.queries": (8, 8),
  "batch_size": 2,
  "validation_examples": 2,
}
_KEPT = ("model", "variable", "scale", "mse", "parting_wavenumber")
MSE, PARTING = "mse", "parting_wavenumber"


@dataclasses.dataclass(frozen=True)
class Question:
  """What is trained, and what it says.

  Attributes:
    folder: of the page, which has README.md and results.json.
    variants: name -> fields of the config that it changes. "model" is the
      network, hinote where it is left out; "fields" says which fields alone. A
      name "GROUP, CHANGE" is compared with the first of its group.
    answer: what errors say, in two sentences.
    fields: of `FIELDS`.
    steps: of every training.
    scales: that are scored.
    seconds: of every training instead, by the steps that were timed alone.
    seeds: how many.
    is_of_one_variable: learn the first variable alone.
  """

  folder: pathlib.Path
  variants: Mapping[str, Mapping[str, Any]]
  answer: Callable[["Errors"], str]
  fields: Sequence[str] = FIELDS
  steps: int = 600
  scales: Sequence[float] = (2.0, 3.0, 4.0)
  seconds: float | None = None
  seeds: int = 3
  is_of_one_variable: bool = False

  @property
  def root(self) -> pathlib.Path:
    """Where runs are."""
    return pathlib.Path("runs") / self.folder.name

  def reference(self, variant: str) -> str:
    """Returns what a variant is compared with."""
    group = variant.split(", ")[0]
    return next(v for v in self.variants if v.split(", ")[0] == group)

  def variants_of(self, fields: str) -> Iterator[str]:
    """Returns the variants that learn these fields."""
    for name, changes in self.variants.items():
      if fields in changes.get("fields", self.fields):
        yield name

  def config(
    self, fields: str, variant: str, seed: int, steps: int, is_smoke=False
  ):
    """Returns the config of a run."""
    changes = dict(self.variants[variant])
    changes.pop("fields", None)
    model = changes.pop("model", "hinote")
    base = "untold" if fields == "turbulence" else "demo"
    if model == "hinote":
      made = hinote.get_config(base)
    else:
      made = baselines.get_config(f"model={model},{base}")
      with made.unlocked():
        made.loss = hinote.get_config(base).loss
        made.loss.name = "l1"
    if fields == "turbulence":
      flows.put(made, is_small=is_smoke)
    made.degradation, made.windows.whole = "area", 0.25
    if self.is_of_one_variable:
      made.data.variables = made.data.variables[:1]
    made.update_from_flattened_dict(changes | (_SMOKE if is_smoke else {}))
    made.seed, made.steps, made.validate_every = seed, steps, max(steps // 4, 1)
    made.evaluate.scales = self.scales[:1] if is_smoke else self.scales
    if "scale" in made.model:
      made.evaluate.scales = (made.model.scale,)
    made.evaluate.against, made.evaluate.figures = (scores.BASELINE,), False
    return made


class Errors:
  """What the runs of a question scored, over bicubic interpolation."""

  def __init__(self, question: Question, known: Mapping[str, Any]):
    """Takes what results.json holds."""
    self.question, self.known = question, known

  @functools.cached_property
  def fields(self) -> list[str]:
    """Returns the fields of which there are runs."""
    found = {key.split("/")[0] for key in self.known["runs"]}
    return [name for name in self.question.fields if name in found]

  def variants(self, fields: str) -> list[str]:
    """Returns the variants of which there are runs."""
    return [
      name
      for name in self.question.variants_of(fields)
      if self.seeds(fields, name)
    ]

  def seeds(self, fields: str, variant: str) -> list[int]:
    """Returns the seeds of which there are runs."""
    return [
      seed
      for seed in range(self.question.seeds)
      if _key(fields, variant, seed) in self.known["runs"]
    ]

  def of(
    self, fields: str, variant: str, scale: float | None = None, score=MSE
  ) -> dict[int, float]:
    """Returns seed -> a score over bicubic's, mean over variables.

    Args:
      fields: of the question.
      variant: likewise.
      scale: one of them; None is the mean over all.
      score: `MSE`, or `PARTING`: where spectra part, over bicubic's.
    """
    made = {}
    for seed in self.seeds(fields, variant):
      table: dict[str, dict[tuple, float]] = {}
      for row in self.known["runs"][_key(fields, variant, seed)]["rows"]:
        if scale in (None, row["scale"]):
          where = row["variable"], row["scale"]
          table.setdefault(row["model"], {})[where] = row[score]
      base = table.pop(scores.BASELINE)
      ((_, own),) = table.items()
      made[seed] = float(np.mean([own[k] / base[k] for k in own]))
    return made

  def change(self, fields: str, variant: str) -> np.ndarray:
    """Returns by what part the error differs, a number a seed.

    The reference is the first of the group, with the same seed.
    """
    own = self.of(fields, variant)
    other = self.of(fields, self.question.reference(variant))
    both = [seed for seed in own if seed in other]
    return np.array([own[seed] / other[seed] - 1.0 for seed in both])


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
  return len(change) > 1 and len(signs) == 1 and abs(change.mean()) > 0.01


def table(errors: Errors, fields: str) -> str:
  """Returns errors over bicubic's, a row a variant; ± is half the spread."""
  question = errors.question
  header = ["variant", "parameters", "steps", "ms a step"]
  header += [f"x{scale:g}" for scale in question.scales]
  lines = [[*header, "error differs by", "spectra part"]]
  for variant in errors.variants(fields):
    first = _key(fields, variant, errors.seeds(fields, variant)[0])
    run = errors.known["runs"][first]
    step = errors.known["seconds_a_step"].get(f"{fields}/{variant}")
    row = [variant, f"{run['parameters']:,}", f"{run['steps']}"]
    row += [f"{1e3 * step:.0f}" if step else "-"]
    scored = {r["scale"] for r in run["rows"]}
    for scale in question.scales:
      values = scale in scored and errors.of(fields, variant, scale).values()
      row.append(_cell(list(values)) if values else "-")
    change = words(errors.change(fields, variant))
    change = change if variant != question.reference(variant) else ""
    parting = errors.of(fields, variant, max(scored), PARTING).values()
    lines.append([*row, change, f"{np.mean(list(parting)):.2f}"])
  return markdown.table(lines)


def _cell(values):
  spread = 0.5 * (max(values) - min(values))
  return f"{np.mean(values):.3f}" + f" ± {spread:.3f}" * (len(values) > 1)


def figure(errors: Errors, path: pathlib.Path) -> None:
  """Draws how far every variant is from the first of its group."""
  plt = inputs.require("matplotlib.pyplot", "plots")
  groups = [
    (
      fields,
      [v for v in errors.variants(fields) if errors.question.reference(v) != v],
    )
    for fields in errors.fields
  ]
  count = max(len(variants) for _, variants in groups)
  figure_, axes = plt.subplots(
    1,
    len(groups),
    figsize=(4.5 * len(groups), 0.9 + 0.24 * count),
    squeeze=False,
    layout="constrained",
  )
  for axis, (fields, variants) in zip(axes[0], groups, strict=True):
    for place, variant in enumerate(reversed(variants)):
      change = 100 * errors.change(fields, variant)
      axis.plot(change, [place] * len(change), "o", color="C0", alpha=0.5)
      axis.plot(change.mean(), place, "|", color="k", markersize=14)
    axis.axvline(0.0, color="0.5", linewidth=0.8)
    axis.set_yticks(range(len(variants)), list(reversed(variants)))
    axis.set_xlabel("error differs by, %")
    axis.set_title(fields)
  figure_.savefig(path, dpi=110)
  plt.close(figure_)


def _key(fields, variant, seed):
  return f"{fields}/{variant}/{seed}"


def _folder(question, key):
  return question.root / key.replace(", ", "_").replace(" ", "_")


def read(question: Question) -> dict[str, Any]:
  """Returns what is known."""
  path = question.folder / "results.json"
  if path.is_file():
    return json.loads(path.read_text())
  return {"seconds_a_step": {}, "runs": {}}


def _write(question, known):
  known["versions"] = workdir.versions()
  workdir.write_json(question.folder / "results.json", known)


def timed(question: Question, fields: Sequence[str]) -> None:
  """Times a step of every variant that is not timed yet."""
  known = read(question)
  for name in fields:
    for variant in question.variants_of(name):
      key = f"{name}/{variant}"
      if key not in known["seconds_a_step"]:
        known["seconds_a_step"][key] = equal_time.seconds_a_step(
          question.config(name, variant, 0, 1), question.root / "probe", 20
        )
        _write(question, known)


def trained(question: Question, fields: Sequence[str], seeds: int) -> None:
  """Trains what is not there.

  Raises:
    SystemExit: runs are of the same time, and a step has not been timed.
  """
  known = read(question)
  for seed in range(seeds):
    for name in fields:
      for variant in question.variants_of(name):
        key, steps = _key(name, variant, seed), question.steps
        if key in known["runs"]:
          continue
        if question.seconds is not None:
          step = known["seconds_a_step"].get(f"{name}/{variant}")
          if step is None:
            raise SystemExit(f"{key}: time its step first, by --time")
          steps = int(question.seconds / step)
        made = question.config(name, variant, seed, steps)
        known["runs"][key] = _done(made, _folder(question, key))
        _write(question, known)
        show(question)


def _done(made, folder):
  run = equal_time.trained(made, folder)
  run["rows"] = [
    {field: row[field] for field in _KEPT if field in row}
    for row in run["rows"]
  ]
  return run


def smoke(question: Question) -> dict[str, Any]:
  """Trains two variants of every group a few steps; they are kept nowhere."""
  known: dict[str, Any] = {"seconds_a_step": {}, "runs": {}}
  for name in question.fields:
    variants = list(question.variants_of(name))
    firsts = dict.fromkeys(question.reference(v) for v in variants)
    for variant in [*firsts, variants[-1]]:
      made = question.config(name, variant, 0, 4, is_smoke=True)
      key = _key(name, variant, 0)
      folder = _folder(question, f"smoke/{key}")
      known["runs"][key] = _done(made, folder)
  return known


def show(question: Question) -> str:
  """Fills the page and returns its answer."""
  errors = Errors(question, read(question))
  if not errors.fields:
    return "not run yet"
  made = {"answer": question.answer(errors)}
  made["errors"] = "\n\n".join(
    f"### {fields}\n\n{table(errors, fields)}" for fields in errors.fields
  )
  page = question.folder / "README.md"
  files.write_text(page, markdown.filled(page.read_text(), made))
  return made["answer"]


def main(question: Question, argv: Sequence[str] | None = None) -> None:
  """Trains or times what is not there, and fills the page."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--only", default=",".join(question.fields))
  parser.add_argument("--seeds", type=int, default=question.seeds)
  parser.add_argument("--time", action="store_true", help="on a quiet machine")
  parser.add_argument("--smoke", action="store_true", help="minutes, no page")
  parser.add_argument("--show", action="store_true", help="train nothing")
  asked = parser.parse_args(argv)
  fields = asked.only.split(",")
  for name in fields:
    naming.look_up("fields", name, dict.fromkeys(question.fields))
  if asked.smoke:
    errors = Errors(question, smoke(question))
    print(*(table(errors, name) for name in errors.fields), sep="\n\n")
    return
  if asked.time:
    timed(question, fields)
    return
  if not asked.show:
    trained(question, fields, asked.seeds)
  print(show(question))
  errors = Errors(question, read(question))
  if errors.fields:
    figure(errors, question.folder / "errors.png")
