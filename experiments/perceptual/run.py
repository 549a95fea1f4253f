"""Do losses by what a network sees sharpen, and is what they add true?

    python -m experiments.perceptual.run            # goes on by itself
    python -m experiments.perceptual.run --only=turbulence --seeds=1
    python -m experiments.perceptual.run --smoke

Every network trains the same steps by L1 and by L1 with a term beside it; of
`mghf_c` each part is left out once, and it has ten and a hundred times the
weight. The networks that terms compare by come with the package;
`experiments.perceptual.networks` made them.
"""

from collections.abc import Mapping, Sequence
import pathlib

from experiments import answers, question

FOLDER = pathlib.Path(__file__).parent
_RATIO, _DISTANCE = "own@gradient_ratio", "own@gradient_distance"
# The network that a term compares by, of fields; weather has none of its own.
_NETWORKS = {
  "turbulence": "inn-turbulence",
  "weather": "inn-turbulence",
  "photographs": "inn-photo",
}
_HEAVY = {f"mghf_c of weight {weight}": weight for weight in (1, 10)}


def _term(name: str, network: str, weight=0.1, **options: float) -> dict:
  given = ", ".join(f"{k}={v}" for k, v in options.items())
  text = f'{weight}*{name}(network="{network}"{", " * bool(given)}{given})'
  return {"loss.name": "l1", "loss.terms": text}


def _losses(network: str) -> dict[str, dict]:
  return {
    "L1": {"loss.name": "l1"},
    "mghf_n": _term("mghf_n", network),
    "mghf_c": _term("mghf_c", network),
    "prior": {"loss.name": "frequency_prior"},
    "focal frequency": {"loss.name": "focal_frequency"},
  }


def _parts(network: str) -> dict[str, dict]:
  return {
    f"mghf_c without {part}": _term("mghf_c", network, **{option: 0})
    for part, option in (
      ("style", "style"),
      ("content", "content"),
      ("correlation", "eta1"),
      ("contrast", "eta2"),
    )
  } | {name: _term("mghf_c", network, w) for name, w in _HEAVY.items()}


_MODELS = {
  "hinote": {},
  "liif": {
    "model": "liif",
    "model.hidden": (64, 64),
    "model.encoder_options.width": 32,
    "model.encoder_options.blocks": 6,
  },
}
# Names are of all fields; what a name changes depends on which.
VARIANTS = {
  f"{model}, {loss}": {
    **own,
    "of": {f: _losses(network)[loss] for f, network in _NETWORKS.items()},
  }
  for model, own in _MODELS.items()
  for loss in _losses("")
} | {
  f"hinote, {loss}": {
    "fields": ("turbulence", "photographs"),
    "of": {f: _parts(network)[loss] for f, network in _NETWORKS.items()},
  }
  for loss in _parts("")
}


def answer(errors: answers.Errors) -> str:
  """Returns whether terms sharpen, and what that costs."""
  says: list[str] = []
  changed: dict[str, list[tuple[float, float]]] = {}
  for fields in errors.fields:
    for model in _MODELS:
      parts = []
      for loss in [*list(_losses(""))[1:], *_HEAVY]:
        name = f"{model}, {loss}"
        if name not in errors.variants(fields):
          continue
        change = errors.change(fields, name)
        before, after = (
          _mean(errors.of(fields, v, max(errors.question.scales), _RATIO))
          for v in (errors.question.reference(name), name)
        )
        changed.setdefault(loss, []).append((after - before, change.mean()))
        parts.append(
          f"{loss} {answers.words(change)} error, gradients {before:.2f} to "
          f"{after:.2f}"
        )
      if parts:
        says.append(f"* {model} on {fields}: {'; '.join(parts)}.")
  if not says:
    return "Not enough has been run to say."
  return "\n".join([_summary(changed), "", *says])


def _summary(changed: Mapping[str, Sequence[tuple[float, float]]]) -> str:
  """Returns by how much each loss sharpens, and what it costs, at most."""
  each = []
  for loss, pairs in changed.items():
    sharper, costs = (list(column) for column in zip(*pairs, strict=True))
    each.append(
      f"{loss} by {min(sharper):+.3f} to {max(sharper):+.3f} of it for "
      f"{min(costs):+.1%} to {max(costs):+.1%} of squared error"
    )
  return (
    "Against L1 of the same seed and steps, over all fields and both networks, "
    "losses change the mean gradient, of which the truth's is 1: "
    f"{'; '.join(each)}."
  )


def _mean(values):
  return sum(values.values()) / len(values)


QUESTION = question.Question(
  FOLDER,
  VARIANTS,
  answer,
  fields=question.FIELDS,
  columns={
    "gradients": _RATIO,
    "their distance": _DISTANCE,
    "spectrum's error": "spectrum_error",
    "spectra part": answers.PARTING,
    "resolution": "effective_resolution",
  },
  scales=(2.0, 4.0),
  metrics="hinote_jax.metrics.gradients:statistics",
)


if __name__ == "__main__":
  question.main(QUESTION)
