"""One HTML file that shows figures and tables, light or dark, by itself."""

from collections.abc import Mapping, Sequence
import html
import json
import os
import pathlib
from typing import Any, NamedTuple

from bokeh import document, embed, events, models, resources
from bokeh.core import templates
from bokeh.settings import settings

from hinote_jax.io import files
from hinote_jax.pages import charts
from hinote_jax.plots import style

_INK = {"light": style.INK, "dark": "#e6e8eb"}
_PAPER = {"light": "#ffffff", "dark": "#16191d"}
_RULE = {"light": style.FAINT, "dark": "#3a4048"}
_PAINT = """
const looks = JSON.parse(text)
const dark = window.matchMedia("(prefers-color-scheme: dark)")
const paint = () => {
  const look = looks[dark.matches ? "dark" : "light"]
  for (const model of Bokeh.documents[0]._all_models.values()) {
    const name = model.tags.includes("ink") ? "ink" : model.type
    if (look[name])
      model.setv(look[name])
  }
}
paint()
dark.addEventListener("change", paint)
"""
_TEMPLATE = """{% from macros import embed %}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title | e }}</title>
{{ bokeh_css }}{{ bokeh_js }}
<style>
:root { color-scheme: light dark;
  --ink: light-dark({{ ink.light }}, {{ ink.dark }});
  --paper: light-dark({{ paper.light }}, {{ paper.dark }});
  --rule: light-dark({{ rule.light }}, {{ rule.dark }}); }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1400px; margin: 0 auto; padding: 1em 1.5em 3em; }
section { overflow-x: auto; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin: 1.6em 0 .4em; }
pre { padding: .7em 1em; border: 1px solid var(--rule); white-space: pre-wrap; }
code { font-size: .95em; }
</style>
</head>
<body>
<main>
<h1>{{ title | e }}</h1>
{% for part in parts %}<section>
<h2>{{ part.title | e }}</h2>
{{ part.text }}
{% if part.root %}{{ embed(roots[part.root]) }}{% endif %}
</section>
{% endfor %}
</main>
{{ plot_script }}
</body>
</html>
"""
# What lies in shadow roots takes the colours of the page all the same.
_STYLE = """
:host { color: var(--ink); }
.bk-input { background: var(--paper); color: var(--ink);
  border-color: var(--rule); }
.slick-header, .slick-header-columns, .slick-header-column,
.slick-viewport, .slick-row, .slick-cell {
  background: var(--paper) !important; color: var(--ink) !important;
  border-color: var(--rule) !important; }
.slick-row:hover .slick-cell { background: var(--rule) !important; }
.noUi-target { background: var(--rule); border-color: var(--rule); }
"""


class Part(NamedTuple):
  """A section: its title, what it says in HTML, and what it shows."""

  title: str
  text: str = ""
  shown: Any = None


def write(
  path: str | os.PathLike,
  title: str,
  parts: Sequence[Part],
  *,
  at_first: Sequence[models.CustomJS] = (),
) -> pathlib.Path:
  """Writes a page, whole or not at all; it needs no other file to be seen.

  Args:
    path: of the page.
    title: of it.
    parts: from top to bottom.
    at_first: what is to run when it is opened.
  """
  page = document.Document()
  sections = []
  for i, part in enumerate(parts):
    name = ""
    if part.shown is not None:
      name = f"part{i}"
      part.shown.update(name=name)
      page.add_root(part.shown)
    sections.append({"title": part.title, "text": part.text, "root": name})
  for model in page.models:
    if isinstance(model, models.Widget):
      model.stylesheets = [*model.stylesheets, _STYLE]
  looks = {kind: _looks(kind) for kind in ("light", "dark")}
  paint = models.CustomJS(code=_PAINT, args={"text": json.dumps(looks)})
  page.js_on_event(events.DocumentReady, *at_first, paint)
  settings.compression_level.set_value(6)
  settings.perform_document_validation.set_value(False)
  try:
    text = embed.file_html(
      page,
      resources.INLINE,
      title,
      template=templates.get_env().from_string(_TEMPLATE),
      template_variables={
        "parts": sections,
        "ink": _INK,
        "paper": _PAPER,
        "rule": _RULE,
      },
    )
  finally:
    settings.compression_level.unset_value()
    settings.perform_document_validation.unset_value()
  path = pathlib.Path(path)
  files.write_text(path, text)
  return path


def facts(values: Mapping[str, Any], command: str = "") -> str:
  """Returns values by name, but for empty ones, and a command, in HTML."""
  lines = [
    f"<li>{html.escape(key)}: {html.escape(str(value))}</li>"
    for key, value in values.items()
    if value
  ]
  text = f"<ul>{''.join(lines)}</ul>"
  if command:
    text += f"<p>To reproduce:</p><pre>{html.escape(command)}</pre>"
  return text


def _looks(kind: str) -> dict[str, dict[str, str]]:
  """Returns the colours of models, by their types."""
  ink, paper, rule = _INK[kind], _PAPER[kind], _RULE[kind]
  lines = ("axis_line", "major_tick_line", "minor_tick_line")
  axis = {f"{name}_color": ink for name in lines}
  axis |= {f"{n}_text_color": ink for n in ("axis_label", "major_label")}
  return {
    "Figure": {
      "background_fill_color": paper,
      "border_fill_color": paper,
      "outline_line_color": rule,
    },
    "LinearAxis": axis,
    "LogAxis": axis,
    "Grid": {"grid_line_color": rule},
    "Title": {"text_color": ink},
    "Legend": {
      "background_fill_color": paper,
      "border_line_color": rule,
      "label_text_color": ink,
    },
    "ColorBar": {
      "background_fill_color": paper,
      "title_text_color": ink,
      "major_label_text_color": ink,
    },
    charts.INK: {"line_color": ink},
  }
