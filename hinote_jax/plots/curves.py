"""How training went: loss, validation error, learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from hinote_jax.plots import style
from hinote_jax.train import checkpoint

Records = Sequence[Mapping[str, Any]]


def curves(records: Records, *, title: str = "") -> Figure:
  """Draws the training loss and the validation error against the step.

  The error is what checkpoints are chosen on, a fraction of bicubic's; the star
  marks the chosen one.

  Args:
    records: the lines of metrics.jsonl; each has "step" and any of "loss",
      "learning_rate" and `checkpoint.BEST_KEY`. A step may come in several
      lines.
    title: of the figure.

  Raises:
    ValueError: no record has a loss.
  """
  steps, loss = series(records, "loss")
  if not steps.size:
    raise ValueError(f"none of {len(records)} records has a loss")
  validated, error = series(records, checkpoint.BEST_KEY)
  count = 2 if validated.size else 1
  with style.context():
    figure = style.figure(6.0 * count + 0.4, 4.3)
    row = figure.subplots(1, count, squeeze=False)[0]
    _loss(row[0], steps, loss)
    _learning_rate(row[0], *series(records, "learning_rate"))
    if validated.size:
      _validation(row[1], validated, error)
    for axes in row:
      axes.set_xlabel("step")
      axes.set_xlim(0, max(steps.max(), 1))
      axes.grid(True, which="major")
      axes.spines[["top", "right"]].set_visible(False)
      axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    if title:
      figure.suptitle(title, x=0.008, ha="left", fontweight="bold")
  return figure


def series(records: Records, key: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns the steps at which a key was recorded, and its values."""
  points = [(r["step"], r[key]) for r in records if r.get(key) is not None]
  points.sort(key=lambda pair: pair[0])
  steps, values = zip(*points, strict=True) if points else ((), ())
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
  _plain_logarithm(axes)
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


def _validation(axes: Axes, steps: np.ndarray, error: np.ndarray) -> None:
  """Draws the error beside bicubic's, which is 1; a star marks the lowest."""
  palette = style.colors(["model", "bicubic"])
  axes.axhline(
    1.0, color=palette["bicubic"], linestyle=(0, (5, 3)), label="bicubic"
  )
  axes.annotate(
    "bicubic",
    (1.0, 1.0),
    (-3, 4),
    xycoords=("axes fraction", "data"),
    textcoords="offset points",
    ha="right",
    fontsize=9.5,
    color=palette["bicubic"],
  )
  best = int(np.argmin(error))
  look = {"color": palette["model"], "clip_on": False, "zorder": 4}
  axes.plot(steps, error, "o-", markersize=3.5, label="model", **look)
  axes.plot(steps[best], error[best], "*", markersize=15, **look)
  axes.annotate(
    f"best {error[best]:.3f}",
    (steps[best], error[best]),
    (0, -20),
    textcoords="offset points",
    ha="right" if best >= 0.8 * (len(error) - 1) else "center",
    fontsize=9.5,
    color=palette["model"],
  )
  axes.margins(y=0.15)
  axes.set_title("error on validation windows, as a fraction of bicubic's")
  axes.set_ylabel("MSE / bicubic's, mean over variables")


def _plain_logarithm(axes: Axes) -> None:
  """Makes y logarithmic, with plain numbers, within a decade too."""
  axes.set_yscale("log")
  locator = ticker.LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0))
  axes.yaxis.set_major_locator(locator)
  axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
  axes.yaxis.set_minor_formatter(ticker.NullFormatter())
