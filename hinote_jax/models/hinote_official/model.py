"""The released HiNOTE network, number for number.

For its checkpoints and for comparison: `hinote` is the method, this is the
code that was released, with its oddities; those are in `published`.
"""

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.hinote_official import lifted, parts, published
from hinote_jax.nn import bands, blocks

COMBINES = ("add", "cat")
_METHODS = {
  "nearest": "nearest",
  "bilinear": "linear",
  "bicubic": "cubic_torch",
}


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
    points_at_once: query points that the decoder handles at once, see
      `bands`; bounds the memory, not the answer.
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
  points_at_once: int | None = None

  @nn.compact
  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
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
    self._check(lowres, lazy.query_shape(coords))
    activate = published.activation(self.non_act)
    feats = self._encoded(lowres, activate)
    shape = feats.shape[1:3]
    rel_cell = cell * jnp.asarray(shape, cell.dtype)
    sampler = parts.Sampler(
      _METHODS[self.liif_up_method], self.periodic, name="sampler"
    )
    lift = blocks.Conv(
      self.attention_width, 5, use_bias=False, dtype=self.dtype, name="lift"
    )
    decoder = parts.Decoder(
      self.attention_width,
      self.attention_head,
      self.hierarchical_levels,
      activate,
      self.dtype,
      self.points_at_once,
      name="decoder",
    )
    if self._is_plain():
      answer = decoder(lift(sampler(feats, coords, rel_cell)))
    else:
      answer = self._in_bands(feats, coords, rel_cell, sampler, activate)
    rules = resize.boundaries(self.periodic, "edge")
    return answer + lazy.interpolate(
      lowres, coords, method="linear", boundary=rules
    )

  def _encoded(self, lowres, activate):
    """Returns the refined features of a field."""
    feats = lowres
    for i in range(self.feature_up_ratio.bit_length() - 1):
      double = parts.Doubling(
        self.fourier_up,
        self.feature_combine,
        activate,
        self.periodic,
        name=f"double_{i}",
      )
      feats = double(feats)
    return feats

  def _in_bands(self, feats, coords, rel_cell, sampler, activate):
    """Returns the answer of a decoder that `lifted` knows."""
    params = self.variables["params"]
    kernel = params["lift"]["kernel"]
    if self.liif_up_method == "nearest" and lazy.is_regular(coords):
      # The tokens that repeat on a regular window are left out.
      sample = lazy.bind(lifted.distinct_of_patch, grids.pair(self.periodic))
      kernel = lifted.on_distinct(kernel)
      tokens = lazy.at_queries(sample, rel_cell, coords, feats)
    else:
      tokens = sampler(feats, coords, rel_cell)
    block, project = (params["decoder"][n] for n in ("galerkin_0", "project"))
    decode = lifted.Decoder(
      self.attention_head, activate, bands.points_at_once(self.points_at_once)
    )
    return decode((kernel, block, project), tokens)

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
    is_exact = jnp.dtype(self.dtype) == jnp.float32
    return (
      not is_exact
      or self.hierarchical_levels > 1
      or self.is_initializing()
      or self.is_mutable_collection("intermediates")
    )
