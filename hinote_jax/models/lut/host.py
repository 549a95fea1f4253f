"""Tables of bytes over pictures of bytes, on the host, compiled by Numba.

XLA's gathers read a row of a table at a time and store it; here a block of the
result is summed up where it lies. The numbers are those of the models.
"""

import functools
from typing import Any

import numba
import numpy as np

from hinote_jax.core.typing import Periodic
from hinote_jax.models.lut import ensemble, lookup, sr_lut, taps


@functools.cache
def _rounded(interval: int) -> np.ndarray:
  """Returns the byte of each sum of four turns, in steps of 1 / interval."""
  values = np.arange(255 * interval + 1) / interval
  return np.uint8(np.round(np.clip(values / 255.0, 0.0, 1.0) * 255.0))


class Enlarger:
  """A table of `sr_lut` ready for pictures of bytes."""

  def __init__(self, module: sr_lut.SrLut, variables: Any):
    """Takes a table apart.

    Args:
      module: of one pattern and a whole interval, as official tables have.
      variables: its own; entries are rounded to bytes.

    Raises:
      ValueError: it is a network, or of another kind of table.
    """
    if not module.is_table or len(module.pattern) != 1 or module.limits:
      raise ValueError(
        "pictures of bytes take one table of one pattern in [0, 1]"
      )
    interval = int(module.interval)
    if interval != module.interval or 256 % interval:
      raise ValueError(
        f"pictures of bytes take an interval that divides 256, got "
        f"{module.interval}"
      )
    table = variables["params"]["turns"][f"table_{module.pattern}"]
    table = np.int8(np.round(np.asarray(table)))
    s, n = module.scale, len(taps.of(module.pattern))
    self._levels = lookup.levels_of(len(table), n)
    blocks = table.reshape(-1, s, s)
    self._tables = np.ascontiguousarray(
      [np.rot90(blocks, -turn, axes=(1, 2)) for turn in range(4)]
    ).reshape(4, len(table), s * s)
    self._shift = interval.bit_length() - 1
    self._reach, self._scale = taps.reach(module.pattern), s
    self._cells = np.asarray(
      [taps.turned(module.pattern, turn) for turn in range(4)], np.int64
    )
    self._is_official = module.compat == "official"
    self._round = _rounded(interval)

  def __call__(
    self, image: np.ndarray, periodic: Periodic = (False, False)
  ) -> np.ndarray:
    """Returns a picture [h w c] of bytes enlarged, [s*h s*w c] of bytes.

    Raises:
      ValueError: it is of no bytes, or smaller than what is seen of it.
    """
    if image.dtype != np.uint8 or image.ndim != 3:
      raise ValueError(
        f"a picture is [h w c] of uint8, got {image.shape} of {image.dtype}"
      )
    taps.require_size(image[None], "S" if self._reach == 1 else "F", periodic)
    padded, by = image, self._reach
    for axis, is_closed in enumerate(periodic):
      sides = [(0, 0)] * 3
      sides[axis] = (by, by)
      padded = np.pad(padded, sides, mode="wrap" if is_closed else "reflect")
    (h, w, c), s = image.shape, self._scale
    out = np.empty((h * s, w * s, c), np.uint8)
    _enlarge(
      padded,
      by,
      self._cells,
      self._tables,
      self._levels,
      self._shift,
      self._is_official,
      self._round,
      s,
      out,
    )
    return out


@numba.njit(nogil=True, cache=True)
def _order(parts, strides, is_official):
  """Sorts parts, largest first, and their strides with them."""
  n = len(parts)
  a, b, c, d = parts[0], 0, 0, 0
  if n == 4:
    b, c, d = parts[1], parts[2], parts[3]
  for i in range(1, n):
    part, stride, j = parts[i], strides[i], i
    while j > 0 and parts[j - 1] < part:
      parts[j], strides[j] = parts[j - 1], strides[j - 1]
      j -= 1
    parts[j], strides[j] = part, stride
  if is_official and n == 4 and c > d and d > a and a > b:
    parts[1], parts[2] = parts[2], parts[1]
    strides[1], strides[2] = strides[2], strides[1]


@numba.njit(nogil=True, parallel=True, cache=True)
def _enlarge(
  image, by, cells, tables, levels, shift, is_official, rounded, s, out
):
  height, width, channels = image.shape
  height, width = height - 2 * by, width - 2 * by
  n, size, last = cells.shape[1], s * s, len(rounded) - 1
  q = 1 << shift
  for y in numba.prange(height):
    total = np.empty(size, np.int32)
    parts = np.empty(n, np.int32)
    strides = np.empty(n, np.int64)
    for x in range(width):
      for ch in range(channels):
        total[:] = 0
        for turn in range(4):
          stride, index = 1, 0
          for i in range(n - 1, -1, -1):
            v = image[
              y + by + cells[turn, i, 0], x + by + cells[turn, i, 1], ch
            ]
            index += (v >> shift) * stride
            parts[i] = v & (q - 1)
            strides[i] = stride
            stride *= levels
          _order(parts, strides, is_official)
          before = q
          for i in range(n):
            weight = before - parts[i]
            if weight != 0:
              row = tables[turn, index]
              for j in range(size):
                total[j] += weight * row[j]
            before = parts[i]
            index += strides[i]
          if before != 0:
            row = tables[turn, index]
            for j in range(size):
              total[j] += before * row[j]
        for i in range(s):
          for j in range(s):
            value = min(max(total[i * s + j], 0), last)
            out[y * s + i, x * s + j, ch] = rounded[value]


assert ensemble.WHITE == 255.0
