"""Does the frequency-aware loss prior earn its place?

    python -m experiments.loss_prior.run            # goes on by itself
    python -m experiments.loss_prior.run --only=turbulence --seeds=1
    python -m experiments.loss_prior.run --smoke

Every network trains the same steps by each of eight losses.
"""

import pathlib

import numpy as np

from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
_PRIOR = {"loss.name": "frequency_prior", "loss.static": True}
_LOSSES = {
  "L1": {"loss.name": "l1"},
  "L2": {"loss.name": "l2"},
  "static": _PRIOR | {"loss.dynamic": False},
  "dynamic": _PRIOR | {"loss.static": False, "loss.dynamic": True},
  "both": _PRIOR | {"loss.dynamic": True},
  "both, bicubic": _PRIOR | {"loss.dynamic": True, "loss.resize": "bicubic"},
  "both, learned": _PRIOR | {"loss.dynamic": True, "loss.learned": True},
  "focal frequency": {"loss.name": "focal_frequency"},
}
# A peer of any scale and a network of one, small: what is asked is the loss.
_MODELS = {
  "hinote": {},
  "liif": {
    "model": "liif",
    "fields": ("turbulence",),
    "model.hidden": (64, 64),
    "model.encoder_options.width": 32,
    "model.encoder_options.blocks": 6,
  },
  "edsr": {
    "model": "edsr",
    "fields": ("turbulence",),
    "model.width": 32,
    "model.blocks": 6,
  },
}
VARIANTS = {
  f"{model}, {loss}": {**own, **changes}
  for model, own in _MODELS.items()
  for loss, changes in _LOSSES.items()
}


def answer(errors: answers.Errors) -> str:
  """Returns what the errors and the spectra say."""
  says, moves = [], []
  for fields in errors.fields:
    for model in _MODELS:
      name = f"{model}, both"
      plain = {
        loss: errors.of(fields, f"{model}, {loss}") for loss in ("L1", "L2")
      }
      best = min(
        (loss for loss in plain if plain[loss]),
        key=lambda loss: np.mean(list(plain[loss].values())),
        default="L1",
      )
      change = errors.change(fields, name, reference=f"{model}, {best}")
      if not len(change):
        continue
      said = answers.words(change) + answers.doubt(change, QUESTION.seeds)
      says.append(f"{model} on {fields} {said} ({best})")
      scale = 4.0
      plain, prior = (
        errors.of(fields, f"{model}, {loss}", scale, answers.PARTING)
        for loss in ("L1", "both")
      )
      means = (sum(each.values()) / len(each) for each in (plain, prior))
      before, after = means
      moves.append(f"{model} on {fields} {before:.2f} to {after:.2f}")
  if not says:
    return "Not enough has been run to say."
  return (
    "Against the better of L1 and L2, by the same seeds, the prior (static and "
    f"dynamic) changes the squared error by: {'; '.join(says)}.\n\nAt x4 the "
    "wavenumber where the error's power is half the truth's goes from that of "
    f"L1 to: {'; '.join(moves)}."
  )


QUESTION = question.Question(FOLDER, VARIANTS, answer)


if __name__ == "__main__":
  question.main(QUESTION)
