"""The adapter of networks that know one scale only to the common call."""

from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import resize
from hinote_jax.core.typing import Array, Periodic
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
    dtype: type of the products; those of the last layer are float32.
  """

  scale: int = 4
  channels: int = 1
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def enlarge(self, lowres: Float[lazy.Grid, "b h w c"]):
    """Returns the field on the network's grid, [b scale*h scale*w c]."""
    raise NotImplementedError

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points.

    Raises:
      ValueError: wrong number of channels.
    """
    del cell  # the network knows its own only
    blocks.require_channels(lowres, self.channels)
    return read(self.enlarge(lowres), coords, self.periodic)

  def _conv(self, features: int, name: str, size: int = 3, **options):
    """A convolution of this network's axes and type, unless options say so."""
    own: Any = dict(periodic=self.periodic, dtype=self.dtype)
    return blocks.Conv(
      features,
      size,
      name=name,
      **own | options,
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
  highres: Float[lazy.Grid, "b h w c"],
  coords: lazy.Coords,
  periodic: Periodic,
) -> Float[lazy.Grid, "b H W c"]:
  """Returns a field at query points by cubic convolution.

  `Axes` on the cell centres, up to the rounding of float32, give the field
  back bit by bit.
  """
  boundary = resize.boundaries(periodic, "edge")
  snap = 1e-3 if lazy.is_regular(coords) else 0.0
  return lazy.interpolate(
    highres, coords, method="cubic", boundary=boundary, snap=snap
  )
