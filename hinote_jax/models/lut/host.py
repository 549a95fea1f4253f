"""Tables of bytes over pictures of bytes, on the host, compiled by Numba.

XLA's gathers read a row of a table at a time and store it; here a block of the
result is summed up where it lies. The numbers are those of the models.
"""

from collections.abc import Callable
import functools
import inspect
from typing import Any

import numba
import numpy as np

from hinote_jax.core.typing import Periodic
from hinote_jax.models.lut import ensemble, lookup, sr_lut, taps

_u = np.uint32  # an index that NumPy's rule for negative ones is not for


def entries(table: Any) -> np.ndarray:
  """Returns the bytes of a table, rounded."""
  values = np.asarray(table, np.float32) * np.float32(ensemble.STORED)
  return np.clip(np.round(values), -127, 127).astype(np.int8)


def compiled(**options: Any) -> Callable[[Callable], Any]:
  """Returns a decorator that has a function compiled, and the program kept."""

  def decorate(function):
    # Tests check types around every function, which cannot be compiled.
    plain = inspect.unwrap(function)
    return numba.njit(nogil=True, cache=True, **options)(plain)

  return decorate


def padded(image: np.ndarray, by: int, periodic: Periodic) -> np.ndarray:
  """Returns a picture with cells added on all sides, as `taps.padded`."""
  for axis, is_closed in enumerate(periodic):
    sides = [(0, 0)] * 3
    sides[axis] = (by, by)
    image = np.pad(image, sides, mode="wrap" if is_closed else "reflect")
  return image


@functools.cache
def _rounded(interval: int) -> np.ndarray:
  """Returns the byte of each sum of four turns, in steps of 1 / interval."""
  values = np.arange(255 * interval + 1) / interval
  values = np.round(np.clip(values / 255.0, 0.0, 1.0) * 255.0)
  return values.astype(np.uint8)


class Enlarger:
  """A table of `sr_lut` ready for pictures of bytes.

  Example:
    enlarge = host.Enlarger(module, variables)
    fine = enlarge(picture)  # [h w c] uint8 -> [s*h s*w c] uint8
  """

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
    table = entries(table)
    s, n = module.scale, len(taps.of(module.pattern))
    self._levels = lookup.levels_of(len(table), n)
    blocks = table.reshape(-1, s, s)
    # As its blocks lie in the field, for each turn.
    turns = [np.rot90(blocks, -turn, axes=(1, 2)) for turn in range(4)]
    self._tables = np.stack(turns).reshape(-1)
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
    by = self._reach
    (h, w, c), s = image.shape, self._scale
    out = np.empty((h * s, w * s, c), np.uint8)
    _enlarge(
      padded(image, by, periodic),
      by,
      self._cells,
      self._tables,
      self._levels,
      self._shift,
      self._is_official,
      self._round,
      (0,) * s**2,  # its length is known where it is compiled
      out,
    )
    return out


@compiled()
def sort(parts, strides):
  """Sorts parts, largest first, and their strides with them, no branches."""
  n = len(parts)
  for i in range(n - 1):
    for j in range(n - 1 - i):
      p, q, s, t = parts[j], parts[j + 1], strides[j], strides[j + 1]
      is_less = p < q
      parts[j], parts[j + 1] = q if is_less else p, p if is_less else q
      strides[j], strides[j + 1] = t if is_less else s, s if is_less else t


@compiled()
def _enlarge_row(
  image, by, y, cells, table, levels, shift, is_official, rounded, block, out
):
  """Fills the rows of the result that are of row y; `block` has their size."""
  width, channels = image.shape[1] - 2 * by, image.shape[2]
  n, size, last = cells.shape[1], len(block), len(rounded) - 1
  entries, q, side = len(table) // 4, np.int32(1 << shift), len(out)
  total, parts = np.empty(size, np.int32), np.empty(n, np.int32)
  strides = np.empty(n, np.int32)
  a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
  for x in range(width):
    for channel in range(channels):
      for j in range(size):
        total[j] = 0
      for turn in range(4):
        stride, index = np.int32(size), np.int32(turn * entries)
        for k in range(n):
          i = n - 1 - k
          row = y + by + cells[turn, i, 0]
          column = x + by + cells[turn, i, 1]
          value = np.int32(image[_u(row), _u(column), _u(channel)])
          index += (value >> shift) * stride
          parts[i], strides[i] = value & (q - 1), stride
          stride *= levels
        if is_official and n == 4:
          a, b, c, d = parts[0], parts[1], parts[2], parts[3]
        sort(parts, strides)
        if is_official and n == 4 and c > d and d > a and a > b:
          parts[1], parts[2] = parts[2], parts[1]
          strides[1], strides[2] = strides[2], strides[1]
        before = q
        for i in range(n + 1):
          part = parts[i] if i < n else np.int32(0)
          weight = before - part
          if weight != 0:
            for j in range(size):
              total[j] += weight * np.int32(table[_u(index) + _u(j)])
          before = part
          if i < n:
            index += strides[i]
      for i in range(side):
        for j in range(side):
          value = min(max(total[i * side + j], 0), last)
          out[_u(i), _u(x * side + j), _u(channel)] = rounded[value]


@compiled(parallel=True)
def _enlarge(
  image, by, cells, table, levels, shift, is_official, rounded, block, out
):
  height = image.shape[0] - 2 * by
  side = out.shape[0] // height
  for y in numba.prange(height):
    _enlarge_row(
      image,
      by,
      y,
      cells,
      table,
      levels,
      shift,
      is_official,
      rounded,
      block,
      out[y * side : (y + 1) * side],
    )
