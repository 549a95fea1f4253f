"""SR-LUT (Jo & Kim, CVPR 2021): a network of few cells, and its table."""

from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.models.lut import ensemble, ranges, taps
from hinote_jax.models.single_scale import fixed_scale


class SrLut(fixed_scale.FixedScale):
  """Sums what a network, or its table, says of a cell in four turns.

  Every channel alone: a block of scale x scale values for each cell. What of a
  field lies beyond its limits is beyond the table, and added as it is.

  Attributes:
    channels: variables of the field; None for any number.
    pattern: cells that are seen in one turn: "V" 2, "F" 3 or "S" 4; with the
      turns 5, 9 and 9 around a cell. Or several letters.
    width: of the network's hidden layers.
    depth: how many there are.
    interval: levels of 256 from node to node of the table.
    is_table: the table, which may be trained too, instead of the network.
    compat: "official" errs as the released code of pattern S does.
    limits: values of the field at the ends of the table, see `ranges`.
  """

  channels: int | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
  pattern: str = "S"
  width: int = 64
  depth: int = 5
  interval: float | int = 16
  is_table: bool = False
  compat: str = ""
  limits: ranges.Limits = ()

  @nn.nowrap
  def part(self) -> ensemble.Ensemble:
    """Returns what holds the parameters, detached."""
    return ensemble.Ensemble(
      self.pattern,
      side=self.scale,
      width=self.width,
      depth=self.depth,
      interval=self.interval,
      is_table=self.is_table,
      compat=self.compat,
      periodic=self.periodic,
      parent=None,
    )

  @nn.nowrap
  def tabulated(self, variables: Any) -> tuple["SrLut", dict[str, Any]]:
    """Returns the table of the network, or of the table rounded to bytes."""
    tables = ensemble.tabulate(self.part(), variables["params"]["turns"])
    module = self.clone(is_table=True)
    return module, {"params": {"turns": tables}}

  @nn.compact
  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    taps.require_size(lowres, self.pattern, self.periodic)
    x = ranges.to_unit(lowres, self.limits)
    inside = lazy.pointwise(ranges.clipped, x)
    part = self.part().clone(parent=self, name="turns")
    y = lazy.pixel_shuffle(part(inside), self.scale)
    # Four turns of at most 127 cover white; several patterns are averaged.
    y = y / jnp.float32(ensemble.WHITE * len(self.pattern))
    y = y + lazy.repeat(x - inside, self.scale)
    return ranges.from_unit(y, self.limits)
