"""Writes the cards of the networks and the page, from what is kept of them.

python -m experiments.shipped.run --show
"""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from experiments.shipped import plan
from hinote_jax import models, shipped
from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files

FOLDER = pathlib.Path(__file__).parent
RESULTS, README = FOLDER / "results", FOLDER / "README.md"
# How the table of a card calls the network.
_OWN = "hinote"


def read(name: str) -> dict[str, Any] | None:
  """Returns what is kept of a network, None before it was trained."""
  path = RESULTS / f"{name}.json"
  return json.loads(path.read_text()) if path.is_file() else None


def ratios(scored: Mapping[str, Any]) -> dict[str, dict[str, dict]]:
  """Returns variable -> model -> scale -> MSE over bicubic's."""
  made: dict[str, dict[str, dict]] = {}
  for model, errors in scores.over_baseline(scored["rows"]).items():
    for (variable, scale), error in errors.items():
      made.setdefault(variable, {}).setdefault(model, {})[scale] = error
  return made


def table(scored: Mapping[str, Any]) -> str:
  """Returns MSE over bicubic's of all models, a table a variable."""
  parts = []
  for variable, own in ratios(scored).items():
    scales = sorted(own[_OWN])
    lines = [[variable, *(f"x{s:g}" for s in scales)]]
    lines += [
      [model, *(f"{errors[s]:.3f}" for s in scales)]
      for model, errors in own.items()
    ]
    parts.append(markdown.table(lines))
  return "\n\n".join(parts)


def behind(scored: Mapping[str, Any]) -> str:
  """Says where an interpolation has the smaller error."""
  found = []
  for variable, own in ratios(scored).items():
    others = [model for model in own if model in models.INTERPOLATIONS]
    for scale, error in sorted(own[_OWN].items()):
      best = min(others, key=lambda model: own[model][scale])
      if own[best][scale] <= error:
        found.append(f"{variable} at x{scale:g} ({best})")
  if not found:
    return "It is ahead of every interpolation at every scale above."
  return f"It is behind an interpolation: {', '.join(found)}."


def _numbers(scored: Mapping[str, Any]) -> str:
  header = scored["header"]
  sides = " x ".join(map(str, header["shape"]))
  return (
    f"Fields of {sides} cells, coarsened by `{header['degradation']}`; "
    f"{header['split']}. MSE over bicubic's on whole fields, below 1 is "
    f"better:\n\n{table(scored)}\n\n{behind(scored)}"
  )


def _quantities(known: Mapping[str, Any]) -> str:
  lines = [["variable", "unit", "lowest of training", "highest"]]
  for variable in known["header"]["variables"]:
    ends = known["range"][variable["name"]]
    unit = variable["units"] or "none"
    lines.append([variable["name"], unit, *(f"{end:.4g}" for end in ends)])
  return markdown.table(lines, left=2)


def card(name: str, known: Mapping[str, Any]) -> str:
  """Returns what a network of the package is, was trained on and is worth."""
  own = plan.NETWORKS[name]
  versions = known["header"]["versions"]
  parts = [
    f"# {name}",
    own.title,
    f"```sh\nhinote-upscale in.nc fine.nc --scale 4 --checkpoint {name}\n```",
    _quantities(known),
    "## Data and licence",
    f"{own.data}{known['header'].get('citation', '')}".strip(),
    "The weights are given away as the package is, under Apache-2.0; what is "
    "said of the data goes with them.",
    "## Protocol and numbers",
    own.held_out,
    _numbers(known),
  ]
  if "elsewhere" in known:
    parts += ["### Fields of others", _numbers(known["elsewhere"])]
  parts += [
    "## Limits",
    "\n".join(f"* {text}" for text in own.limits),
    "## How it was made",
    f"`python -m experiments.shipped.run ARCHIVES --only={name}`: "
    f"{known['parameters']:,} parameters, {known['steps']:,} steps in "
    f"{known['minutes']:.1f} minutes on {known['cores']} cores, of which "
    f"the best on validation is step {known['best_step']:,}; "
    f"{known['bytes'] / 1e6:.2f} MB; JAX {versions['jax']}, Flax "
    f"{versions['flax']}. This card is written by a script.",
  ]
  return "\n\n".join(parts) + "\n"


def summary() -> str:
  """Returns every network with its error over bicubic's at some scales."""
  shown = (2.0, 4.0, 8.0)
  lines = [
    ["network", "variable", *(f"x{s:g}" for s in shown)]
    + ["best interpolation at x4", "MB"]
  ]
  for name in plan.NETWORKS:
    known = read(name)
    if known is None:
      lines.append([name, "not trained yet", *[""] * (len(lines[0]) - 2)])
      continue
    for variable, own in ratios(known).items():
      others = {m: own[m][4.0] for m in own if m in models.INTERPOLATIONS}
      best = min(others, key=others.__getitem__)
      lines.append(
        [name, variable]
        + [f"{own[_OWN][s]:.3f}" for s in shown]
        + [f"{others[best]:.3f} ({best})", f"{known['bytes'] / 1e6:.2f}"]
      )
  return markdown.table(lines, left=2)


def filled(text: str) -> str:
  """Returns the page with its table made anew."""
  return markdown.filled(text, {"networks": summary()})


def write() -> None:
  """Rewrites the page, and the cards of what is in the package."""
  files.write_text(README, filled(README.read_text()))
  for name in plan.NETWORKS:
    known = read(name)
    if known is not None and name in shipped.networks():
      path = shipped.FOLDER / name / shipped.CARD
      files.write_text(path, card(name, known))


if __name__ == "__main__":
  write()
