"""How the error grows with the scale, model by model."""

from collections.abc import Mapping, Sequence

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.plots import style


def scales(
  scale: Sequence[float],
  ratios: Mapping[str, np.ndarray],
  *,
  baseline: str,
  labels: Sequence[str] = ("",),
  title: str = "",
) -> Figure:
  """Draws errors relative to a baseline against the scale, a panel a variable.

  Args:
    scale: how many times coarser the input was, [n], in any order.
    ratios: model name -> mean squared error over the baseline's, [c n].
    baseline: what is 1.
    labels: name of each variable, [c].
    title: of the figure.

  Raises:
    ValueError: an array is not [c n].
  """
  count, places = len(labels), np.asarray(scale, np.float64)
  for name, values in ratios.items():
    if np.shape(values) != (count, len(places)):
      raise ValueError(
        f"ratios of {name} have shape {np.shape(values)}, and there are "
        f"{count} variables and {len(places)} scales"
      )
  with style.context():
    figure = style.figure(1.0 + 4.2 * count, 4.0)
    row = figure.subplots(1, count, squeeze=False, sharey=True)[0]
    for c, axes in enumerate(row):
      panel(axes, places, {name: v[c] for name, v in ratios.items()})
      axes.set_title(labels[c])
    row[0].set_ylabel(f"MSE / {baseline}'s")
    row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def panel(axes: Axes, scale: np.ndarray, ratios: dict) -> None:
  """Draws one variable, both axes logarithmic; ratios of 0 are left out."""
  order = np.argsort(scale)
  lines = style.lines(list(ratios))
  axes.set_xscale("log")
  axes.set_yscale("log")
  for name, values in ratios.items():
    values = np.asarray(values, np.float64)[order]
    is_shown = np.isfinite(values) & (values > 0.0)
    values = np.where(is_shown, values, np.nan)
    axes.plot(
      scale[order],
      values,
      marker="o",
      color=lines[name].color,
      linestyle=lines[name].dash,
      linewidth=1.8,
      markersize=4.5,
      label=name,
    )
  axes.set_xlabel("scale")
  axes.grid(True, which="major")
  axes.spines[["top", "right"]].set_visible(False)
  axes.xaxis.set_major_locator(ticker.FixedLocator(sorted(set(scale))))
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"×{v:g}"))
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  low, high = axes.get_ylim()
  # Less than a decade has few of 1, 2 and 5.
  subs = (1.0, 2.0, 5.0) if high > 6.0 * low else tuple(range(1, 10))
  axes.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
  axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
  axes.yaxis.set_minor_formatter(ticker.NullFormatter())
