"""What unfolded networks share: blur, noise, scale, and how they are read."""

from typing import Any

from flax import linen as nn
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.models.unfolding import steps
from hinote_jax.nn import blocks

# What an axis with walls is to the convolution.
WALLS = ("mirror", "wrap")


class Unfolding(nn.Module):
  """A network that undoes a known blur in steps, read at any query points.

  Where these are not the cells of its own grid, they are read by cubic
  convolution.

  Attributes:
    scale: whole, one number or (y, x); None takes what the query points have
      of the input, rounded up, which they then must cover.
    channels: variables of the field.
    iterations: how often both steps are done.
    kernel: what a call is given that has no kernel, [p q] or [p q c] as nested
      tuples; one of each scale by "2", of which it then works at one, see
      `steps.scale`; None is the mean over coarse cells.
    noise: likewise, a deviation.
    registration: where coarse samples lie, see `deconvolution.offset`.
    walls: of `WALLS`: whether the convolution mirrors the field at axes
      that do not close, or goes around them, as published.
    periodic: which of (y, x) close on themselves.
  """

  scale: int | tuple[int, int] | None = None
  channels: int = 1
  iterations: int = 8
  kernel: Any = None
  noise: float | int = 0.0
  registration: str = "cells"
  walls: str = "mirror"
  periodic: Periodic = (False, False)

  def enlarge(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    scale: tuple[int, int],
    kernel: Any = None,
    noise: Any = None,
  ) -> Any:
    """Returns the field on the grid `scale` times finer."""
    raise NotImplementedError

  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    *,
    kernel: Any = None,
    noise: Any = None,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points.

    Args:
      lowres: what was blurred, decimated and given noise.
      coords: query points.
      cell: size of a query cell.
      kernel: [b p q] or [b p q c], in cells of the fine grid, as it spreads a
        point, which lies at (p // 2, q // 2).
      noise: deviation of the noise in units of the input, [b].

    Raises:
      ValueError: wrong number of channels, no such kernel, or unknown walls.
    """
    del cell
    naming.look_up("treatment of walls", self.walls, dict.fromkeys(WALLS))
    blocks.require_channels(lowres, self.channels)
    known = self.kernel if kernel is None else None
    scale = steps.scale(self.scale, lowres, coords, known)
    x = self.enlarge(lowres, scale, kernel, noise)
    return fixed_scale.read(x, coords, self.periodic)
