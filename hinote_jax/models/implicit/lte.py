"""LTE, the local texture estimator (Lee and Jin, CVPR 2022).

Features of a cell are read as amplitudes and frequencies of local waves, whose
phase depends on the cell of the query; an MLP mixes the waves.
"""

from collections.abc import Sequence
import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.core.typing import Periodic
from hinote_jax.models.implicit import base
from hinote_jax.nn import blocks

# Taylor coefficients of sin(pi r) / r and cos(pi r) in r^2; within a quarter
# the next terms are below 3e-8.
_SIN = [
  (-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1)
  for k in range(5)
]
_COS = [
  (-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k) for k in range(5)
]


@jax.custom_jvp
def cos_sin_pi(t: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns cos(pi t) and sin(pi t), exact at any size of t to float32.

  Whole turns are taken away before, not after, the product with pi; and what
  is left within an eighth of a turn is a short polynomial, several times
  faster on a CPU than the library's sine.
  """
  quarters = jnp.round(2.0 * t)
  rest = t - 0.5 * quarters
  square = rest * rest
  sin = rest * _polynomial(_SIN, square)
  cos = _polynomial(_COS, square)
  turn = quarters.astype(jnp.int32) & 3
  is_odd, is_behind, is_below = turn % 2 == 1, (turn + 1) & 2, turn & 2
  cos, sin = jnp.where(is_odd, sin, cos), jnp.where(is_odd, cos, sin)
  return (
    jnp.where(is_behind == 0, cos, -cos),
    jnp.where(is_below == 0, sin, -sin),
  )


@cos_sin_pi.defjvp
def _cos_sin_pi_jvp(primals, tangents):
  cos, sin = cos_sin_pi(*primals)
  (change,) = tangents
  return (cos, sin), (-jnp.pi * sin * change, jnp.pi * cos * change)


def _polynomial(coefficients, x):
  total = jnp.full_like(x, coefficients[-1])
  for coefficient in reversed(coefficients[:-1]):
    total = total * x + coefficient
  return total


def _on_input_grid(near: Sequence[base.Cells], ratio: int) -> list[base.Cells]:
  """Returns four cells, placed where the input's cells they lie in have theirs.

  So does the released code, where its encoder hands on `ratio` times finer
  features than the input: an oddity of those files, kept to read them.
  """
  moved = []
  for cell in near:
    y, x = cell.y, cell.x
    if y.ndim == 2:  # rows and columns of a window
      y, x = y[:, :, None], x[:, None, :]
    off = [2 * (index % ratio) + 1 - ratio for index in (y, x)]
    moved.append((cell.offset_y + off[0], cell.offset_x + off[1]))
  areas = [jnp.abs(y * x) + 1e-9 for y, x in moved]
  total = sum(areas)
  return [
    cell._replace(weight=area / total, offset_y=y, offset_x=x)
    for cell, area, (y, x) in zip(near, reversed(areas), moved, strict=True)
  ]


class Lte(base.Implicit):
  """Local waves, an MLP, and the linear interpolation of the input.

  Attributes:
    waves: how many waves a cell has; the MLP sees their cosines and sines.
  """

  hidden: Sequence[int] = (256, 256, 256)
  waves: int = 128

  def answer(self, feats, lowres, coords, cell):
    amplitude = self._conv(feats, 2 * self.waves, "amplitude")
    frequency = self._conv(feats, 2 * self.waves, "frequency")
    both = lazy.concatenate([amplitude, frequency])
    phase, _ = blocks.Affine(self.waves, use_bias=False, name="phase")(2)
    phase = (self._rel_cell(cell, feats) @ phase)[:, None, None]
    widths = (*self.hidden, self.channels)
    layers = self._layers(2 * self.waves, widths)
    ratio = feats.shape[1] // lowres.shape[1]
    decode = lazy.bind(_decode, grids.pair(self.periodic), ratio, self.dtype)
    residual = self._decode(decode, (phase, layers), coords, both)
    return residual + self._skip(lowres, coords)


def _decode(
  periodic: Periodic, ratio: int, dtype: DTypeLike, params, points, patch
):
  """The waves of the cells around each query, mixed by the MLP."""
  (phase, layers), total = params, 0.0
  shape = patch.placement.shape
  cells = base.cells(points, shape, periodic, ensemble=True)
  if ratio > 1:
    cells = _on_input_grid(list(cells), ratio)
  for near in cells:
    taken = base.take_placed(patch, near.y, near.x, periodic)
    on_cos, on_sin, along_y, along_x = jnp.split(taken, 4, -1)
    angle = (
      along_y.astype(jnp.float32) * near.offset_y[..., None]
      + along_x.astype(jnp.float32) * near.offset_x[..., None]
      + phase
    )
    cos, sin = (w.astype(dtype) for w in cos_sin_pi(angle))
    waves = jnp.concatenate([on_cos * cos, on_sin * sin], axis=-1)
    answer = base.mlp(waves, layers, last=jnp.float32)
    total += near.weight[..., None] * answer
  return total


build = Lte
