"""The band-limited hierarchy: levels of Galerkin blocks joined by sinc filters.

Works on any grid of any size: the encoder's (`domain="grid"`) or the query
window's (`domain="queries"`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import spectral
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.nn import blocks, galerkin


def alias_free(
  function: Callable,
  x: Float[Array, "b h w c"],
  *,
  periodic: Periodic = (False, False),
) -> Float[Array, "b h w c"]:
  """Applies a pointwise function on a twice finer grid and filters back.

  The harmonics the function makes up to twice the band are carried by the
  finer grid and then removed, where on the grid itself they would alias
  (paper, section 3.5.1).
  """
  _, h, w, _ = x.shape
  fine = spectral.low_pass(x, (2 * h, 2 * w), periodic=periodic)
  return spectral.low_pass(function(fine), (h, w), periodic=periodic)


def coarser(shape: tuple[int, int]) -> tuple[int, int]:
  """Returns the shape of the next level, each side halved and rounded up."""
  return tuple(-(-n // 2) for n in shape)


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
    return jax.nn.gelu(x)

  @nn.nowrap
  def _down(self, level):
    width = self.widths[level]
    return blocks.Dense(width, dtype=self.dtype, name=f"down_{level}")

  @nn.nowrap
  def _conv(self, level, i):
    return blocks.ResidualBlock(
      periodic=self.periodic, dtype=self.dtype, name=f"conv_{level}_{i}"
    )

  @nn.nowrap
  def _block(self, level, i):
    return galerkin.GalerkinBlock(
      self.heads, self.dtype, name=f"galerkin_{level}_{i}"
    )

  @nn.nowrap
  def _up(self, level):
    # The projection commutes with the filter and is cheaper before it.
    return blocks.Dense(
      self.widths[level],
      kernel_init=blocks.small_init,
      dtype=self.dtype,
      name=f"up_{level}",
    )

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    if not len(self.widths) == len(self.blocks) == len(self.convs):
      raise ValueError(
        f"widths {tuple(self.widths)}, blocks {tuple(self.blocks)} and "
        f"convs {tuple(self.convs)} must name the same number of levels"
      )
    finer = []
    for level in range(len(self.widths)):
      if level > 0:
        finer.append(x)
        x = spectral.low_pass(
          self._activate(x), coarser(x.shape[1:3]), periodic=self.periodic
        )
        x = self._down(level)(x)
      for i in range(self.convs[level]):
        x = self._conv(level, i)(x)
      for i in range(self.blocks[level]):
        x = self._block(level, i)(x)
    for level in reversed(range(len(finer))):
      skip = finer[level]
      x = self._up(level)(self._activate(x))
      x = skip + spectral.low_pass(x, skip.shape[1:3], periodic=self.periodic)
    return x

  @nn.nowrap
  def planes(
    self, run: planes.Run, params: Mapping[str, Any], x: planes.Plane
  ) -> planes.Plane:
    """Returns the same as a call of a plane, window by window; see `planes`.

    The finest level is not stored; where others read it, it is made again.

    Args:
      run: who carries the planes out.
      params: of the hierarchy.
      x: its input.
    """
    finer = []
    for level in range(len(self.widths)):
      if level > 0:
        finer.append(x)
        x = self._filtered(self._active(x), coarser(x.grid.shape))
        x = run.store(_mapped(self._down(level), params, x))
      for i in range(self.convs[level]):
        conv = self._conv(level, i)
        x = plane_ops.local(
          x, plane_ops.applied(conv), params[conv.name], conv.reach
        )
        x = run.store(x)
      for i in range(self.blocks[level]):
        block = self._block(level, i)
        x = galerkin.attend(run, block, params[block.name], x)
        x = run.store(x) if level else x
    for level in reversed(range(len(finer))):
      skip = finer[level]
      x = run.store(_mapped(self._up(level), params, self._active(x)))
      x = self._filtered(x, skip.grid.shape)
      x = plane_ops.add(skip, x)
      x = run.store(x) if level else x
    return x

  @nn.nowrap
  def _active(self, x):
    """Returns the plane of `_activate`."""
    if not self.is_alias_free:
      return x.map(_gelu)
    fine = self._filtered(x, tuple(2 * n for n in x.grid.shape))
    return self._filtered(fine.map(_gelu), x.grid.shape)

  @nn.nowrap
  def _filtered(self, x, shape):
    """Returns the plane of `spectral.low_pass`."""
    return plane_ops.resampled(x, shape, method="sinc", wall="mirror")


def _gelu(params, values):
  del params
  return jax.nn.gelu(values)


def _mapped(module, params, x):
  """Returns the plane of a pointwise layer."""
  return x.map(plane_ops.applied(module), params[module.name])
