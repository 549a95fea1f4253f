"""Galerkin attention: a kernel integral by quadrature over the points.

    (z)_i = sum_l ( 1/n sum_j k_l(x_j) v(x_j) ) q_l(x_i)    (paper, section 3.5)

Linear in the number of points: the d x d matrix c = k^T v / n is the integral,
and refining the grid refines its quadrature, it does not change what it means.

With c known, q and what follows it are linear, so a block multiplies small
matrices with each other first and every point with one instead of two.

The integral is a sum over all points: on lazy grids it is a `lazy.Total`, and a
tile never has an integral of its own.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming, sums
from hinote_jax.core.typing import Array
from hinote_jax.nn import bands, blocks


def moment(
  k: Float[Array, "b n g d"], v: Float[Array, "b n g e"]
) -> Float[Array, "b g d e"]:
  """Returns k^T v per head, summed over the points in float32.

  Over their number it is the integral c of the operator.
  """
  return jnp.einsum(
    "bngd,bnge->bgde",
    k,
    v,
    precision="highest",
    preferred_element_type=jnp.float32,
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
  def __call__(self, heads: int, depth: int) -> tuple[Array, Array]:
    """Returns scale and bias for heads of `depth` channels, see `apply_norm`.

    Raises:
      ValueError: `kind` is unknown.
    """
    kinds = {"standard": (depth,), "published": (heads, depth)}
    shape = naming.look_up("norm", self.kind, kinds)
    scale = self.param("scale", nn.initializers.ones, shape)
    return scale, self.param("bias", nn.initializers.zeros, shape)


def apply_norm(
  kind: str,
  x: Float[Array, "*b g d"],
  scale: Float[Array, "*g d"],
  bias: Float[Array, "*g d"],
) -> Float[Array, "*b g d"]:
  """Returns heads normalised as `HeadNorm` of a kind says."""
  x = x.astype(jnp.float32)
  if kind == "published":
    return _published(x, 1e-5) * scale + bias
  return _standard(x, 1e-6) * scale + bias


class GalerkinAttention(nn.Module):
  """q (k^T v) / n with a norm on k and v in each head.

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the projections; the sums over points stay float32.
    norm: see `HeadNorm`.
    use_bias: whether q, k and v have one.
    points_at_once: points whose k and v are formed at once, see `bands`.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True
  points_at_once: int | None = None

  @nn.compact
  def affine(self, source: Float[lazy.Grid, "b h w d"], c: int) -> "Affinity":
    """Returns the attention to `source` as what it is: affine in the queries.

    Args:
      source: the points that are attended to.
      c: channels of the queries.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    if c % self.heads:
      raise ValueError(f"{self.heads} heads do not divide {c} channels")
    d = source.shape[-1]
    layer = functools.partial(blocks.Affine, c, use_bias=self.use_bias)
    kernel, bias = layer(name="q")(c)
    layers = [layer(name=name)(d) for name in "kv"]
    norms = [
      HeadNorm(self.norm, name=f"norm_{n}")(self.heads, c // self.heads)
      for n in "kv"
    ]
    share = Moments(self.norm, self.dtype, self.points_at_once)
    summed = lazy.total(share, (layers, norms), source)
    points = source.shape[1] * source.shape[2]
    return Affinity(kernel, bias, summed, jnp.asarray(float(points)))

  def __call__(
    self,
    x: Float[lazy.Grid, "b H W c"],
    source: Float[lazy.Grid, "b h w d"] | None = None,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Attends from the points of `x` to those of `source`, by default itself.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    known = self.affine(x if source is None else source, x.shape[-1])
    return lazy.pointwise(lazy.bind(_attended, self.dtype), x, params=known)


class Affinity(NamedTuple):
  """Attention to known points: x -> q(x) @ (summed / n).

  Attributes:
    kernel: of q, [c c].
    bias: of q, [c].
    summed: k^T v of each head over the points, [b g e e]; or its total.
    points: n.
  """

  kernel: Array
  bias: Array
  summed: Any
  points: Array

  def matrices(self) -> tuple[Float[Array, "b c c"], Float[Array, "b 1 c"]]:
    """Returns kernel and bias; attention(x) = x @ kernel + bias. Float32."""
    c, heads = len(self.kernel), self.summed.shape[1]
    q = jnp.concatenate([self.kernel, self.bias[None]])
    both = jnp.einsum(
      "igd,bgde->bige",
      q.reshape(c + 1, heads, -1),
      self.summed / self.points,
      precision="highest",
    )
    both = both.reshape(len(self.summed), c + 1, c)
    return both[:, :-1], both[:, -1:]


@dataclasses.dataclass(frozen=True)
class Moments:
  """The share of a patch in k^T v of each head, for `lazy.total`."""

  norm: str
  dtype: DTypeLike
  points_at_once: int | None

  def __call__(self, params, patch, inside=None) -> Float[Array, "b g e e"]:
    layers, norms = params
    b, height, width, d = patch.values.shape
    points = patch.values.reshape(b, height * width, d)
    limit = bands.points_at_once(self.points_at_once)
    parts, counted = bands.split(points, limit)
    if inside is not None:
      padding = counted.size - inside.size
      inside = jnp.pad(inside.reshape(-1), (0, padding))
      counted = counted * inside.reshape(counted.shape)
    heads = b, parts.shape[2], -1, norms[0][0].shape[-1]

    def share(band):
      x, is_counted = band
      k, v = (
        apply_norm(
          self.norm, _dense(x, *layer, dtype=self.dtype).reshape(*heads), *norm
        )
        for norm, layer in zip(norms, layers, strict=True)
      )
      return moment(k * is_counted[..., None], v)

    return sums.over(share, (parts, counted))


def _dense(x, kernel, bias, dtype):
  """x @ kernel + bias, [b n c]; the kernel may differ between examples."""
  x, kernel, bias = (t.astype(dtype) for t in (x, kernel, bias))
  if kernel.ndim == 2:
    return blocks.multiply(x, kernel, dtype) + bias
  return jnp.matmul(x, kernel) + bias


def _attended(dtype: DTypeLike, known: Affinity, x):
  b, height, width, c = x.shape
  points = x.reshape(b, height * width, c)
  return _dense(points, *known.matrices(), dtype).reshape(x.shape)


class GalerkinBlock(nn.Module):
  """Attention and a pointwise MLP: x + MLP(x + attention(x)).

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the products; the sums over points stay float32.
    norm: of k and v in each head, see `HeadNorm`.
    use_bias: whether the five dense layers have one.
    activate: the MLP's function.
    activate_sum: function of the whole sum; None for none.
    points_at_once: points handled at once, see `bands`.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True
  activate: Callable = jax.nn.gelu
  activate_sum: Callable | None = None
  points_at_once: int | None = None

  @nn.compact
  def __call__(
    self,
    x: Float[lazy.Grid, "b H W c"],
    source: Float[lazy.Grid, "b h w d"] | None = None,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Attends from the points of `x` to those of `source`, by default itself.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    _, height, width, c = x.shape
    attention = GalerkinAttention(
      self.heads,
      self.dtype,
      self.norm,
      self.use_bias,
      self.points_at_once,
      name="attention",
    )
    known = attention.affine(x if source is None else source, c)
    layer = functools.partial(blocks.Affine, c, use_bias=self.use_bias)
    expand = layer(name="expand")(c)
    contract = layer(kernel_init=blocks.small_init, name="contract")(c)
    apply = lazy.bind(
      _applied_block,
      self.dtype,
      self.activate,
      self.activate_sum,
      self.points_at_once,
      # One matrix for attention, sum and expansion: cheaper than two.
      height * width > c,
    )
    return lazy.pointwise(apply, x, params=(known, expand, contract))


def _applied_block(
  dtype: DTypeLike,
  activate: Callable,
  activate_sum: Callable | None,
  points_at_once: int | None,
  is_folded: bool,
  params,
  x,
):
  """What a Galerkin block makes of points, its integral known."""
  known, (expand, shift), contract = params
  kernel, bias = known.matrices()
  if is_folded:
    identity = jnp.eye(len(expand))
    kernel = jnp.matmul(kernel + identity, expand, precision="highest")
    bias = jnp.matmul(bias, expand, precision="highest") + shift

  def apply(points):
    y = _dense(points, kernel, bias, dtype)
    if not is_folded:
      y = _dense(points + y, expand, shift, dtype)
    total = points + _dense(activate(y), *contract, dtype=dtype)
    return activate_sum(total) if activate_sum else total

  limit = bands.points_at_once(points_at_once)
  return bands.pointwise(apply, x, limit)
