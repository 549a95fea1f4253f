"""Maps under one slider: input, reconstructions, truth and errors."""

from collections.abc import Mapping, Sequence
import json
from typing import Any

from bokeh import layouts, models, plotting
import matplotlib
from matplotlib import colors
import numpy as np

from hinote_jax.pages import charts
from hinote_jax.pages import samples as packing
from hinote_jax.plots import style

_DIVERGING = [
  colors.to_hex(c)
  for c in matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 257))
]
_TOOLS = "pan,wheel_zoom,box_zoom,zoom_in,zoom_out,reset,save"
_SHOW = """
const entries = (d) => d instanceof Map ? [...d] : Object.entries(d)
const at_key = (d, key) => d instanceof Map ? d.get(key) : d[key]
const contents = JSON.parse(text)
const row = contents.order[scale.value]
time.end = Math.max(row.length - 1, 1)
time.disabled = row.length < 2
const i = row[Math.min(time.value, row.length - 1)]
const c = Math.max(contents.variables.indexOf(variable.value), 0)
const at = contents.places[i], now = contents.descriptions[i][c]
label.text = at.name
const Floats = store.get_column("floats")[0].constructor
const missing = {int8: -(2 ** 7), int16: -(2 ** 15), int32: -(2 ** 31)}
const field = (name) => {
  const counts = store.get_column(now.parts[name])?.[0]
  if (counts && !now.codes[name])
    return counts
  if (counts) {
    const [first, step] = now.codes[name], none = missing[counts.dtype]
    const values = new Floats(counts, counts.shape)
    for (let j = 0; j < values.length; j++)
      values[j] = counts[j] == none ? NaN : first + step * counts[j]
    return values
  }
  const sum = field("base"), error = field(name.split(" ")[0])
  for (let j = 0; j < sum.length; j++)
    sum[j] += error[j]
  return sum
}
for (const [name, panel] of entries(panels)) {
  const box = name == "input" ? at.coarse : at.fine
  const column = {image: [field(name)]}
  for (const side of ["x", "y", "dw", "dh"])
    column[side] = [box[side]]
  at_key(sources, name).data = column
  panel.title.text = now.titles[name]
  if (panel.frame_width != at.size[0] || panel.frame_height != at.size[1])
    panel.setv({frame_width: at.size[0], frame_height: at.size[1]})
}
if (JSON.stringify([at.x, at.y]) != x_range.tags[0]) {
  x_range.tags = [JSON.stringify([at.x, at.y])]
  x_range.setv({start: at.x[0], end: at.x[1],
                reset_start: at.x[0], reset_end: at.x[1]})
  y_range.setv({start: at.y[0], end: at.y[1],
                reset_start: at.y[0], reset_end: at.y[1]})
}
if (now.palette !== undefined)
  colours.setv({palette: contents.palettes[now.palette],
                low: now.low, high: now.high,
                low_color: now.under, high_color: now.over})
errors.setv({low: -now.limit, high: now.limit})
for (const bar of bars)
  bar.title = now.unit
const curve = at_key(curves, `${variable.value}|${scale.value}`)
if (curve)
  shown.data = curve.data
"""


def viewer(
  samples: Sequence[packing.Sample],
  variables: Sequence[Mapping[str, str]],
  *,
  base: str,
  domain: str = "",
  in_colour: bool = False,
  curves: charts.Spectra | None = None,
) -> tuple[models.LayoutDOM, models.CustomJS]:
  """Returns maps of samples under a slider, and what is to run at first.

  From left to right: the input, the base, the others, whose differences from
  the base lie under them.

  Args:
    samples: at least one; all with the same others.
    variables: "name", "units" and "long_name" of each channel.
    base: what the base is called.
    domain: the science, for its colours.
    in_colour: the channels are red, green and blue.
    curves: spectra that follow the choice.
  """
  samples = list(map(packing.windowed, samples))
  packed = packing.Packed(
    samples, variables, base=base, domain=domain, in_colour=in_colour
  )
  rows: dict[str, list[int]] = {}
  for i, sample in enumerate(samples):
    rows.setdefault(sample.scale, []).append(i)
  names = ["colour"] if in_colour else [v["name"] for v in variables]
  contents = {
    "order": rows,
    "variables": names,
    "descriptions": packed.descriptions,
    "places": packed.places,
    "palettes": packed.palettes,
  }
  colours = models.LinearColorMapper(
    palette=_DIVERGING, nan_color=style.MISSING
  )
  errors = models.LinearColorMapper(palette=_DIVERGING, nan_color=style.MISSING)
  order = [f"{n} image" for n in range(len(samples[0].others))]
  order = ["input", "base", *order]
  grid, parts = _maps(order, None if in_colour else colours, errors)
  widgets = _choices(rows, names)
  # A slider ends its own title with a colon.
  label = models.Div(text=samples[0].name, render_as_text=True, name="label")
  held: Any = {key: [values] for key, values in packed.arrays.items()}
  held["floats"] = [np.zeros((1, 1), np.float32)]  # for their constructor
  show = models.CustomJS(
    code=_SHOW,
    args=dict(
      text=json.dumps(contents),
      store=models.ColumnDataSource(held),
      colours=colours,
      errors=errors,
      curves=curves.data if curves else {},
      shown=curves.shown if curves else None,
      label=label,
      **parts,
      **widgets,
    ),
  )
  for widget in widgets.values():
    widget.js_on_change("value", show)
  *choices, time = widgets.values()
  row = layouts.row(*choices, layouts.column(label, time))
  return layouts.column(row, grid), show


