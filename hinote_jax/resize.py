"""Interpolation and resampling as one small matrix per axis.

A kernel K of radius r reads an axis of n cells at the fractional index u as
sum_i K((u - i) / stretch) x_i, its weights normalised to sum to one. `stretch`
above 1 widens the kernel: that is antialiased reduction. Cells beyond an end
are folded back by the boundary rule, so constants are kept exactly.

NumPy positions give NumPy weights (constants, the data pipeline); traced
positions give traced weights, hence windows anywhere in one compilation.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import grids, naming
from hinote_jax.typing import Array

BOUNDARIES = ("edge", "mirror", "wrap")


class Kernel(NamedTuple):
  """An interpolation kernel: its half-width in cells and its values."""

  radius: float
  values: Callable[[Array], Array]


def _namespace(values: Array):
  return jnp if isinstance(values, jax.Array) else np


def _linear(t):
  xp = _namespace(t)
  return xp.maximum(1.0 - xp.abs(t), 0.0)


def _cubic(a: float):
  """Keys' cubic convolution kernel (Keys 1981, eq. 4) with parameter a."""

  def values(t):
    xp = _namespace(t)
    t = xp.abs(t)
    near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    far = ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    return xp.where(t <= 1.0, near, xp.where(t < 2.0, far, 0.0))

  return values


def _lanczos(lobes: int):
  def values(t):
    xp = _namespace(t)
    inside = xp.sinc(t) * xp.sinc(t / lobes)
    return xp.where(xp.abs(t) < lobes, inside, 0.0)

  return values


def _kaiser_sinc(radius: int, beta: float):
  """Ideal low-pass at the Nyquist of a unit grid, Kaiser window."""

  def values(t):
    xp = _namespace(t)
    inside = xp.maximum(1.0 - (t / radius) ** 2, 0.0)
    taper = xp.i0(beta * xp.sqrt(inside)) / np.i0(beta)
    return xp.where(xp.abs(t) < radius, xp.sinc(t) * taper, 0.0)

  return values


KERNELS: dict[str, Kernel] = {
  "linear": Kernel(1.0, _linear),
  "cubic": Kernel(2.0, _cubic(-0.5)),
  "cubic_torch": Kernel(2.0, _cubic(-0.75)),
  "lanczos": Kernel(3.0, _lanczos(3)),
  "sinc": Kernel(6.0, _kaiser_sinc(6, 5.0)),
}
METHODS = ("nearest", "area", *KERNELS)


def centers(n: float | int, count: int) -> np.ndarray:
  """Returns where `count` equal cells are centred on an axis of n cells.

  Both grids cover the same extent. [count] float64, in input index.
  """
  return (np.arange(count) + 0.5) * (n / count) - 0.5


def taps(u: Array, *, method: str, stretch: float = 1.0) -> tuple[Array, Array]:
  """Returns which cells a method reads at each position, and their weights.

  Args:
    u: positions in input index, [..].
    method: one of `METHODS`.
    stretch: width of the kernel in input cells; above 1 it antialiases. For
      `area` it is the length of the averaged cell.

  Returns:
    index [.. t], which may lie outside the axis (fold it by `fold`), and
    weight [.. t], which sums to 1 over t.
  """
  naming.look_up("method", method, dict.fromkeys(METHODS))
  xp = _namespace(u)
  if method == "nearest":
    # Ties go up; float32 coordinates may put one a little below.
    index = xp.floor(u + 0.5001).astype(np.int32)[..., None]
    return index, xp.ones_like(u)[..., None]
  if method == "area":
    radius, half = 0.5 * stretch + 0.5, 0.5 * stretch
  else:
    radius = KERNELS[method].radius * stretch
  count = int(np.ceil(2.0 * radius)) + 1
  first = xp.ceil(u - radius)
  index = first[..., None] + np.arange(count, dtype=np.float32)
  offset = u[..., None] - index
  if method == "area":
    upper = xp.minimum(offset + half, 0.5)
    weight = xp.maximum(upper - xp.maximum(offset - half, -0.5), 0.0)
  else:
    weight = KERNELS[method].values(offset / stretch)
  weight = weight / weight.sum(-1, keepdims=True)
  return index.astype(np.int32), weight


def fold(index: Array, n: int, boundary: str) -> Array:
  """Brings indices outside an axis of n cells back into it.

  Args:
    index: integers, any shape.
    n: number of cells.
    boundary: "edge" repeats the end cell, "mirror" reflects about the outer
      cell edge (half-sample symmetric), "wrap" is periodic.
  """
  xp = _namespace(index)
  if boundary == "edge":
    return xp.clip(index, 0, n - 1)
  if boundary == "wrap":
    return index % n
  if boundary == "mirror":
    index = index % (2 * n)
    return xp.where(index < n, index, 2 * n - 1 - index)
  raise ValueError(f"unknown boundary {boundary!r}; known: {BOUNDARIES}")


