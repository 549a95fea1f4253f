"""Fills the page from committed results.

python -m experiments.peers.show
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

import numpy as np

from experiments import answers
from experiments.peers import over_bicubic, picture, plan
from hinote_jax.evaluate import consistent, markdown
from hinote_jax.io import files

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results"
PAGE = FOLDER / "README.md"
# Set before the runs: so much below the best of the others, x2 to x4.
_AIM = 0.2


def table(name: str, known: Mapping[str, Any], way: str) -> str:
  """Returns a set's errors over bicubic's: mean, and half the spread."""
  own = plan.SETS[name]
  header = ["model", "rate", "steps", "ms a step"]
  header += [f"x{s:g}" for s in own.scales]
  lines = [[*header, "x2 to x4", "consistent"]]
  for model in own.models:
    every = over_bicubic.seeds(known, model, way)
    if not every:
      continue
    steps = known["runs"][over_bicubic.keys(model, way)[0]]["steps"]
    step = f"{1e3 * known['seconds_a_step'][model]:.0f}"
    cells = [answers.cell([seed[s] for seed in every]) for s in own.scales]
    meeting = over_bicubic.seeds(known, model, way, consistent.SUFFIX)
    cells += [
      answers.cell([over_bicubic.inside(e) for e in each])
      for each in (every, meeting)
    ]
    rate = _rate(known.get("rates", {}).get(model, {}))
    lines.append([model, rate, f"{steps}", step, *cells])
  # Interpolations know of neither time nor steps.
  first = known["runs"].get(f"hinote {plan.WAYS[0]} {plan.SEEDS[0]}")
  scored = over_bicubic.ratios(first) if first and way == plan.WAYS[0] else {}
  for other, errors in scored.items():
    if other in own.models or other.endswith(consistent.SUFFIX):
      continue
    cells = [f"{errors[s]:.3f}" for s in own.scales]
    meets = scored.get(other + consistent.SUFFIX)
    means = [
      f"{over_bicubic.inside(e):.3f}" if e else "" for e in (errors, meets)
    ]
    lines.append([other, "", "", "", *cells, *means])
  return markdown.table(lines)


def _rate(errors: Mapping[str, float]) -> str:
  """Returns the best of the rates tried, marked if none was larger."""
  if not errors:
    return ""
  best = min(errors, key=errors.__getitem__)
  return best + "*" * (float(best) == max(map(float, errors)))


def verdict(name: str, known: Mapping[str, Any], way: str) -> str:
  """Says how far hinote is ahead of its best peer, mean over x2 to x4.

  By the seeds that all models have: the mean, and what each of them says.
  """
  inside = over_bicubic.means(name, known, way)
  missing = [m for m in plan.SETS[name].models if m not in inside]
  if missing:
    return f"* {name}, equal {way}: {', '.join(missing)} not run yet."
  less, best = _ahead(inside)
  text = f"* {name}, equal {way}: {_side(less, best)}, the best peer"
  error, other = _untrained(known)
  if error < np.mean(inside[best]):
    less_ = 1.0 - float(np.mean(inside["hinote"])) / error
    text += f" and itself behind {other} (hinote is {_words(less_, 'that')})"
  text += _aimed(less) if way == "time" else _agreed(less)
  meeting = over_bicubic.means(name, known, way, consistent.SUFFIX)
  if not meeting:
    return f"{text}."
  return f"{text}. Made to meet their input: {_side(*_ahead(meeting))}."


def _ahead(inside: Mapping[str, Sequence[float]]) -> tuple[list[float], str]:
  """Returns how far below the best peer hinote is, by seed, and the peer."""
  count = min(map(len, inside.values()))
  peers = {m: each[:count] for m, each in inside.items() if m != "hinote"}
  best = min(peers, key=lambda model: np.mean(peers[model]))
  pairs = zip(inside["hinote"][:count], peers[best], strict=True)
  return [1.0 - own / other for own, other in pairs], best


def _side(less: Sequence[float], other: str) -> str:
  sign = 1.0 if np.mean(less) >= 0 else -1.0
  seeds_ = f"by seed {', '.join(f'{sign * each:.1%}' for each in less)}"
  if len(less) < 2:
    seeds_ = "one seed"
  return f"{_words(float(np.mean(less)), other)} ({seeds_})"


def _words(less: float, other: str) -> str:
  return f"{abs(less):.1%} {'below' if less >= 0 else 'above'} {other}"


def _aimed(less: Sequence[float]) -> str:
  """Says whether the aim is met, by every seed or by their mean."""
  if min(less) >= _AIM:
    met = "met"
  else:
    met = "met by the mean alone" if np.mean(less) >= _AIM else "not met"
  return f"; the aim was {_AIM:.0%}: {met}"


def _agreed(less: Sequence[float]) -> str:
  """Says whether seeds agree on which of two models is ahead."""
  if min(less) > 0:
    return "; ahead"
  return "; behind" if max(less) < 0 else "; seeds do not agree"


def claims(name: str, known: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Returns the pairs (better, worse) that seeds agree on, at equal time.

  Those are the models of which the worst seed of one is ahead of the best of
  the other, mean over x2 to x4.
  """
  errors = over_bicubic.means(name, known, "time")
  return [
    (better, worse)
    for better, low in errors.items()
    for worse, high in errors.items()
    if max(low) < min(high)
  ]


