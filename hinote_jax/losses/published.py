"""The losses of the released HiNOTE code, as they are.

For comparison: `frequency_prior` is the loss of the paper. The release sums
where others average, so its losses are larger by the size of the batch; all of
them are of a batch as a whole, see `losses.is_of_batch`.
"""

from typing import ClassVar

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import resize
from hinote_jax.core.typing import Array
from hinote_jax.losses import pixel

Field = Float[Array, "b H W c"]


class L1Sum(nn.Module):
  """|pred - highres| times the number of elements: the mean is the sum."""

  is_of_batch: ClassVar[bool] = True

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    return pred.size * pixel.magnitude(pred - highres)


class L2Sum(nn.Module):
  """(pred - highres)^2 times the number of elements: the mean is the sum."""

  is_of_batch: ClassVar[bool] = True

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    return pred.size * jnp.square(pred - highres)


def prior_weight(error: Field, alpha: float, gamma: float) -> Field:
  """Returns gamma exp(alpha minmax(error)), minimum and maximum of the batch.

  A constant error counts as 0, where the release divides 0 by 0.
  """
  low, high = error.min(), error.max()
  span = jnp.where(high > low, high - low, 1.0)
  return gamma * jnp.exp(alpha * (error - low) / span)


class PublishedPrior(nn.Module):
  """The release's FPLoss (Gou et al., CVPR 2023, for networks without a skip).

      y = highres - bicubic(lowres)
      loss = w(|y|; 1, 0.5) w(|y - pred|; 1, 1) |y - pred|

  Odd: the prediction is held against what bicubic interpolation misses, not
  against `highres`; and `lowres` is resized to the whole array of the queries,
  wherever they are. `FrequencyPrior(resize="bicubic")` has both right.
  """

  is_of_batch: ClassVar[bool] = True

  def __call__(
    self,
    pred: Field,
    highres: Field,
    lowres: Float[Array, "b h w c"],
    coords,
  ) -> Field:
    del coords
    chex.assert_equal_shape([pred, highres])
    _, height, width, _ = highres.shape
    target = highres - resize.resize(
      lowres, (height, width), method="cubic_torch", antialias=False
    )
    error = pixel.magnitude(target - pred)
    weight = prior_weight(jnp.abs(target), 1.0, 0.5)
    weight *= prior_weight(jax.lax.stop_gradient(error), 1.0, 1.0)
    return weight * error
