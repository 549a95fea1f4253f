"""The page of this experiment, from its committed results.

python -m experiments.hat_ast.page
"""

from collections.abc import Mapping
import pathlib
from typing import Any, NamedTuple

import numpy as np

from experiments import answers, kept
from hinote_jax.evaluate import markdown
from hinote_jax.io import files
from hinote_jax.models.single_scale import hat

FOLDER = pathlib.Path(__file__).parent
RESULTS = kept.Kept(FOLDER / "results.json")
PAGE = FOLDER / "README.md"
FIGURE = FOLDER / "differences.png"
PLAIN = "hat"
BUDGETS = ("steps", "time")
# What each changes of HAT.
VARIANTS: dict[str, dict[str, Any]] = {
  PLAIN: {},
  "sparse": dict(attention="mixed"),
  "wide": dict(overlap_ratio=0.75),
  "frfn": dict(feed_forward="frfn"),
  "sparse+frfn": dict(attention="mixed", feed_forward="frfn"),
  "ast": hat.AST,
}
_WORDS = {
  PLAIN: "HAT: softmax, MLP, overlap 0.5",
  "sparse": "the sparse attention alone",
  "wide": "the window alone, overlap 0.75",
  "frfn": "the FRFN alone",
  "sparse+frfn": "sparse and FRFN, overlap 0.5",
  "ast": "all three: HAT+AST",
}
# In dB: training once more, a two-hundredth of the steps fewer, moves the mean
# of three seeds by half of that (the wider window at x4).
_LEAST = 0.05
_CAUSES = ("sparse", "wide", "frfn")


class Run(NamedTuple):
  """One network that is trained.

  Attributes:
    budget: of `BUDGETS`: as many steps as all, or as fit into HAT's time.
    scale: how many times it enlarges.
    seed: of weights and batches.
    variant: of `VARIANTS`.
  """

  budget: str
  scale: int
  seed: int
  variant: str

  @classmethod
  def of(cls, result: dict) -> "Run":
    """Returns the run that a result is of."""
    return cls(*(result[field] for field in cls._fields))

  @property
  def timing(self) -> str:
    """What the time of its step is called."""
    return f"{self.variant} x{self.scale}"

  @property
  def name(self) -> str:
    """Of its folder."""
    return f"{self.variant}_x{self.scale}_{self.budget}_{self.seed}"


def differences(
  found: list[dict], budget: str, scale: int, variant: str, image_set: str
) -> np.ndarray:
  """Returns PSNR less HAT's of the same seed, dB, a number a seed."""

  def by_seed(variant, budget):
    return {
      r["seed"]: r["psnr"][image_set]["hat"]
      for r in found
      if Run.of(r) == Run(budget, scale, r["seed"], variant)
    }

  ours, plain = by_seed(variant, budget), by_seed(PLAIN, "steps")
  return np.array([ours[s] - plain[s] for s in sorted(ours) if s in plain])


def _spread(values: np.ndarray) -> str:
  if not len(values):
    return "not run"
  low, high = values.min(), values.max()
  return (
    f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f}, {len(values)} seeds)"
  )


def _table(found: list[dict], seconds: Mapping[str, float], scale: int) -> str:
  sets = ("Set5", "BSDS")
  lines = [["variant", "parameters", "ms a step"]]
  lines[0] += [f"{s}, equal {b}" for s in sets for b in BUDGETS]
  for variant, words in _WORDS.items():
    own = [r for r in found if (r["variant"], r["scale"]) == (variant, scale)]
    if not own:
      continue
    step = seconds.get(Run("steps", scale, 0, variant).timing)
    row = [words, f"{own[0]['parameters']:,}"]
    row.append(f"{1e3 * step:.0f}" if step else "-")
    for name in sets:
      for budget in BUDGETS:
        if variant == PLAIN:
          psnr = [r["psnr"][name]["hat"] for r in own]
          row.append(f"{np.mean(psnr):.2f} dB")
        else:
          change = differences(found, budget, scale, variant, name)
          row.append(_spread(change))
    lines.append(row)
  return markdown.table(lines)


def verdict(found: list[dict], budget: str, scale: int) -> str:
  """Returns in a sentence what costs at a scale, by the held-out images.

  A change costs where every seed loses, and on the mean by more than `_LEAST`.
  """
  kinds: dict[str, list[str]] = {"costs": [], "gains": [], "neither": []}
  for variant in (*_CAUSES, "sparse+frfn", "ast"):
    change = differences(found, budget, scale, variant, "BSDS")
    if len(change) < 2:
      return f"* x{scale}, equal {budget}: not enough has been run to say."
    costs = change.max() < 0 and change.mean() < -_LEAST
    gains = change.min() > 0 and change.mean() > _LEAST
    kind = "costs" if costs else "gains" if gains else "neither"
    size = f" {abs(change.mean()):.3f} dB" if kind != "neither" else ""
    kinds[kind].append(_WORDS[variant] + size)
  parts = (
    f"{kind}: {'; '.join(which) or 'none'}" for kind, which in kinds.items()
  )
  return f"* x{scale}, equal {budget}, {'. '.join(parts)}."


def text() -> str:
  """Returns the tables and what they say."""
  known = RESULTS.read()
  found, seconds = list(known["runs"].values()), known["seconds_a_step"]
  if not found:
    return "Nothing has been run yet: `python -m experiments.hat_ast.run`."
  scales = sorted({r["scale"] for r in found})
  says = (verdict(found, b, scale) for b in BUDGETS for scale in scales)
  parts = ["\n".join(says)]
  parts.append(f"![differences, a point a seed]({FIGURE.name})")
  parts += [
    f"### x{scale}\n\n{_table(found, seconds, scale)}" for scale in scales
  ]
  return "\n\n".join(parts)


def figure(found: list[dict]) -> None:
  """Draws the differences on the held-out images, a point a seed."""
  shown = {}
  for scale in sorted({r["scale"] for r in found}):
    for budget in BUDGETS:
      changes = {
        words: differences(found, budget, scale, variant, "BSDS")
        for variant, words in _WORDS.items()
        if variant != PLAIN
      }
      changes = {words: each for words, each in changes.items() if len(each)}
      if changes:
        shown[f"x{scale}, equal {budget}"] = changes
  if shown:
    answers.changes_figure(shown, "PSNR less HAT's, dB", FIGURE)


def write() -> None:
  """Fills the table of the page and draws its figure."""
  figure(list(RESULTS.read()["runs"].values()))
  old = PAGE.read_text(encoding="utf-8")
  files.write_text(PAGE, markdown.filled(old, {"results": text()}))


if __name__ == "__main__":
  write()
