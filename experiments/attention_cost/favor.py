"""FAVOR+: softmax attention by positive random features, linear in n.

With w normal, exp(q . k) is the mean of exp(w . q - |q|^2 / 2) times the same
of k (Choromanski et al., ICLR 2021, lemma 1): m draws of w make of attention a
product of m features a point, and of the sum over keys one matrix of m by d.

Points are handled in bands, and features are formed again in the backward
pass, so that no array has m values a point.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from experiments.attention_cost import softmax
from hinote_jax.core import sums
from hinote_jax.core.typing import Array
from hinote_jax.nn import bands


def draw_projection(
  key: Array, features: int, depth: int
) -> Float[Array, "m d"]:
  """Returns the w of the features: normal, orthogonal in groups of `depth`.

  Each is normal by itself: a direction that is uniform, and the length of
  another normal vector.

  Args:
    key: of the draw.
    features: m.
    depth: channels of a head, d.
  """
  of_directions, of_lengths = jax.random.split(key)
  groups = -(-features // depth)
  drawn = jax.random.normal(of_directions, (groups, depth, depth))
  directions, triangle = jnp.linalg.qr(drawn)
  # As they come, the first of each has a component that is never positive.
  signs = jnp.sign(jnp.diagonal(triangle, axis1=1, axis2=2))
  directions = (directions * signs[:, None]).swapaxes(1, 2).reshape(-1, depth)
  lengths = jnp.linalg.norm(
    jax.random.normal(of_lengths, (features, depth)), axis=1, keepdims=True
  )
  return directions[:features] * lengths


def exponents(
  x: Float[Array, "b n g d"], projection: Float[Array, "m d"]
) -> tuple[Float[Array, "b n g m"], Float[Array, "b n g 1"]]:
  """Returns w . x / d^(1/4) and |x|^2 / (2 d^(1/2)).

  The feature of x is the exponential of their difference.
  """
  scaled = x / x.shape[-1] ** 0.25
  products = jnp.matmul(scaled, projection.T)
  return products, 0.5 * jnp.square(scaled).sum(-1, keepdims=True)


def of_queries(
  q: Float[Array, "b n g d"],
  projection: Float[Array, "m d"],
  epsilon: float,
) -> Float[Array, "b n g m"]:
  """Returns the features of queries, but for a factor of each query.

  That factor, the exponential of the largest product, cancels in the attention.
  """
  products, half = exponents(q, projection)
  largest = jax.lax.stop_gradient(products.max(-1, keepdims=True))
  return _features(products - half - largest, epsilon)


def of_keys(
  k: Float[Array, "b n g d"],
  projection: Float[Array, "m d"],
  epsilon: float,
  largest: Float[Array, "b 1 g 1"],
) -> Float[Array, "b n g m"]:
  """Returns the features of keys, but for a factor of each head.

  Args:
    k: keys.
    projection: see `draw_projection`.
    epsilon: see `attend`.
    largest: product of any key and feature of the head, `largest_product`.
  """
  products, half = exponents(k, projection)
  return _features(products - half - largest, epsilon)


def largest_product(
  k: Float[Array, "b n g d"], projection: Float[Array, "m d"]
) -> Float[Array, "b 1 g 1"]:
  """Returns the largest w . k / d^(1/4) of each head, without a gradient."""

  def largest(_, band):
    return None, exponents(band, projection)[0].max((1, 3), keepdims=True)

  parts, _ = _banded(jax.lax.stop_gradient(k))
  return jax.lax.scan(largest, None, parts)[1].max(0)


def attend(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b m g d"],
  v: Float[Array, "b m g e"],
  projection: Float[Array, "r d"],
  epsilon: float = 1e-4,
) -> Float[Array, "b n g e"]:
  """Returns about softmax(q k^T / sqrt(d)) v, float32.

  Args:
    q: queries.
    k: keys.
    v: values.
    projection: r random directions, see `draw_projection`.
    epsilon: is added to the exponentials of both sides, so that no sum of
      weights is 0; a share of the plain mean of `v` comes into the result.

  Raises:
    ValueError: shapes do not belong together.
  """
  softmax.check(q, k, v)
  if projection.shape[1:] != q.shape[-1:]:
    raise ValueError(
      f"a projection {list(projection.shape)} is not of {q.shape[-1]} channels"
    )
  largest = largest_product(k, projection)
  keys, is_key = _banded(k)
  values, _ = _banded(v)

  def share(band):
    k, v, is_key = band
    features = of_keys(k, projection, epsilon, largest) * is_key
    product = jnp.einsum("bngr,bnge->bgre", features, v)
    return product, features.sum(1)

  product, total = sums.over(share, (keys, values, is_key))

  def attended(q):
    features = of_queries(q, projection, epsilon)
    y = jnp.einsum("bngr,bgre->bnge", features, product)
    return y / jnp.einsum("bngr,bgr->bng", features, total)[..., None]

  return bands.parts(attended, q, points=1)


def _features(exponent, epsilon):
  return (jnp.exp(exponent) + epsilon) / exponent.shape[-1] ** 0.5


def _banded(x):
  """Returns points in bands, [m b s g d], and which are points, [m 1 s 1 1]."""
  b, n, heads, d = x.shape
  limit = bands.points_at_once(None)
  parts, is_point = bands.split(x.reshape(b, n, heads * d), limit)
  return parts.reshape(*parts.shape[:3], heads, d), is_point[..., None]
