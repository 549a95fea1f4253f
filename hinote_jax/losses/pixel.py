"""Pixel losses, per element, blind to the input."""

import chex
from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core.typing import Array

Field = Float[Array, "b H W c"]


def magnitude(error: Float[Array, "*b c"]) -> Float[Array, "*b c"]:
  """Returns |error|, whose gradient is 0 at 0, where jnp.abs gives 1.

  Examples:
    >>> error = jnp.array([-2.0, 0.0]).reshape(1, 1, 2, 1)
    >>> magnitude(error).ravel().tolist()
    [2.0, 0.0]
  """
  return error * jnp.sign(error)


class L1(nn.Module):
  """|pred - highres|.

  Examples:
    >>> one = jnp.ones((1, 1, 1, 1))
    >>> float(L1().apply({}, 3 * one, one, None, None)[0, 0, 0, 0])
    2.0
  """

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    return magnitude(pred - highres)


class L2(nn.Module):
  """(pred - highres)^2.

  Examples:
    >>> one = jnp.ones((1, 1, 1, 1))
    >>> float(L2().apply({}, 3 * one, one, None, None)[0, 0, 0, 0])
    4.0
  """

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    return jnp.square(pred - highres)


class Charbonnier(nn.Module):
  """sqrt((pred - highres)^2 + epsilon^2) - epsilon: L1 that is smooth at zero.

  Attributes:
    epsilon: where L2 turns into L1, in normalised units.

  Examples:
    >>> one = jnp.ones((1, 1, 1, 1))
    >>> float(Charbonnier().apply({}, one, one, None, None)[0, 0, 0, 0])
    0.0
  """

  epsilon: float = 1e-3

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    squared = jnp.square(pred - highres) + self.epsilon**2
    return jnp.sqrt(squared) - self.epsilon
