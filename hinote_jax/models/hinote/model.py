"""HiNOTE: encoder -> sampler -> hierarchical Galerkin decoder, plus bicubic.

Paper: arXiv 2405.12202, with the defects of its released code corrected. Where
the operator acts is `domain`: on the query grid as in the paper, or on the
encoder's grid, where the answer at a point does not depend on which other
points are asked for and the costly part has scale^2 times fewer points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming, resize, scale_laws
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.hinote import parts
from hinote_jax.nn import blocks, hierarchy, samplers

DOMAINS = ("grid", "queries")


class Hinote(nn.Module):
  """Low-resolution field to field at any query points.

  Attributes:
    channels: variables of the field, which train together.
    width: channels of the encoder.
    blocks: residual blocks of its trunk, if that is "edsr".
    encoder: what the trunk is, a name of `encoders`.
    encoder_options: attributes of the trunk that differ from its own; it hands
      on `width` features.
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
    residual_scale: typical size of what bicubic interpolation misses, a law of
      `scale_laws` a channel; the decoder works in this unit. Empty for ones.
    skip: the interpolation that the decoder's answer is added to, a method of
      `resize`: "cubic" as in the paper's design, or "sinc", sharper.
    max_scale: the largest trained scale; beyond it cell and unit are held.
    periodic: which of (y, x) close on themselves. With domain "queries" the
      hierarchy then takes the query window for the whole circle.
    dtype: type of the costly products; sums and FFTs are float32 always.
  """

  channels: int = 1
  width: int = 64
  blocks: int = 16
  encoder: str = "edsr"
  encoder_options: Mapping[str, Any] = nn.FrozenDict()
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
  residual_scale: Sequence[scale_laws.Law] = ()
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

  @nn.compact
  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
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
    options = blocks.Options(periodic=self.periodic, dtype=self.dtype)
    encoder = parts.Encoder(
      self.width,
      self.blocks,
      self.upsample,
      self.encoder,
      self.encoder_options,
      name="encoder",
      **options,
    )
    feats = encoder(self._trunk_input(lowres, cell))
    levels = hierarchy.Hierarchy(
      self.level_widths,
      self.level_blocks,
      self.level_convs,
      self.heads,
      self.is_alias_free,
      name="hierarchy",
      **options,
    )
    if self.domain == "queries":
      decoder = parts.QueryDecoder(levels, self.channels, name="decoder")
    else:
      feats = levels(feats) if self.level_widths else feats
      decoder = parts.Head(
        self.head_width,
        self.head_depth,
        self.channels,
        self.head_heads,
        name="head",
        **options,
      )
    rel_cell = samplers.relative_cell(
      cell, grids.pair(feats.shape[1:3]), self.upsample, self.max_scale
    )
    residual = decoder(lazy.stored(feats), coords, rel_cell)
    rules = resize.boundaries(self.periodic, "edge")
    known = lazy.interpolate(lowres, coords, method=self.skip, boundary=rules)
    return residual * self._unit(lowres, cell) + known

  @nn.nowrap
  def _unit(self, lowres, cell):
    laws = self.residual_scale or (1.0,) * self.channels
    scale = grids.scale_of(cell, grids.pair(lowres.shape[1:3]))
    return scale_laws.at(laws, scale, self.max_scale)

  @nn.nowrap
  def _trunk_input(self, lowres, cell):
    """Returns the field, and what else the trunk sees, as channels."""
    h, w = lowres.shape[1:3]
    channels = [lowres]
    if self.sees_detail:
      quarter, rule = (-(-h // 4), -(-w // 4)), dict(periodic=self.periodic)
      smooth = lazy.stored(hierarchy.low_pass(lowres, quarter, **rule))
      smooth = hierarchy.low_pass(smooth, (h, w), **rule)
      channels.append((lowres - smooth) / self._unit(lowres, cell))
    if self.sees_scale:
      scale = grids.scale_of(cell, (h, w))
      known = jnp.log2(jnp.clip(scale, 1.0, self.max_scale)) - 1.0
      channels.append(lazy.constant(known, lowres))
    return lazy.concatenate(channels)


SIZES = {
  "S": dict(width=32, blocks=6, head_width=32),
  "B": dict(width=64, blocks=16, head_width=96),
  "L": dict(width=96, blocks=24, head_width=128),
}


def build(size: str = "S", preset: str = "local", **kwargs) -> Hinote:
  """Returns a `Hinote` of one of the sizes, any attribute overridden.

  Args:
    size: "S", "B" or "L".
    preset: "local", no hierarchy and no attention, what did best for its time
      (experiments/what_makes_it_work); "levels", the hierarchy on the
      encoder's grid, attention on its coarsest level; "paper", hierarchy and
      attention on the query grid; "pointwise", as "local", of a trunk that
      sees the field alone.
    **kwargs: attributes of `Hinote`.

  Raises:
    ValueError: unknown size or preset.
  """
  sizes = naming.look_up("size", size, SIZES)
  width = kwargs.get("width", sizes["width"])
  presets = {
    "local": {},
    "levels": dict(
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
  presets["default"] = presets["levels"]  # as older files name it
  chosen = naming.look_up("preset", preset, presets)
  arguments = {**sizes, **chosen, **kwargs}
  for name in arguments:
    naming.look_up("attribute of hinote", name, Hinote.__dataclass_fields__)
  return Hinote(**arguments)
