"""IM-LUT (ICCV 2025): a mixture of interpolations, by network or by table.

Its authors have published neither code nor tables. What their paper leaves
open is an attribute here, and what is ours is said where it stands.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, naming, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.lut import ensemble, ranges, taps
from hinote_jax.nn import blocks

METHODS = {"N": "nearest", "L": "linear", "C": "cubic", "Z": "lanczos2"}
STEP = 0.05  # of the scale, from entry to entry of its table
# What the refiner's 1 is, of the range: all its patterns together add so much.
REFINED = 0.5


class Modulator(nn.Module):
  """How much each interpolator counts at a scale, a perceptron of its waves.

  Attributes:
    outputs: how many interpolators.
    waves: frequencies of the scale.
    width: of the hidden layers.
    depth: how many there are.
  """

  outputs: int
  waves: int = 4
  width: int = 32
  depth: int = 2

  @nn.compact
  def __call__(self, scale: Float[Array, " b"]) -> Float[Array, "b k"]:
    angle = scale[:, None] * 2.0 ** jnp.arange(self.waves) * (jnp.pi / 10)
    waves = [jnp.sin(angle), jnp.cos(angle), scale[:, None]]
    net = ensemble.Perceptron(self.width, self.depth, self.outputs, name="net")
    return 1.0 + net(jnp.concatenate(waves, axis=-1))


class ImLut(nn.Module):
  """Interpolations mixed by what is around a cell, then refined.

  A channel alone is interpolated in K ways. A network of a few cells says how
  much each counts in a cell, that is multiplied by what the scale says, and
  each map is enlarged by its own interpolator. What the K lack of 1 together
  is shared alike, so that a constant stays one. A network of a few points of
  the result adds what they lack.

  Ours: that sharing, that the refiner adds, turns and patterns, and along axes
  of two scales their geometric mean.

  Attributes:
    interpolators: letters of `METHODS`.
    channels: variables of the field; None for any number.
    periodic: which of (y, x) close on themselves; the query points then are
      the whole circle.
    dtype: accepted for uniformity; all is float32.
    pattern: cells that the weights see, letters of `taps.PATTERNS`.
    pattern_interval: levels of 256 between nodes of the tables of weights.
    refiner: points that the refiner sees; "" for none.
    refiner_turns: of the points, 1, 2 or 4.
    interval: levels of 256 between nodes of the tables of the refiner.
    width: of each network's hidden layers.
    depth: how many there are.
    waves: frequencies of the scale.
    max_scale: beyond it the scale counts as this.
    guide: how much the loss of the weights counts.
    sharpness: of what weights should be, softmax(-sharpness |error|).
    is_table: tables, which may be trained too, instead of the networks.
    limits: values of the field at the ends of the tables, see `ranges`.
  """

  interpolators: str = "NLCZ"
  channels: int | None = None
  periodic: Periodic = (False, False)
  dtype: str = "float32"
  pattern: str = "S"
  pattern_interval: float | int = 32
  refiner: str = "SDY"
  refiner_turns: int = 1
  interval: float | int = 16
  width: int = 32
  depth: int = 4
  waves: int = 4
  max_scale: float | int = 8.0
  guide: float | int = 0.1
  sharpness: float | int = 50.0
  is_table: bool = False
  limits: ranges.Limits = ()

  def setup(self):
    parts = self.parts()
    self.weights = parts["weights"]
    if self.refiner:
      self.refinement = parts["refinement"]
    count = len(self.interpolators)
    if self.is_table:
      shape, ones = (scales(self.max_scale).size, count), nn.initializers.ones
      self.scales = self.param("scales", ones, shape)
    else:
      self.modulator = Modulator(count, self.waves, self.width)

  @nn.nowrap
  def parts(self) -> dict[str, ensemble.Ensemble]:
    """Returns what holds the tables, but that of scales, by name; detached."""
    shared: dict[str, Any] = dict(
      width=self.width,
      depth=self.depth,
      is_table=self.is_table,
      periodic=self.periodic,
      parent=None,
    )
    weights = ensemble.Ensemble(
      self.pattern,
      len(self.interpolators),
      interval=self.pattern_interval,
      **shared,
    )
    if not self.refiner:
      return {"weights": weights}
    refinement = ensemble.Ensemble(
      self.refiner, turns=self.refiner_turns, interval=self.interval, **shared
    )
    return {"weights": weights, "refinement": refinement}

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points.

    Args:
      lowres: the field.
      coords: `grids.Axes` or [(b) H W 2]; an array is taken as a window of
        neighbours, for the refiner.
      cell: size of a query cell in coordinates, (y, x).

    Raises:
      ValueError: wrong number of channels, an unknown interpolator, or a field
        or a result smaller than what is seen of it.
    """
    blocks.require_channels(lowres, self.channels)
    x = ranges.to_unit(lowres, self.limits)
    mix = lazy.at_queries(
      lazy.bind(_mixed, *self._ways()),
      (),
      coords,
      x,
      self._maps(x, cell),
      reach=2,
      periodic=self.periodic,
    )
    if self.refiner:
      taps.require_size(mix, self.refiner, self.periodic)
      part = self.refinement
      unit = jnp.float32(REFINED / (ensemble.UNIT * part.count))
      mix = mix + part(lazy.pointwise(ranges.clipped, mix)) * unit
    return ranges.from_unit(mix, self.limits)

  @nn.nowrap
  def tabulated(self, variables: Any) -> tuple["ImLut", dict[str, Any]]:
    """Returns the tables of the networks, or tables rounded to bytes."""
    tables = {
      name: ensemble.tabulate(part, variables["params"][name])
      for name, part in self.parts().items()
    }
    tables["scales"] = self.apply(variables, method="amounts")
    return self.clone(is_table=True), {"params": tables}

  @nn.nowrap
  def _ways(self):
    """Returns the methods of the interpolators and the rules at walls."""
    if not self.interpolators:
      raise ValueError("interpolators are letters of NLCZ, got none")
    methods = tuple(
      naming.look_up("interpolator", letter, METHODS)
      for letter in self.interpolators
    )
    return methods, resize.boundaries(self.periodic, "mirror")

  def _maps(self, x, cell):
    """Returns the weights of a field in [0, 1], [b h w K*c]."""
    self._ways()
    taps.require_size(x, self.pattern, self.periodic)
    part = self.weights
    scale = grids.scale_of(cell, grids.pair(x.shape[1:3]))
    scale = jnp.sqrt(scale[:, 0] * scale[:, 1])
    amount = self._amounts(jnp.clip(scale, 1.0, self.max_scale))
    amount = jnp.repeat(amount, x.shape[-1], axis=-1)
    amount = amount / (ensemble.UNIT * part.count)
    maps = part(lazy.pointwise(ranges.clipped, x))
    return lazy.pointwise(_multiplied, maps, params=amount)

  def _amounts(self, scale):
    """Returns how much each interpolator counts at scales [b], [b K]."""
    if not self.is_table:
      return self.modulator(scale)
    return self.scales[jnp.round((scale - 1.0) / STEP).astype(jnp.int32)]

  def own_loss(self, lowres, coords, cell, highres) -> Float[Array, "b H W c"]:
    """Returns what training adds to the loss, on arrays.

    The weights should be those of the interpolators' errors against the truth,
    softmax(-sharpness |error|) (paper, guide loss).
    """
    x, truth = (ranges.to_unit(v, self.limits) for v in (lowres, highres))
    methods, rules = self._ways()
    points = grids.batched(coords, len(x))
    patch, maps = map(lazy.Patch.whole, (x, self._maps(x, cell)))
    values = _sampled(methods, rules, points, patch)
    weights = _weights(methods, rules, points, maps)
    error = jnp.abs(values - truth[..., None])
    wanted = jax.nn.softmax(-self.sharpness * error, axis=-1)
    return self.guide * jnp.sum(jnp.square(weights - wanted), axis=-1)

  def amounts(self) -> Float[Array, "s k"]:
    """Returns how much each interpolator counts at every one of `scales`."""
    return self._amounts(scales(self.max_scale))


