"""A question that runs answer: variants of one training, on fields, by seeds.

A page's `run` says what its variants change and what their errors say; here
they are trained, kept and shown. Each run is kept in results.json and done
once; one that was stopped goes on.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import functools
import pathlib
from typing import Any

from PIL import Image

from configs import baselines, common, hinote
from experiments import answers, equal_time, flows, kept
from hinote_jax.core import naming
from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files

FIELDS = ("turbulence", "weather", "photographs")
IMAGES = pathlib.Path("../shared/data/natural/BSDS500_train200")
_SMOKE = {
  "windows.window": (8, 8),
  "windows.queries": (8, 8),
  "batch_size": 2,
  "validation_examples": 2,
}


@dataclasses.dataclass(frozen=True)
class Question:
  """What is trained, and what it says.

  Attributes:
    folder: of the page, which has README.md and results.json.
    variants: name -> fields of the config that it changes. "model" is the
      network, hinote where it is left out; "fields" says which fields alone,
      and "of" what it changes with some fields alone. A name "GROUP, CHANGE"
      is compared with the first of its group.
    answer: what errors say, in two sentences.
    fields: of `FIELDS`.
    columns: title -> a score of a row of the report, which the table shows at
      the largest scale.
    steps: of every training.
    scales: that are scored.
    seconds: of every training instead, by the steps that were timed alone.
    seeds: how many.
    is_of_one_variable: learn the first variable alone.
    metrics: of `config.evaluate`.
    images: folder of photographs.
  """

  folder: pathlib.Path
  variants: Mapping[str, Mapping[str, Any]]
  answer: Callable[[answers.Errors], str]
  fields: Sequence[str] = FIELDS[:2]
  columns: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: {"spectra part": answers.PARTING}
  )
  steps: int = 600
  scales: Sequence[float] = (2.0, 3.0, 4.0)
  seconds: float | None = None
  seeds: int = 3
  is_of_one_variable: bool = False
  metrics: str | None = None
  images: pathlib.Path = IMAGES

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
    changes |= changes.pop("of", {}).get(fields, {})
    model = changes.pop("model", "hinote")
    base = "demo" if fields == "weather" else "untold"
    made = _run(model, base)
    made.degradation, made.windows.whole = "area", 0.25
    if fields == "turbulence":
      flows.put(made, is_small=is_smoke)
    elif fields == "photographs":
      self._put_photographs(made)
    if self.is_of_one_variable:
      made.data.variables = made.data.variables[:1]
    made.update_from_flattened_dict(changes | (_SMOKE if is_smoke else {}))
    made.seed, made.steps, made.validate_every = seed, steps, max(steps // 4, 1)
    made.evaluate.scales = self.scales[:1] if is_smoke else self.scales
    if "scale" in made.model:
      made.evaluate.scales = (made.model.scale,)
    made.evaluate.against, made.evaluate.figures = (scores.BASELINE,), False
    made.evaluate.metrics = self.metrics
    return made

  @property
  def _grey(self) -> pathlib.Path:
    return self.root / "grey"

  def prepare(self, fields: Sequence[str]) -> None:
    """Writes the photographs in grey, where they are asked for.

    Raises:
      FileNotFoundError: there are none.
    """
    if "photographs" not in fields:
      return
    paths = sorted(self.images.glob("*.jpg"))
    if not paths:
      raise FileNotFoundError(f"no .jpg in {self.images}: say --images")
    self._grey.mkdir(parents=True, exist_ok=True)
    for path in paths:
      target = self._grey / f"{path.stem}.png"
      if not target.exists():
        Image.open(path).convert("L").save(target)

  def _put_photographs(self, made) -> None:
    with made.unlocked():
      made.data = common.data("images", ("grey",), shape=(256, 256), tiles=1)
      made.split = common.split(validation=0.05, test=0.1, gap=0)
    made.update_from_flattened_dict(
      {"data.path": str(self._grey), "degradation": "imresize"}
    )


def _run(model: str, run: str) -> Any:
  """Returns the config of a run: hinote has its levels, peers any loss."""
  if model == "hinote":
    made = hinote.get_config(run)
    made.update_from_flattened_dict(hinote.LEVELS)
    return made
  made: Any = baselines.get_config(f"model={model},{run}")
  with made.unlocked():
    made.loss = hinote.get_config(run).loss
  made.update_from_flattened_dict({"loss.name": "l1"})
  return made


def folder(question: Question, key: str) -> pathlib.Path:
  """Returns where a run is, by `answers.key`."""
  return question.root / key.replace(", ", "_").replace(" ", "_")


def _kept(question) -> kept.Kept:
  return kept.Kept(question.folder / "results.json")


def timed(question: Question, fields: Sequence[str]) -> None:
  """Times a step of every variant, those of the same fields in turns."""
  for name in fields:
    configs = {
      f"{name}/{variant}": question.config(name, variant, 0, 1)
      for variant in question.variants_of(name)
    }
    equal_time.keep_seconds(_kept(question), configs, question.root / "probe")


def trained(
  question: Question, fields: Sequence[str], seeds: Sequence[int]
) -> None:
  """Trains what is not there.

  Raises:
    SystemExit: runs are of the same time, and a step has not been timed.
  """
  own = _kept(question)
  for seed in seeds:
    for name in fields:
      for variant in question.variants_of(name):
        steps = question.steps
        if question.seconds is not None:
          step = own.seconds_a_step(f"{name}/{variant}")
          steps = int(question.seconds / step)
        made = question.config(name, variant, seed, steps)
        key = answers.key(name, variant, seed)
        own.once("runs", key, functools.partial(_done, question, made, key))
        show(question)


def _done(question, made, key):
  run = equal_time.trained(made, folder(question, key))
  named = ("model", "variable", "scale", answers.MSE)
  named += tuple(question.columns.values())
  run["rows"] = [{field: row[field] for field in named} for row in run["rows"]]
  return run


def smoke(question: Question) -> dict[str, Any]:
  """Trains two variants of every group a few steps; they are kept nowhere."""
  known: dict[str, Any] = {"seconds_a_step": {}, "runs": {}}
  for name in question.fields:
    variants = list(question.variants_of(name))
    firsts = dict.fromkeys(question.reference(v) for v in variants)
    for variant in [*firsts, variants[-1]]:
      made = question.config(name, variant, 0, 4, is_smoke=True)
      key = answers.key(name, variant, 0)
      known["runs"][key] = _done(question, made, f"smoke/{key}")
  return known


def told(question: Question) -> str:
  """Returns what the committed results say."""
  return question.answer(answers.Errors(question, _kept(question).read()))


def show(question: Question) -> str:
  """Draws the figure and fills the page; returns its answer."""
  errors = answers.Errors(question, _kept(question).read())
  if not errors.fields:
    return "not run yet"
  answers.figure(errors, question.folder / "errors.png")
  made = {
    "answer": question.answer(errors),
    "figure": "![how far each differs, a point a seed](errors.png)",
    "errors": "\n\n".join(
      f"### {name}\n\n{answers.table(errors, name)}" for name in errors.fields
    ),
  }
  page = question.folder / "README.md"
  files.write_text(page, markdown.filled(page.read_text(), made))
  return made["answer"]


def main(question: Question, argv: Sequence[str] | None = None) -> None:
  """Trains or times what is not there, and fills the page."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--only", default=",".join(question.fields))
  parser.add_argument("--seeds", type=int, default=question.seeds)
  parser.add_argument("--seed", type=int, help="this alone, by one process")
  parser.add_argument("--images", type=pathlib.Path, default=question.images)
  parser.add_argument("--time", action="store_true", help="on a quiet machine")
  parser.add_argument("--smoke", action="store_true", help="minutes, no page")
  parser.add_argument("--show", action="store_true", help="train nothing")
  asked = parser.parse_args(argv)
  question = dataclasses.replace(question, images=asked.images)
  fields = asked.only.split(",")
  for name in fields:
    naming.look_up("fields", name, dict.fromkeys(question.fields))
  if asked.smoke:
    question.prepare(question.fields)
    errors = answers.Errors(question, smoke(question))
    print(*(answers.table(errors, name) for name in errors.fields), sep="\n\n")
    return
  if not asked.show:
    question.prepare(fields)
  if asked.time:
    timed(question, fields)
    return
  if not asked.show:
    seeds = range(asked.seeds) if asked.seed is None else [asked.seed]
    trained(question, fields, seeds)
  print(show(question))
