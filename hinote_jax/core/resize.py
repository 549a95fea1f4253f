"""Interpolation and resampling as one small matrix per axis.

A kernel K of radius r reads an axis of n cells at the fractional index u as
sum_i K((u - i) / stretch) x_i, its weights normalised to sum to one. `stretch`
above 1 widens the kernel: that is antialiased reduction. Cells beyond an end
are folded back by the boundary rule, so constants are kept exactly; only "zero"
lets them fade.

NumPy positions give NumPy weights (constants, the data pipeline); traced
positions give traced weights, hence windows anywhere in one compilation.

How others resize, as method, antialias, boundary:

    MATLAB imresize           cubic, True, mirror; scale=, ceil(n scale) cells
    Pillow, float             linear, cubic or lanczos, True, drop
    F.interpolate, antialias  linear or cubic, True, drop
    F.interpolate             nearest_torch, nearest (that is nearest-exact),
                              linear, cubic_torch or area_torch, False, edge
      with scale_factor       scale=, floor(n scale) cells
      with align_corners      registration="nodes"
    F.grid_sample             `sample` with nearest, linear or cubic_torch; zero
                              (zeros), edge (border), mirror (reflection)
      with align_corners      registration="nodes"; reflect (reflection)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import grids, naming
from hinote_jax.core.typing import Array

# What stands beyond an end; the last two are not folds of the axis.
FOLDS = ("edge", "mirror", "reflect", "wrap")
BOUNDARIES = (*FOLDS, "drop", "zero")
REGISTRATIONS = ("cells", "nodes")


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
# These ask how long an output cell is: they cannot be read at points.
OF_CELLS = ("area", "area_torch", "nearest_torch")
METHODS = ("nearest", *OF_CELLS, *KERNELS)
# An overlap of cells below this is a rounding error.
_TOUCH = 1e-6


def centers(
  n: float | int, count: int, *, scale: float | int | None = None
) -> np.ndarray:
  """Returns where `count` equal cells are centred on an axis of n cells.

  Both grids begin at the same edge; they end at the same one too unless
  `scale`, output cells per input cell, says otherwise. [count] float64, in
  input index.
  """
  step = n / count if scale is None else 1.0 / scale
  return (np.arange(count) + 0.5) * step - 0.5


def nodes(n: int, count: int) -> np.ndarray:
  """Returns `count` points from the first cell centre to the last, [count].

  One point alone lies on the first centre, as with torch's align_corners.
  """
  return np.arange(count) * _node_step(n, count)


def _node_step(n: int, count: int) -> float:
  return (n - 1) / (count - 1) if count > 1 else 0.0


def taps(u: Array, *, method: str, stretch: float = 1.0) -> tuple[Array, Array]:
  """Returns which cells a method reads at each position, and their weights.

  Args:
    u: positions in input index, [..].
    method: one of `METHODS`. "area" averages the output cell; "area_torch"
      averages alike all input cells that it touches; "nearest_torch" reads the
      cell that its lower edge lies in.
    stretch: width of the kernel in input cells; above 1 it antialiases. For
      `OF_CELLS` it is the length of the output cell.

  Returns:
    index [.. t], which may lie outside the axis (see `settle`), and weight
    [.. t], which sums to 1 over t.
  """
  naming.look_up("method", method, dict.fromkeys(METHODS))
  xp, half = _namespace(u), 0.5 * stretch
  if method in ("nearest", "nearest_torch"):
    u = u - half + 0.5 if method == "nearest_torch" else u + 0.5
    # Ties go up; float32 coordinates may put one a little below.
    index = xp.floor(u + 1e-4).astype(np.int32)[..., None]
    return index, xp.ones_like(u)[..., None]
  is_area = method in OF_CELLS
  radius = half + 0.5 if is_area else KERNELS[method].radius * stretch
  count = int(np.ceil(2.0 * radius)) + 1
  first = xp.ceil(u - radius)
  index = first[..., None] + np.arange(count, dtype=np.float32)
  offset = u[..., None] - index
  if is_area:
    upper = xp.minimum(offset + half, 0.5)
    weight = xp.maximum(upper - xp.maximum(offset - half, -0.5), 0.0)
    if method == "area_torch":
      weight = xp.where(weight > _TOUCH, 1.0, 0.0)
  else:
    weight = KERNELS[method].values(offset / stretch)
  weight = weight / weight.sum(-1, keepdims=True)
  return index.astype(np.int32), weight


def fold(index: Array, n: int, boundary: str) -> Array:
  """Brings indices outside an axis of n cells back into it.

  Args:
    index: integers, any shape.
    n: number of cells.
    boundary: one of `FOLDS`. "edge" repeats the end cell, "mirror" reflects
      about the outer cell edge (half-sample symmetric), "reflect" about the
      centre of the end cell (whole-sample symmetric), "wrap" is periodic.
  """
  naming.look_up("boundary", boundary, dict.fromkeys(FOLDS))
  xp = _namespace(index)
  if boundary == "edge":
    return xp.clip(index, 0, n - 1)
  if boundary == "wrap":
    return index % n
  if boundary == "mirror":
    index = index % (2 * n)
    return xp.where(index < n, index, 2 * n - 1 - index)
  period = max(2 * n - 2, 1)
  index = index % period
  return xp.where(index < n, index, period - index)


def settle(
  index: Array, weight: Array, n: int, boundary: str
) -> tuple[Array, Array]:
  """Brings taps outside an axis of n cells back into it.

  Args:
    index: of `taps`, [.. t].
    weight: of `taps`, [.. t].
    n: number of cells.
    boundary: one of `BOUNDARIES`: a rule of `fold`; or "drop", which leaves
      taps outside out and lets the others sum to 1, for positions within the
      axis; or "zero", which takes cells outside as 0.
  """
  naming.look_up("boundary", boundary, dict.fromkeys(BOUNDARIES))
  if boundary in FOLDS:
    return fold(index, n, boundary), weight
  xp = _namespace(index)
  weight = xp.where((index >= 0) & (index < n), weight, 0.0)
  if boundary == "drop":
    weight = weight / weight.sum(-1, keepdims=True)
  return fold(index, n, "edge"), weight


def read(
  u: Array, n: int, *, method: str, stretch: float = 1.0, boundary: str
) -> tuple[Array, Array]:
  """Returns which cells of an axis of n are read at each position, [.. t].

  As `taps`, settled; a point on the outer edge of the axis is within it.
  """
  index, weight = taps(u, method=method, stretch=stretch)
  if method != "nearest" or boundary != "zero":
    return settle(index, weight, n, boundary)
  # Here a tie that went up would have left the axis.
  is_within = (u >= -0.5) & (u <= n - 0.5)
  weight = _namespace(u).where(is_within[..., None], weight, 0.0)
  return fold(index, n, "edge"), weight


def weights(
  u: Array,
  n: int,
  *,
  method: str,
  stretch: float = 1.0,
  boundary: str = "edge",
) -> Array:
  """Returns the matrix that reads an axis of n cells at positions u, [.. n].

  Rows sum to 1 whatever the method and the boundary, but for "zero".
  """
  index, weight = read(u, n, method=method, stretch=stretch, boundary=boundary)
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
  scale: float | int | None = None,
  registration: str = "cells",
) -> np.ndarray:
  """Returns the [count n] matrix that resizes one axis.

  Args:
    n: cells of the input.
    count: cells of the output.
    method: one of `METHODS`.
    antialias: widen the kernel by the step of the output when reducing.
    boundary: one of `BOUNDARIES`.
    scale: output cells per input cell; None: both grids have one extent.
    registration: "cells" aligns the outer cell edges, "nodes" the first and
      the last cell centres.

  Raises:
    ValueError: a name is unknown, or `scale` or a method of `OF_CELLS` is
      asked of nodes.
  """
  naming.look_up("registration", registration, dict.fromkeys(REGISTRATIONS))
  is_of_cells = method in OF_CELLS
  if registration == "nodes":
    if scale is not None or is_of_cells:
      raise ValueError(
        f"nodes have neither a scale nor cells: got scale={scale}, {method!r}"
      )
    u, step = nodes(n, count), _node_step(n, count)
  else:
    u = centers(n, count, scale=scale)
    step = n / count if scale is None else 1.0 / scale
  if not is_of_cells:
    step = max(1.0, step) if antialias else 1.0
  return weights(u, n, method=method, stretch=step, boundary=boundary)


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
  scale: float | int | None = None,
  registration: str = "cells",
) -> jax.Array:
  """Resizes a field [b h w c] to `shape`, [b H W c]; see `matrix`."""
  options = dict(method=method, antialias=antialias)
  options |= dict(scale=scale, registration=registration)
  y, x_ = (
    matrix(n, m, boundary=rule, **options)
    for n, m, rule in zip(x.shape[1:3], shape, boundary, strict=True)
  )
  return apply(x, y, x_)


def sample(
  x: Array,
  coords: grids.Coords,
  *,
  method: str,
  boundary: tuple[str, str] = ("edge", "edge"),
  registration: str = "cells",
) -> jax.Array:
  """Interpolates a field at query points.

  Args:
    x: [b h w c].
    coords: `grids.Axes` (two matrices) or [(b) H W 2] (a gather).
    method: one of `METHODS` but those `OF_CELLS`.
    boundary: rule for (y, x).
    registration: -1 and 1 are the outer cell edges ("cells") or the centres of
      the end cells ("nodes").

  Returns:
    [b H W c].

  Raises:
    ValueError: a name is unknown, or the method is one `OF_CELLS`.
  """
  if method in OF_CELLS:
    raise ValueError(f"{method!r} is of cells: it cannot be read at points")
  naming.look_up("registration", registration, dict.fromkeys(REGISTRATIONS))
  b, h, w, _ = x.shape
  coords = grids.batched(coords, b)
  if isinstance(coords, grids.Axes):
    y, x_ = (
      weights(_index(c, n, registration), n, method=method, boundary=rule)
      for c, n, rule in zip(coords, (h, w), boundary, strict=True)
    )
    return apply(x, y, x_)
  (iy, wy), (ix, wx) = (
    read(
      _index(coords[..., i], n, registration), n, method=method, boundary=rule
    )
    for i, (n, rule) in enumerate(zip((h, w), boundary, strict=True))
  )
  batch = jnp.arange(b)[:, None, None, None, None]
  values = jnp.asarray(x)[batch, iy[..., :, None], ix[..., None, :]]
  both = wy[..., :, None] * wx[..., None, :]
  exact = jax.lax.Precision.HIGHEST
  return jnp.einsum("bHWij,bHWijc->bHWc", both, values, precision=exact)


def _index(coord: Array, n: int, registration: str) -> Array:
  if registration == "nodes":
    return 0.5 * (coord + 1.0) * (n - 1)
  return grids.to_index(coord, n)


def boundaries(periodic: tuple[bool, bool], wall: str) -> tuple[str, str]:
  """Returns the rule of each axis: "wrap" where periodic, else `wall`."""
  return tuple("wrap" if p else wall for p in periodic)
