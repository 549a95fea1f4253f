"""Curves to read with the mouse: spectra of a choice, and the training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bokeh import layouts, models, plotting
import numpy as np

from hinote_jax.metrics import spectra as radial
from hinote_jax.plots import curves, style
from hinote_jax.train import checkpoint

# A line of this tag is dark on a light page and light on a dark one.
INK = "ink"


CAPTION = (
  "<p>Of the variable and the scale above; a click on a name hides it.</p>"
)


class Spectra(NamedTuple):
  """Curves, and what they may show.

  Attributes:
    drawn: the curves.
    data: "variable|scale" -> what they show of it.
    shown: where that goes.
  """

  drawn: models.LayoutDOM
  data: dict[str, models.ColumnDataSource]
  shown: models.ColumnDataSource


def spectra(
  entries: Sequence[Mapping[str, Any]], variables: Sequence[Mapping[str, str]]
) -> Spectra:
  """Returns spectra of a variable at a scale, and their ratio to one of them.

  Args:
    entries: one per scale: "scale", "wavenumber" [k] in cycles per fine cell
      and "power", name -> [c k]; others are divided by the truth or, without
      one, by the first.
    variables: "name" of each channel.
  """
  names = sorted(entries[0]["power"], key=lambda name: name != "truth")
  data = {
    f"{v['name']}|x{entry['scale']:g}": _columns(entry, c, names[0])
    for entry in entries
    for c, v in enumerate(variables)
  }
  shown = models.ColumnDataSource(next(iter(data.values())))
  label = "wavenumber [cycles per fine cell]"
  figures = [
    _figure(label, "power, in the unit of the variable squared", "log", "log"),
    _figure(label, f"relative to {names[0]} [dB]", "log", "linear"),
  ]
  if names[0] == "truth":  # beside an interpolation a result has any power
    figures[1].y_range = models.Range1d(start=-22, end=8)
  items = []
  looks = style.lines(names)
  for name in names:
    for figure, column in zip(figures, (name, f"{name} dB"), strict=True):
      color, dash = looks[name]
      line = figure.line("k", column, source=shown, color=color, name=column)
      line.glyph.update(line_dash=dash, line_width=2)
      line.glyph.tags = [INK] * (name == "truth")
      if figure is figures[0]:
        items.append(models.LegendItem(label=name, renderers=[line]))
  legend = models.Legend(items=items, click_policy="hide", glyph_width=36)
  figures[0].add_layout(legend, "right")
  drawn = [_read_by_mouse(figure, "k") for figure in figures]
  sources = {key: models.ColumnDataSource(d) for key, d in data.items()}
  row = layouts.row(*drawn, styles={"flex-wrap": "wrap"})
  return Spectra(row, sources, shown)


def _columns(
  entry: Mapping[str, Any], channel: int, reference: str
) -> dict[str, Any]:
  """Returns the curves of one channel, those that are resolved."""
  waves = np.asarray(entry["wavenumber"])
  inside = radial.resolved(waves)
  columns: dict[str, Any] = {"k": waves[inside].astype(np.float32)}
  powers = {
    n: np.asarray(p)[channel, inside] for n, p in entry["power"].items()
  }
  first = powers[reference]
  for name, power in powers.items():
    power = np.where(power > 0, power, np.nan)
    columns[name] = power.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
      decibels = 10 * np.log10(power / first)
    columns[f"{name} dB"] = decibels.astype(np.float32)
  return columns


def training(records: curves.Records) -> models.LayoutDOM:
  """Returns the loss and the validation error against the step."""
  drawn = []
  for key, label, names in (
    ("loss", "training loss", ("each record", "running mean")),
    (
      checkpoint.BEST_KEY,
      "error on validation windows / bicubic's",
      ("model",),
    ),
  ):
    steps, values = curves.series(records, key)
    if not steps.size:
      continue
    data: dict[str, Any] = {"step": steps, names[0]: values}
    data[names[-1]] = curves.smooth(values) if names[1:] else values
    source = models.ColumnDataSource(data)
    figure = _figure("step", label, "linear", "log")
    for name in names:
      color = "#c2410c" if name == names[-1] else "#9db4cc"
      figure.line("step", name, source=source, name=name, color=color)
    drawn.append(_read_by_mouse(figure, "step"))
  return layouts.row(*drawn, styles={"flex-wrap": "wrap"})


def _figure(x: str, y: str, x_kind: Any, y_kind: Any) -> Any:
  return plotting.figure(
    tools="pan,wheel_zoom,box_zoom,reset,save",
    x_axis_label=x,
    y_axis_label=y,
    x_axis_type=x_kind,
    y_axis_type=y_kind,
    width=640,
    height=380,
  )


def _read_by_mouse(figure: Any, x: str) -> Any:
  """Returns a figure that says what lies under the mouse.

  Each line is called as the column of its source that it shows.
  """
  tips = [("", "$name"), (x, f"@{{{x}}}"), ("value", "@$name")]
  figure.add_tools(models.HoverTool(tooltips=tips))
  return figure
