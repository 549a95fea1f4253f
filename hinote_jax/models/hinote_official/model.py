"""The released HiNOTE network, number for number.

For its checkpoints and for comparison: `hinote` is the method, this is the
code that was released, with its oddities; those are in `published`.
"""

from collections.abc import Mapping
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids, naming, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.models.hinote_official import lifted, published
from hinote_jax.models.hinote_official import parts as official_parts
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
    feats = self.encode(lowres)
    if self._is_plain():
      x = self.lift(feats, coords, cell)
      answer = self._decoder()(x)
    else:
      params = self.variables["params"]
      is_distinct = self._is_distinct(coords)
      tokens = self._tokens(feats, coords, cell, is_distinct)
      decoder = self._lifted(params)
      answer = decoder.decode(self._with_kernel(params, tokens, is_distinct))
    return self._finish(answer, lowres, coords)

  @nn.compact
  def stage(self, name: str, *args: Any) -> jax.Array:
    """Returns what one of the stages makes of its arguments."""
    return getattr(self, name)(*args)

  def encode(self, lowres):
    """Returns the refined features of a field."""
    feats = lowres
    for i in range(self.feature_up_ratio.bit_length() - 1):
      feats = official_parts.Doubling(
        self.fourier_up,
        self.feature_combine,
        published.activation(self.non_act),
        self.periodic,
        name=f"double_{i}",
      )(feats)
    return feats

  @nn.nowrap
  def _finish(self, answer, lowres, coords):
    """Returns the field of the decoder's answer at the query points."""
    rules = resize.boundaries(self.periodic, "edge")
    return answer + resize.sample(
      lowres, coords, method="linear", boundary=rules
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

  @nn.nowrap
  def _is_banded(self) -> bool:
    """Whether the decoder is one that `lifted` knows."""
    return self.hierarchical_levels == 1 and self.dtype == jnp.float32

  def _is_plain(self) -> bool:
    """Whether to run module by module: to make parameters, or to see inside."""
    return (
      not self._is_banded()
      or self.is_initializing()
      or self.is_mutable_collection("intermediates")
    )

  def lift(self, feats, coords, cell):
    """Returns the decoder's input at the query points."""
    return self._lift()(self._tokens(feats, coords, cell, False))

  @nn.nowrap
  def _lift(self):
    return blocks.Conv(
      self.attention_width, 5, use_bias=False, dtype=self.dtype, name="lift"
    )

  @nn.nowrap
  def _decoder(self):
    return official_parts.Decoder(
      self.attention_width,
      self.attention_head,
      self.hierarchical_levels,
      published.activation(self.non_act),
      self.dtype,
      self.most,
      name="decoder",
    )

  @nn.nowrap
  def _is_distinct(self, coords):
    """Says whether the tokens that repeat on a window can be left out."""
    return self.liif_up_method == "nearest" and isinstance(coords, grids.Axes)

  @nn.nowrap
  def _tokens(self, feats, coords, cell, is_distinct, part=None):
    """Returns what the lifting convolution reads, [b H W t]."""
    shape = feats.shape[1:3] if part is None else part.shape
    rel_cell = cell * jnp.asarray(shape, cell.dtype)
    if not is_distinct:
      return self._sampler()(feats, coords, rel_cell)
    return lifted.distinct(
      feats, coords, rel_cell, periodic=self.periodic, part=part
    )

  @nn.nowrap
  def _with_kernel(self, params, tokens, is_distinct):
    kernel = params["lift"]["kernel"]
    kernel = lifted.on_distinct(kernel) if is_distinct else kernel
    return lifted.Tokens(tokens, kernel)

  @nn.nowrap
  def _lifted(self, params):
    """Returns the decoder of one level in bands."""
    return lifted.Lifted(
      params["decoder"]["galerkin_0"],
      params["decoder"]["project"],
      self.attention_head,
      published.activation(self.non_act),
      bands.at_once(self.most),
    )

  @nn.nowrap
  def _sampler(self):
    return official_parts.Sampler(
      _METHODS[self.liif_up_method], self.periodic, name="sampler"
    )

  @nn.nowrap
  def planes(
    self,
    run: planes.Run,
    variables: Mapping[str, Any],
    lowres: Float[Array, "b h w c"],
    queries: planes.Queries,
  ) -> planes.Plane:
    """Returns the same as a call, window by window; see `planes`.

    The features, one channel, are made at once: their spectra are global.
    """
    self._check(lowres, queries.grid.shape)
    params = variables["params"]

    def encode(variables, lowres):
      return self.apply(variables, "encode", lowres, method="stage")

    feats = run.call(encode, variables, lowres)
    # The convolutions on the query window never go around.
    queries = queries._replace(grid=planes.Grid(queries.grid.shape))
    tokens = self._token_plane(run, feats, queries)
    if self._is_banded():
      x = self._banded(run, params, tokens)
    else:
      is_distinct = self.liif_up_method == "nearest"

      def lift(params, values):
        known = self._with_kernel(params, values, is_distinct)
        return blocks.convolve(*known, (False, False), self.dtype)

      x = plane_ops.local(tokens, lift, params, reach=2)
      x = self._decoder().planes(run, params["decoder"], x)

    def finish(lowres, points, x):
      return self._finish(x.values, lowres, points)

    return queries.plane(finish, lowres, planes.same(x))

  @nn.nowrap
  def _token_plane(self, run, feats, queries):
    """Returns the plane of what the lifting convolution reads."""
    if self.liif_up_method != "nearest":

      def of_whole(known, points):
        feats, cell = known
        return self._tokens(feats, points, cell, False)

      return queries.plane(of_whole, (feats, queries.cell))

    def of_part(cell, points, feats):
      values, place = feats.values, feats.place
      return self._tokens(values, points, cell, True, place)

    held = run.hold(feats, self.periodic)
    inputs = queries.on(held, 1 << (self.feature_up_ratio.bit_length() - 1))
    return queries.plane(of_part, queries.cell, inputs)

  @nn.nowrap
  def _banded(self, run, params, tokens):
    """Returns the plane of the decoder of one level."""
    is_distinct = self.liif_up_method == "nearest"
    points = math.prod(tokens.grid.shape)

    def sums(params, here, part):
      known = self._with_kernel(params, part.values, is_distinct)
      return self._lifted(params).sums(known, part.inside(here))

    def answer(params, here, part):
      params, total = params
      known = self._with_kernel(params, part.values, is_distinct)
      values = self._lifted(params).answer(known, total, points)
      return part._replace(values=values).crop(here)

    # Lifting reads two points each way, the projection one of what it makes.
    inputs = (planes.same(tokens, 2),)
    total = run.sum(tokens.grid, inputs, sums, params)
    inputs = (planes.same(tokens, 3),)
    return planes.Plane(tokens.grid, inputs, answer, (params, total))
