"""Where the frequency-aware loss looks."""

from matplotlib.figure import Figure
import numpy as np

from hinote_jax.core.typing import Array
from hinote_jax.plots import maps, style

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
    highres: the target b, [H W], in the unit of `lowres`; NaN where it is
      missing, and there nothing but the input is drawn.
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
  weight = np.where(np.isnan(highres), np.nan, weight)
  structure = np.abs(np.asarray(highres, np.float64) - resized)
  where = maps.frame(highres.shape, y, x, is_geographic=is_geographic)
  edges = maps.box(where, highres.shape, maps.worst_window(structure))
  look = style.look_of_values(highres, units)
  value, missed = _label(name, units), _label("|b − R(a)|", units)
  dark, warm = _positive(structure, "cividis"), _positive(weight, "magma")
  columns = (
    (f"input a, {lowres.shape[0]} × {lowres.shape[1]}", lowres, look, value),
    ("target b", highres, look, value),
    ("what R(a) cannot hold", structure, dark, missed),
    ("weight of the loss", weight, warm, "w"),
  )
  with style.context():
    width, height = maps.panel_size(where.aspect)
    rows = 2 if min(highres.shape) >= _WINDOWED else 1
    # High enough that widths decide: else the layout may cut the titles off.
    around = 1.65 if title else 1.3
    figure = style.figure(4 * width + 0.6, rows * (height + 0.3) + around)
    grid = figure.subplots(rows, 4, squeeze=False)
    for axes, column in zip(grid.T, columns, strict=True):
      _draw(axes, *column, where, edges)
    for axes in grid[:, 1:].ravel():
      axes.tick_params(labelleft=False)
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def _draw(column, title: str, values, look: dict, label: str, where, edges):
  """Draws a field, below it its window if there is room, and the bar."""
  for axes in column:
    maps.show(axes, values, where, **look)
  column[0].set_title(title)
  for axes in column[1:]:
    maps.outline(column[0], edges)
    maps.zoom(axes, edges)
  bottom = {"location": "bottom", "pad": 0.03, "aspect": 28}
  maps.colorbar(column[-1:], label, **bottom)


def _label(name: str, units: str) -> str:
  """Returns the name, and its unit below: bars side by side have no room."""
  return "\n".join(filter(None, (name, style.unit_label(units).strip())))


def _positive(values: np.ndarray, cmap: str) -> dict:
  """Returns a sequential look from the least value to nearly the largest."""
  values = style.known(values)
  low, high = float(np.min(values)), float(np.percentile(values, 99.0))
  return {"cmap": cmap, "vmin": low, "vmax": high if high > low else low + 1.0}
