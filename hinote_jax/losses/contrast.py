"""Modulated patch contrast (MoNCE; Zhan et al., CVPR 2022).

Every query is to be nearer to its own key than to others, and others count by
a transport plan between queries and keys: those that are alike most ("hard")
or least ("easy").
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import naming
from hinote_jax.core.typing import Array

COSTS = ("hard", "easy")
_SELF = -10.0  # stands for the likeness of a query to its own key


def sinkhorn(
  kernel: Float[Array, "b i j"], iterations: int = 50
) -> Float[Array, "b i j"]:
  """Scales rows to a sum of j / i and columns to a sum of 1, by turns.

  The last turn is that of the columns.

  Examples:
    >>> sinkhorn(jnp.ones((1, 2, 2))).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
  """
  _, rows, columns = kernel.shape

  def turn(column, _):
    row = columns / rows / jnp.einsum("bij,bj->bi", kernel, column)
    return 1.0 / jnp.einsum("bij,bi->bj", kernel, row), row

  start = jnp.ones_like(kernel[:, 0])
  column, every = jax.lax.scan(turn, start, length=iterations)
  return every[-1][:, :, None] * kernel * column[:, None, :]


def weights(
  likeness: Float[Array, "b n n"],
  *,
  epsilon: float | int = 1.0,
  cost: str = "hard",
  iterations: int = 50,
) -> Float[Array, "b n n"]:
  """Returns how much each key counts for each query; columns sum to 1.

  Args:
    likeness: cosine of query (rows) and key.
    epsilon: of the plan; large is even.
    cost: one of `COSTS`.
    iterations: of `sinkhorn`.

  Raises:
    ValueError: unknown cost, or an epsilon whose exponentials overflow.

  Examples:
    >>> weights(jnp.zeros((1, 3, 3)))[0, 0].round(2).tolist()
    [0.0, 0.5, 0.5]
  """
  naming.look_up("cost", cost, dict.fromkeys(COSTS))
  if epsilon < 0.02:
    raise ValueError(f"epsilon must be at least 0.02, got {epsilon}")
  score = likeness if cost == "hard" else 1.0 - likeness
  own = jnp.eye(likeness.shape[-1], dtype=bool)
  kernel = jnp.exp(jnp.where(own, _SELF, score) / epsilon)
  return sinkhorn(kernel, iterations)


def monce(
  query: Float[Array, "b n c"],
  key: Float[Array, "b n c"],
  *,
  temperature: float | int = 0.07,
  negatives: float | int = 1.0,
  count: int | None = None,
  **plan,
) -> Float[Array, "b n"]:
  """Returns the loss of every query among the keys of its example.

  The gradient flows into the queries alone, through the weights too.

  Args:
    query: of unit norm.
    key: of unit norm, at the same places.
    temperature: of the softmax.
    negatives: factor of the keys of other places.
    count: how many places the factor is made for; None: as there are.
    **plan: of `weights`.

  Examples:
    >>> one = jnp.eye(2)[None]
    >>> monce(one, one).round(4).tolist()
    [[0.0, 0.0]]
  """
  key = jax.lax.stop_gradient(key)
  likeness = jnp.einsum("bic,bjc->bij", query, key, precision="highest")
  n = likeness.shape[-1]
  factor = negatives * ((count or n) - 1)
  plan_of = weights(likeness, **plan) * factor + 1e-8
  own = jnp.eye(n, dtype=bool)
  others = jnp.where(own, _SELF, likeness + temperature * jnp.log(plan_of))
  positive = jnp.einsum("bii->bi", likeness)
  logits = jnp.concatenate([positive[..., None], others], -1) / temperature
  return jax.nn.logsumexp(logits, axis=-1) - logits[..., 0]
