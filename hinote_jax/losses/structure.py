"""What CDDFuse is trained by: correlation, similarity and gradients.

`autoencode` is its first stage for one field, by which an `inn` is trained
here; the rest is what the parts of it are.
"""

from typing import Any

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core.typing import Array
from hinote_jax.losses import pixel

Field = Float[Array, "b H W c"]
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_EPSILON = 2.0**-23


def correlation(x: Field, y: Field) -> Float[Array, "b c"]:
  """Returns Pearson's correlation of every channel, 0 where one is constant.

  Examples:
    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> correlation(x, 5.0 - 2.0 * x).round(4).tolist()
    [[-1.0]]
  """
  x, y = (v - v.mean(axis=(1, 2), keepdims=True) for v in (x, y))
  norms = [_root(jnp.square(v).sum(axis=(1, 2))) for v in (x, y)]
  each = (x * y).sum(axis=(1, 2)) / (_EPSILON + norms[0] * norms[1])
  # As it is, but for the rounding beyond 1.
  return each + jax.lax.stop_gradient(jnp.clip(each, -1.0, 1.0) - each)


def _root(x):
  """Returns the square root, whose gradient is 0 at 0."""
  return jnp.where(x > 0.0, jnp.sqrt(jnp.where(x > 0.0, x, 1.0)), 0.0)


def gradients(field: Field) -> Float[Array, "b 2 H W c"]:
  """Returns d/dx and d/dy by Sobel's filters, over 8; edges are repeated.

  Examples:
    >>> gradients(jnp.arange(3.0).reshape(1, 1, 3, 1))[0, 0, 0, 1].tolist()
    [1.0]
  """
  padded = jnp.pad(field, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
  along_x = _filtered(padded, _SOBEL)
  along_y = _filtered(padded, tuple(zip(*_SOBEL, strict=True)))
  return jnp.stack([along_x, along_y], axis=1) / 8.0


def _filtered(padded, kernel):
  height, width = (n - len(kernel) + 1 for n in padded.shape[1:3])
  total: Any = 0.0
  for i, row in enumerate(kernel):
    for j, weight in enumerate(row):
      if weight:
        total = total + weight * padded[:, i : i + height, j : j + width]
  return total


def dissimilarity(
  x: Field, y: Field, *, window: int = 11, data_range: float | int = 1.0
) -> Field:
  """Returns (1 - SSIM) / 2 of every point, at most 1 / 2.

  Windows are Gaussian of sigma 1.5, mirrored at the edges. It has no gradient
  where SSIM is below 0, as in Kornia 0.2, by which CDDFuse is trained.

  Args:
    x: one field.
    y: the other.
    window: side of a window, odd; below twice the smallest side.
    data_range: the span of values that counts as full scale.

  Examples:
    >>> x = jnp.arange(36.0).reshape(1, 6, 6, 1) / 36.0
    >>> float(abs(dissimilarity(x, x, window=3)).max()) < 1e-6
    True
  """
  offset = jnp.arange(window) - window // 2
  weight = jnp.exp(-0.5 * jnp.square(offset / 1.5))
  weight /= weight.sum()

  def blur(v):
    half = window // 2
    edges = [(0, 0), (half, half), (half, half), (0, 0)]
    v = jnp.pad(v, edges, mode="reflect")
    n, m = (size - window + 1 for size in v.shape[1:3])
    rows: Any = sum(w * v[:, i : i + n] for i, w in enumerate(weight))
    return sum(w * rows[:, :, i : i + m] for i, w in enumerate(weight))

  c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
  mean_x, mean_y = blur(x), blur(y)
  var_x, var_y = (blur(v * v) - m * m for v, m in ((x, mean_x), (y, mean_y)))
  covariance = blur(x * y) - mean_x * mean_y
  similar = (2.0 * mean_x * mean_y + c1) * (2.0 * covariance + c2)
  largest = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
  return jnp.clip(1.0 - similar / largest, 0.0, 1.0) / 2.0


def fusion(
  visible: Field, infrared: Field, fused: Field
) -> tuple[Float[Array, ""], Float[Array, ""]]:
  """Returns how far a fusion is from the larger field and the larger slope.

  The second stage of CDDFuse minimises the first and 10 times the second.

  Examples:
    >>> zero = jnp.zeros((1, 3, 3, 1))
    >>> float(fusion(zero, zero + 2.0, zero)[0])
    2.0
  """

  def slope(field):
    padded = jnp.pad(field, [(0, 0), (1, 1), (1, 1), (0, 0)])
    turned = tuple(zip(*_SOBEL, strict=True))
    return sum(pixel.magnitude(_filtered(padded, k)) for k in (_SOBEL, turned))

  target = jnp.maximum(visible, infrared)
  steepest = jnp.maximum(slope(visible), slope(infrared))
  both = target - fused, steepest - slope(fused)
  return tuple(pixel.magnitude(error).mean() for error in both)  # pyright: ignore


class Autoencode(nn.Module):
  """Squared error, dissimilarity and error of the slopes, at every point.

  Attributes:
    similarity: weight of `dissimilarity`; 5 in CDDFuse.
    slopes: weight of the error of the `gradients`; 5 in CDDFuse.
    window: of the dissimilarity.
    data_range: of the dissimilarity; 1 in CDDFuse, and for normalised fields
      of deviation 1 rather 4.

  Examples:
    >>> one = jnp.ones((1, 8, 8, 1))
    >>> loss = Autoencode(similarity=0, slopes=0)
    >>> float(loss.apply({}, 3 * one, one, None, None)[0, 0, 0, 0])
    4.0
  """

  similarity: float | int = 5.0
  slopes: float | int = 5.0
  window: int = 11
  data_range: float | int = 1.0

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    loss = jnp.square(pred - highres)
    if self.similarity:
      loss += self.similarity * dissimilarity(
        pred, highres, window=self.window, data_range=self.data_range
      )
    if self.slopes:
      error = pixel.magnitude(gradients(pred) - gradients(highres))
      loss += self.slopes * error.mean(axis=1)
    return loss