def _multiplied(amount, values):
  return values * amount[:, None, None]


def _sample(patch, points, method, rules):
  return resize.sample(
    patch.values,
    points,
    method=method,
    boundary=rules,
    placement=patch.placement,
  )


def _sampled(methods, rules, points, patch):
  """Returns a field interpolated in each way, [b H W c K]."""
  ways = [_sample(patch, points, method, rules) for method in methods]
  return jnp.stack(ways, axis=-1)


def _weights(methods, rules, points, maps):
  """Returns weights that are 1 together, each map enlarged in its own way."""
  groups = jnp.split(maps.values, len(methods), axis=-1)
  own = [
    _sample(maps._replace(values=group), points, method, rules)
    for method, group in zip(methods, groups, strict=True)
  ]
  rest = (1.0 - sum(own[1:], own[0])) / len(methods)
  return jnp.stack([weight + rest for weight in own], axis=-1)


def _mixed(methods, rules, params, points, patch, maps):
  del params
  values = _sampled(methods, rules, points, patch)
  return (values * _weights(methods, rules, points, maps)).sum(-1)


def scales(max_scale: float | int) -> Float[Array, " s"]:
  """Returns the scales that a table has an entry of."""
  return 1.0 + STEP * jnp.arange(round((max_scale - 1.0) / STEP) + 1)
