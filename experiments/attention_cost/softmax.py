"""Softmax attention in blocks of queries and keys: exact, memory linear in n.

The largest logit and the sum of exponentials of a query are carried from one
block of keys to the next (Milakov and Gimelshein, 2018), and the backward pass
forms the weights of a block again from their logarithmic sum (Dao et al.,
NeurIPS 2022, section 3): no array has more than points times channels values,
but for one block of queries by keys.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core.typing import Array

# Queries and keys of a block: with 4 heads its logits take 1 MiB.
BLOCK = 256


def attend(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b m g d"],
  v: Float[Array, "b m g e"],
  block: int = BLOCK,
) -> Float[Array, "b n g e"]:
  """Returns softmax(q k^T / sqrt(d)) v of each head, float32.

  Args:
    q: queries.
    k: keys.
    v: values.
    block: queries, and keys, that are handled at once.

  Raises:
    ValueError: shapes do not belong together.
  """
  check(q, k, v)
  heads_first = (t.swapaxes(1, 2) for t in (q / math.sqrt(q.shape[-1]), k, v))
  return _attended(block, *heads_first).swapaxes(1, 2)


def check(q: Array, k: Array, v: Array) -> None:
  """Refuses arrays that are no queries, keys and values, [b n g d].

  Raises:
    ValueError: shapes do not belong together.
  """
  shapes = q.shape, k.shape, v.shape
  if (
    any(len(shape) != 4 for shape in shapes)
    or q.shape[::2] != k.shape[::2]
    or q.shape[-1] != k.shape[-1]
    or k.shape[:3] != v.shape[:3]
  ):
    raise ValueError(
      "queries, keys and values are [b n g d], [b m g d] and [b m g e], not "
      + ", ".join(str(list(shape)) for shape in shapes)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attended(block, q, k, v):
  """Returns softmax(q k^T) v, [b g n d] each."""
  return _forward(block, q, k, v)[0]


def _forward(block, q, k, v):
  """Returns the result, and what the backward pass needs."""
  keys = _cut(k, block), _cut(v, block), _is_point(k.shape[2], block)

  def of_queries(_, q):
    start = (
      jnp.zeros((*q.shape[:-1], v.shape[-1]), jnp.float32),
      jnp.full((*q.shape[:-1], 1), -jnp.inf, jnp.float32),
      jnp.zeros((*q.shape[:-1], 1), jnp.float32),
    )

    def of_keys(carry, part):
      y, largest, total = carry
      k, v, is_key = part
      logits = _logits(q, k, is_key)
      larger = jnp.maximum(largest, logits.max(-1, keepdims=True))
      weight, shrink = jnp.exp(logits - larger), jnp.exp(largest - larger)
      y = y * shrink + jnp.matmul(weight, v)
      total = total * shrink + weight.sum(-1, keepdims=True)
      return (y, larger, total), None

    (y, largest, total), _ = jax.lax.scan(of_keys, start, keys)
    return None, (y / total, largest + jnp.log(total))

  _, parts = jax.lax.scan(of_queries, None, _cut(q, block))
  y, log_sum = (_joined(part, q.shape[2]) for part in parts)
  return y, (q, k, v, y, log_sum)


def _backward(block, kept, dy):
  """Returns the gradients of q, k and v.

  With weights p, the gradient of the logits is p (dy v^T - dy . y).
  """
  q, k, v, y, log_sum = kept
  inner = (dy * y).sum(-1, keepdims=True)
  # A query that fills a block has dy = 0, and with it no part in any sum.
  queries = tuple(_cut(t, block) for t in (q, dy, log_sum, inner))
  keys = _cut(k, block), _cut(v, block), _is_point(k.shape[2], block)

  def of_queries(sums, part):
    q, dy, log_sum, inner = part

    def of_keys(dq, part):
      k, v, is_key = part
      weight = jnp.exp(_logits(q, k, is_key) - log_sum)
      dv = _transposed_product(dy, weight)
      slope = weight * (jnp.matmul(dy, v.swapaxes(-1, -2)) - inner)
      dk = _transposed_product(q, slope)
      return dq + jnp.matmul(slope, k), (dk, dv)

    dq, of_block = jax.lax.scan(of_keys, jnp.zeros_like(q), keys)
    return jax.tree.map(jnp.add, sums, of_block), dq

  zeros = tuple(jnp.zeros_like(part) for part in keys[:2])
  (dk, dv), dq = jax.lax.scan(of_queries, zeros, queries)
  return tuple(
    _joined(part, like.shape[2])
    for part, like in zip((dq, dk, dv), (q, k, v), strict=True)
  )


_attended.defvjp(_forward, _backward)


def _transposed_product(x, weight):
  """Returns weight^T x as (x^T weight)^T: turned is what is small."""
  return jnp.matmul(x.swapaxes(-1, -2), weight).swapaxes(-1, -2)


def _logits(q, k, is_key):
  logits = jnp.matmul(q, k.swapaxes(-1, -2))
  return jnp.where(is_key, logits, -jnp.inf)


def _sizes(points, block):
  """Returns how many blocks there are, and the points of each."""
  count = -(-points // block)
  return count, -(-points // count)


def _cut(x, block):
  """Cuts points into blocks, [b g n d] -> [m b g s d], filled with zeros."""
  b, heads, points, d = x.shape
  count, size = _sizes(points, block)
  padded = jnp.pad(x, ((0, 0), (0, 0), (0, count * size - points), (0, 0)))
  return jnp.moveaxis(padded.reshape(b, heads, count, size, d), 2, 0)


def _is_point(points, block):
  """Returns which points of the blocks there are, [m s] bool."""
  count, size = _sizes(points, block)
  return (jnp.arange(count * size) < points).reshape(count, size)


def _joined(parts, points):
  """Undoes `_cut`, [m b g s d] -> [b g n d]."""
  x = jnp.moveaxis(parts, 0, 2)
  return x.reshape(*x.shape[:2], -1, x.shape[-1])[:, :, :points]
