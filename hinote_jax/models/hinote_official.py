"""The released HiNOTE network, number for number.

For its checkpoints and for comparison: `hinote` is the method, this is the
code that was released, with its oddities; those are in `published`.
"""

from collections.abc import Callable

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import grids, naming, resize
from hinote_jax.models import (
  bands,
  blocks,
  galerkin,
  lifted,
  published,
  samplers,
)
from hinote_jax.typing import Array, Periodic

COMBINES = ("add", "cat")
_METHODS = {
  "nearest": "nearest",
  "bilinear": "linear",
  "bicubic": "cubic_torch",
}


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
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    double = naming.look_up("fourier_up", self.kind, published.FOURIER_UPS)
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
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    _, h, w, c = x.shape
    boundary = resize.boundaries(self.periodic, "edge")
    near = resize.resize(x, (2 * h, 2 * w), method="linear", boundary=boundary)
    far = FourierDoubling(self.fourier_up, name="fourier")(x)
    if self.combine == "cat":
      both = jnp.concatenate([near, far], axis=-1)
    else:
      both = near + far
    return self.activate(nn.Dense(c, use_bias=False, name="fuse")(both))


class Sampler(nn.Module):
  """The tokens of the query points, [b H W 4(c+2)+2]; no parameters.

  Attributes:
    method: how a neighbour is read, a method of `resize`.
    periodic: which of (y, x) close on themselves; "nearest" only.
  """

  method: str
  periodic: Periodic = (False, False)

  def __call__(self, feats, coords, rel_cell):
    if self.method == "nearest":
      return samplers.local_ensemble(
        feats, coords, rel_cell, periodic=self.periodic, halve_at_walls=True
      )
    points = grids.dense(grids.batched(coords, feats.shape[0]))
    return published.blurred_ensemble(feats, points, rel_cell, self.method)


class Decoder(nn.Module):
  """A Galerkin block a level, the levels joined by alias-free activations.

  Attributes:
    width: channels.
    heads: of every block.
    levels: each has half the sides of the one before.
    activate: every non-linear function.
    dtype: type of the products.
    most: points of a block at once.
  """

  width: int
  heads: int
  levels: int
  activate: Callable
  dtype: DTypeLike = jnp.float32
  most: int | None = None

  @nn.compact
  def __call__(self, x: Float[Array, "b H W d"]) -> Float[Array, "b H W 1"]:
    finer = [x]
    for i in range(self.levels - 1):
      x = published.alias_free(self.activate, finer[-1])
      down = nn.Conv(
        self.width, (3, 3), 2, 1, dtype=self.dtype, name=f"down_{i}"
      )
      finer.append(down(x))
    finer = [self._block(i)(x) for i, x in enumerate(finer)]
    x = finer.pop()
    for i in range(self.levels - 1):
      h, w = x.shape[1:3]
      x = published.alias_free(self.activate, x)
      x = self._conv(f"up_{i}")(published.nodes(x, (2 * h, 2 * w)))
      x = jnp.concatenate([finer.pop(), x], axis=-1)
      x = self._conv(f"merge_{i}")(x)
    return blocks.Conv(1, name="project")(x.astype(jnp.float32))

  def _block(self, level):
    return galerkin.GalerkinBlock(
      self.heads,
      self.dtype,
      norm="published",
      use_bias=False,
      activate=self.activate,
      activate_sum=self.activate,
      most=self.most,
      name=f"galerkin_{level}",
    )

  def _conv(self, name):
    return blocks.Conv(self.width, dtype=self.dtype, name=name)


