"""Draws the errors of the page by scale, a panel a set."""

from collections.abc import Mapping
import math
import pathlib
from typing import Any

import numpy as np

from experiments.peers import over_bicubic, plan
from hinote_jax.plots import style

_COLUMNS = 3
# Where interpolations are; a model that is worse by far is beyond the panel.
_HIGHEST = 1.7


def draw(found: Mapping[str, Mapping[str, Any]], path: pathlib.Path) -> None:
  """Draws errors over bicubic's after the same time, and equal steps dashed.

  Curves are means, shades reach from the least of the seeds to the largest.

  Args:
    found: set -> what its file holds.
    path: of the figure.
  """
  names = [name for name, known in found.items() if known["runs"]]
  looks = style.colors(list(max((plan.SETS[n].models for n in names), key=len)))
  rows = math.ceil(len(names) / _COLUMNS)
  with style.context():
    drawn = style.figure(4.2 * _COLUMNS, 3.1 * rows)
    panels = drawn.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
      _panel(axes, name, found[name], looks)
    for axes in panels[len(names) :]:
      axes.set_axis_off()
    shown = {c.get_label(): c for axes in panels for c in axes.get_lines()}
    shown = {k: v for k, v in shown.items() if not k.startswith("_")}
    drawn.legend(shown.values(), shown, loc="outside lower center", ncols=6)
    style.save(drawn, path)


def _panel(axes, name, known, looks) -> None:
  scales = plan.SETS[name].scales
  axes.axhline(1.0, color=style.FAINT)
  axes.axvline(max(plan.INSIDE), color=style.FAINT)
  for model in plan.SETS[name].models:
    for way, dash in zip(plan.WAYS, ("-", "--"), strict=True):
      seeds = over_bicubic.seeds(known, model, way)
      if not seeds or (way == "steps" and model != "hinote"):
        continue
      errors = np.array([[seed[scale] for scale in scales] for seed in seeds])
      label = model if way == "time" else f"{model}, equal steps"
      look = dict(color=looks[model], ls=dash, label=label)
      axes.plot(scales, errors.mean(0), marker=".", **look)
      edges = errors.min(0), errors.max(0)
      axes.fill_between(scales, *edges, color=looks[model], alpha=0.2, lw=0)
  axes.set_xscale("log", base=2)
  ticks = [s for s in scales if s in (2.0, 3.0, 4.0, 8.2, 15.7, 32.0)]
  axes.set_xticks(ticks, [f"x{s:g}" for s in ticks])
  axes.minorticks_off()
  axes.set_title(name)
  axes.set_ylim(top=min(axes.get_ylim()[1], _HIGHEST))
  if axes.get_subplotspec().is_first_col():
    axes.set_ylabel("squared error over bicubic's")
