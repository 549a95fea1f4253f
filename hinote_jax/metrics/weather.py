"""Errors of fields on the globe, each cell weighing by its area."""

from jaxtyping import Float, Real
import numpy as np

from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import flow

METRICS = {
  "area_rmse": contexts.Metric(
    "RMSE by area [%]",
    -1,
    "root of the mean squared error, cells weighing by their area on the "
    "globe, mean over times before the root",
  ),
  "area_bias": contexts.Metric(
    "bias by area [%]",
    0,
    "mean of prediction - truth, weighed alike",
    "+.2e",
  ),
  "acc": contexts.Metric(
    "ACC",
    +1,
    "anomaly correlation, weighed alike: anomalies from the mean of the "
    "training part or, without one, from each truth's own mean over the area",
    ".5f",
  ),
} | flow.METRICS


def area_weights(latitude: Real[np.ndarray, " H"]) -> np.ndarray:
  """Returns the areas of the cells of each row over their mean, [H].

  A cell reaches half way to its neighbours, the outer ones as far beyond, and
  none beyond a pole: a row at a pole has the small area of its half cells. The
  area of a row is the difference of the sines of its bounds.

  Args:
    latitude: of the rows in degrees, rising or falling, [H].

  Examples:
    >>> area_weights(np.array([60.0, 0.0, -60.0])).round(2).tolist()
    [0.75, 1.5, 0.75]
  """
  latitude = np.asarray(latitude, np.float64)
  if len(latitude) < 2:
    return np.ones(len(latitude))
  middle = 0.5 * (latitude[1:] + latitude[:-1])
  first = 2.0 * latitude[0] - middle[0]
  last = 2.0 * latitude[-1] - middle[-1]
  bounds = np.clip([first, *middle, last], -90.0, 90.0)
  area = np.abs(np.diff(np.sin(np.deg2rad(bounds))))
  return area / area.mean()


def parts(
  pred: Float[np.ndarray, "H W c"],
  target: Float[np.ndarray, "H W c"],
  context: contexts.Context,
) -> dict[str, np.ndarray]:
  """Returns weighed means of one field, [c] each, and `flow.parts`.

  Args:
    pred: [H W c].
    target: [H W c].
    context: latitudes, for the anomalies the climatology, and what is known:
      the rest weighs nothing.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> axes = dict(latitude=np.array([45.0, -45.0]))
    >>> known = context.Context(
    ...   ("t2m",), ("K",), ("",), (False, False), np.ones(1), **axes
    ... )
    >>> target = np.zeros((2, 2, 1))
    >>> parts(target + 2, target, known)["area_mse"]
    array([4.])
  """
  latitude = context.latitude
  rows = np.ones(len(pred)) if latitude is None else area_weights(latitude)
  weight = rows[:, None, None]
  if context.known is not None:
    weight = weight * context.known
    weight = weight / np.mean(weight, axis=(0, 1))

  def mean(values):
    return np.mean(weight * values, axis=(0, 1))

  normal = context.climatology
  normal = mean(target) if normal is None else normal
  pred_anomaly, anomaly = pred - normal, target - normal
  means = {
    "covariance": mean(pred_anomaly * anomaly),
    "pred_variance": mean(pred_anomaly**2),
    "variance": mean(anomaly**2),
  }
  if latitude is not None:
    error = pred - target
    means |= {"area_mse": mean(error**2), "area_bias": mean(error)}
  return means | flow.parts(pred, target, context)


def reduce(mean: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the `METRICS` from the means of `parts` over fields.

  The root and the ratio are taken of the means over all fields, so that fields
  with large anomalies weigh more. Errors weighed by area need latitudes.

  Examples:
    >>> one, four = np.array([1.0]), np.array([4.0])
    >>> mean = dict(covariance=one, pred_variance=one, variance=four)
    >>> reduce(mean)["acc"]
    array([0.5])
  """
  scores = {}
  if "area_mse" in mean:
    scores["area_rmse"] = np.sqrt(mean["area_mse"])
    scores["area_bias"] = mean["area_bias"]
  spread = np.sqrt(mean["pred_variance"] * mean["variance"])
  scores["acc"] = contexts.ratio(mean["covariance"], spread)
  return scores | flow.reduce(mean)
