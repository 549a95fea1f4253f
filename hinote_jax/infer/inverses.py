"""What stands for (D D^T)^-1, D a degradation: exactly, or nearly.

Where D is a convolution and a decimation at whole scales, on axes that close or
are mirrored, D D^T is a convolution of the coarse grid and its inverse a
division of waves: the closed form of `core.deconvolution` with alpha going to
0. At walls that holds for kernels that are even along the axis, which all are
but turned ones and those of files; of these it is the sum of two that are near.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from hinote_jax.core import deconvolution, grids
from hinote_jax.core.typing import Periodic
from hinote_jax.degradations import matrices, pipeline

Inverse = Callable[[np.ndarray], np.ndarray]

# e over the norm of a Gram matrix: waves that D damps more than 20-fold along
# an axis are left to the iteration, lest rounding of the input be blown up.
_FLOOR = 2e-3
# Likewise of waves in both directions, damped more than 1000-fold.
_LEAST = 1e-6
# What the second term of turned kernels weighs: 0.1 to 1 take about as long.
_OWN = 0.3


def of(
  degradation: pipeline.Degradation,
  grams: Sequence[Sequence[sparse.csr_array]],
  fine_shape: tuple[int, int],
  coarse_shape: tuple[int, int],
  periodic: Periodic,
  *,
  start: tuple[float | int, float | int] = (0.0, 0.0),
  nodes: Periodic = (False, False),
) -> Inverse:
  """Returns a function of [h w c], symmetric and positive.

  Args:
    degradation: D.
    grams: of its first product along y and along x, first.
    fine_shape: (H, W).
    coarse_shape: (h, w).
    periodic: whether the (y, x) axis closes on itself.
    start: of `matrices.whole`.
    nodes: of `matrices.whole`.
  """
  if has_closed_form(degradation, fine_shape, coarse_shape, periodic, nodes):
    scale = grids.pair(
      m // n for m, n in zip(fine_shape, coarse_shape, strict=True)
    )
    kernel = matrices.kernel(degradation, scale, start=start)
    return _of_waves(kernel, coarse_shape, scale, periodic)
  return _of_lines([_factor(axis[0]) for axis in grams])


def has_closed_form(
  degradation: pipeline.Degradation,
  fine_shape: tuple[int, int],
  coarse_shape: tuple[int, int],
  periodic: Periodic,
  nodes: Periodic,
) -> bool:
  """Says whether D is a convolution and a decimation; arguments of `of`."""
  sides = zip(fine_shape, coarse_shape, strict=True)
  is_mirrored = getattr(degradation, "wall", "mirror") == "mirror"
  return (
    degradation.is_convolution
    and not any(m % n for m, n in sides)
    and (is_mirrored or all(periodic))
    and not any(nodes)
  )


def _of_waves(kernel, shape, scale, periodic) -> Inverse:
  whole = grids.pair(
    n if is_periodic else 2 * n
    for n, is_periodic in zip(shape, periodic, strict=True)
  )

  def gram(kernel):
    made = deconvolution.gram(kernel[None, ..., None], whole, scale)
    return np.maximum(made, _LEAST * made.max())

  def filtered(z, response):
    waves = np.fft.rfft2(z, axes=(1, 2)) * response
    return np.fft.irfft2(waves, s=whole, axes=(1, 2))

  even = kernel
  walls = [axis for axis in (0, 1) if not periodic[axis]]
  for axis in walls:
    even = 0.5 * (even + np.flip(even, axis))
  divided = 1.0 / gram(even)

  def inverse(z: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    z = filtered(deconvolution.mirrored(z[None], periodic), divided)
    return z[0, : shape[0], : shape[1]]

  if np.allclose(even, kernel, rtol=0.0, atol=1e-9 * np.abs(kernel).max()):
    return inverse
  # Of a turned kernel the even part is right at walls and little elsewhere,
  # where waves that lean one way are damped more than those that lean the
  # other. The second term, W^T W with W the field's mirror image divided by the
  # root of its own response, is right there.
  root = gram(kernel) ** -0.5
  inside = np.zeros((*whole, 1))
  inside[: shape[0], : shape[1]] = 1.0

  def both(z: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    w = filtered(deconvolution.mirrored(z[None], periodic), root)
    w = filtered(inside * w, root)
    for axis in walls:
      w = w + np.flip(w, axis + 1)
    return inverse(z) + _OWN * w[0, : shape[0], : shape[1]]

  return both


def _of_lines(factors) -> Inverse:
  y, x = factors
  return lambda z: along(x.solve, along(y.solve, z))


def _factor(gram):
  """Factors G + e; shifted, no pivots are needed and the band stays."""
  floor = _FLOOR * linalg.norm(gram, np.inf)
  shifted = gram + floor * sparse.eye_array(gram.shape[0])
  return linalg.splu(
    shifted.tocsc(),
    permc_spec="MMD_AT_PLUS_A",
    diag_pivot_thresh=0.0,
    options={"SymmetricMode": True},
  )


def along(function: Callable[[Any], Any], values: np.ndarray) -> np.ndarray:
  """Applies a function of [n k] to axis 0 of [n m c], which becomes axis 1."""
  n, m, c = values.shape
  out = function(values.reshape(n, m * c))
  out = out.reshape(len(out), m, c)
  return np.ascontiguousarray(out.swapaxes(0, 1))
