"""Where the frequency-aware loss looks."""

import jax
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.plots import maps, style

Array = jax.Array | np.ndarray

# Smaller fields are seen well enough without a window of them.
_WINDOWED = 64


def prior(
  lowres: Array,
  highres: Array,
  resized: Array,
  weight: Array,
  *,
  y: Array | None = None,
  x: Array | None = None,
  is_geographic: bool = False,
  name: str = "",
  units: str = "",
  title: str = "",
) -> Figure:
  """Draws an example, what lies beyond its band, and the weight of the loss.

  Below, of large fields, the window where the input's band holds least.

  Args:
    lowres: the input a, [h w].
    highres: the target b, [H W], in the unit of `lowres`.
    resized: R(a), `lowres` on the target grid within its band, [H W].
    weight: factor of the loss at every cell, [H W].
    y: row coordinates, [H]; the larger is up. None: the first row is up.
    x: column coordinates, [W].
    is_geographic: coordinates are degrees of latitude and longitude.
    name: of the quantity.
    units: unit of the fields.
    title: of the figure.
  """
  lowres, highres = np.asarray(lowres), np.asarray(highres)
  weight = np.asarray(weight)
  structure = np.abs(np.asarray(highres, np.float64) - resized)
  where = maps.frame(highres.shape, y, x, is_geographic=is_geographic)
  edges = maps.box(where, highres.shape, maps.worst_window(structure))
  field = style.look_of_values(highres, units)
  unit = style.unit_label(units)
  drawn = (
    (f"input a, {lowres.shape[0]} × {lowres.shape[1]}", lowres, field),
    ("target b", highres, field),
    ("what R(a) cannot hold", structure, _positive(structure, "cividis")),
    ("weight of the loss", weight, _positive(weight, "magma")),
  )
  texts = (name + unit, name + unit, f"|b − R(a)|{unit}", "w")
  with style.context():
    width, height = maps.panel_size(where.aspect)
    rows = 2 if min(highres.shape) >= _WINDOWED else 1
    figure = style.figure(4 * width + 0.6, rows * height + 1.55)
    grid = figure.subplots(rows, 4, squeeze=False)
    for column, (text, values, look) in enumerate(drawn):
      for axes in grid[:, column]:
        maps.show(axes, values, where, **look)
        axes.tick_params(labelleft=column == 0)
      grid[0, column].set_title(text)
      if rows > 1:
        maps.outline(grid[0, column], edges)
        maps.zoom(grid[1, column], edges)
      maps.colorbar(
        grid[-1:, column],
        texts[column],
        location="bottom",
        pad=0.03,
        aspect=28,
      )
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def _positive(values: np.ndarray, cmap: str) -> dict:
  """Returns a sequential look from the least value to nearly the largest."""
  low, high = float(np.min(values)), float(np.percentile(values, 99.0))
  return {"cmap": cmap, "vmin": low, "vmax": high if high > low else low + 1.0}
