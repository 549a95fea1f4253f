"""How training went: loss, validation error, learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.plots import style

Records = Sequence[Mapping[str, Any]]


def curves(
  records: Records,
  *,
  metric: str = "validation/mse",
  references: Mapping[str, float] | None = None,
  title: str = "",
) -> Figure:
  """Draws the training loss and the validation error against the step.

  Args:
    records: the lines of metrics.jsonl; each has "step" and any of "loss",
      "learning_rate" and `metric`. A step may come in several lines.
    metric: the validation error; keys that extend it ("validation/mse/x4") are
      drawn too.
    references: name -> a constant error drawn as a line, say bicubic's.
    title: of the figure.

  Raises:
    ValueError: no record has a loss.
  """
  steps, loss = series(records, "loss")
  if not steps.size:
    raise ValueError(f"none of {len(records)} records has a loss")
  keys = sorted({k for r in records for k in r if k.startswith(metric)})
  with style.context():
    figure = style.figure(12.0 if keys else 6.4, 4.3)
    row = figure.subplots(1, 2 if keys else 1, squeeze=False)[0]
    _loss(row[0], steps, loss)
    _learning_rate(row[0], *series(records, "learning_rate"))
    if keys:
      _validation(row[1], records, keys, metric, references or {})
    for axes in row:
      axes.set_xlabel("step")
      _plain_logarithm(axes)
      axes.set_xlim(0, max(steps.max(), 1))
      axes.grid(True, which="major")
      axes.spines[["top", "right"]].set_visible(False)
      axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def series(records: Records, key: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns the steps at which a key was recorded, and its values."""
  found = [(r["step"], r[key]) for r in records if r.get(key) is not None]
  found.sort(key=lambda pair: pair[0])
  steps, values = zip(*found, strict=True) if found else ((), ())
  return np.asarray(steps, np.float64), np.asarray(values, np.float64)


def smooth(values: np.ndarray) -> np.ndarray:
  """Returns the running geometric mean over a twentieth of the values."""
  half = max(1, len(values) // 40)
  logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
  total = np.concatenate([[0.0], np.cumsum(logs)])
  index = np.arange(len(values))
  first = np.maximum(index - half, 0)
  last = np.minimum(index + half + 1, len(values))
  return np.exp((total[last] - total[first]) / (last - first))


def _loss(axes: Axes, steps: np.ndarray, loss: np.ndarray) -> None:
  axes.set_yscale("log")
  axes.plot(steps, loss, color="#b6c6d8", linewidth=0.9, label="each record")
  axes.plot(
    steps, smooth(loss), color="#1d5fa8", linewidth=2.0, label="running mean"
  )
  axes.set_title("training loss")
  axes.set_ylabel("loss")
  axes.legend(loc="upper right")


def _learning_rate(axes: Axes, steps: np.ndarray, rate: np.ndarray) -> None:
  """Fills the lower part of the panel with the learning rate."""
  if not steps.size or rate.max() <= 0.0:
    return
  twin = axes.twinx()
  twin.fill_between(steps, rate, color="#efe3d6", linewidth=0)
  twin.set_ylim(0.0, 3.2 * rate.max())
  twin.set_axis_off()
  twin.annotate(
    f"learning rate, at most {rate.max():.1e}",
    (0.02, 0.03),
    xycoords="axes fraction",
    fontsize=9,
    color="#8a5a2b",
  )
  # The rate is a backdrop: the loss is drawn above it.
  axes.set_zorder(twin.get_zorder() + 1)
  axes.patch.set_visible(False)


def _validation(axes, records, keys, metric, references) -> None:
  axes.set_yscale("log")
  names = [key.removeprefix(metric).strip("/") or "model" for key in keys]
  palette = style.colors(names + list(references))
  for key, name in zip(keys, names, strict=True):
    steps, values = series(records, key)
    best = int(np.argmin(values))
    look = {"color": palette[name], "clip_on": False, "zorder": 4}
    axes.plot(steps, values, "o-", markersize=3.5, label=name, **look)
    axes.plot(steps[best], values[best], "*", markersize=15, **look)
    axes.annotate(
      f"best {values[best]:.3g}",
      (steps[best], values[best]),
      (0, -20),
      textcoords="offset points",
      ha="right" if best >= 0.8 * (len(values) - 1) else "center",
      fontsize=9.5,
      color=palette[name],
    )
  for name, value in references.items():
    color = palette[name]
    axes.axhline(value, color=color, linestyle=(0, (5, 3)), label=name)
  axes.margins(y=0.15)
  axes.set_title("error on held-out fields")
  axes.set_ylabel(metric.replace("/", " "))
  axes.legend(loc="upper right")


def _plain_logarithm(axes: Axes) -> None:
  """Labels a logarithmic axis with plain numbers, within a decade too."""
  locator = ticker.LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0))
  axes.yaxis.set_major_locator(locator)
  axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
  axes.yaxis.set_minor_formatter(ticker.NullFormatter())
