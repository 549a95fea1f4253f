"""The adapter of networks that know one scale only to the common call."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import planes
from hinote_jax.nn import blocks


class FixedScale(nn.Module):
  """A network that enlarges `scale` times, read at any query points.

  At its own scale the answer is the network's, untouched. At another one its
  answer is interpolated by cubic convolution: the network does not know that
  it is asked for something else. A subclass defines `enlarge`.

  Attributes:
    scale: how many times finer the network's grid is.
    channels: variables of the field.
    periodic: which of (y, x) close on themselves.
    dtype: type of the products.
  """

  scale: int = 4
  channels: int = 1
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def enlarge(self, lowres: Float[Array, "b h w c"]):
    """Returns the field on the network's grid, [b scale*h scale*w c]."""
    raise NotImplementedError

  def __call__(
    self,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[Array, "b H W c"]:
    """Returns the field at the query points.

    Raises:
      ValueError: wrong number of channels.
    """
    del cell  # the network knows its own only
    blocks.require_channels(lowres, self.channels)
    return read(self.enlarge(lowres), coords, self.periodic)

  @nn.nowrap
  def planes(
    self,
    run: planes.Run,
    variables: Mapping[str, Any],
    lowres: Float[Array, "b h w c"],
    queries: planes.Queries,
  ) -> planes.Plane:
    """Returns the same as a call, window by window; see `planes`.

    The network itself runs on the whole of `lowres`.
    """
    blocks.require_channels(lowres, self.channels)

    def enlarge(variables, lowres):
      return self.apply(variables, lowres, method="enlarge")

    highres = run.call(enlarge, variables, lowres)

    def at(highres, points):
      return read(highres, points, self.periodic)

    return queries.plane(at, highres)

  def _conv(self, features: int, name: str, size: int = 3, **options):
    """A convolution of this network's axes and type."""
    return blocks.Conv(
      features,
      size,
      periodic=self.periodic,
      dtype=self.dtype,
      name=name,
      **options,
    )

  def _shuffle_up(self, name: str, **options):
    """A pixel-shuffle enlargement by `scale`, see `blocks.ShuffleUp`."""
    return blocks.ShuffleUp(
      self.scale,
      periodic=self.periodic,
      dtype=self.dtype,
      name=name,
      **options,
    )


def read(
  highres: Float[Array, "b h w c"],
  coords: grids.Coords,
  periodic: Periodic,
) -> Float[Array, "b H W c"]:
  """Returns a field at query points by cubic convolution.

  `Axes` on the cell centres, up to the rounding of float32, give the field
  back bit by bit.
  """
  b, h, w, _ = highres.shape
  coords = grids.batched(coords, b)
  boundary = resize.boundaries(periodic, "edge")
  if not isinstance(coords, grids.Axes):
    return resize.sample(highres, coords, method="cubic", boundary=boundary)
  along = []
  for coord, n, rule in zip(coords, (h, w), boundary, strict=True):
    index = grids.to_index(coord, n)
    nearest = jnp.round(index)
    index = jnp.where(jnp.abs(index - nearest) < 1e-3, nearest, index)
    along.append(resize.weights(index, n, method="cubic", boundary=rule))
  return resize.apply(highres, *along)
