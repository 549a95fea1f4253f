"""All metrics of one field, and of many fields together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hinote_jax.core.typing import Periodic
from hinote_jax.metrics import coherence, field, image, spectra

METRICS = {
  "mse": "mean squared error, unit squared, mean over times",
  "psnr": "dB, mean over times of the PSNR of each, unless it is constant",
  "ssim": "11 x 11 Gaussian window, mean over times",
  "relative_l2": "||error|| / ||truth||, mean over times, constant ones apart",
  "max_error": "largest absolute error of all times, in the unit",
  "bias": "mean of prediction - truth, in the unit",
  "spectrum_error": (
    "dB between the spectra averaged over times; blind to phase, so that the "
    "steps of nearest pass for fine structure"
  ),
  "parting_wavenumber": (
    "cycles per fine cell where the averaged spectrum of the error reaches "
    "half the truth's; 0.5 when it never does"
  ),
}

Scores = dict[str, np.ndarray]
# Of a constant truth they are infinite, of one model and not of another.
OF_WHAT_VARIES = "psnr", "relative_l2", "mean_error"


def score(
  pred: np.ndarray,
  target: np.ndarray,
  *,
  data_range: np.ndarray,
  periodic: Periodic,
  known: np.ndarray | None = None,
) -> Scores:
  """Returns what `reduce` needs to know of one field.

  Args:
    pred: [H W c], physical units.
    target: [H W c].
    data_range: full scale of each channel, [c].
    periodic: whether the (y, x) axis closes on itself.
    known: where the target was not missing, [H W c]; elsewhere it is filled,
      and so is the prediction. Means are over what is known, windows of the
      similarity weigh by what they hold of it; spectra are of filled fields.

  Returns:
    The pointwise `METRICS`, "mean_error" and the "deviation" of the target, [c]
    each, "wavenumber" [k], and "power", "truth_power" and "error_power", [k c].
  """
  pred, target = pred[None].astype(np.float64), target[None].astype(np.float64)
  fields = {"power": pred, "truth_power": target, "error_power": pred - target}
  scores = {
    "mse": image.mse(pred, target),
    "psnr": image.psnr(pred, target, data_range=data_range),
    "ssim": image.ssim(
      pred,
      target,
      data_range=data_range,
      known=None if known is None else known[None],
    ),
    "relative_l2": field.relative_l2(pred, target),
    "max_error": image.max_error(pred, target),
    "bias": field.bias(pred, target),
    "mean_error": field.mean_error(pred, target),
    "deviation": np.std(target, axis=(1, 2)),
  }
  wavenumber = np.zeros(0)
  for name, values in fields.items():
    wavenumber, scores[name] = spectra.radial_spectrum(
      values, periodic=periodic
    )
  scores = {name: values[0] for name, values in scores.items()}
  if known is not None:
    scores |= _over_known(scores, pred[0] - target[0], target[0], known)
  return scores | {"wavenumber": wavenumber}


def _over_known(scores, error, target, known) -> Scores:
  """Returns the scores whose means are over what is known, [c]."""
  share = known.mean((0, 1))
  where: Any = dict(axis=(0, 1), where=known)
  bias = scores["bias"] / share
  deviation = np.asarray(np.std(target, **where))
  with np.errstate(divide="ignore", invalid="ignore"):
    relative = np.sqrt(
      np.sum(np.square(error), **where) / np.sum(np.square(target), **where)
    )
    offset = bias / deviation
  return {
    "mse": scores["mse"] / share,
    "psnr": scores["psnr"] + 10.0 * np.log10(share),
    "relative_l2": np.where(scores["mse"] > 0, relative, 0.0),
    "bias": bias,
    "mean_error": np.where(bias == 0, 0.0, offset),
    "deviation": deviation,
  }


def reduce(times: Sequence[Scores]) -> Scores:
  """Returns the scores of many fields, [c] each, and the mean spectra.

  These are the `METRICS` and `domains.SHARED`: means over fields, but for the
  maximum error, which is the largest, the error of the mean, which is a root
  mean square, and the spectral metrics, which compare the mean spectra. Fields
  whose truth is constant do not count in those of `OF_WHAT_VARIES`, unless all
  are. Beside the spectra is the "coherence" with the truth, [k c].
  """
  wavenumber = times[0]["wavenumber"]
  stacked = {
    name: np.stack([scores[name] for scores in times])
    for name in times[0]
    if name != "wavenumber"
  }
  varies = stacked.pop("deviation") > 0
  varies |= ~varies.any(axis=0)
  stacked["mean_error"] = np.square(stacked["mean_error"])
  result = {
    name: values.mean(axis=0, where=varies if name in OF_WHAT_VARIES else True)
    for name, values in stacked.items()
  }
  result["max_error"] = stacked["max_error"].max(axis=0)
  result["mean_error"] = np.sqrt(result["mean_error"])
  power, error, truth = (
    result[name][None] for name in ("power", "error_power", "truth_power")
  )
  distance = spectra.log_distance(wavenumber, power, truth)
  result["spectrum_error"] = distance[0]
  parting = spectra.parting(wavenumber, error, truth)
  result["parting_wavenumber"] = parting[0]
  shared = coherence.coherence(power, truth, error)
  resolution = coherence.effective_resolution(wavenumber, shared)
  result["effective_resolution"] = resolution[0]
  return result | {"wavenumber": wavenumber, "coherence": shared[0]}
