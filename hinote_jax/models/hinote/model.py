"""HiNOTE: encoder -> sampler -> hierarchical Galerkin decoder, plus bicubic.

Paper: arXiv 2405.12202, with the defects of its released code corrected. Where
the operator acts is `domain`: on the query grid as in the paper, or on the
encoder's grid, where the answer at a point does not depend on which other
points are asked for and the costly part has scale^2 times fewer points.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids, naming, resize, spectral
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import planes
from hinote_jax.models.hinote import parts as hinote_parts
from hinote_jax.nn import blocks, galerkin, hierarchy, samplers

DOMAINS = ("grid", "queries")


class Hinote(nn.Module):
  """Low-resolution field to field at any query points.

  Attributes:
    channels: variables of the field, which train together.
    width: channels of the encoder.
    blocks: residual blocks of its trunk.
    upsample: 1, 2 or 4; refinement of the encoder's grid.
    domain: where the hierarchy acts, "grid" or "queries".
    level_widths: channels of each level, finest first; empty for none: the
      plain pointwise head. With domain "grid" the first must equal `width`.
    level_blocks: Galerkin blocks of each level.
    level_convs: residual convolution blocks of each level.
    heads: attention heads in the hierarchy.
    is_alias_free: non-linearities between levels on a finer grid.
    head_width: channels of the pointwise head (domain "grid").
    head_depth: its hidden layers.
    head_heads: heads of a Galerkin block in it; 0 for none.
    sees_scale: give the trunk the scale, as two constant channels.
    sees_detail: give the trunk what a low-pass at a quarter of the input's
      grid takes away, in units of `residual_scale`.
    residual_scale: typical size of what bicubic interpolation misses, a number
      a channel; the decoder works in this unit. Empty for ones.
    skip: the interpolation that the decoder's answer is added to, a method of
      `resize`: "cubic" as in the paper's design, or "sinc", sharper.
    max_scale: the largest trained scale; beyond it the cell is held.
    periodic: which of (y, x) close on themselves. With domain "queries" the
      hierarchy then takes the query window for the whole circle.
    dtype: type of the costly products; sums and FFTs are float32 always.
  """

  channels: int = 1
  width: int = 64
  blocks: int = 16
  upsample: int = 1
  domain: str = "grid"
  level_widths: Sequence[int] = ()
  level_blocks: Sequence[int] = ()
  level_convs: Sequence[int] = ()
  heads: int = 4
  is_alias_free: bool = True
  head_width: int = 96
  head_depth: int = 3
  head_heads: int = 0
  sees_scale: bool = True
  sees_detail: bool = True
  residual_scale: Sequence[float] = ()
  skip: str = "cubic"
  max_scale: float = 4.0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def _check(self, lowres):
    blocks.require_channels(lowres, self.channels)
    if self.upsample not in (1, 2, 4):
      raise ValueError(f"upsample must be 1, 2 or 4, got {self.upsample}")
    naming.look_up("domain", self.domain, dict.fromkeys(DOMAINS))
    if self.domain == "queries" and not self.level_widths:
      raise ValueError("domain 'queries' needs at least one level")
    top = self.level_widths[0] if self.level_widths else self.width
    if self.domain == "grid" and top != self.width:
      raise ValueError(
        f"level_widths begin with {top} and the encoder's width is "
        f"{self.width}: with domain 'grid' they must be equal"
      )

  def __call__(
    self,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points.

    Args:
      lowres: normalised field.
      coords: `grids.Axes` or [(b) H W 2]. Domain "queries" takes an array as
        a window of neighbours: it reads their order.
      cell: size of a query cell in coordinates, (y, x).

    Raises:
      ValueError: wrong number of channels, or an argument that does not fit.
    """
    self._check(lowres)
    feats = self.features(lowres, cell)
    residual = self.residual(feats, coords, cell)
    return self._finish(residual, lowres, coords)

  @nn.compact
  def _part(self, function, *args):
    """Returns function(*args), which may make submodules."""
    return function(*args)

  def features(self, lowres, cell):
    """Returns what the decoder reads, on the encoder's grid."""

    def make():
      feats = self._encoder()(self._trunk_input(lowres, cell))
      if self.domain == "queries" or not self.level_widths:
        return feats
      return self._levels()(feats)

    return self._part(make)

  def residual(self, feats, coords, cell):
    """Returns the decoder's answer at the query points."""

    def make():
      rel_cell = self._rel_cell(cell, feats.shape[1:3])
      if self.domain == "grid":
        return self._head()(feats, coords, rel_cell)
      return self._decoder(self._levels())(feats, coords, rel_cell)

    return self._part(make)

  @nn.nowrap
  def _options(self):
    return dict(periodic=self.periodic, dtype=self.dtype)

  @nn.nowrap
  def _encoder(self):
    return hinote_parts.Encoder(
      self.width, self.blocks, self.upsample, name="encoder", **self._options()
    )

  @nn.nowrap
  def _levels(self):
    return hierarchy.Hierarchy(
      self.level_widths,
      self.level_blocks,
      self.level_convs,
      self.heads,
      self.is_alias_free,
      name="hierarchy",
      **self._options(),
    )

  @nn.nowrap
  def _decoder(self, levels):
    return hinote_parts.QueryDecoder(levels, self.channels, name="decoder")

  @nn.nowrap
  def _head(self):
    return hinote_parts.Head(
      self.head_width,
      self.head_depth,
      self.channels,
      self.head_heads,
      name="head",
      **self._options(),
    )

  @nn.nowrap
  def _rel_cell(self, cell, shape):
    return samplers.relative_cell(cell, shape, self.upsample, self.max_scale)

  @nn.nowrap
  def _finish(self, residual, lowres, coords):
    """Returns the field of the decoder's answer at the query points."""
    rules = resize.boundaries(self.periodic, "edge")
    known = resize.sample(lowres, coords, method=self.skip, boundary=rules)
    return residual * self._unit() + known

  @nn.nowrap
  def planes(
    self,
    run: planes.Run,
    variables: Mapping[str, Any],
    lowres: Float[Array, "b h w c"],
    queries: planes.Queries,
  ) -> planes.Plane:
    """Returns the same as a call, window by window; see `planes`."""
    self._check(lowres)
    params = variables["params"]
    feats = self._feats(run, variables, lowres, queries.cell)
    cell = self._rel_cell(queries.cell, feats.grid.shape)
    inputs = queries.on(feats, self.upsample)
    if self.domain == "grid":
      known = params["head"], lowres, cell
      return self._head_plane(run, known, queries, inputs)
    levels = self._levels()
    decoder = self._decoder(levels)
    apply = functools.partial(decoder.apply, method="stage")

    def lift(params, points, feats):
      params, cell = params
      values, place = feats.values, feats.place
      return apply({"params": params}, "lift", values, points, cell, place)

    def finish(params, points, x):
      params, lowres = params
      residual = apply({"params": params}, "finish", x.values)
      return self._finish(residual, lowres, points)

    x = queries.plane(lift, (params["decoder"], cell), inputs)
    x = levels.planes(run, params["hierarchy"], x)
    return queries.plane(finish, (params["decoder"], lowres), planes.same(x))

  @nn.nowrap
  def _feats(self, run, variables, lowres, cell):
    """Returns the plane of what the decoder reads."""
    features = functools.partial(self.apply, method="features")
    whole = run.small(features, variables, lowres, cell)
    if whole is not None:
      return run.hold(whole, self.periodic)
    params = variables["params"]
    seen = run.call(self._trunk_input, lowres, cell)
    seen = run.hold(seen, self.periodic)
    feats = self._encoder().planes(run, params["encoder"], seen)
    if self.domain == "grid" and self.level_widths:
      feats = self._levels().planes(run, params["hierarchy"], feats)
    return run.store(feats)

  @nn.nowrap
  def _head_plane(self, run, known, queries, inputs):
    """Returns the plane of the head and what follows it."""
    (params, lowres, cell), head, integral = known, self._head(), None
    if self.head_heads:
      integral = galerkin.integral(
        run, head.block(), params["galerkin"], inputs.plane
      )

    def at(params, points, feats):
      params, integral, lowres, cell = params
      residual = head.apply(
        {"params": params}, feats.values, points, cell, feats.place, integral
      )
      return self._finish(residual, lowres, points)

    return queries.plane(at, (params, integral, lowres, cell), inputs)

  @nn.nowrap
  def _unit(self):
    return jnp.asarray(self.residual_scale or (1.0,) * self.channels)

  @nn.nowrap
  def _trunk_input(self, lowres, cell):
    shape = lowres.shape[1:3]
    parts = [lowres]
    if self.sees_detail:
      quarter = tuple(-(-n // 4) for n in shape)
      smooth = spectral.low_pass(lowres, quarter, periodic=self.periodic)
      smooth = spectral.low_pass(smooth, shape, periodic=self.periodic)
      parts.append((lowres - smooth) / self._unit())
    if self.sees_scale:
      scale = grids.scale_of(cell, shape)
      known = jnp.log2(jnp.clip(scale, 1.0, self.max_scale)) - 1.0
      parts.append(
        jnp.broadcast_to(known[:, None, None], (*lowres.shape[:3], 2))
      )
    return jnp.concatenate(parts, axis=-1)


SIZES = {
  "S": dict(width=32, blocks=6, head_width=32),
  "B": dict(width=64, blocks=16, head_width=96),
  "L": dict(width=96, blocks=24, head_width=128),
}


def build(size: str = "S", preset: str = "default", **kwargs) -> Hinote:
  """Returns a `Hinote` of one of the sizes, any attribute overridden.

  Args:
    size: "S", "B" or "L".
    preset: "default"; "paper", the hierarchy and attention on the query grid;
      "pointwise", the plain pointwise head: no hierarchy, no attention, and
      a trunk that sees the field alone.
    **kwargs: attributes of `Hinote`.

  Raises:
    ValueError: unknown size or preset.
  """
  sizes = naming.look_up("size", size, SIZES)
  width = kwargs.get("width", sizes["width"])
  presets = {
    "default": dict(
      level_widths=(width, 2 * width, 2 * width),
      level_blocks=(0, 0, 1),
      level_convs=(0, 1, 1),
      is_alias_free=False,
    ),
    "paper": dict(
      domain="queries",
      upsample=2,
      level_widths=(2 * width,) * 3,
      level_blocks=(1, 1, 1),
      level_convs=(0, 0, 0),
      sees_scale=False,
    ),
    "pointwise": dict(sees_scale=False, sees_detail=False),
  }
  chosen = naming.look_up("preset", preset, presets)
  arguments = {**sizes, **chosen, **kwargs}
  for name in arguments:
    naming.look_up("attribute of hinote", name, Hinote.__dataclass_fields__)
  return Hinote(**arguments)
