"""The look of every figure, its colours, and how it is saved."""

import collections
import os
import pathlib
import re
from typing import Any, NamedTuple

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.io import files

DPI = 130
INK, MUTED, FAINT = "#1b1f24", "#6b7280", "#d8dce2"
ACCENT = "#c2410c"
MISSING = "#9aa0a6"  # cells of a map without a value

_RC: dict[Any, Any] = {
  "axes.axisbelow": True,
  "axes.edgecolor": MUTED,
  "axes.labelcolor": INK,
  "axes.labelsize": 11,
  "axes.linewidth": 0.8,
  "axes.titlelocation": "left",
  "axes.titlesize": 12,
  "figure.titlesize": 14,
  "font.family": "DejaVu Sans",
  "font.size": 10.5,
  "grid.color": FAINT,
  "grid.linewidth": 0.7,
  "legend.fontsize": 10,
  "legend.frameon": False,
  "text.color": INK,
  "xtick.color": MUTED,
  "xtick.labelcolor": INK,
  "ytick.color": MUTED,
  "ytick.labelcolor": INK,
  "xtick.labelsize": 9.5,
  "ytick.labelsize": 9.5,
}

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# Interpolations are quiet, models loud, the truth black.
_COLORS = {
  "truth": INK,
  "nearest": "#b8bec8",
  "bilinear": "#a78bba",
  "bicubic": "#3b82c4",
  "lanczos": "#7fb2dd",
  "spectral": "#5aa89a",
}
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_LOUD = ("#c2410c", "#7c3aed", "#be185d", "#4d7c0f", "#a16207", "#0e7490")


def context():
  """Returns a context in which matplotlib draws in this style."""
  return matplotlib.rc_context(_RC)


def figure(width: float, height: float) -> Figure:
  """Returns an empty figure of so many inches, laid out by constraints."""
  drawn = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
  FigureCanvasAgg(drawn)
  return drawn


def colors(names: list[str]) -> dict[str, str]:
  """Returns the colour of every curve: fixed for known names."""
  return {name: line.color for name, line in lines(names).items()}


class Line(NamedTuple):
  """The look of a curve; both libraries call dashes alike."""

  color: str
  dash: str


def lines(names: list[str]) -> dict[str, Line]:
  """Returns the look of every curve, no two alike.

  Known names have a colour of their own, and "hinote, consistent" has that of
  "hinote"; what shares a colour differs by its dashes.
  """
  stems = {n: s if (s := n.partition(", ")[0]) in names else n for n in names}
  unknown = [s for s in dict.fromkeys(stems.values()) if s not in _COLORS]
  loud = {s: _LOUD[i % len(_LOUD)] for i, s in enumerate(unknown)}
  table, taken, looks = _COLORS | loud, collections.Counter(), {}
  for name, stem in stems.items():
    color = table[stem]
    looks[name] = Line(color, _DASHES[taken[color] % len(_DASHES)])
    taken[color] += 1
  return looks


def unit_label(units: str) -> str:
  """Returns " [unit]" with typographic exponents, or nothing.

  Both "m s-1" and "m s**-1" become "m s⁻¹".
  """
  if not units:
    return ""
  raised = re.sub(
    r"(?<=[A-Za-z])(?:\*\*|\^)?(-?\d+)",
    lambda match: match[1].translate(_SUPERSCRIPTS),
    units,
  )
  return f" [{raised}]"


def squared(units: str) -> str:
  """Returns " [unit²]", with brackets around a compound unit, or nothing."""
  unit = unit_label(units)[2:-1]
  if not unit:
    return ""
  return f" [{unit}²]" if unit.isalpha() else f" [({unit})²]"


def known(values: np.ndarray) -> np.ndarray:
  """Returns the values that are not NaN, [n]; one 0 where all are.

  Examples:
    >>> known(np.array([[1.0, np.nan], [3.0, 4.0]]))
    array([1., 3., 4.])
  """
  values = values[~np.isnan(values)]
  return values if values.size else np.zeros(1)


def is_signed(values: np.ndarray) -> bool:
  """Returns whether both signs matter: neither side is a mere fringe."""
  low, high = np.percentile(known(values), (1.0, 99.0))
  return bool(low < 0.0 < high and min(-low, high) > 0.2 * max(-low, high))


def look_of_values(
  values: np.ndarray, units: str, signed: bool | None = None
) -> dict[str, Any]:
  """Returns the colour map and limits that suit a field, for `imshow`.

  Signed fields get a diverging map centred at 0, temperatures a warm
  sequential one, others a neutral one. Limits leave out the extreme 0.5 %.

  Args:
    values: any shape; NaN, what is missing, does not count.
    units: of the values.
    signed: whether the sign matters; None looks at the values.
  """
  values = known(values)
  if is_signed(values) if signed is None else signed:
    low, high = symmetric(values)
    return {"cmap": "RdBu_r", "vmin": low, "vmax": high}
  low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
  if high <= low:
    low, high = low - 0.5, high + 0.5
  name = "inferno" if units in ("K", "degC", "°C") else "viridis"
  return {"cmap": name, "vmin": low, "vmax": high}


def symmetric(*values: np.ndarray) -> tuple[float, float]:
  """Returns limits about 0 that hold 99.5 % of what is known of each array."""
  limit = max(float(np.percentile(np.abs(known(v)), 99.5)) for v in values)
  limit = limit or 1.0
  return -limit, limit


def save(drawn: Figure, path: str | os.PathLike) -> pathlib.Path:
  """Writes a figure as PNG, whole or not at all; makes the folder."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.whole(path) as partial:
    drawn.savefig(partial, format="png", dpi=DPI, facecolor="white")
  return path
