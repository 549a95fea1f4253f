"""A linear degradation of whole fields as sparse matrices.

It is sum_r Y_r kron X_r: one product where the blur is one, more for a kernel
in two dimensions.
"""

import numpy as np
from scipy import sparse

from hinote_jax.core import deconvolution
from hinote_jax.degradations import pipeline

# Coarse cells whose rows are made at once: bounds the dense blocks.
_BLOCK = 64
# Cells of an axis without ends: no kernel reaches half of it.
_ENDLESS = 1 << 20


def kernel(
  degradation: pipeline.Degradation,
  scale: tuple[float | int, float | int],
  *,
  start: tuple[float | int, float | int] = (0.0, 0.0),
  shape: tuple[int, int] | None = None,
) -> np.ndarray:
  """Returns a degradation as one kernel, [p q], for `deconvolution.operator`.

  It is how a point is spread, in fine cells, and is read at coarse cells by the
  registration "cells". That of "area" is a box.

  Args:
    degradation: its noise is left out.
    scale: (s_y, s_x) fine cells per coarse cell, whole.
    start: fine cell edges (y, x) at which the first coarse cell begins.
    shape: (p, q), zeros around; None takes the smallest.

  Raises:
    ValueError: it is no convolution, or a scale is not whole.
  """
  if not degradation.is_convolution:
    raise ValueError(
      f"{degradation} is no convolution with a kernel: name another "
      "degradation, such as area or decimate(cubic, antialias)"
    )
  if any(s != round(s) or s < 1 for s in scale):
    raise ValueError(
      f"the closed form wants whole scales, got {scale[0]:g} and {scale[1]:g} "
      "along y and x: ask for whole ones, or have the residual met by "
      "iterations, --consistent"
    )
  operators = degradation.operators(
    (_ENDLESS, _ENDLESS),
    start=start,
    scale=scale,
    count=(1, 1),
    periodic=(True, True),
  )
  along_y, along_x = (
    _spread(indices, matrix.reshape(-1, matrix.shape[-1]), int(s), size)
    for (indices, matrix), s, size in zip(
      operators, scale, shape or (None, None), strict=True
    )
  )
  return along_y.T @ along_x


def _spread(indices, weights, scale, size):
  """Returns what is gathered at `indices`, [r m], as profiles that spread."""
  used = np.flatnonzero(weights.any(0))
  weights = weights[:, used[0] : used[-1] + 1]
  first = int((indices[used[0]] + _ENDLESS // 2) % _ENDLESS) - _ENDLESS // 2
  count = weights.shape[-1]
  size = size or count
  while True:
    at = deconvolution.offset(size, scale, "cells") + size // 2 - first
    if count - 1 <= at < size:
      break
    size += 2
  profiles = np.zeros((len(weights), size))
  profiles[:, at - np.arange(count)] = weights
  return profiles


def whole(
  degradation: pipeline.Degradation,
  fine_shape: tuple[int, int],
  coarse_shape: tuple[int, int],
  periodic: tuple[bool, bool],
  *,
  start: tuple[float | int, float | int] = (0.0, 0.0),
  nodes: tuple[bool, bool] = (False, False),
) -> tuple[list[sparse.csr_array], list[sparse.csr_array]]:
  """Returns Y_r [h H] and X_r [w W], for all r.

  Args:
    degradation: its noise is left out.
    fine_shape: (H, W), at least (h, w).
    coarse_shape: (h, w), over the same extent.
    periodic: which axes (y, x) wrap around.
    start: fine cell edges (y, x) at which the first coarse cell begins.
    nodes: which axes (y, x) have their first and last points at the ends of the
      extent, where the outer cells are half as wide.

  Raises:
    ValueError: the degradation is not linear, or the fine field has fewer cells
      than the coarse one.
  """
  if not degradation.is_linear:
    raise ValueError(
      f"{degradation} is not linear: its magnitudes cannot be written as "
      "matrices"
    )
  # What is even about its outer nodes is periodic, with each inner node twice.
  lengths = [
    max(2 * (n - 1), 1) if has_nodes else n
    for n, has_nodes in zip(fine_shape, nodes, strict=True)
  ]
  scale = [
    (n - 1) / max(m - 1, 1) if has_nodes and n > 1 else n / m
    for n, m, has_nodes in zip(fine_shape, coarse_shape, nodes, strict=True)
  ]
  begins = [
    0.5 - 0.5 * s if has_nodes else a
    for a, s, has_nodes in zip(start, scale, nodes, strict=True)
  ]
  axes = []
  for axis, (n, total) in enumerate(zip(fine_shape, coarse_shape, strict=True)):
    blocks = []
    for first in range(0, total, _BLOCK):
      # One cell of the other axis, which costs next to nothing.
      begin, count = list(begins), [1, 1]
      begin[axis] += first * scale[axis]
      count[axis] = min(_BLOCK, total - first)
      operators = degradation.operators(
        (lengths[0], lengths[1]),
        start=(begin[0], begin[1]),
        scale=(scale[0], scale[1]),
        count=(count[0], count[1]),
        periodic=(nodes[0] or periodic[0], nodes[1] or periodic[1]),
      )
      indices, matrix = operators[axis]
      if nodes[axis]:
        indices = np.minimum(indices, lengths[axis] - indices)
      terms = matrix.reshape(-1, *matrix.shape[-2:])
      blocks.append([_folded(indices, term, n) for term in terms])
    axes.append(
      [sparse.vstack(rows, format="csr") for rows in zip(*blocks, strict=True)]
    )
  return tuple(axes)


def _folded(indices, matrix, n):
  """Returns the matrix [count n] of a gather and a dense one."""
  rows, taps = np.nonzero(matrix)
  # Cells that a fold names twice are summed.
  places = (matrix[rows, taps], (rows, indices[taps]))
  return sparse.coo_array(places, shape=(len(matrix), n)).tocsr()
