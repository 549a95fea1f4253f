"""IM-LUT over pictures of bytes, on the host, compiled by Numba; see `host`.

Bands of rows are interpolated, mixed and refined one after the other, so that
nothing but the result is as large as the result. The refiner reads the mixture
in steps of 1 / 64 of a level.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from hinote_jax.core import resize
from hinote_jax.models.lut import ensemble, host, im_lut, taps

_BAND = 24  # rows that are computed together
_FINE = 6  # bits of the parts of a level
_u = np.uint32


class _Axis(NamedTuple):
  """What rows, or columns, of the result read: cells and weights, [count t].

  Attributes:
    cells: of the picture.
    weights: of each.
    ends: where the taps of each interpolator end.
  """

  cells: np.ndarray
  weights: np.ndarray
  ends: np.ndarray


def _axis(n: int, count: int, methods, rule: str) -> _Axis:
  cells, weights = [], []
  for method in methods:
    read = resize.reads(n, count, method=method, antialias=False, boundary=rule)
    order = np.argsort(-np.abs(read.weight), axis=1, kind="stable")
    used = int(np.max(np.sum(np.abs(read.weight) > 1e-9, axis=1)))
    for columns, values in ((cells, read.cells), (weights, read.weight)):
      columns.append(np.take_along_axis(values, order, axis=1)[:, :used])
  ends = np.cumsum([w.shape[1] for w in weights])
  return _Axis(
    np.concatenate(cells, axis=1).astype(np.int32),
    np.concatenate(weights, axis=1).astype(np.float32),
    ends.astype(np.int32),
  )


class Mixer:
  """Tables of `im_lut` ready for pictures of bytes.

  Example:
    enlarge = host_mix.Mixer(module, variables)
    fine = enlarge(picture, (721, 1283))  # [h w c] uint8 -> [H W c] uint8
  """

  def __init__(self, module: im_lut.ImLut, variables: Any):
    """Takes tables apart.

    Args:
      module: of tables in [0, 1], the intervals 16 or 32 and the like.
      variables: its own; entries are rounded to bytes.

    Raises:
      ValueError: it is a network, or of other limits or intervals.
    """
    if not module.is_table or module.limits:
      raise ValueError("pictures of bytes take tables in [0, 1]")
    self._module, params = module, variables["params"]
    self._weights = _Lookups(
      module.pattern, 4, module.pattern_interval, params["weights"]
    )
    self._refiner = _Lookups(
      module.refiner,
      module.refiner_turns,
      module.interval,
      params.get("refinement"),
    )
    self._scales = np.asarray(params["scales"], np.float32)
    self._methods = [im_lut.METHODS[k] for k in module.interpolators]

  def __call__(self, image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns a picture [h w c] of bytes enlarged, [H W c] of bytes.

    Raises:
      ValueError: it is of no bytes, or smaller than what is seen of it.
    """
    if image.dtype != np.uint8 or image.ndim != 3:
      raise ValueError(
        f"a picture is [h w c] of uint8, got {image.shape} of {image.dtype}"
      )
    module, (h, w, c) = self._module, image.shape
    taps.require_size(image[None], module.pattern, module.periodic)
    scale = np.sqrt(shape[0] / h * shape[1] / w)
    scale = np.clip(scale, 1.0, module.max_scale)
    amount = self._scales[int(np.round((scale - 1.0) / im_lut.STEP))]
    amount = amount / (ensemble.UNIT * self._weights.count)
    rules = resize.boundaries(module.periodic, "mirror")
    y, x = (
      _axis(n, m, self._methods, rule)
      for n, m, rule in zip((h, w), shape, rules, strict=True)
    )
    maps = np.empty((len(amount), h, w * c), np.float32)
    weights = self._weights
    level = host.padded(image, weights.reach, module.periodic)
    _weigh(
      level.reshape(len(level), -1).astype(np.int32),
      weights.reach,
      *weights.tables,
      c,
      tuple(amount / np.float32(1 << weights.shift)),
      maps,
    )
    out = np.empty((*shape, c), np.uint8)
    refiner = self._refiner
    if module.refiner:
      taps.require_size(out[None], module.refiner, module.periodic)
    unit = im_lut.REFINED / (ensemble.UNIT * max(refiner.count, 1))
    unit = unit * ensemble.WHITE / (1 << (refiner.shift + _FINE))
    values = image.reshape(h, w * c).astype(np.float32)
    _mix(
      values,
      maps,
      *y,
      *x,
      refiner.reach,
      *refiner.tables,
      np.float32(unit),
      module.periodic,
      out.reshape(shape[0], shape[1] * c),
      c,
    )
    return out


