"""Which parts of the operator earn the time that they take?

    python -m experiments.what_makes_it_work.run --time   # on a quiet machine
    python -m experiments.what_makes_it_work.run          # goes on by itself
    python -m experiments.what_makes_it_work.run --smoke

Size S of preset "levels" with a part less, or one more, all trained for the
same time. "wide" learns from windows of 64 cells, at x4 the whole field:
attention there sees all of it.
"""

import pathlib

import numpy as np

from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
_WIDE = {
  "fields": ("turbulence",),
  "windows.window": (64, 64),
  "windows.queries": (96, 96),
  "batch_size": 2,
}
VARIANTS = {
  "S": {},
  "S, no levels": {"model.level_widths": ()},
  "S, no attention": {"model.level_blocks": (0, 0, 0)},
  "S, twice the attention": {"model.level_blocks": (0, 0, 2)},
  "S, attention at the queries": {"model.head_heads": 4},
  "S, alias-free levels": {"model.is_alias_free": True},
  "S, Fourier upsampling": {"model.upsample": 2},
  "S, half the trunk": {"model.blocks": 3},
  "S, twice the trunk": {"model.blocks": 12},
  "S, sees no scale": {"model.sees_scale": False},
  "S, sees no detail": {"model.sees_detail": False},
  "S, a sharper skip": {"model.skip": "sinc"},
  "S, the paper's way": {"model.preset": "paper"},
  "wide": _WIDE,
  "wide, no levels": _WIDE | {"model.level_widths": ()},
  "wide, no attention": _WIDE | {"model.level_blocks": (0, 0, 0)},
  "wide, twice the attention": _WIDE | {"model.level_blocks": (0, 0, 2)},
  "wide, attention at the queries": _WIDE | {"model.head_heads": 4},
}


def answer(errors: answers.Errors) -> str:
  """Returns which parts help, which hurt, and of which seeds do not agree."""
  says = []
  for fields in errors.fields:
    signs: dict[str, list[str]] = {
      kind: [] for kind in ("better", "worse", "mixed", "no")
    }
    others = 0
    for variant in QUESTION.variants_of(fields):
      change = errors.change(fields, variant)
      if variant == QUESTION.reference(variant):
        continue
      if len(change) < 2:
        others += 1
        continue
      part = variant.removeprefix("S, ")
      words = f"{part} {answers.words(change)}"
      if answers.is_told(change):
        words += answers.doubt(change, QUESTION.seeds)
      scales = {s: errors.change(fields, variant, s) for s in QUESTION.scales}
      told = {s: c for s, c in scales.items() if answers.is_told(c)}
      if len({np.sign(c.mean()) for c in told.values()}) > 1:
        each = (f"x{s:g} {answers.words(c)}" for s, c in scales.items())
        signs["mixed"].append(f"{words}: {', '.join(each)}")
      elif not answers.is_told(change):
        signs["no"].append(part)
      else:
        signs["better" if change.mean() < 0 else "worse"].append(words)
    titles = {
      "better": "ahead of the whole",
      "worse": "behind",
      "mixed": "scales do not agree",
      "no": "seeds do not agree, or by less than a hundredth",
    }
    parts = [
      f"{title}: {', '.join(signs[kind])}"
      for kind, title in titles.items()
      if signs[kind]
    ]
    if others:
      parts.append(f"not run by two seeds: {others} others")
    says.append(f"On {fields}, at equal time, {'; '.join(parts)}.")
  return "\n\n".join(says) or "Not enough has been run to say."


QUESTION = question.Question(FOLDER, VARIANTS, answer, seconds=75.0)


if __name__ == "__main__":
  question.main(QUESTION)
