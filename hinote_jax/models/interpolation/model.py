"""Interpolations as models without parameters."""

import functools

from flax import linen as nn

from hinote_jax.core import resize
from hinote_jax.core import spectral as spectral_


class Interpolation(nn.Module):
  """Interpolates the input at the query points; nothing is learned.

  Attributes:
    method: a method of `resize`, or "spectral" for the trigonometric
      polynomial through the input's cells.
    periodic: which of (y, x) close on themselves.
    channels: accepted for uniformity; any number of channels works.
  """

  method: str
  periodic: tuple[bool, bool] = (False, False)
  channels: int | None = None

  @nn.compact
  def __call__(self, lowres, coords, cell):
    del cell  # interpolation reads points, not cells
    if self.method == "spectral":
      return spectral_.sample(lowres, coords, periodic=self.periodic)
    boundary = resize.boundaries(self.periodic, "edge")
    return resize.sample(lowres, coords, method=self.method, boundary=boundary)

  @nn.nowrap
  def planes(self, run, variables, lowres, queries):
    """Returns the same as a call, window by window; see `planes`."""
    del run

    def at(params, points):
      lowres, cell = params
      return self.apply(variables, lowres, points, cell)

    return queries.plane(at, (lowres, queries.cell))


nearest = functools.partial(Interpolation, method="nearest")
bilinear = functools.partial(Interpolation, method="linear")
bicubic = functools.partial(Interpolation, method="cubic")
lanczos = functools.partial(Interpolation, method="lanczos")
spectral = functools.partial(Interpolation, method="spectral")
