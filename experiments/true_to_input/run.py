"""Does a last layer that meets the input lower the error at equal time?

    python -m experiments.true_to_input.run --time   # on a quiet machine
    python -m experiments.true_to_input.run          # goes on by itself
    python -m experiments.true_to_input.run --only=turbulence --seeds=1
    python -m experiments.true_to_input.run --smoke

Every model trains with `config.model.consistent` and without it.
"""

import pathlib

from configs import hinote
from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
_MODELS = {"hinote": hinote.DEFAULT, "liif": {}}
_MEETS = "meets its input"
VARIANTS = {
  name: {"model": model, "model.consistent": is_consistent} | changes
  for model, changes in _MODELS.items()
  for name, is_consistent in ((model, False), (f"{model}, {_MEETS}", True))
}


def answer(errors: answers.Errors) -> str:
  """Returns of which models the layer lowers the error."""
  says = []
  for fields in errors.fields:
    changes = {m: errors.change(fields, f"{m}, {_MEETS}") for m in _MODELS}
    told = [f"{m} {answers.words(c)}" for m, c in changes.items() if len(c)]
    agreed = [m for m, c in changes.items() if answers.is_told(c)]
    says.append(
      f"On {fields} the layer changes the error, at equal time, of "
      f"{', '.join(told) or 'none'}; seeds agree on "
      f"{', '.join(agreed) or 'none'}."
    )
  return " ".join(says)


QUESTION = question.Question(
  FOLDER,
  VARIANTS,
  answer=answer,
  scales=(2.0, 2.5, 3.0, 4.0),
  seconds=150.0,
)


if __name__ == "__main__":
  question.main(QUESTION)
