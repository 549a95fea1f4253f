"""ProbSparse attention: exact for few queries, the mean of v for all others.

Which queries those are is read off a sample of keys: where the largest logit
is far above the mean, softmax is far from the mean of the values (Zhou et al.,
AAAI 2021, section 3). With c ln(n) queries and as many sampled keys the cost is
n ln(n) on paper. The paper's sample is another one for each query: rows of k
that are gathered at random. One sample for all queries makes of the same a
product of matrices.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from experiments.attention_cost import softmax
from hinote_jax.core.typing import Array
from hinote_jax.nn import bands


def count(points: int, factor: float = 5) -> int:
  """Returns c ceil(ln(points)), at most all points."""
  return min(points, int(factor * math.ceil(math.log(points))))


def draw_sample(
  key: Array, keys: int, size: int, queries: int | None = None
) -> Int[Array, "*n s"]:
  """Returns which keys are looked at, drawn with replacement.

  Args:
    key: of the draw.
    keys: how many there are.
    size: of the sample, s.
    queries: n, for a sample of each query; None for one of all queries, [s].
  """
  shape = (size,) if queries is None else (queries, size)
  return jax.random.randint(key, shape, 0, keys)


def peakedness(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b m g d"],
  sample: Int[Array, "*n s"],
) -> Float[Array, "b n g"]:
  """Returns the largest q . k of the sample less their sum over all m.

  Args:
    q: queries.
    k: keys.
    sample: see `draw_sample`.
  """
  if sample.ndim == 1:
    looked_at = k[:, sample]

    def of_band(q):
      return _measured(jnp.einsum("bngd,bsgd->bngs", q, looked_at), k.shape[1])

    return bands.parts(of_band, q, points=1)

  def of_own_band(band):
    q, sample = band
    looked_at = jnp.take(k, sample[0], axis=1)  # b n s g d
    logits = jnp.einsum("bngd,bnsgd->bngs", q, looked_at)
    return _measured(logits, k.shape[1])

  return bands.parts(of_own_band, (q, sample[None]), points=1)


def attend(
  q: Float[Array, "b n g d"],
  k: Float[Array, "b m g d"],
  v: Float[Array, "b m g e"],
  sample: Int[Array, "*n s"],
  kept: int,
) -> Float[Array, "b n g e"]:
  """Returns softmax attention of some queries, the mean of v for the others.

  Which are kept has no gradient.

  Args:
    q: queries.
    k: keys.
    v: values.
    sample: of keys, by which queries are chosen; see `draw_sample`.
    kept: how many queries of each head are answered exactly.

  Raises:
    ValueError: shapes do not belong together, or `kept` is not from 1 to n.
  """
  softmax.check(q, k, v)
  n = q.shape[1]
  if not 1 <= kept <= n:
    raise ValueError(f"{kept} of {n} queries cannot be kept")
  if sample.shape[:-1] not in ((), (n,)):
    raise ValueError(f"a sample {list(sample.shape)} is not of {n} queries")
  stopped = jax.lax.stop_gradient((q, k))
  measure = peakedness(*stopped, sample).swapaxes(1, 2)
  chosen = jax.lax.top_k(measure, kept)[1].swapaxes(1, 2)  # b u g
  few = jnp.take_along_axis(q, chosen[..., None], axis=1)
  exact = softmax.attend(few, k, v)
  mean = v.mean(1, keepdims=True)
  y = jnp.broadcast_to(mean, (*q.shape[:3], v.shape[-1]))
  b, _, heads, _ = q.shape
  example, head = jnp.ogrid[:b, :heads]
  return y.at[example[:, None], chosen, head[:, None]].set(exact)


def _measured(logits, keys):
  return logits.max(-1) - logits.sum(-1) / keys
