"""Interpolation and resampling as one small matrix per axis.

Its rows are what `taps` reads at the positions of the other grid. How others
resize, as method, antialias, boundary:

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

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.core import grids, naming, taps
from hinote_jax.core.typing import Array

REGISTRATIONS = ("cells", "nodes")


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
  index, weight = taps.read(
    u, n, method=method, stretch=stretch, boundary=boundary
  )
  return _dense(index, weight, n)


def _dense(index: Array, weight: Array, n: int) -> Array:
  """Returns the matrix [.. n] of indices and weights [.. t]."""
  if isinstance(index, np.ndarray):
    matrix = np.zeros(index.shape[:-1] + (n,))
    rows = np.indices(index.shape)[:-1]
    np.add.at(matrix, (*rows, index), weight)
    return matrix
  hits = index[..., None] == jnp.arange(n)
  return jnp.sum(jnp.where(hits, weight[..., None], 0.0), axis=-2)


class Reads(NamedTuple):
  """What each cell of a resized axis reads of the axis.

  Attributes:
    cells: that are read, [count t] int32.
    weight: of each, [count t] float32 or better.
    reach: no cell is further than this from the centre of what reads it.
  """

  cells: np.ndarray
  weight: np.ndarray
  reach: float


def reads(
  n: int,
  count: int,
  *,
  method: str,
  antialias: bool = True,
  boundary: str = "edge",
  scale: float | int | None = None,
  registration: str = "cells",
) -> Reads:
  """Returns what resizing one axis reads.

  Args:
    n: cells of the input.
    count: cells of the output.
    method: one of `taps.METHODS`.
    antialias: widen the kernel by the step of the output when reducing.
    boundary: one of `taps.BOUNDARIES`; or "none", which leaves cells beyond the
      ends where they are.
    scale: output cells per input cell; None: both grids have one extent.
    registration: "cells" aligns the outer cell edges, "nodes" the first and
      the last cell centres.

  Raises:
    ValueError: a name is unknown, or `scale` or a method of `taps.OF_CELLS`
      is asked of nodes.
  """
  naming.look_up("registration", registration, dict.fromkeys(REGISTRATIONS))
  is_of_cells = method in taps.OF_CELLS
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
  if boundary == "none":
    index, weight = taps.at(u, method=method, stretch=step)
  else:
    index, weight = taps.read(
      u, n, method=method, stretch=step, boundary=boundary
    )
  return Reads(np.asarray(index), np.asarray(weight), taps.radius(method, step))


def matrix(n: int, count: int, **options: Any) -> np.ndarray:
  """Returns the [count n] matrix that resizes one axis; options of `reads`."""
  index, weight, _ = reads(n, count, **options)
  return np.asarray(_dense(index, weight, n))


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
  options: Any = dict(method=method, antialias=antialias)
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
  placement: grids.Placement | None = None,
  snap: float = 0.0,
) -> jax.Array:
  """Interpolates a field at query points.

  Args:
    x: [b h w c].
    coords: `grids.Axes` (two matrices) or [(b) H W 2] (a gather).
    method: one of `taps.METHODS` but those `taps.OF_CELLS`.
    boundary: rule for (y, x).
    registration: -1 and 1 are the outer cell edges ("cells") or the centres of
      the end cells ("nodes").
    placement: where x lies on the grid that `coords` are of, and that has the
      boundaries; None: it is the grid.
    snap: points nearer than this to a cell centre, in cells, are on it.

  Returns:
    [b H W c].

  Raises:
    ValueError: a name is unknown, or the method is one of cells.
  """
  if method in taps.OF_CELLS:
    raise ValueError(f"{method!r} is of cells: it cannot be read at points")
  naming.look_up("registration", registration, dict.fromkeys(REGISTRATIONS))
  b, h, w, _ = x.shape
  place = grids.Placement((0, 0), (h, w)) if placement is None else placement
  coords = grids.batched(coords, b)
  is_regular = isinstance(coords, grids.Axes)
  points = coords if is_regular else (coords[..., 0], coords[..., 1])
  (iy, wy), (ix, wx) = (
    _placed_read(
      _snapped(_index(points[axis], n, registration), snap),
      n,
      method=method,
      boundary=boundary[axis],
      axis=axis,
      length=x.shape[1 + axis],
      placement=placement,
    )
    for axis, n in enumerate(place.shape)
  )
  if is_regular:
    return apply(x, _dense(iy, wy, h), _dense(ix, wx, w))
  batch = jnp.arange(b)[:, None, None, None, None]
  values = jnp.asarray(x)[batch, iy[..., :, None], ix[..., None, :]]
  both = wy[..., :, None] * wx[..., None, :]
  exact = jax.lax.Precision.HIGHEST
  return jnp.einsum("bHWij,bHWijc->bHWc", both, values, precision=exact)


def _snapped(u, snap):
  if not snap:
    return u
  nearest = jnp.round(u)
  return jnp.where(jnp.abs(u - nearest) < snap, nearest, u)


def _placed_read(u, n, *, method, boundary, axis, length, placement):
  """As `read`, by the place of cells in a part of the axis."""
  index, weight = taps.read(u, n, method=method, boundary=boundary)
  if placement is not None:
    index = placement.local(index, axis, boundary == "wrap", length)
  return index, weight


def _index(coord: Array, n: int, registration: str) -> Array:
  if registration == "nodes":
    return 0.5 * (coord + 1.0) * (n - 1)
  return grids.to_index(coord, n)


def boundaries(periodic: tuple[bool, bool], wall: str) -> tuple[str, str]:
  """Returns the rule of each axis: "wrap" where periodic, else `wall`."""
  return grids.pair("wrap" if p else wall for p in periodic)
