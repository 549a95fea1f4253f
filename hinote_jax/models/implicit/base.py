"""What the implicit networks share: an encoder, its cells at queries, an MLP.

LIIF, LTE and MetaSR answer at a point from the features of the cells around
it and from where it lies relative to them; they differ in how.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models import encoders
from hinote_jax.nn import bands, blocks, samplers

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

  y: Array
  x: Array
  weight: Array
  offset_y: Array
  offset_x: Array


def take(
  feats: Float[Array, "b h w c"], y: Array, x: Array
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
  for p in range(y.cells.shape[-1]):
    for q in range(x.cells.shape[-1]):
      weight_y, weight_x = align(y.weight[..., p], x.weight[..., q])
      offsets = align(y.offset[..., p], x.offset[..., q])
      yield Cells(
        y.cells[..., p], x.cells[..., q], weight_y * weight_x, *offsets
      )


def _nearest(side: samplers.Neighbours) -> samplers.Neighbours:
  """Returns the nearer of two neighbours, the even one of a tie, weight 1."""
  above = side.weight[..., 1:]
  is_even = side.cells[..., 1:] % 2 == 0
  is_above = jnp.where(above == 0.5, is_even, above > 0.5)
  index, offset = (
    jnp.where(is_above, values[..., 1:], values[..., :1])
    for values in (side.cells, side.offset)
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
    points_at_once: query points handled at once, see `bands`; bounds the
      memory, not the answer.
  """

  channels: int = 3
  encoder: str = "edsr"
  encoder_options: Mapping[str, Any] = nn.FrozenDict()
  hidden: Sequence[int] = (256, 256, 256, 256)
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32
  points_at_once: int | None = None

  @nn.compact
  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W o"]:
    """Returns the field at the query points; o is c but for some networks.

    Raises:
      ValueError: wrong number of channels, or an unknown encoder.
    """
    blocks.require_channels(lowres, self.channels)
    encoder = encoders.make(
      self.encoder,
      self.encoder_options,
      periodic=self.periodic,
      dtype=self.dtype,
      name="encoder",
    )
    feats = lazy.stored(encoder(lowres))
    return self.answer(feats, lowres, coords, cell)

  def answer(
    self,
    feats: Float[lazy.Grid, "b h w d"],
    lowres: Float[lazy.Grid, "b y x c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W o"]:
    """Returns the field at the query points from its features.

    Args:
      feats: what the encoder made of `lowres`.
      lowres: the field.
      coords: query points.
      cell: size of a query cell in coordinates, (y, x).
    """
    raise NotImplementedError

  def _rel_cell(self, cell, feats):
    """Returns the query cell in feature cells times 2, [b 2]."""
    return samplers.relative_cell(cell, feats.shape[1:3], 1, jnp.inf)

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

  def _decode(self, decode, params, coords, feats):
    """Returns decode(params, points, patch of feats), in bands of points."""
    in_bands = lazy.bind(
      _decode_in_bands, decode, bands.points_at_once(self.points_at_once)
    )
    return lazy.at_queries(in_bands, params, coords, feats)

  def _skip(self, lowres, coords):
    """Returns the field interpolated linearly at the query points."""
    boundary = resize.boundaries(self.periodic, "edge")
    return lazy.interpolate(lowres, coords, method="linear", boundary=boundary)


def _decode_in_bands(
  decode: Callable, points_at_once: int, params, coords, patch
):
  def at(points):
    return decode(params, points, patch)

  return bands.over_points(at, coords, points_at_once)


def take_placed(patch: lazy.Patch, cell_y, cell_x, periodic: Periodic):
  """Returns the features of cells of the whole grid, see `take`."""
  y, x = (
    patch.placement.local(index, axis, periodic[axis], length)
    for axis, (index, length) in enumerate(
      zip((cell_y, cell_x), patch.values.shape[1:3], strict=True)
    )
  )
  return take(patch.values, y, x)


def mlp(
  x: Float[Array, "... c"],
  layers: Sequence[Layer],
  *,
  last: DTypeLike | None = None,
) -> Array:
  """Returns ReLU layers and a linear last one applied to x, [.. d].

  Args:
    x: of the type of the products.
    layers: their kernels and biases.
    last: type of the last product; None is that of the others.
  """
  for i, (kernel, bias) in enumerate(layers, start=1):
    x = nn.relu(x) if i > 1 else x
    dtype = last if last and i == len(layers) else x.dtype
    x = blocks.multiply(x, kernel, dtype) + bias.astype(dtype)
  return x
