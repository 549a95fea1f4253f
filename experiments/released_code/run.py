"""What does the released network learn, trained as released?

    python -m experiments.released_code.run            # goes on by itself
    python -m experiments.released_code.run --smoke

The released network and loss, the same network trained as ours are, and our
network in its place, all the same steps on the same windows.
"""

import pathlib

from configs import hinote
from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
_RELEASED = {"model": "hinote_official"}
# What all share: the release's low resolution, scales, windows and batch.
_PROTOCOL = {
  "degradation": "decimate(cubic_torch)",
  "data.static": (),
  "windows.whole": 0.0,
  "windows.min_scale": 1.0,
  "windows.window": (32, 32),
  "windows.queries": (32, 32),
  "batch_size": 16,
}
_AS_RELEASED = {
  "loss.name": "published_l1",
  "optim.learning_rate": 1e-3,
  "optim.weight_decay": 1e-5,
  "optim.b2": 0.999,
  "optim.clip": 1e9,  # none
  "ema_decay": 0.0,
}
_CHANGES = {
  "released": _RELEASED | _AS_RELEASED,
  "released, with its loss prior": (
    _RELEASED | _AS_RELEASED | {"loss.name": "published_prior"}
  ),
  "released, trained as ours": _RELEASED | {"loss.name": "l1"},
  "released, in its place the paper's preset": {"model.preset": "paper"},
  "released, in its place our default": hinote.DEFAULT,
}
VARIANTS = {name: _PROTOCOL | changes for name, changes in _CHANGES.items()}


def answer(errors: answers.Errors) -> str:
  """Returns what the released network has of bicubic's error, and ours."""
  says = []
  for fields in errors.fields:
    own = errors.of(fields, "released")
    if not own:
      continue
    mean = sum(own.values()) / len(own)
    says.append(
      f"On {fields} the released network, trained as released, has {mean:.2f} "
      "of bicubic's squared error, mean over scales"
    )
    for variant in errors.variants(fields)[1:]:
      change = errors.change(fields, variant)
      says[-1] += f"; {variant.split(', ')[1]} {answers.words(change)}"
    says[-1] += "."
  return "\n\n".join(says) or "Not enough has been run to say."


QUESTION = question.Question(FOLDER, VARIANTS, answer, is_of_one_variable=True)


if __name__ == "__main__":
  question.main(QUESTION)
