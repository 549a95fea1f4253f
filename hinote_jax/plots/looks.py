"""Colours by which a specialist knows a field: one look a science.

Weather and what is not told keep those of `style.look_of_values`.
"""

from typing import Any

from matplotlib.colors import BoundaryNorm, ListedColormap
import numpy as np

from hinote_jax.metrics import flow, radar
from hinote_jax.plots import style

# Reflectivity from 5 to 75 dBZ as the US National Weather Service shows it.
_STORM = (
  "#04e9e7 #019ff4 #0300f4 #02fd02 #01c501 #008e00 #fdf802 "
  "#e5bc00 #fd9500 #fd0000 #d40000 #bc0000 #f800fd #9854c6"
).split()
_CALM, _BEYOND = "#f3f4f6", "#fdfdfd"
# Levels between which radar has one colour; all thresholds are among them.
_LEVELS = {
  "vil": (16, 31, 59, 74, 100, 133, 160, 181, 219, 255),
  "rain": (0.1, 0.5, 1, 2, 5, 10, 20, 50, 100),
  "reflectivity": tuple(range(5, 80, 5)),
}
# What a satellite sees: clouds are bright, in the infrared they are cold.
_CLOUDS = {"vis": "gray", "ir069": "gray_r", "ir107": "gray_r"}


def look(
  values: np.ndarray,
  *,
  name: str = "",
  units: str = "",
  domain: str = "",
  signed: bool | None = None,
) -> dict[str, Any]:
  """Returns the colour map and limits of a field, for `imshow`.

  Vorticity diverges about 0. Radar has the steps of the weather services,
  whatever the values. Scans and images are grey.

  Args:
    values: any shape; NaN, what is missing, does not count.
    name: of the variable.
    units: of the values.
    domain: the science.
    signed: whether the sign matters; None looks at the values.
  """
  if domain == "radar":
    kind = radar.kind(name, units)
    if kind:
      levels = [radar.in_unit(v, name, units) for v in _LEVELS[kind]]
      return _steps(levels)
    if name in _CLOUDS:
      return _grey(values, _CLOUDS[name])
  if domain in ("mri", "image"):
    return _grey(values, "gray")
  if domain == "turbulence" and flow.is_vorticity(name, units=units):
    signed = True
  return style.look_of_values(values, units, signed)


def _steps(levels: list[float]) -> dict[str, Any]:
  """Returns a colour for each interval of some levels."""
  count = len(levels) - 1
  picked = np.linspace(0, len(_STORM) - 1, count).round().astype(int)
  colors = ListedColormap([_STORM[i] for i in picked], name="storm")
  colors = colors.with_extremes(under=_CALM, over=_BEYOND)
  norm = BoundaryNorm(levels, count)
  return {"cmap": colors, "norm": norm}


def _grey(values: np.ndarray, name: str) -> dict[str, Any]:
  """Returns grey from 0, or the least value, to nearly the largest."""
  values = style.known(values)
  low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
  low = 0.0 if np.min(values) >= 0.0 else low
  return {"cmap": name, "vmin": low, "vmax": high if high > low else low + 1.0}