def order(name: str, known: Mapping[str, Any]) -> str:
  """Says how many of the claims hold where another part is held out."""
  again = {
    model: over_bicubic.inside(over_bicubic.ratios(run)[model])
    for model, run in known.get("redrawn", {}).items()
  }
  made = [pair for pair in claims(name, known) if set(pair) <= set(again)]
  if not made:
    return ""
  lost = [pair for pair in made if again[pair[0]] >= again[pair[1]]]
  text = (
    f"* {name}, another part held out and another seed: of {len(made)} pairs "
    f"that seeds agree on, {len(made) - len(lost)} have the same order"
  )
  others = ", ".join(f"{better} before {worse}" for better, worse in lost)
  return text + (f"; not {others}." if lost else ".")


def summary() -> str:
  """Returns errors after the same time, mean over x2 to x4, a row a set.

  Of the sets that all models have learnt with all seeds.
  """
  models = max((own.models for own in plan.SETS.values()), key=len)
  lines = [["fields", *models, "best that nobody trained"]]
  for name, known in _results().items():
    errors = over_bicubic.means(name, known, "time")
    counts = [len(errors.get(model, ())) for model in plan.SETS[name].models]
    if min(counts) < len(plan.SEEDS):
      continue
    cells = [answers.cell(errors.get(model)) for model in models]
    error, other = _untrained(known)
    lines.append([name, *cells, f"{error:.3f} ({other})"])
  return markdown.table(lines)


def _untrained(known: Mapping[str, Any]) -> tuple[float, str]:
  """Returns the least error of interpolations and regressions, and its name."""
  scored = over_bicubic.ratios(known["runs"][f"hinote time {plan.SEEDS[0]}"])
  return min(
    (over_bicubic.inside(each), other)
    for other, each in scored.items()
    if other != "hinote" and not other.endswith(consistent.SUFFIX)
  )


def others(found: Mapping[str, Mapping[str, Any]]) -> str:
  """Returns the validation errors of `plan.OTHERS`, a row each."""
  lines = [
    ["fields", "network", "rate", "ms a step", "steps", "validation error"]
  ]
  for name, known in found.items():
    for model, run in known.get("others", {}).items():
      step = f"{1e3 * known['seconds_a_step'][model]:.0f}"
      rate, error = _rate(known["rates"][model]), f"{run['error']:.3f}"
      lines.append([name, model, rate, step, f"{run['steps']}", error])
  return markdown.table(lines) if lines[1:] else "Not run yet."


def _results() -> dict[str, Any]:
  """Returns set -> what its file holds, steps timed where it was trained."""
  found = {
    name: json.loads((RESULTS / f"{name}.json").read_text())
    for name in plan.SETS
    if (RESULTS / f"{name}.json").is_file()
  }
  for name, known in found.items():
    if other := plan.SETS[name].of:
      known |= {k: found[other].get(k, {}) for k in ("seconds_a_step", "rates")}
  return found


def filled() -> tuple[str, str]:
  """Returns the page made anew, and what it says of every set."""
  found = _results()
  says = [
    verdict(name, known, way)
    for way in plan.WAYS
    for name, known in found.items()
  ]
  says += [
    text for name, known in found.items() if (text := order(name, known))
  ]
  parts = [
    f"### {name}, equal {way}\n\n{table(name, known, way)}"
    for name, known in found.items()
    for way in plan.WAYS
    if over_bicubic.seeds(known, "hinote", way)
  ]
  made = {
    "verdict": "\n".join(says),
    "others": others(found),
    "errors": "\n\n".join(parts),
  }
  return markdown.filled(PAGE.read_text(), made), made["verdict"]


def main() -> None:
  """Fills the page, draws its figure and prints what it says."""
  page, says = filled()
  files.write_text(PAGE, page)
  picture.draw(_results(), FOLDER / "errors.png")
  print(says)


if __name__ == "__main__":
  main()
