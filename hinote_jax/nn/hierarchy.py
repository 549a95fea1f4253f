"""The band-limited hierarchy: levels of Galerkin blocks joined by sinc filters.

Works on any grid of any size: the encoder's (`domain="grid"`) or the query
window's (`domain="queries"`).
"""

from collections.abc import Callable, Sequence

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Periodic
from hinote_jax.nn import blocks, galerkin


def low_pass(
  x: Float[lazy.Grid, "b h w c"],
  shape: tuple[int, int],
  *,
  periodic: Periodic,
) -> Float[lazy.Grid, "b H W c"]:
  """Resamples by a Kaiser-windowed sinc cut at the coarser grid's Nyquist.

  Separable, unit gain at zero wavenumber, and local (six coarse cells each
  way), so tiles need a halo only. Going down it is the anti-aliasing filter
  and the decimation in one product; going up, band-limited interpolation.

  Args:
    x: [b h w c].
    shape: (H, W), any size.
    periodic: which of (y, x) close on themselves; the others are mirrored.
  """
  rules = resize.boundaries(periodic, "mirror")
  return lazy.resample(x, shape, method="sinc", boundary=rules)


def alias_free(
  function: Callable,
  x: Float[lazy.Grid, "b h w c"],
  *,
  periodic: Periodic = (False, False),
) -> Float[lazy.Grid, "b h w c"]:
  """Applies a pointwise function on a twice finer grid and filters back.

  The harmonics the function makes up to twice the band are carried by the
  finer grid and then removed, where on the grid itself they would alias
  (paper, section 3.5.1).
  """
  _, h, w, _ = x.shape
  fine = low_pass(x, (2 * h, 2 * w), periodic=periodic)
  fine = lazy.pointwise(function, fine)
  return low_pass(fine, (h, w), periodic=periodic)


def coarser(shape: tuple[int, int]) -> tuple[int, int]:
  """Returns the shape of the next level, each side halved and rounded up."""
  h, w = (-(-n // 2) for n in shape)
  return h, w


class Hierarchy(nn.Module):
  """Down through K levels and back, band-limited both ways.

  Level k has `widths[k]` channels, `convs[k]` residual blocks and `blocks[k]`
  Galerkin blocks. Per-level widths matter: the finest level holds most of the
  points, so a narrow fine level and wide coarse ones is where speed is.

  Attributes:
    widths: channels of each level, finest first; widths[0] are the input's.
    blocks: Galerkin blocks of each level.
    convs: residual convolution blocks of each level.
    heads: attention heads of every block.
    is_alias_free: run the non-linearities between levels on a finer grid.
    periodic: which of (y, x) close on themselves.
  """

  widths: Sequence[int]
  blocks: Sequence[int]
  convs: Sequence[int]
  heads: int = 4
  is_alias_free: bool = True
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  def _activate(self, x):
    if self.is_alias_free:
      return alias_free(jax.nn.gelu, x, periodic=self.periodic)
    return lazy.pointwise(jax.nn.gelu, x)

  def _low_pass(self, x, shape):
    return low_pass(x, shape, periodic=self.periodic)

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    if not len(self.widths) == len(self.blocks) == len(self.convs):
      raise ValueError(
        f"widths {tuple(self.widths)}, blocks {tuple(self.blocks)} and "
        f"convs {tuple(self.convs)} must name the same number of levels"
      )
    finer = []
    for level, width in enumerate(self.widths):
      if level > 0:
        finer.append(x)
        x = self._low_pass(self._activate(x), coarser(grids.pair(x.shape[1:3])))
        down = blocks.Dense(width, dtype=self.dtype, name=f"down_{level}")
        x = lazy.stored(down(x))
      x = self._level(x, level)
    for level in reversed(range(len(finer))):
      skip = finer[level]
      up = blocks.Dense(
        self.widths[level],
        kernel_init=blocks.small_init,
        dtype=self.dtype,
        name=f"up_{level}",
      )
      # The projection commutes with the filter and is cheaper before it.
      x = lazy.stored(up(self._activate(x)))
      x = skip + self._low_pass(x, skip.shape[1:3])
      # The finest level is made again where it is read: it is the largest.
      x = lazy.stored(x) if level else x
    return x

  def _level(self, x, level):
    """Returns what the blocks of one level make of its features."""
    for i in range(self.convs[level]):
      block = blocks.ResidualBlock(
        periodic=self.periodic, dtype=self.dtype, name=f"conv_{level}_{i}"
      )
      x = lazy.stored(block(x))
    for i in range(self.blocks[level]):
      block = galerkin.GalerkinBlock(
        self.heads, self.dtype, name=f"galerkin_{level}_{i}"
      )
      x = lazy.stored(block(x)) if level else block(x)
    return x
