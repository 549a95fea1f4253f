"""Draws what `hinote` makes of one field by each loss, side by side.

    python -m experiments.perceptual.pictures

It reads the runs of seed 0 that `experiments.perceptual.run` has left, and
draws the window where bicubic errs most at the largest scale.
"""

from collections.abc import Sequence

import numpy as np

from experiments import question
from experiments.perceptual import run
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import scores
from hinote_jax.plots import looks, maps, style
from hinote_jax.train import run_data

PATH = run.FOLDER / "pictures.png"
_FIELDS = ("turbulence", "photographs")
_LOSSES = ("L1", "mghf_n", "mghf_c", "prior", "focal frequency")
_DOMAINS = {"turbulence": "turbulence", "photographs": "image"}
_WINDOW = 0.35  # of a side


def columns(fields: str, losses: Sequence[str]) -> dict[str, np.ndarray]:
  """Returns title -> the same window [H W] of one field held out.

  Raises:
    FileNotFoundError: a run is not there.
  """
  shown, truth, window = {}, None, ()
  for loss in losses:
    variant = f"hinote, {loss}"
    config = run.QUESTION.config(fields, variant, 0, run.QUESTION.steps)
    config.evaluate.scales = (max(run.QUESTION.scales),)
    folder = question.folder(run.QUESTION, f"{fields}/{variant}/0")
    data = run_data.make(config, folder)
    example = scoring.evaluate_run(config, folder, data).examples[0]
    truth = example.highres[..., 0]
    bicubic = example.predictions[scores.BASELINE][..., 0]
    row, column, height, width = maps.worst_window(bicubic - truth, _WINDOW)
    window = slice(row, row + height), slice(column, column + width)
    shown.setdefault(scores.BASELINE, bicubic[window])
    shown[loss] = example.predictions["hinote"][..., 0][window]
  return shown | {"truth": truth[window]}


def main() -> None:
  """Draws the picture, a row a kind of field."""
  rows = {fields: columns(fields, _LOSSES) for fields in _FIELDS}
  count = len(_LOSSES) + 2
  with style.context():
    drawn = style.figure(1.7 * count, 1.85 * len(rows))
    grid = drawn.subplots(len(rows), count, squeeze=False)
    for line, (fields, shown) in zip(grid, rows.items(), strict=True):
      look = looks.look(shown["truth"], domain=_DOMAINS[fields])
      for axes, (title, values) in zip(line, shown.items(), strict=True):
        axes.imshow(values, interpolation="nearest", **look)
        axes.set(xticks=[], yticks=[], title=title)
      line[0].set_ylabel(fields)
    style.save(drawn, PATH)


if __name__ == "__main__":
  main()