class HinoteOfficial(nn.Module):
  """The released network; attributes are named as in its configuration.

  Attributes:
    channels: variables of the field; the release has one.
    feature_up_ratio: refinement of the feature grid, a power of two.
    fourier_up: one of `published.FOURIER_UPS`.
    feature_combine: of the branches of a doubling, one of `COMBINES`.
    non_act: every non-linear function, see `published.activation`.
    liif_up_method: how the sampler reads a neighbour: "nearest"; or
      "bilinear" or "bicubic", with which all neighbours weigh alike.
    attention_width: channels of the decoder.
    attention_head: heads of its blocks.
    hierarchical_levels: of the decoder; both sides of the query window must
      divide by 2 as often as there are levels beyond the first.
    periodic: which of (y, x) close on themselves. The release knows none; here
      the interpolations of the input and the "nearest" sampler then wrap
      around. The spectra are periodic always, the convolutions on the query
      window never: it need not be the whole circle.
    dtype: type of the decoder's products.
    most: query points that the decoder handles at once, see `bands.at_once`;
      bounds the memory, not the answer.
  """

  channels: int = 1
  feature_up_ratio: int = 4
  fourier_up: str = "Corner"
  feature_combine: str = "add"
  non_act: str = "GELU"
  liif_up_method: str = "nearest"
  attention_width: int = 256
  attention_head: int = 16
  hierarchical_levels: int = 1
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32
  most: int | None = None

  @nn.compact
  def __call__(
    self,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points.

    The answer at a point depends on which others are asked for and on their
    order: attention averages over all, convolutions read them as neighbours.

    Args:
      lowres: the field, in [0, 1] in the release.
      coords: query points.
      cell: size of a query cell in coordinates, (y, x).

    Raises:
      ValueError: more than one channel, an unknown name, or sides of the
        window that do not divide as the levels need.
    """
    self._check(lowres, grids.query_shape(coords))
    coords = grids.batched(coords, lowres.shape[0])
    feats, activate = lowres, published.activation(self.non_act)
    for i in range(self.feature_up_ratio.bit_length() - 1):
      feats = Doubling(
        self.fourier_up,
        self.feature_combine,
        activate,
        self.periodic,
        name=f"double_{i}",
      )(feats)
    rel_cell = cell * jnp.asarray(feats.shape[1:3], cell.dtype)
    if self._is_plain():
      answer = self._decode(feats, coords, rel_cell, activate)
    else:
      answer = self._decode_in_bands(feats, coords, rel_cell, activate)
    boundary = resize.boundaries(self.periodic, "edge")
    return answer + resize.sample(
      lowres, coords, method="linear", boundary=boundary
    )

  def _check(self, lowres, window):
    if self.channels != 1 or lowres.shape[-1] != 1:
      raise ValueError(
        f"the released network takes one channel, the field has "
        f"{lowres.shape[-1]} and channels={self.channels}"
      )
    ratio = self.feature_up_ratio
    if ratio < 1 or ratio & (ratio - 1):
      raise ValueError(
        f"feature_up_ratio must be a power of two, got {ratio}; the release "
        f"rounds it down to one"
      )
    naming.look_up(
      "feature_combine", self.feature_combine, dict.fromkeys(COMBINES)
    )
    naming.look_up("liif_up_method", self.liif_up_method, _METHODS)
    if self.hierarchical_levels < 1:
      raise ValueError(
        f"hierarchical_levels must be 1 or more, got {self.hierarchical_levels}"
      )
    step = 2 ** (self.hierarchical_levels - 1)
    if any(side % step for side in window):
      raise ValueError(
        f"{self.hierarchical_levels} levels need a query window whose sides "
        f"divide by {step}, got {window[0]} x {window[1]}"
      )

  def _is_plain(self) -> bool:
    """Whether to run module by module: to make parameters, or to see inside."""
    return (
      self.hierarchical_levels > 1
      or self.dtype != jnp.float32
      or self.is_initializing()
      or self.is_mutable_collection("intermediates")
    )

  def _decode(self, feats, coords, rel_cell, activate):
    tokens = self._sampler()(feats, coords, rel_cell)
    x = blocks.Conv(
      self.attention_width, 5, use_bias=False, dtype=self.dtype, name="lift"
    )(tokens)
    return Decoder(
      self.attention_width,
      self.attention_head,
      self.hierarchical_levels,
      activate,
      self.dtype,
      self.most,
      name="decoder",
    )(x)

  def _decode_in_bands(self, feats, coords, rel_cell, activate):
    params = self.variables["params"]
    kernel = params["lift"]["kernel"]
    if self.liif_up_method == "nearest" and isinstance(coords, grids.Axes):
      tokens = lifted.distinct(
        feats, coords, rel_cell, kernel, periodic=self.periodic
      )
    else:
      values = self._sampler()(feats, coords, rel_cell)
      tokens = lifted.Tokens(values, kernel)
    return lifted.decode(
      tokens,
      params["decoder"]["galerkin_0"],
      params["decoder"]["project"],
      heads=self.attention_head,
      activate=activate,
      most=bands.at_once(self.most),
    )

  def _sampler(self):
    method = _METHODS[self.liif_up_method]
    return Sampler(method, self.periodic, name="sampler")
