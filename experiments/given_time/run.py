"""Given more time, does the operator earn what it takes?

    python -m experiments.given_time.run --time   # on a quiet machine
    python -m experiments.given_time.run          # goes on by itself
    python -m experiments.given_time.run --smoke

Size S beside the same time spent on steps, or on a longer trunk, instead; four
times as long as in `what_makes_it_work`.
"""

import pathlib

from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
VARIANTS = {
  "S": {},
  "S, no levels": {"model.level_widths": ()},
  "S, a longer trunk instead": {"model.level_widths": (), "model.blocks": 9},
}


def answer(errors: answers.Errors) -> str:
  """Returns whether what has no operator is behind or ahead."""
  says = []
  for fields in errors.fields:
    changes = {v: errors.change(fields, v) for v in errors.variants(fields)[1:]}
    told = [
      f"{v.split(', ')[1]} {answers.words(change)}{answers.doubt(change)}"
      for v, change in changes.items()
    ]
    says.append(
      f"On {fields}, after five minutes of one core each, the squared error "
      f"beside that of S: {'; '.join(told) or 'not run'}."
    )
  return "\n\n".join(says)


QUESTION = question.Question(FOLDER, VARIANTS, answer, seconds=300.0)


if __name__ == "__main__":
  question.main(QUESTION)
