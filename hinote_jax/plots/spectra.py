"""Radial power spectra of the truth and its reconstructions."""

from collections.abc import Mapping, Sequence

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.metrics import coherence as coherences
from hinote_jax.metrics import spectra as radial
from hinote_jax.plots import style

_WAVELENGTHS = (512, 256, 128, 64, 32, 16, 8, 4, 2)


def spectra(
  wavenumber: np.ndarray,
  power: Mapping[str, np.ndarray],
  *,
  scale: float | int | None = None,
  labels: Sequence[str] = ("",),
  units: Sequence[str] = ("",),
  quantities: Sequence[str] = (),
  coherence: Mapping[str, np.ndarray] | None = None,
  title: str = "",
) -> Figure:
  """Draws spectra of several fields, one column per variable.

  Above: power, log-log, with the Nyquist wavenumber of the input marked; below:
  the same in dB relative to the truth; at the foot, where it is given, the
  coherence with the truth, and the half that bounds what is resolved.

  Args:
    wavenumber: [k], cycles per fine cell; what lies beyond 0.5 is not drawn.
    power: name -> [c k]; the name "truth" is the reference.
    scale: how many times coarser the input is.
    labels: name of each variable, [c].
    units: unit of each variable, [c]; its square is the power's.
    quantities: what is drawn of each variable, [c]; none is power.
    coherence: name -> [c k], within [0, 1].
    title: of the figure.

  Raises:
    ValueError: there is no "truth".
  """
  if "truth" not in power:
    raise ValueError(f"no spectrum is called 'truth': {', '.join(power)}")
  wavenumber = np.asarray(wavenumber)
  inside = radial.resolved(wavenumber)
  waves = wavenumber[inside]
  curves = {name: np.asarray(p)[:, inside] for name, p in power.items()}
  shared = {n: np.asarray(p)[:, inside] for n, p in (coherence or {}).items()}
  count = len(labels)
  heights = (2.2, 1.0, 1.0) if shared else (2.2, 1.0)
  with style.context():
    figure = style.figure(1.2 + 4.9 * count, 2.0 * sum(heights))
    grid = figure.subplots(
      len(heights), count, squeeze=False, sharex=True, height_ratios=heights
    )
    for column in range(count):
      above, below = grid[:2, column]
      _powers(above, waves, {n: p[column] for n, p in curves.items()})
      _ratios(below, waves, {n: p[column] for n, p in curves.items()})
      if shared:
        foot = grid[2, column]
        _coherences(foot, waves, {n: p[column] for n, p in shared.items()})
      for axes in grid[:, column]:
        _abscissa(axes, waves)
        if scale is not None:
          _mark(axes, scale, is_labelled=axes is above)
      _wavelengths(above, waves)
      above.set_title(labels[column], pad=8)
      quantity = quantities[column] if quantities else "power"
      above.set_ylabel(quantity + style.squared(units[column]))
      grid[-1, column].set_xlabel("wavenumber [cycles per fine cell]")
    grid[1, 0].set_ylabel("relative to truth [dB]")
    if shared:
      grid[2, 0].set_ylabel("coherence with truth")
    grid[0, 0].legend(loc="lower left", handlelength=1.8)
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def _powers(axes: Axes, waves: np.ndarray, curves: dict) -> None:
  lines = style.lines(list(curves))
  axes.set_yscale("log")
  for name, power in curves.items():
    is_truth = name == "truth"
    axes.plot(
      waves,
      np.where(power > 0.0, power, np.nan),
      color=lines[name].color,
      linestyle=lines[name].dash,
      linewidth=2.6 if is_truth else 1.6,
      zorder=2.5 if is_truth else 3.0,
      alpha=0.85 if is_truth else 1.0,
      label=name,
    )
  truth = curves["truth"]
  floor = truth[truth > 0.0].min() if np.any(truth > 0.0) else 1e-12
  # An interpolation falls to rounding noise: keep the truth readable.
  axes.set_ylim(bottom=max(floor * 1e-3, axes.get_ylim()[0]))


def _ratios(axes: Axes, waves: np.ndarray, curves: dict) -> None:
  lines = style.lines(list(curves))
  axes.axhline(0.0, color=lines["truth"].color, linewidth=1.4)
  for name, power in curves.items():
    if name == "truth":
      continue
    with np.errstate(divide="ignore", invalid="ignore"):
      decibel = 10.0 * np.log10(power / curves["truth"])
    decibel = np.where(np.isfinite(decibel), decibel, np.nan)
    (line,) = axes.plot(waves, decibel, linewidth=1.6, label=name)
    line.set(color=lines[name].color, linestyle=lines[name].dash)
  axes.set_ylim(-22.0, 8.0)
  axes.yaxis.set_major_locator(ticker.MultipleLocator(10.0))


def _coherences(axes: Axes, waves: np.ndarray, curves: dict) -> None:
  lines = style.lines(["truth", *curves])
  axes.axhline(coherences.HALF, color=style.MUTED, linewidth=1.0)
  for name, shared in curves.items():
    (line,) = axes.plot(waves, shared, linewidth=1.6, label=name)
    line.set(color=lines[name].color, linestyle=lines[name].dash)
  axes.set_ylim(0.0, 1.03)
  axes.yaxis.set_major_locator(ticker.MultipleLocator(0.5))


def _abscissa(axes: Axes, waves: np.ndarray) -> None:
  axes.set_xscale("log")
  axes.set_xlim(waves[0], radial.NYQUIST)
  axes.grid(True, which="major")
  axes.spines[["right"]].set_visible(False)
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
  axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _wavelengths(axes: Axes, waves: np.ndarray) -> None:
  """Adds an axis of wavelengths on top."""
  top = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
  longest = 1.0 / waves[0]
  ticks = [n for n in _WAVELENGTHS if n <= longest]
  top.xaxis.set_major_locator(ticker.FixedLocator(ticks))
  top.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
  top.xaxis.set_minor_locator(ticker.NullLocator())
  top.set_xlabel("wavelength [fine cells]", fontsize=10)


def _inverse(value):
  with np.errstate(divide="ignore"):
    return 1.0 / np.asarray(value, np.float64)


def _mark(axes: Axes, scale: float | int, *, is_labelled: bool) -> None:
  """Marks the largest wavenumber that the input can hold."""
  limit = radial.NYQUIST / scale
  line = axes.axvline(
    limit, color=style.MUTED, linewidth=1.2, linestyle=(0, (5, 3))
  )
  line.set_gid("nyquist")
  if is_labelled:
    axes.annotate(
      f"Nyquist of the\ninput (×{scale:g})",
      (limit, 1.0),
      (-6, -8),
      xycoords=("data", "axes fraction"),
      textcoords="offset points",
      ha="right",
      va="top",
      fontsize=9,
      color=style.MUTED,
    )
