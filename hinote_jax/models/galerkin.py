"""Galerkin attention: a kernel integral by quadrature over the points.

    (z)_i = sum_l ( 1/n sum_j k_l(x_j) v(x_j) ) q_l(x_i)    (paper, section 3.5)

Linear in the number of points: the d x d matrix c = k^T v / n is the integral,
and refining the grid refines its quadrature, it does not change what it means.
"""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.models import blocks
from hinote_jax.typing import Array


def context(
  k: Float[Array, "b n g d"], v: Float[Array, "b n g d"]
) -> Float[Array, "b g d d"]:
  """Returns c = k^T v / n per head, summed in float32."""
  return (
    jnp.einsum(
      "bngd,bnge->bgde",
      k,
      v,
      precision="highest",
      preferred_element_type=jnp.float32,
    )
    / k.shape[1]
  )


class GalerkinAttention(nn.Module):
  """q (k^T v) / n with layer norm on k and v in each head.

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the projections; the sums over points stay float32.
  """

  heads: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b H W c"],
    source: Float[Array, "b h w d"] | None = None,
  ) -> Float[Array, "b H W c"]:
    """Attends from the points of `x` to those of `source`, by default itself.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    b, height, width, c = x.shape
    if c % self.heads:
      raise ValueError(f"{self.heads} heads do not divide {c} channels")
    depth = c // self.heads
    source = x if source is None else source
    dense = dict(dtype=self.dtype, features=c)
    q = nn.Dense(name="q", **dense)(x)
    k = nn.Dense(name="k", **dense)(source)
    v = nn.Dense(name="v", **dense)(source)
    k, v = (t.reshape(b, -1, self.heads, depth) for t in (k, v))
    k = nn.LayerNorm(name="norm_k")(k)
    v = nn.LayerNorm(name="norm_v")(v)
    q = q.reshape(b, height * width, self.heads, depth)
    z = jnp.einsum("bngd,bgde->bnge", q, context(k, v).astype(q.dtype))
    return z.reshape(b, height, width, c)


class GalerkinBlock(nn.Module):
  """Attention and a pointwise MLP: x + MLP(x + attention(x))."""

  heads: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b H W c"],
    source: Float[Array, "b h w d"] | None = None,
  ) -> Float[Array, "b H W c"]:
    c = x.shape[-1]
    attend = GalerkinAttention(self.heads, self.dtype, name="attention")
    y = x + attend(x, source)
    y = jax.nn.gelu(nn.Dense(c, dtype=self.dtype, name="expand")(y))
    small = blocks.small_init
    dense = nn.Dense(c, dtype=self.dtype, kernel_init=small, name="contract")
    return x + dense(y)
