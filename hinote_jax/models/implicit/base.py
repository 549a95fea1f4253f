"""What the implicit networks share: an encoder, its cells at queries, an MLP.

LIIF, LTE and MetaSR answer at a point from the features of the cells around
it and from where it lies relative to them; they differ in how.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.nn import bands, blocks, encoders, samplers

# A dense layer: its kernel [c d] and bias [d].
Layer = tuple[Array, Array]


class Cells(NamedTuple):
  """The feature cell that each query point reads, one of four or the nearest.

  Attributes:
    y: row of the cell, [b H] for `Axes`, [b H W] for points.
    x: column, [b W] or [b H W].
    weight: of this cell's answer, [b H W].
    offset_y: query minus cell, 2 per cell, broadcasts to [b H W].
    offset_x: the same along the row.
  """

  y: jax.Array
  x: jax.Array
  weight: jax.Array
  offset_y: jax.Array
  offset_x: jax.Array


def take(
  feats: Float[Array, "b h w c"], y: jax.Array, x: jax.Array
) -> Float[Array, "b H W c"]:
  """Returns the features of cells, by rows [b H] and columns [b W] or points.

  Args:
    feats: on their grid.
    y: rows, [b H] or [b H W].
    x: columns, [b W] or [b H W].
  """
  if y.ndim == 3:
    return jax.vmap(lambda f, i, j: f[i, j])(feats, y, x)
  return jax.vmap(lambda f, i, j: f[i[:, None], j[None]])(feats, y, x)


def cells(
  coords: grids.Coords,
  shape: tuple[int, int],
  periodic: Periodic,
  *,
  ensemble: bool,
) -> Iterator[Cells]:
  """Yields the four neighbours of each query, or the nearest alone.

  The weight of a neighbour is the area of the opposite rectangle.

  Args:
    coords: batched query points.
    shape: (h, w) of the features.
    periodic: which of (y, x) close on themselves.
    ensemble: all four; else the nearest, with weight 1.
  """
  if isinstance(coords, grids.Axes):
    points, align = coords, lambda y, x: (y[:, :, None], x[:, None, :])
  else:
    points, align = (coords[..., 0], coords[..., 1]), lambda y, x: (y, x)
  y, x = samplers.sides(points, shape, periodic)
  if not ensemble:
    y, x = _nearest(y), _nearest(x)
  for p in range(y.index.shape[-1]):
    for q in range(x.index.shape[-1]):
      weight_y, weight_x = align(y.weight[..., p], x.weight[..., q])
      offsets = align(y.offset[..., p], x.offset[..., q])
      yield Cells(
        y.index[..., p], x.index[..., q], weight_y * weight_x, *offsets
      )


def _nearest(side: samplers.Neighbours) -> samplers.Neighbours:
  """Returns the nearer of two neighbours, the even one of a tie, weight 1."""
  above = side.weight[..., 1:]
  is_even = side.index[..., 1:] % 2 == 0
  is_above = jnp.where(above == 0.5, is_even, above > 0.5)
  index, offset = (
    jnp.where(is_above, values[..., 1:], values[..., :1])
    for values in (side.index, side.offset)
  )
  return samplers.Neighbours(index, jnp.ones_like(offset), offset)


class Implicit(nn.Module):
  """The common part of the implicit networks; a subclass defines `answer`.

  Attributes:
    channels: variables of the field.
    encoder: a name of `encoders`.
    encoder_options: attributes of the encoder that differ from its own.
    hidden: channels of the MLP's hidden layers, one at least.
    periodic: which of (y, x) close on themselves.
    dtype: type of the costly products.
    most: query points handled at once, see `bands.at_once`; bounds the memory,
      not the answer.
  """

  channels: int = 3
  encoder: str = "edsr"
  encoder_options: Mapping[str, Any] = nn.FrozenDict()
  hidden: Sequence[int] = (256, 256, 256, 256)
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32
  most: int | None = None

  def __call__(
    self,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points.

    Raises:
      ValueError: wrong number of channels, or an unknown encoder.
    """
    blocks.require_channels(lowres, self.channels)
    feats = self.stage("encode", lowres)
    coords = grids.batched(coords, len(lowres))
    part = grids.Part.whole(feats)
    return self.stage("answer", feats, part, lowres, coords, cell)

  @nn.compact
  def stage(self, name: str, *args: Any) -> jax.Array:
    """Returns what one of the stages makes of its arguments."""
    return getattr(self, name)(*args)

  def encode(self, lowres: Float[Array, "b h w c"]):
    """Returns the features of a field."""
    return self._encoder()(lowres)

  @nn.nowrap
  def _encoder(self):
    shared = dict(periodic=self.periodic, dtype=self.dtype, name="encoder")
    return encoders.make(self.encoder, self.encoder_options, **shared)

  def answer(
    self,
    feats: Float[Array, "b h w d"],
    part: grids.Part,
    lowres: Float[Array, "b y x c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points from its features.

    Args:
      feats: what the encoder made of `lowres`, or a window of it.
      part: where `feats` lies on its grid.
      lowres: the field.
      coords: query points, batched.
      cell: size of a query cell in coordinates, (y, x).
    """
    raise NotImplementedError

  @nn.nowrap
  def planes(
    self,
    run: planes.Run,
    variables: Mapping[str, Any],
    lowres: Float[Array, "b h w c"],
    queries: planes.Queries,
  ) -> planes.Plane:
    """Returns the same as a call, window by window; see `planes`."""
    blocks.require_channels(lowres, self.channels)
    feats, ratio = self._feats(run, variables, lowres)

    def at(params, points, feats):
      variables, lowres, cell = params
      return self.apply(
        variables,
        "answer",
        feats.values,
        feats.place,
        lowres,
        points,
        cell,
        method="stage",
      )

    # Two: the cells around a query, and a convolution before.
    inputs = queries.on(feats, ratio, reach=2)
    return queries.plane(at, (variables, lowres, queries.cell), inputs)

  @nn.nowrap
  def _feats(self, run, variables, lowres):
    """Returns the features as a plane, and their cells per cell of lowres."""
    encoder = self._encoder()
    whole = run.small(
      plane_ops.applied(encoder), variables["params"]["encoder"], lowres
    )
    if whole is not None:
      return run.hold(whole, self.periodic), encoder.ratio

    feats = plane_ops.local(
      run.hold(lowres, self.periodic),
      plane_ops.applied(encoder),
      variables["params"]["encoder"],
      encoder.reach,
      encoder.ratio,
    )
    return run.store(feats), encoder.ratio

  def _rel_cell(self, cell, part):
    """Returns the query cell in feature cells times 2, [b 2]."""
    return samplers.relative_cell(cell, part.shape, 1, jnp.inf)

  def _take(self, feats, part, y, x):
    """Returns the features of cells of the whole grid, see `take`."""
    y, x = (
      part.local(index, axis, self.periodic[axis], feats.shape[1 + axis])
      for axis, index in enumerate((y, x))
    )
    return take(feats, y, x)

  def _conv(self, feats, features, name, size=3):
    """A convolution of the features."""
    return blocks.Conv(
      features, size, periodic=self.periodic, dtype=self.dtype, name=name
    )(feats)

  def _layers(self, inputs: int, widths: Sequence[int], first: int = 0):
    """Returns the layers of an MLP, named layer_`first` and on."""
    layers = []
    for i, width in enumerate(widths, start=first):
      layers.append(blocks.Affine(width, name=f"layer_{i}")(inputs))
      inputs = width
    return layers

  def _decode(self, function, coords):
    """Returns function(coords), in bands."""
    return bands.over_points(function, coords, bands.at_once(self.most))

  def _skip(self, lowres, coords):
    """Returns the field interpolated linearly at the query points."""
    boundary = resize.boundaries(self.periodic, "edge")
    return resize.sample(lowres, coords, method="linear", boundary=boundary)


def mlp(x: Float[Array, "... c"], layers: Sequence[Layer]) -> jax.Array:
  """Returns ReLU layers and a linear last one applied to x, [.. d]."""
  for i, (kernel, bias) in enumerate(layers):
    x = nn.relu(x) if i else x
    x = blocks.multiply(x, kernel, x.dtype) + bias.astype(x.dtype)
  return x
