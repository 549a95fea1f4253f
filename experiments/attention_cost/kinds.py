"""The kinds of attention, called alike: queries, keys, values, [b n g d] each.

`softmax`, `favor` and `probsparse` have a file each; here are those that the
package has, and the table of all.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float

from experiments.attention_cost import favor, probsparse, softmax
from hinote_jax.core import naming, sums
from hinote_jax.core.typing import Array
from hinote_jax.nn import bands, galerkin, window_attention

Attention = Callable[[Array, Array, Array], Array]
FEATURES = 64  # of FAVOR+; its authors take d ln(d), which is 44 here
WINDOW = 8  # cells a side, as in Swin


def galerkin_attention(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b m g d"],
  v: Float[Array, "b m g e"],
  is_normed: bool = True,
) -> Float[Array, "b n g e"]:
  """Returns q (k^T v) / m, k and v normed in each head, float32.

  Args:
    q: queries.
    k: keys.
    v: values.
    is_normed: whether k and v are, without scale or bias.

  Raises:
    ValueError: shapes do not belong together.
  """
  softmax.check(q, k, v)
  b, m, heads, d = k.shape
  limit = bands.points_at_once(None)
  keys, is_key = bands.split(k.reshape(b, m, -1), limit)
  values, _ = bands.split(v.reshape(b, m, -1), limit)

  def share(band):
    k, v, is_key = band
    k, v = (t.reshape(*t.shape[:2], heads, -1) for t in (k, v))
    if is_normed:
      k, v = (_normed(t) for t in (k, v))
    return galerkin.moment(k * is_key[..., None], v)

  integral = sums.over(share, (keys, values, is_key)) / m

  def attended(q):
    return jnp.einsum("bngd,bgde->bnge", q, integral)

  return bands.parts(attended, q, points=1)


def _normed(x):
  d = x.shape[-1]
  return galerkin.apply_norm("standard", x, jnp.ones(d), jnp.zeros(d))


def windowed(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b n g d"],
  v: Float[Array, "b n g e"],
  shape: tuple[int, int],
  window: int = WINDOW,
) -> Float[Array, "b n g e"]:
  """Returns softmax attention within square windows of a field.

  Args:
    q: queries.
    k: keys.
    v: values.
    shape: of the field, whose cells are the points row by row.
    window: cells a side; it divides both sides of the field.

  Raises:
    ValueError: shapes do not belong together, or windows are not whole.
  """
  softmax.check(q, k, v)
  b, n, heads, d = q.shape
  if n != shape[0] * shape[1] or k.shape[1] != n:
    raise ValueError(
      f"a field of {shape[0]} x {shape[1]} has not {n} queries and "
      f"{k.shape[1]} keys"
    )
  parts = tuple(
    window_attention.partition(t.reshape(b, *shape, -1), window)
    for t in (q, k, v)
  )
  bias = jnp.zeros((heads, window**2, window**2))

  def attended(parts):
    by_head = (t.reshape(*t.shape[:3], heads, -1).swapaxes(2, 3) for t in parts)
    return window_attention.attend(*by_head, bias)

  y = bands.parts(attended, parts, window**2)
  return window_attention.merge(y, shape).reshape(b, n, heads, -1)


def whole_softmax(q: Array, k: Array, v: Array) -> Array:
  """Returns softmax attention as JAX has it: with all logits at once."""
  softmax.check(q, k, v)
  return jax.nn.dot_product_attention(q, k, v)


def _galerkin(key, shape, depth) -> Attention:
  return galerkin_attention


def _softmax(key, shape, depth) -> Attention:
  return softmax.attend


def _whole_softmax(key, shape, depth) -> Attention:
  return whole_softmax


def _favor(key, shape, depth) -> Attention:
  projection = favor.draw_projection(key, FEATURES, depth)
  return functools.partial(favor.attend, projection=projection)


def _probsparse(key, shape, depth) -> Attention:
  n = shape[0] * shape[1]
  size = probsparse.count(n)

  def attend(q, k, v):
    sample = probsparse.draw_sample(key, n, size, n)
    return probsparse.attend(q, k, v, sample, size)

  return attend


def _probsparse_one_sample(key, shape, depth) -> Attention:
  n = shape[0] * shape[1]
  size = probsparse.count(n)
  sample = probsparse.draw_sample(key, n, size)
  return functools.partial(probsparse.attend, sample=sample, kept=size)


def _windowed(key, shape, depth) -> Attention:
  return functools.partial(windowed, shape=shape)


KINDS = {
  "Galerkin": _galerkin,
  "FAVOR+": _favor,
  "windowed": _windowed,
  "ProbSparse": _probsparse,
  "ProbSparse, one sample": _probsparse_one_sample,
  "softmax": _softmax,
  "softmax, all at once": _whole_softmax,
}


def build(
  kind: str, key: Array, shape: tuple[int, int], depth: int
) -> Attention:
  """Returns an attention of a field to itself, its draws made.

  Args:
    kind: one of `KINDS`.
    key: of what is drawn.
    shape: of the field.
    depth: channels of a head.

  Raises:
    ValueError: there is no such kind.
  """
  return naming.look_up("kind", kind, KINDS)(key, shape, depth)
