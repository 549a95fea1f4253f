"""Galerkin attention: a kernel integral by quadrature over the points.

    (z)_i = sum_l ( 1/n sum_j k_l(x_j) v(x_j) ) q_l(x_i)    (paper, section 3.5)

Linear in the number of points: the d x d matrix c = k^T v / n is the integral,
and refining the grid refines its quadrature, it does not change what it means.

With c known, q and what follows it are linear, so a block multiplies small
matrices with each other first and every point with one instead of two.
"""

from collections.abc import Callable

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import naming
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


def _standard(x, epsilon):
  """(x - mean) / sqrt(variance + epsilon), as everybody's layer norm."""
  centred = x - x.mean(-1, keepdims=True)
  variance = jnp.square(centred).mean(-1, keepdims=True)
  return centred * jax.lax.rsqrt(variance + epsilon)


def _published(x, epsilon):
  """(x - mean) / (std + epsilon), std with n - 1, as SRNO and HiNOTE have it.

  The gradient of std is 0 where the values are equal, as PyTorch has it.
  """
  centred = x - x.mean(-1, keepdims=True)
  variance = jnp.square(centred).sum(-1, keepdims=True) / (x.shape[-1] - 1)
  is_flat = variance == 0.0
  std = jnp.where(is_flat, 0.0, jnp.sqrt(jnp.where(is_flat, 1.0, variance)))
  return centred / (std + epsilon)


class HeadNorm(nn.Module):
  """Layer norm within each head, [.. g d] -> [.. g d], in float32.

  Attributes:
    kind: "standard", one scale and bias for all heads, epsilon 1e-6 under the
      root; "published", a scale and bias a head, the unbiased standard
      deviation plus 1e-5.
  """

  kind: str = "standard"

  @nn.compact
  def __call__(self, x: Float[Array, "*b g d"]) -> Float[Array, "*b g d"]:
    kinds = {
      "standard": (_standard, 1e-6, x.shape[-1:]),
      "published": (_published, 1e-5, x.shape[-2:]),
    }
    function, epsilon, shape = naming.look_up("norm", self.kind, kinds)
    scale = self.param("scale", nn.initializers.ones, shape)
    bias = self.param("bias", nn.initializers.zeros, shape)
    return function(x.astype(jnp.float32), epsilon) * scale + bias


class GalerkinAttention(nn.Module):
  """q (k^T v) / n with a norm on k and v in each head.

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the projections; the sums over points stay float32.
    norm: see `HeadNorm`.
    use_bias: whether q, k and v have one.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True

  @nn.compact
  def affine(
    self, source: Float[Array, "b h w d"], c: int
  ) -> tuple[Float[Array, "b c c"], Float[Array, "b 1 c"]]:
    """Returns the attention to `source` as what it is: affine in the queries.

    Args:
      source: the points that are attended to.
      c: channels of the queries.

    Returns:
      kernel and bias; attention(x) = x @ kernel + bias. Float32.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    if c % self.heads:
      raise ValueError(f"{self.heads} heads do not divide {c} channels")
    b, heads = source.shape[0], self.heads
    dense = dict(features=c, use_bias=self.use_bias, dtype=self.dtype)
    kernel, bias = blocks.Affine(c, use_bias=self.use_bias, name="q")(c)
    k = blocks.Dense(name="k", **dense)(source).reshape(
      b, -1, heads, c // heads
    )
    v = blocks.Dense(name="v", **dense)(source).reshape(
      b, -1, heads, c // heads
    )
    k = HeadNorm(self.norm, name="norm_k")(k)
    v = HeadNorm(self.norm, name="norm_v")(v)
    integral = context(k, v)
    q = jnp.concatenate([kernel, bias[None]]).reshape(c + 1, heads, -1)
    both = jnp.einsum("igd,bgde->bige", q, integral, precision="highest")
    both = both.reshape(b, c + 1, c)
    return both[:, :-1], both[:, -1:]

  def __call__(
    self,
    x: Float[Array, "b H W c"],
    source: Float[Array, "b h w d"] | None = None,
  ) -> Float[Array, "b H W c"]:
    """Attends from the points of `x` to those of `source`, by default itself.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    kernel, bias = self.affine(x if source is None else source, x.shape[-1])
    return _multiply(x, kernel, bias, self.dtype)


def _multiply(x, kernel, bias, dtype):
  """x @ kernel + bias with a kernel an example, [b H W c]."""
  b, height, width, c = x.shape
  flat = x.astype(dtype).reshape(b, height * width, c)
  product = jnp.matmul(flat, kernel.astype(dtype)) + bias.astype(dtype)
  return product.reshape(x.shape)


class GalerkinBlock(nn.Module):
  """Attention and a pointwise MLP: x + MLP(x + attention(x)).

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the products; the sums over points stay float32.
    norm: of k and v in each head, see `HeadNorm`.
    use_bias: whether the five dense layers have one.
    activate: the MLP's function.
    activate_sum: function of the whole sum; None for none.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True
  activate: Callable = jax.nn.gelu
  activate_sum: Callable | None = None

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
    _, height, width, c = x.shape
    attention = GalerkinAttention(
      self.heads, self.dtype, self.norm, self.use_bias, name="attention"
    )
    kernel, bias = attention.affine(x if source is None else source, c)
    expand, shift = blocks.Affine(c, use_bias=self.use_bias, name="expand")(c)
    if height * width > c:
      # One matrix for attention, sum and expansion: cheaper than two.
      kernel = jnp.matmul(kernel + jnp.eye(c), expand, precision="highest")
      bias = jnp.matmul(bias, expand, precision="highest") + shift
      y = _multiply(x, kernel, bias, self.dtype)
    else:
      y = x + _multiply(x, kernel, bias, self.dtype)
      y = blocks.multiply(y, expand, self.dtype) + shift.astype(self.dtype)
    contract = blocks.Dense(
      c,
      use_bias=self.use_bias,
      dtype=self.dtype,
      kernel_init=blocks.small_init,
      name="contract",
    )
    total = x + contract(self.activate(y))
    return self.activate_sum(total) if self.activate_sum else total
