"""The same window of an image, by every model and at every scale."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib import colors
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.plots import maps, style


class Row(NamedTuple):
  """One image at one scale; values in [0, 1].

  Attributes:
    title: what to write beside it.
    lowres: [h w 3].
    predictions: model name -> [H W 3].
    highres: the truth, [H W 3]; NaN where it is missing, and there nothing
      is drawn or counted.
  """

  title: str
  lowres: np.ndarray
  predictions: Mapping[str, np.ndarray]
  highres: np.ndarray


def crops(rows: Sequence[Row], *, title: str = "") -> Figure:
  """Draws the truth, and of its hardest window the input, models and truth.

  The window is where the last of the models errs most, models being in the
  same order in every row.

  Args:
    rows: one per scale.
    title: of the figure.
  """
  names = list(rows[0].predictions)
  headings = ["truth", "input", *names, "truth"]
  with style.context():
    figure = style.figure(2.1 * len(headings) + 0.4, 2.2 * len(rows) + 0.6)
    grid = figure.subplots(len(rows), len(headings), squeeze=False)
    for axes_row, row in zip(grid, rows, strict=True):
      _draw(axes_row, row, names)
    for axes, heading in zip(grid[0], headings, strict=True):
      axes.set_title(heading)
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def _draw(axes_row, row: Row, names: Sequence[str]) -> None:
  shape = row.highres.shape[:2]
  error = np.square(row.predictions[names[-1]] - row.highres).mean(-1)
  where = maps.frame(shape)
  edges = maps.box(where, shape, maps.worst_window(np.sqrt(error)))
  is_missing = np.isnan(row.highres).any(-1, keepdims=True)
  # Colours have no NaN: an image would be black there.
  truth, *fields = (
    np.where(is_missing, colors.to_rgb(style.MISSING), field)
    for field in (row.highres, *(row.predictions[name] for name in names))
  )
  fields = [truth, row.lowres, *fields, truth]
  for axes, field in zip(axes_row, fields, strict=True):
    maps.show(axes, np.clip(field, 0.0, 1.0), where)
    axes.set(xticks=[], yticks=[])
  maps.outline(axes_row[0], edges)
  for axes in axes_row[1:]:
    maps.zoom(axes, edges)
  axes_row[0].set_ylabel(row.title)
