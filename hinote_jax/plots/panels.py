"""Input, interpolation, model and truth side by side, and their errors."""

from matplotlib.figure import Figure
import numpy as np

from hinote_jax.core.typing import Array
from hinote_jax.plots import looks, maps, style

_TITLE, _LONG_TITLE = 12, 9.5


def panels(
  lowres: Array,
  baseline: Array,
  model: Array,
  highres: Array,
  *,
  names: tuple[str, str] = ("bicubic", "model"),
  y: Array | None = None,
  x: Array | None = None,
  is_geographic: bool = False,
  name: str = "",
  units: str = "",
  domain: str = "",
  title: str = "",
  zoom: tuple[int, int, int, int] | None = None,
) -> Figure:
  """Draws one reconstructed field against the truth and an interpolation.

  Top row: the input cell by cell, both reconstructions, the truth, on one
  colour scale. Middle row: a window of the same. Bottom row: both errors and
  the same window of them, on one symmetric scale.

  Args:
    lowres: [h w], physical units as all fields here.
    baseline: [H W], the interpolation.
    model: [H W].
    highres: the truth, [H W]; NaN where it is missing, and there the others
      are neither drawn, but for the input, nor counted.
    names: what to call `baseline` and `model`.
    y: row coordinates, [H]; the larger is up. None: the first row is up.
    x: column coordinates, [W].
    is_geographic: coordinates are degrees of latitude and longitude.
    name: short name of the variable, on the colour bar where it has no unit.
    units: its unit.
    domain: the science, whose colours are taken (`looks.look`).
    title: of the figure.
    zoom: (first row, first column, rows, columns) of the window; by default
      where `baseline` errs most.

  Raises:
    ValueError: the three fine fields differ in shape.
  """
  shape = highres.shape
  if baseline.shape != shape or model.shape != shape:
    raise ValueError(
      f"fields of shape {baseline.shape}, {model.shape} and {shape}"
    )
  lowres, highres = np.asarray(lowres), np.asarray(highres)
  is_missing = np.isnan(highres)
  rebuilt = {
    name: np.where(is_missing, np.nan, field)
    for name, field in zip(names, (baseline, model), strict=True)
  }
  errors = {n: np.asarray(f, np.float64) - highres for n, f in rebuilt.items()}
  first = f"input, {lowres.shape[0]} × {lowres.shape[1]}"
  last = f"truth, {shape[0]} × {shape[1]}"
  fields = {first: lowres, **rebuilt, last: highres}
  sides = int(shape[0]), int(shape[1])
  where = maps.frame(sides, y, x, is_geographic=is_geographic)
  edges = maps.box(where, sides, zoom or maps.worst_window(errors[names[0]]))
  with style.context():
    width, height = maps.panel_size(where.aspect)
    figure = style.figure(4 * width + 1.3, 3 * height + 1.4)
    grid = figure.subplots(3, 4)
    labels = dict(name=name, units=units, domain=domain)
    _draw_fields(grid[:2], fields, where, edges, labels)
    _draw_errors(grid[2], errors, where, edges, units)
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def _draw_fields(grid, fields: dict, where, edges, labels: dict) -> None:
  """Draws the fields above and their windows below, each row on one scale."""
  truth = list(fields.values())[-1]
  window = maps.inside(truth, where, edges)
  for row, values in zip(grid, (truth, window), strict=True):
    # The window has its own limits, and the sign rule of the whole field.
    look = looks.look(values, **labels, signed=style.is_signed(truth))
    for axes, field in zip(row, fields.values(), strict=True):
      maps.show(axes, field, where, **look)
  for axes, name in zip(grid[0], fields, strict=True):
    axes.set_title(name)
    maps.outline(axes, edges)
  for axes in grid[1]:
    maps.zoom(axes, edges)
  for axes in grid[:, 1:].ravel():
    axes.tick_params(labelleft=False)
  for row in grid:
    unit = style.unit_label(labels["units"]).strip(" []")
    maps.colorbar(row, unit or labels["name"] or "value")


def _draw_errors(row, errors: dict, where, edges, units: str) -> None:
  """Draws both errors, then the window of both, on one symmetric scale."""
  low, high = style.symmetric(*errors.values())
  unit = style.unit_label(units).strip(" []")
  for column, (name, error) in enumerate(errors.items()):
    whole, window = row[column], row[column + 2]
    for axes in (whole, window):
      maps.show(axes, error, where, cmap="RdBu_r", vmin=low, vmax=high)
    rms = np.sqrt(np.nanmean(np.square(error)))
    title = f"{name} − truth, RMS {rms:.3g} {unit}".rstrip()
    # A long unit would run into the title of the next panel.
    whole.set_title(title, fontsize=_TITLE if len(title) <= 28 else _LONG_TITLE)
    window.set_title(f"{name} − truth, window")
    maps.outline(whole, edges)
    maps.zoom(window, edges)
  for axes in row[1:]:
    axes.tick_params(labelleft=False)
  maps.colorbar(row, "error" + style.unit_label(units))