def _choices(
  rows: Mapping[str, Sequence[int]], names: Sequence[str]
) -> dict[str, Any]:
  """Returns what chooses: the variable, the scale and the field."""
  longest = max(map(len, rows.values()))
  choices: dict[str, Any] = {
    "variable": models.Select(options=list(names), value=names[0], width=120),
    "scale": models.Select(
      options=list(rows), value=next(iter(rows)), width=90
    ),
    "time": models.Slider(
      start=0,
      end=max(longest - 1, 1),
      value=0,
      step=1,
      show_value=False,
      title="",
      width=420,
    ),
  }
  for name, many in (("variable", names), ("scale", rows)):
    choices[name].update(title=name, visible=len(many) > 1)
  choices["time"].visible = longest > 1
  return choices


def _maps(
  order: Sequence[str], colours: models.ColorMapper | None, errors: Any
) -> tuple[models.LayoutDOM, dict[str, Any]]:
  """Returns the maps in rows, and their parts by name; all zoom as one."""
  ranges = {side: models.Range1d(tags=[""]) for side in ("x_range", "y_range")}
  line: dict[str, Any] = dict(line_color="#888888", line_dash="dotted")
  cross = (
    models.Span(dimension="width", **line),
    models.Span(dimension="height", **line),
  )
  panels, sources, rows = {}, {}, [[], []]
  for name in order:
    for row, key in enumerate((name, name.removesuffix(" image"))):
      if row and key == name:
        rows[row].append(None)
        continue
      columns: Any = {k: [] for k in ("image", "x", "y", "dw", "dh")}
      sources[key] = models.ColumnDataSource(columns, name=key)
      panels[key] = _panel(sources[key], errors if row else colours, ranges)
      panels[key].add_tools(models.CrosshairTool(overlay=cross))
      rows[row].append(panels[key])
  bars = []
  for row, mapper in zip(rows, (colours, errors), strict=True):
    if mapper is not None:
      last = [panel for panel in row if panel is not None][-1]
      bars.append(models.ColorBar(color_mapper=mapper, width=12, title=""))
      last.add_layout(bars[-1], "right")
  grid = layouts.gridplot(rows, merge_tools=True, toolbar_location="above")
  return grid, dict(panels=panels, sources=sources, bars=bars, **ranges)


def _panel(source, mapper: models.ColorMapper | None, ranges) -> Any:
  """Returns an empty map; without a mapper its pixels are colours."""
  panel = plotting.figure(
    tools=_TOOLS,
    active_scroll="wheel_zoom",
    frame_width=100,
    frame_height=100,
    title=" ",
    **ranges,
  )
  where: dict[str, Any] = {n: n for n in ("image", "x", "y", "dw", "dh")}
  where["source"] = source
  tips = [("x", "$x{0.[000]}"), ("y", "$y{0.[000]}")]
  if mapper is None:
    panel.image_rgba(**where)
  else:
    where["color_mapper"] = mapper
    panel.image(**where)
    tips.append(("value", "@image"))
  panel.add_tools(models.HoverTool(tooltips=tips))
  panel.grid.visible = False
  for axis in panel.axis:
    axis.ticker = models.BasicTicker(desired_num_ticks=4)
  return panel
