"""Galerkin attention: a kernel integral by quadrature over the points.

    (z)_i = sum_l ( 1/n sum_j k_l(x_j) v(x_j) ) q_l(x_i)    (paper, section 3.5)

Linear in the number of points: the d x d matrix c = k^T v / n is the integral,
and refining the grid refines its quadrature, it does not change what it means.

With c known, q and what follows it are linear, so a block multiplies small
matrices with each other first and every point with one instead of two.
"""

from collections.abc import Callable, Mapping
import functools
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.lazy import planes
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
    most: points whose k and v are formed at once, see `bands.at_once`.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True
  most: int | None = None

  @nn.compact
  def _layers(self, c: int, d: int | None = None):
    """Returns the layers of q, k and v and the norms of k and v.

    Args:
      c: channels of the queries.
      d: of the points that are attended to; None for the layer of q alone.
    """
    if c % self.heads:
      raise ValueError(f"{self.heads} heads do not divide {c} channels")
    layer = functools.partial(blocks.Affine, c, use_bias=self.use_bias)
    layers = [layer(name="q")(c)]
    if d is None:
      return layers, []
    layers += [layer(name="k")(d), layer(name="v")(d)]
    norms = [HeadNorm(self.norm, name=f"norm_{n}") for n in "kv"]
    return layers, [norm(self.heads, c // self.heads) for norm in norms]

  def moments(
    self,
    source: Float[Array, "b h w d"],
    c: int,
    inside: Float[Array, "h w"] | None = None,
  ) -> Float[Array, "b g e e"]:
    """Returns k^T v of each head, summed over the points that are attended to.

    Over their number it is the integral of `affine`. Sums over parts of the
    points add up.

    Args:
      source: the points.
      c: channels of the queries.
      inside: 1 for the points that count; None for all.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    layers, norms = self._layers(c, source.shape[-1])
    return self._moments(source, layers[1:], norms, inside)

  def affine(
    self,
    source: Float[Array, "b h w d"] | None,
    c: int,
    integral: Float[Array, "b g e e"] | None = None,
  ) -> tuple[Float[Array, "b c c"], Float[Array, "b 1 c"]]:
    """Returns the attention to `source` as what it is: affine in the queries.

    Args:
      source: the points that are attended to; not read with `integral`.
      c: channels of the queries.
      integral: k^T v over the number of points, where it is known.

    Returns:
      kernel and bias; attention(x) = x @ kernel + bias. Float32.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    if integral is None:
      layers, norms = self._layers(c, source.shape[-1])
      integral = self._moments(source, layers[1:], norms)
      integral = integral / (source.shape[1] * source.shape[2])
    else:
      layers, _ = self._layers(c)
    kernel, bias = layers[0]
    q = jnp.concatenate([kernel, bias[None]]).reshape(c + 1, self.heads, -1)
    both = jnp.einsum("igd,bgde->bige", q, integral, precision="highest")
    both = both.reshape(len(integral), c + 1, c)
    return both[:, :-1], both[:, -1:]

  def _moments(self, source, layers, norms, inside=None):
    b, height, width, d = source.shape
    points = source.reshape(b, height * width, d)
    parts, counted = bands.split(points, bands.at_once(self.most))
    if inside is not None:
      padding = counted.size - inside.size
      inside = jnp.pad(inside.reshape(-1), (0, padding))
      counted = counted * inside.reshape(counted.shape)
    heads = (b, parts.shape[2], self.heads, layers[0][0].shape[1] // self.heads)

    def integral(points, inside):
      """Returns k^T v, summed over points, [b g d d]."""
      k, v = (
        apply_norm(
          self.norm, _dense(points, *part, self.dtype).reshape(*heads), *norm
        )
        for norm, part in zip(norms, layers, strict=True)
      )
      return moment(k * inside[..., None], v)

    return _sum(integral, (parts, counted))

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
    kernel, bias = self.affine(x if source is None else source, c)
    points = x.reshape(b, height * width, c)
    return _dense(points, kernel, bias, self.dtype).reshape(x.shape)


def _dense(x, kernel, bias, dtype):
  """x @ kernel + bias, [b n c]; the kernel may differ between examples."""
  x, kernel, bias = (t.astype(dtype) for t in (x, kernel, bias))
  if kernel.ndim == 2:
    return blocks.multiply(x, kernel, dtype) + bias
  return jnp.matmul(x, kernel) + bias


def _sum(function, parts):
  """Sums a function over bands; each is formed again for its gradient.

  Compensated (Kahan 1965): a sum of a hundred thousand bands does not drift.
  """
  first = jax.tree.map(lambda t: t[0], parts)
  if len(parts[0]) == 1:
    return function(*first)

  def add(sums, band):
    total, excess = sums
    part = function(*band) - excess
    new = total + part
    return (new, (new - total) - part), None

  shape = jax.eval_shape(function, *first)
  zero = jnp.zeros(shape.shape, shape.dtype)
  return jax.lax.scan(jax.checkpoint(add), (zero, zero), parts)[0][0]


class GalerkinBlock(nn.Module):
  """Attention and a pointwise MLP: x + MLP(x + attention(x)).

  Attributes:
    heads: number of heads; must divide the channels of `x`.
    dtype: type of the products; the sums over points stay float32.
    norm: of k and v in each head, see `HeadNorm`.
    use_bias: whether the five dense layers have one.
    activate: the MLP's function.
    activate_sum: function of the whole sum; None for none.
    most: points handled at once, see `bands.at_once`.
  """

  heads: int
  dtype: DTypeLike = jnp.float32
  norm: str = "standard"
  use_bias: bool = True
  activate: Callable = jax.nn.gelu
  activate_sum: Callable | None = None
  most: int | None = None

  @nn.nowrap
  def attention(self) -> GalerkinAttention:
    """Returns the attention, a module of its own."""
    return GalerkinAttention(
      self.heads,
      self.dtype,
      self.norm,
      self.use_bias,
      self.most,
      name="attention",
    )

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b H W c"],
    source: Float[Array, "b h w d"] | None = None,
    integral: Float[Array, "b g e e"] | None = None,
  ) -> Float[Array, "b H W c"]:
    """Attends from the points of `x` to those of `source`, by default itself.

    Args:
      x: the points.
      source: those that are attended to.
      integral: of the attention, where it is known; see
        `GalerkinAttention.affine`.

    Raises:
      ValueError: `heads` does not divide the channels.
    """
    _, height, width, c = x.shape
    source = x if source is None else source
    kernel, bias = self.attention().affine(source, c, integral)
    layer = functools.partial(blocks.Affine, c, use_bias=self.use_bias)
    expand, shift = layer(name="expand")(c)
    contract = layer(kernel_init=blocks.small_init, name="contract")(c)
    is_folded = height * width > c
    if is_folded:
      # One matrix for attention, sum and expansion: cheaper than two.
      kernel = jnp.matmul(kernel + jnp.eye(c), expand, precision="highest")
      bias = jnp.matmul(bias, expand, precision="highest") + shift

    def apply(points):
      y = _dense(points, kernel, bias, self.dtype)
      if not is_folded:
        y = _dense(points + y, expand, shift, self.dtype)
      total = points + _dense(self.activate(y), *contract, self.dtype)
      return self.activate_sum(total) if self.activate_sum else total

    return bands.pointwise(apply, x, bands.at_once(self.most))


def integral(
  run: planes.Run,
  block: GalerkinBlock,
  params: Mapping[str, Any],
  source: planes.Plane,
) -> jax.Array:
  """Returns the integral of a block's attention to all points of a plane.

  Args:
    run: who sums.
    block: whose attention.
    params: of the block.
    source: the points that are attended to.
  """
  attention = block.attention()
  params = params["attention"]
  width = params["q"]["kernel"].shape[0]

  def moments(params, here, part):
    inside = part.inside(here)
    return attention.apply(
      {"params": params}, part.values, width, inside, method="moments"
    )

  inputs = (planes.same(source),)
  total = run.sum(source.grid, inputs, moments, params)
  return total / math.prod(source.grid.shape)


def attend(
  run: planes.Run,
  block: GalerkinBlock,
  params: Mapping[str, Any],
  x: planes.Plane,
) -> planes.Plane:
  """Returns what a block makes of the points of a plane; see `integral`."""

  def apply(params, values):
    params, known = params
    return block.apply({"params": params}, values, integral=known)

  return x.map(apply, (params, integral(run, block, params, x)))
