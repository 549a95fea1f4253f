"""How sharp a field is: the distribution of its gradients beside the truth's.

A score of one's own, beside the others of a run:
`--config.evaluate.metrics=hinote_jax.metrics.gradients:statistics`.
"""

import chex
from jaxtyping import Float
import numpy as np

from hinote_jax.core.typing import Array


def magnitude(field: Float[Array, "H W c"]) -> Float[np.ndarray, "h w c"]:
  """Returns the size of the gradient from a cell to the next, a cell apart.

  Examples:
    >>> magnitude(3.0 * np.arange(4.0).reshape(1, 4, 1).repeat(2, 0))[0, :, 0]
    array([3., 3., 3.])
  """
  field = np.asarray(field, np.float64)
  along_y = np.diff(field, axis=0)[:, :-1]
  along_x = np.diff(field, axis=1)[:-1]
  return np.hypot(along_y, along_x)


def statistics(
  pred: Float[Array, "H W c"], target: Float[Array, "H W c"]
) -> dict[str, np.ndarray]:
  """Returns how the gradients of both are distributed, a number a variable.

  Where they are does not matter: a field whose edges are as steep, elsewhere,
  is as sharp. Cells that are no number in one of them are left out.

  Returns:
    gradient_ratio: mean size of the gradient over the truth's: 1 is as sharp,
      less is smoother.
    gradient_distance: Wasserstein distance of the two distributions of sizes,
      over the mean of the truth's; 0 is the same distribution.

  Raises:
    AssertionError: the shapes differ.

  Examples:
    >>> truth = np.random.default_rng(0).normal(size=(8, 8, 1))
    >>> statistics(0.5 * truth, truth)["gradient_ratio"]
    array([0.5])
  """
  chex.assert_equal_shape([pred, target])
  sizes = np.stack([magnitude(pred), magnitude(target)])
  ratio, distance = [], []
  for own, true in np.moveaxis(sizes, -1, 0):
    known = np.isfinite(own) & np.isfinite(true)
    own, true = np.sort(own[known]), np.sort(true[known])
    mean = true.mean() if true.size else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
      ratio.append(np.divide(own.mean() if own.size else np.nan, mean))
      distance.append(np.divide(np.abs(own - true).sum(), true.size * mean))
  return {
    "gradient_ratio": np.array(ratio),
    "gradient_distance": np.array(distance),
  }
