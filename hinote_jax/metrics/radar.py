"""Whether rain and storms are where they are, at thresholds of their strength.

An event is a cell at or above a threshold.
"""

import math
import re

from jaxtyping import Bool, Float
import numpy as np

from hinote_jax.core.typing import Periodic
from hinote_jax.metrics import context as contexts

# Of vertically integrated liquid on SEVIR's scale from 0 to 255.
VIL = (16.0, 74.0, 133.0, 160.0, 181.0, 219.0)
# Of precipitation, mm h-1.
RAIN = (0.5, 1.0, 2.0, 5.0, 10.0)
# Of reflectivity, dBZ.
REFLECTIVITY = (20.0, 30.0, 40.0, 50.0)
# Of the truth, where neither the name nor the unit says what it is.
QUANTILES = (0.5, 0.75, 0.9, 0.95)
# Sides of the neighbourhoods of the fractions skill score, cells.
SCALES = (1, 4, 16)

_HOURLY = {"mm/h", "mm/hr", "mm/hour", "mmh-1", "mmhr-1", "mmhour-1"}
_HOURLY |= {"kgm-2h-1", "kgm-2hr-1", "kg/m2/h"}
_SECONDLY = {"mm/s", "mms-1", "kgm-2s-1", "kg/m2/s"}
_MASSES = {"kgm-2", "kg/m2"}
_SCALES = {"", "1"}

METRICS = {
  "csi_mean": contexts.Metric(
    "CSI, mean",
    +1,
    "mean of the critical success index over the thresholds",
    ".4f",
  ),
  "csi": contexts.Metric(
    "CSI ≥ {}",
    +1,
    "critical success index: hits over hits, misses and false alarms of cells "
    "at or above the threshold, counted over all fields",
    ".4f",
  ),
  "pod": contexts.Metric(
    "POD ≥ {}",
    +1,
    "probability of detection: hits over hits and misses",
    ".4f",
  ),
  "far": contexts.Metric(
    "FAR ≥ {}",
    -1,
    "false alarm ratio: false alarms over hits and false alarms",
    ".4f",
  ),
  "fss": contexts.Metric(
    "FSS ≥ {}, side {}",
    +1,
    "fractions skill score: 1 where neighbourhoods of so many cells a side "
    "hold the right share of events, 0 where none does; 0.5 is useful",
    ".4f",
  ),
}


def kind(name: str, units: str) -> str:
  """Returns "vil", "rain", "reflectivity" or "" from a name and a unit.

  Examples:
    >>> kind("rate", "mm h-1"), kind("vil", ""), kind("t2m", "K")
    ('rain', 'vil', '')
  """
  unit = _plain(units)
  if unit in _HOURLY | _SECONDLY:
    return "rain"
  if unit == "dbz":
    return "reflectivity"
  is_vil = "vil" in re.findall(r"[a-z]+", name.lower())
  return "vil" if is_vil and unit in _MASSES | _SCALES else ""


def thresholds(
  name: str, units: str, truth: np.ndarray | None
) -> dict[str, float]:
  """Returns the thresholds of a variable: label -> value in its unit.

  By its name and unit those of `VIL`, `RAIN` or `REFLECTIVITY`, labelled as
  there, else `QUANTILES` of the truth, labelled "q50" for 0.5; a quantile that
  every cell reaches, or that a lower one equals, is left out.

  Args:
    name: of the variable.
    units: its unit.
    truth: its values, any shape; None will do where the kind is known.

  Examples:
    >>> thresholds("rate", "mm/h", None)
    {'0.5': 0.5, '1': 1.0, '2': 2.0, '5': 5.0, '10': 10.0}
  """
  fixed = {"vil": VIL, "rain": RAIN, "reflectivity": REFLECTIVITY}
  if known := fixed.get(kind(name, units)):
    return {f"{v:g}": in_unit(v, name, units) for v in known}
  assert truth is not None  # of what quantiles are taken
  values, last = {}, float(np.min(truth))
  for quantile in QUANTILES:
    value = float(np.quantile(truth, quantile))
    if value > last:
      values[f"q{100 * quantile:g}"] = last = value
  return values


def in_unit(value: float | int, name: str, units: str) -> float:
  """Returns a level of `VIL`, `RAIN` or `REFLECTIVITY` in a variable's unit.

  Liquid in kg m-2 is what the tutorial of SEVIR (Veillette et al. 2020) makes
  of its scale.

  Examples:
    >>> in_unit(3.6, "rate", "mm s-1")
    0.001
  """
  unit = _plain(units)
  if unit in _SECONDLY:
    return value / 3600.0
  if kind(name, units) == "vil" and unit in _MASSES:
    steep = math.exp((value - 83.9) / 38.9)
    return steep if value > 18.0 else max(0.0, (value - 2.0) / 90.66)
  return float(value)