class _Lookups:
  """Tables of an ensemble, one after the other, each with its cells."""

  def __init__(self, patterns, turns, interval, params):
    shift = int(interval).bit_length() - 1
    if interval != 1 << shift or any(len(taps.of(p)) != 4 for p in patterns):
      raise ValueError(
        f"pictures of bytes take patterns of four cells and an interval that "
        f"is a power of 2, got {patterns!r} and {interval}"
      )
    self.reach, self.shift = taps.reach(patterns) if patterns else 0, shift
    self.count = len(patterns) * turns
    order = [(p, t) for p in patterns for t in range(0, 4, 4 // turns)]
    cells = [taps.turned(p, t) for p, t in order]
    rows = [host.entries(params[f"table_{p}"]).reshape(-1) for p in patterns]
    sizes = [0, *np.cumsum([len(row) for row in rows])]
    self.tables = (
      np.asarray(cells, np.int32).reshape(-1, 4, 2),
      np.concatenate([np.zeros(0, np.int8), *rows]),
      np.asarray([sizes[patterns.index(p)] for p, _ in order], np.int32),
      ensemble.levels(interval),
      shift,
    )


@host.compiled()
def _mixed_row(
  values, maps, y_cells, y_weights, y_ends, x_cells, x_weights, x_ends, c, out
):
  """Fills one row of the mixture, in levels, [W*c]."""
  width = values.shape[1]
  count = len(y_ends)
  along, own = np.empty(width, np.float32), np.empty(width, np.float32)
  size = len(out)
  total, mean = np.zeros(size, np.float32), np.zeros(size, np.float32)
  out[:] = 0
  first, begin = 0, 0
  for k in range(count):
    along[:], own[:] = 0, 0
    for t in range(first, y_ends[k]):
      weight, row = y_weights[t], y_cells[t]
      for i in range(width):
        along[i] += weight * values[_u(row), _u(i)]
        own[i] += weight * maps[_u(k), _u(row), _u(i)]
    first, end = y_ends[k], x_ends[k]
    for x in range(size // c):
      for channel in range(c):
        value, part = np.float32(0), np.float32(0)
        for t in range(begin, end):
          weight = x_weights[_u(x), _u(t)]
          at = x_cells[_u(x), _u(t)] * c + channel
          value += weight * along[_u(at)]
          part += weight * own[_u(at)]
        i = _u(x * c + channel)
        out[i] += part * value
        total[i] += part
        mean[i] += value
    begin = end
  for i in range(size):
    out[i] += (1 - total[i]) * mean[i] / np.float32(count)


@host.compiled()
def _place(i, n, is_periodic):
  """Returns the cell that stands for one beyond an end."""
  if is_periodic:
    return i % n
  if i < 0:
    i = -i
  return 2 * (n - 1) - i if i >= n else i


@host.compiled()
def _levels_of(line, out):
  """Fills what the refiner sees of a line of the mixture."""
  for i in range(len(line)):
    value = min(max(line[i], np.float32(0)), np.float32(255))
    out[i] = np.int32(value * np.float32(1 << _FINE) + np.float32(0.5))


@host.compiled()
def _look_up(
  level, by, row, cells, table, start, levels, whole, c, outputs, total
):
  """Adds what one table says of four cells of every point of a row, [K n].

  A level has `whole` bits below those of a node. `outputs` is a tuple of K, so
  that K is known where this is compiled.
  """
  count, s2 = np.int32(len(outputs)), np.int32(levels)
  s1, s0 = s2 * s2, s2 * s2 * s2
  bits = np.int32(0)  # of a stride
  while s0 >> bits:
    bits += 1
  part, q = np.int32((1 << whole) - 1), np.int32(1 << whole)
  last = np.int32((1 << bits) - 1)
  first, second = level[by + row + cells[0, 0]], level[by + row + cells[1, 0]]
  third, fourth = level[by + row + cells[2, 0]], level[by + row + cells[3, 0]]
  at0, at1 = (by + cells[0, 1]) * c, (by + cells[1, 1]) * c
  at2, at3 = (by + cells[2, 1]) * c, (by + cells[3, 1]) * c
  for i in range(total.shape[1]):
    v0, v1 = first[_u(at0 + i)], second[_u(at1 + i)]
    v2, v3 = third[_u(at2 + i)], fourth[_u(at3 + i)]
    at = (v0 >> whole) * s0 + (v1 >> whole) * s1 + (v2 >> whole) * s2
    n0 = (at + (v3 >> whole)) * count + start
    k0, k1 = (v0 & part) << bits | s0, (v1 & part) << bits | s1
    k2, k3 = (v2 & part) << bits | s2, (v3 & part) << bits | 1
    # The larger part first; its stride goes with it.
    a, b, d, e = max(k0, k1), min(k0, k1), max(k2, k3), min(k2, k3)
    k0, k3 = max(a, d), min(b, e)
    a, b = min(a, d), max(b, e)
    k1, k2 = max(a, b), min(a, b)
    p0, p1, p2 = k0 >> bits, k1 >> bits, k2 >> bits
    p3 = k3 >> bits
    # From node to node of the simplex.
    n1 = n0 + (k0 & last) * count
    n2 = n1 + (k1 & last) * count
    n3 = n2 + (k2 & last) * count
    n4 = n3 + (k3 & last) * count
    for k in range(len(outputs)):
      value = (q - p0) * np.int32(table[_u(n0 + k)])
      value += (p0 - p1) * np.int32(table[_u(n1 + k)])
      value += (p1 - p2) * np.int32(table[_u(n2 + k)])
      value += (p2 - p3) * np.int32(table[_u(n3 + k)])
      total[_u(k), _u(i)] += value + p3 * np.int32(table[_u(n4 + k)])


@host.compiled(parallel=True)
def _weigh(level, by, cells, table, starts, levels, shift, c, amount, maps):
  """Fills the weights of the interpolators at every cell, [K h w*c]."""
  for y in numba.prange(maps.shape[1]):
    total = np.zeros((maps.shape[0], maps.shape[2]), np.int32)
    for turn in range(len(cells)):
      _look_up(
        level,
        by,
        y,
        cells[turn],
        table,
        starts[turn],
        levels,
        shift,
        c,
        amount,
        total,
      )
    for k in range(len(amount)):
      for i in range(maps.shape[2]):
        maps[k, y, i] = total[k, i] * amount[k]


@host.compiled()
def _finished(line, unit, total, out):
  """Fills a row of the result, rounded."""
  for i in range(len(out)):
    value = line[_u(i)] + unit * np.float32(total[_u(i)])
    value = min(max(value, np.float32(0)), np.float32(255))
    out[_u(i)] = np.uint8(value + np.float32(0.5))


@host.compiled(parallel=True)
def _mix(
  values,
  maps,
  y_cells,
  y_weights,
  y_ends,
  x_cells,
  x_weights,
  x_ends,
  by,
  cells,
  table,
  starts,
  levels,
  shift,
  unit,
  periodic,
  out,
  c,
):
  height, size = out.shape
  for part in numba.prange(-(-height // _BAND)):
    begin = part * _BAND
    rows = min(_BAND, height - begin)
    band = np.empty((rows + 2 * by, size + 2 * by * c), np.float32)
    level, total = np.empty(band.shape, np.int32), np.empty((1, size), np.int32)
    for r in range(rows + 2 * by):
      y = _place(begin + r - by, height, periodic[0])
      line = band[r]
      _mixed_row(
        values,
        maps,
        y_cells[y],
        y_weights[y],
        y_ends,
        x_cells,
        x_weights,
        x_ends,
        c,
        line[by * c : by * c + size],
      )
      for x in range(by):
        left = _place(x - by, size // c, periodic[1]) + by
        right = _place(size // c + x, size // c, periodic[1]) + by
        for channel in range(c):
          line[x * c + channel] = line[left * c + channel]
          line[size + (by + x) * c + channel] = line[right * c + channel]
      _levels_of(line, level[r])
    for row in range(rows):
      total[:] = 0
      for k in range(len(cells)):
        _look_up(
          level,
          by,
          row,
          cells[k],
          table,
          starts[k],
          levels,
          shift + _FINE,
          c,
          (0,),
          total,
        )
      line = band[by + row, by * c : by * c + size]
      _finished(line, unit, total[0], out[begin + row])
