"""The parts of the released HiNOTE: doublings, sampler, decoder."""

from collections.abc import Callable
import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.hinote_official import published
from hinote_jax.nn import blocks, galerkin, samplers


class Pair(nn.Module):
  """Two pointwise layers around a LeakyReLU of slope 0.1."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    c = x.shape[-1]
    x = nn.leaky_relu(nn.Dense(c, name="first")(x), 0.1)
    return nn.Dense(c, name="second")(x)


class FourierDoubling(nn.Module):
  """Doubles a field through layers on its amplitude and on its phase.

  Attributes:
    kind: one of `published.FOURIER_UPS`.
  """

  kind: str

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W c"]:
    double = naming.look_up("fourier_up", self.kind, published.FOURIER_UPS)
    if isinstance(x, lazy.LazyGrid):
      _, h, w, _ = x.shape
      # Of one channel: a spectrum of the whole is cheap.
      function = lazy.Applied(self.clone(parent=None, name=None))
      return lazy.whole(function, self.variables, x, (2 * h, 2 * w))
    amplitude, phase = published.spectrum(x)
    amplitude = Pair(name="amplitude")(amplitude)
    x = double(amplitude, Pair(name="phase")(phase))
    return x if self.kind == "Corner" else nn.Dense(x.shape[-1], name="post")(x)


class Doubling(nn.Module):
  """Linear and Fourier enlargement, mixed by a pointwise layer.

  Attributes:
    fourier_up: see `FourierDoubling`.
    combine: "add" the two or "cat" them.
    activate: function of the mixture.
    periodic: which of (y, x) the linear one takes as closed.
  """

  fourier_up: str
  combine: str
  activate: Callable
  periodic: Periodic = (False, False)

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W c"]:
    _, h, w, _ = x.shape
    boundary = resize.boundaries(self.periodic, "edge")
    near = lazy.resample(x, (2 * h, 2 * w), method="linear", boundary=boundary)
    far = FourierDoubling(self.fourier_up, name="fourier")(x)
    is_cat = self.combine == "cat"
    both = lazy.concatenate([near, far]) if is_cat else near + far
    fuse = blocks.Dense(x.shape[-1], use_bias=False, name="fuse")
    return lazy.stored(lazy.pointwise(self.activate, fuse(both)))


class Sampler(nn.Module):
  """The tokens of the query points, [b H W 4(c+2)+2]; no parameters.

  Attributes:
    method: how a neighbour is read, a method of `resize`.
    periodic: which of (y, x) close on themselves; "nearest" only.
  """

  method: str
  periodic: Periodic = (False, False)

  def __call__(
    self,
    feats: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    rel_cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W k"]:
    sample = lazy.bind(_sampled, self.method, grids.pair(self.periodic))
    if self.method == "nearest" or not isinstance(coords, lazy.Queries):
      return lazy.at_queries(sample, rel_cell, coords, feats)
    # Interpolated neighbours fade beyond the whole grid's edges.
    return lazy.at_queries(sample, rel_cell, coords, feats, reach=None)


def _sampled(method: str, periodic: Periodic, rel_cell, coords, patch):
  if method != "nearest":
    points = grids.dense(coords)
    return published.blurred_ensemble(patch.values, points, rel_cell, method)
  return samplers.local_ensemble(
    patch.values,
    coords,
    rel_cell,
    periodic=periodic,
    halve_at_walls=True,
    placement=patch.placement,
  )


class Decoder(nn.Module):
  """A Galerkin block a level, the levels joined by alias-free activations.

  Attributes:
    width: channels.
    heads: of every block.
    levels: each has half the sides of the one before.
    activate: every non-linear function.
    dtype: type of the products.
    points_at_once: points of a block at once.
  """

  width: int
  heads: int
  levels: int
  activate: Callable
  dtype: DTypeLike = jnp.float32
  points_at_once: int | None = None

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b H W d"]
  ) -> Float[lazy.Grid, "b H W 1"]:
    finer = [x]
    for i in range(self.levels - 1):
      x = published.alias_free(self.activate, finer[-1])
      down = Halving(self.width, self.dtype, name=f"down_{i}")
      finer.append(lazy.stored(down(x)))
    finer = [self._block(i)(x) for i, x in enumerate(finer)]
    x = finer.pop()
    for i in range(self.levels - 1):
      h, w = x.shape[1:3]
      x = lazy.stored(published.alias_free(self.activate, x))
      x = published.nodes(x, (2 * h, 2 * w))
      x = lazy.stored(self._conv(f"up_{i}")(x))
      x = lazy.concatenate([finer.pop(), x])
      x = lazy.stored(self._conv(f"merge_{i}")(x))
    return blocks.Conv(1, name="project")(lazy.pointwise(blocks.as_float32, x))

  def _block(self, level):
    return galerkin.GalerkinBlock(
      self.heads,
      self.dtype,
      norm="published",
      use_bias=False,
      activate=self.activate,
      activate_sum=self.activate,
      points_at_once=self.points_at_once,
      name=f"galerkin_{level}",
    )

  def _conv(self, name):
    return blocks.Conv(self.width, dtype=self.dtype, name=name)


class Halving(nn.Module):
  """A 3x3 convolution of stride 2 of even sides, zeros beyond the edges."""

  features: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W d"]:
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    function = _Halved(self.dtype)
    if not isinstance(x, lazy.LazyGrid):
      return function.of_padded((kernel, bias), _bordered(x, 1))
    h, w = (n // 2 for n in x.domain.shape)
    lines = grids.Line(0, 2, h), grids.Line(0, 2, w)
    reading = lazy.Reading(x, lines, (1, 1))
    return lazy.LazyGrid(
      lazy.Domain((h, w)), (reading,), function, (kernel, bias)
    )


def _bordered(x, below):
  """Puts a row of zeros above and `below` of them below, and so on."""
  return jnp.pad(x, [(0, 0), (1, below), (1, below), (0, 0)])


@dataclasses.dataclass(frozen=True)
class _Halved:
  dtype: DTypeLike

  def __call__(self, params, window, patch):
    # Beyond a wall the zeros are the padding.
    values = _bordered(patch.values, 2)
    b, _, _, c = values.shape
    y, x = 2 * window.start - patch.start
    h, w = window.shape
    values = jax.lax.dynamic_slice(
      values, (0, y, x, 0), (b, 2 * h + 1, 2 * w + 1, c)
    )
    return self.of_padded(params, values)

  def of_padded(self, params, values):
    """Returns the convolution of a field that has its border."""
    kernel, bias = (p.astype(self.dtype) for p in params)
    dims = ("NHWC", "HWIO", "NHWC")
    values = values.astype(self.dtype)
    return (
      jax.lax.conv_general_dilated(
        values, kernel, (2, 2), "VALID", dimension_numbers=dims
      )
      + bias
    )