def window_counts(
  events: Bool[np.ndarray, "H W"], size: int, *, periodic: Periodic
) -> np.ndarray:
  """Returns how many events each window of size x size cells holds.

  Windows lie wholly inside; along axes that close on themselves there is one
  from every cell on.

  Args:
    events: [H W] of bool.
    size: side of the windows, at most H and W.
    periodic: which of (y, x) close on themselves.

  Returns:
    [H' W'] int64, with H' = H, or H - size + 1 between walls.

  Examples:
    >>> events = np.array([[True, False, True]])
    >>> window_counts(np.repeat(events, 2, 0), 2, periodic=(False, False))
    array([[2, 2]])
  """
  counts = events.astype(np.int64)
  for axis, is_periodic in enumerate(periodic):
    length = counts.shape[axis]
    if is_periodic:
      again = np.take(counts, np.arange(size - 1), axis=axis)
      counts = np.concatenate([counts, again], axis=axis)
      length += size - 1
    total = np.cumsum(counts, axis=axis)
    zero = np.zeros_like(np.take(total, [0], axis=axis))
    total = np.concatenate([zero, total], axis=axis)
    last = np.take(total, np.arange(size, length + 1), axis=axis)
    counts = last - np.take(total, np.arange(length + 1 - size), axis=axis)
  return counts


def parts(
  pred: Float[np.ndarray, "H W c"],
  target: Float[np.ndarray, "H W c"],
  context: contexts.Context,
) -> dict[str, np.ndarray]:
  """Returns counts of one field by threshold, [c] each, NaN where it has none.

  "hits@T", "misses@T", "alarms@T" for the threshold labelled T, and of the
  windows of S cells a side "apart@T@S", the mean squared difference of their
  counts, and "most@T@S", the sum of their mean squares. Windows larger than
  the field are left out.

  Args:
    pred: [H W c].
    target: [H W c].
    context: thresholds, periodic axes, and what is known: events elsewhere do
      not count.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> levels = dict(thresholds=({"1": 1.0},))
    >>> known = context.Context(
    ...   ("rate",), ("mm/h",), ("",), (False, False), np.ones(1), **levels
    ... )
    >>> target = np.array([[0.0, 2.0]])[..., None]
    >>> parts(np.array([[2.0, 2.0]])[..., None], target, known)["alarms@1"]
    array([1.])
  """
  counts = {}

  def put(name, c, value):
    empty = np.full(pred.shape[-1], np.nan)
    counts.setdefault(name, empty)[c] = value

  known = np.True_ if context.known is None else context.known
  known = np.broadcast_to(known, pred.shape)
  for c, thresholds_ in enumerate(context.thresholds):
    for label, threshold in thresholds_.items():
      forecast = (pred[..., c] >= threshold) & known[..., c]
      observed = (target[..., c] >= threshold) & known[..., c]
      put(f"hits@{label}", c, np.sum(forecast & observed))
      put(f"misses@{label}", c, np.sum(~forecast & observed))
      put(f"alarms@{label}", c, np.sum(forecast & ~observed))
      for size in SCALES:
        if size > min(forecast.shape):
          continue
        p, t = (
          window_counts(events, size, periodic=context.periodic)
          for events in (forecast, observed)
        )
        put(f"apart@{label}@{size}", c, np.mean((p - t) ** 2))
        put(f"most@{label}@{size}", c, np.mean(p**2) + np.mean(t**2))
  return counts


def reduce(mean: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the `METRICS` from the means of `parts` over fields.

  Ratios of the counts of all fields together, as pysteps accumulates them, not
  means of ratios: a field without events counts for nothing. A threshold that
  the truth never reaches has no scores (NaN).

  Examples:
    >>> one = np.array([1.0])
    >>> mean = {"hits@1": one, "misses@1": one, "alarms@1": 2 * one}
    >>> reduce(mean)["csi@1"], reduce(mean)["pod@1"]
    (array([0.25]), array([0.5]))
  """
  scores = {}
  for name in mean:
    kind_, _, label = name.partition("@")
    if kind_ == "hits":
      scores |= _contingency(mean, label)
    if kind_ == "apart":
      has_events = _observed(mean, label.partition("@")[0]) > 0
      score = 1.0 - contexts.ratio(mean[name], mean[f"most@{label}"])
      scores[f"fss@{label}"] = np.where(has_events, score, np.nan)
  each = [value for name, value in scores.items() if name.startswith("csi@")]
  if each:
    count = np.sum(np.isfinite(each), axis=0)
    scores["csi_mean"] = contexts.ratio(np.nansum(each, axis=0), count)
  return scores


def _observed(mean: contexts.Parts, label: str) -> np.ndarray:
  return mean[f"hits@{label}"] + mean[f"misses@{label}"]


def _contingency(mean: contexts.Parts, label: str) -> dict[str, np.ndarray]:
  """Returns CSI, POD and FAR at a threshold, [c] each."""
  hits, alarms = mean[f"hits@{label}"], mean[f"alarms@{label}"]
  observed = _observed(mean, label)
  scores = {
    f"csi@{label}": contexts.ratio(hits, observed + alarms),
    f"pod@{label}": contexts.ratio(hits, observed),
    f"far@{label}": contexts.ratio(alarms, hits + alarms),
  }
  return {
    name: np.where(observed > 0, score, np.nan)
    for name, score in scores.items()
  }


def _plain(units: str) -> str:
  """Returns a unit without spaces and signs of powers."""
  return re.sub(r"[\s*^]", "", units.lower())