def weights(
  u: Array,
  n: int,
  *,
  method: str,
  stretch: float = 1.0,
  boundary: str = "edge",
) -> Array:
  """Returns the matrix that reads an axis of n cells at positions u, [.. n].

  Rows sum to 1 whatever the method and the boundary.
  """
  index, weight = taps(u, method=method, stretch=stretch)
  index = fold(index, n, boundary)
  if isinstance(index, np.ndarray):
    matrix = np.zeros(u.shape + (n,))
    rows = np.indices(index.shape)[:-1]
    np.add.at(matrix, (*rows, index), weight)
    return matrix
  hits = index[..., None] == jnp.arange(n)
  return jnp.sum(jnp.where(hits, weight[..., None], 0.0), axis=-2)


def matrix(
  n: int,
  count: int,
  *,
  method: str,
  antialias: bool = True,
  boundary: str = "edge",
) -> np.ndarray:
  """Returns the [count n] matrix that resizes one axis, cell-centre aligned.

  Args:
    n: cells of the input.
    count: cells of the output, over the same extent.
    method: one of `METHODS`.
    antialias: widen the kernel by n / count when reducing.
    boundary: one of `BOUNDARIES`.
  """
  stretch = n / count if method == "area" else max(1.0, n / count)
  if not antialias and method != "area":
    stretch = 1.0
  return weights(
    centers(n, count), n, method=method, stretch=stretch, boundary=boundary
  )


def apply(x: Array, along_y: Array, along_x: Array) -> jax.Array:
  """Multiplies the rows and columns of a field by one matrix each.

  Args:
    x: [b h w c].
    along_y: [H h] or [b H h].
    along_x: [W w] or [b W w].

  Returns:
    [b H W c] of the type of x; weights and sums are float32 or better.
  """
  kind, wide = x.dtype, jnp.promote_types(x.dtype, jnp.float32)
  x, along_y, along_x = (jnp.asarray(m, wide) for m in (x, along_y, along_x))
  y_spec = "bHh" if along_y.ndim == 3 else "Hh"
  x_spec = "bWw" if along_x.ndim == 3 else "Ww"
  exact = jax.lax.Precision.HIGHEST
  rows = jnp.einsum(f"{y_spec},bhwc->bHwc", along_y, x, precision=exact)
  columns = jnp.einsum(f"{x_spec},bHwc->bHWc", along_x, rows, precision=exact)
  return columns.astype(kind)


def resize(
  x: Array,
  shape: tuple[int, int],
  *,
  method: str,
  antialias: bool = True,
  boundary: tuple[str, str] = ("edge", "edge"),
) -> jax.Array:
  """Resizes a field to another grid over the same extent, [b H W c]."""
  y, x_ = (
    matrix(n, m, method=method, antialias=antialias, boundary=rule)
    for n, m, rule in zip(x.shape[1:3], shape, boundary, strict=True)
  )
  return apply(x, y, x_)


def sample(
  x: Array,
  coords: grids.Coords,
  *,
  method: str,
  boundary: tuple[str, str] = ("edge", "edge"),
) -> jax.Array:
  """Interpolates a field at query points.

  Args:
    x: [b h w c].
    coords: `grids.Axes` (two matrices) or [(b) H W 2] (a gather).
    method: one of `METHODS` but "area".
    boundary: rule for (y, x).

  Returns:
    [b H W c].

  Raises:
    ValueError: the method is "area", which averages cells and reads no points.
  """
  if method == "area":
    raise ValueError("'area' averages cells: it cannot be read at points")
  b, h, w, _ = x.shape
  coords = grids.batched(coords, b)
  if isinstance(coords, grids.Axes):
    y, x_ = (
      weights(grids.to_index(c, n), n, method=method, boundary=rule)
      for c, n, rule in zip(coords, (h, w), boundary, strict=True)
    )
    return apply(x, y, x_)
  iy, wy = taps(grids.to_index(coords[..., 0], h), method=method)
  ix, wx = taps(grids.to_index(coords[..., 1], w), method=method)
  iy, ix = fold(iy, h, boundary[0]), fold(ix, w, boundary[1])
  batch = jnp.arange(b)[:, None, None, None, None]
  values = x[batch, iy[..., :, None], ix[..., None, :]]
  both = wy[..., :, None] * wx[..., None, :]
  exact = jax.lax.Precision.HIGHEST
  return jnp.einsum("bHWij,bHWijc->bHWc", both, values, precision=exact)


def boundaries(periodic: tuple[bool, bool], wall: str) -> tuple[str, str]:
  """Returns the rule of each axis: "wrap" where periodic, else `wall`."""
  return tuple("wrap" if p else wall for p in periodic)
