"""Prints what knowing the place brings, and writes it into README.md.

python -m experiments.told.show
"""

from collections.abc import Mapping
import json
import math
import pathlib
from typing import Any

import numpy as np

from hinote_jax import models as zoo
from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files

FOLDER = pathlib.Path(__file__).parent
RESULTS, README = FOLDER / "results.json", FOLDER / "README.md"
_LABELS = {
  "nothing": "nothing",
  "own": "its own orography, land",
  "earth": "built-in orography, land, roughness",
}
# Variable, scale: how far below the model told nothing the told one must be.
BOUNDS = {("tcwv", 4.0): 0.35, ("t2m", 8.0): 0.15}

Results = Mapping[str, Mapping[str, Any]]


def _errors(
  results: Results, key: str = "mse"
) -> dict[str, dict[tuple[str, float], float]]:
  """Returns label -> (variable, scale) -> MSE over bicubic's."""
  errors: dict[str, dict[tuple[str, float], float]] = {}
  for name, result in results.items():
    for model, known in scores.over_baseline(result["rows"], key).items():
      is_plain = model in zoo.INTERPOLATIONS
      errors[model if is_plain else f"{model}, {_LABELS[name]}"] = known
  places = dict.fromkeys(place for known in errors.values() for place in known)
  return {
    label: {place: known.get(place, math.nan) for place in places}
    for label, known in errors.items()
  }


def _text(value: float, form: str) -> str:
  return "-" if math.isnan(value) else format(value, form)


def table(results: Results, key: str = "mse") -> str:
  """Returns errors over bicubic's: a line a model, a column a scale."""
  errors = _errors(results, key)
  places = list(next(iter(errors.values())))
  variables = list(dict.fromkeys(v for v, _ in places))
  order = sorted(errors, key=lambda e: (", " in e, "hinote" in e))
  parts = []
  for variable in variables:
    at = [p for p in places if p[0] == variable]
    lines = [[variable, *(f"x{s:g}" for _, s in at)]]
    best = {p: np.nanmin([e[p] for e in errors.values()]) for p in at}
    for label in order:
      known = errors[label]
      cells = [(_text(known[p], ".3f"), known[p] == best[p]) for p in at]
      lines.append([label, *(f"**{t}**" if b else t for t, b in cells)])
    parts.append(markdown.table(lines))
  return "\n\n".join(parts)


def gains(results: Results) -> str:
  """Returns how far the told models are below the one told nothing."""
  errors = _errors(results)
  plain = errors[f"hinote, {_LABELS['nothing']}"]
  lines = [["told of", *(f"{v} x{s:g}" for v, s in plain)]]
  for name in results:
    if name != "nothing":
      told = errors[f"hinote, {_LABELS[name]}"]
      cells = [_text(1.0 - told[p] / plain[p], ".1%") for p in plain]
      lines.append([_LABELS[name], *cells])
  return markdown.table(lines)


def verdict(results: Results) -> str:
  """Returns whether the bounds are met, and who is ahead of the told one."""
  errors = _errors(results)
  if not {"nothing", "own"} <= results.keys():
    return "Not run."
  plain, told = (
    errors[f"hinote, {_LABELS[name]}"] for name in ("nothing", "own")
  )
  lines = []
  for place, bound in BOUNDS.items():
    gain = 1.0 - told[place] / plain[place]
    is_met = "met" if gain >= bound else "**not met**"
    lines.append(
      f"* {place[0]} at x{place[1]:g} is {gain:.1%} below the model told "
      f"nothing; at least {bound:.0%} was the aim: {is_met}."
    )
  rivals = [*zoo.INTERPOLATIONS, f"static_regression, {_LABELS['own']}"]
  behind = [
    f"{variable} x{scale:g} ({rival})"
    for variable, scale in told
    for rival in rivals
    if errors[rival][variable, scale] < told[variable, scale]
  ]
  lines.append(
    "* Told of its own orography, `hinote` is "
    + (
      f"behind in {', '.join(behind)}."
      if behind
      else "ahead of every interpolation and of `static_regression` told the "
      "same."
    )
  )
  worse = [
    f"{variable} x{scale:g} {told[variable, scale] / error - 1.0:+.1%}"
    for (variable, scale), error in plain.items()
    if told[variable, scale] > error
  ]
  if worse:
    lines.append(
      f"* It is behind the model told nothing in {', '.join(worse)}."
    )
  if "earth" in results:
    foreign = errors[f"hinote, {_LABELS['earth']}"]
    changes = [
      f"{variable} x{scale:g} {foreign[variable, scale] / error - 1.0:+.0%}"
      for (variable, scale), error in plain.items()
      if not math.isnan(foreign[variable, scale])
    ]
    lines.append(
      "* What the built-in orography, coarser and another model's, changes "
      f"against nothing: {', '.join(changes)}."
    )
  return "\n".join(lines)


def costs(results: Results) -> str:
  """Returns what each run is and took."""
  lines = [["told of", "parameters", "steps", "best step", "minutes"]]
  for name, result in results.items():
    lines.append(
      [
        _LABELS[name],
        f"{result['parameters']:,}",
        f"{result['steps']:,}",
        f"{result['best_step']:,}",
        f"{result['seconds'] / 60:.1f}",
      ]
    )
  return markdown.table(lines)


def blocks(results: Results) -> dict[str, str]:
  """Returns the parts of the page by name."""
  commands = "\n".join(result["command"] for result in results.values())
  return {
    "verdict": verdict(results),
    "errors": table(results),
    "errors by area": table(results, "area_mse"),
    "gains": gains(results),
    "costs": costs(results),
    "commands": f"```\n{commands}\n```",
  }


def write() -> None:
  """Writes the committed results into the page."""
  results = json.loads(RESULTS.read_text())
  files.write_text(README, markdown.filled(README.read_text(), blocks(results)))


if __name__ == "__main__":
  write()
