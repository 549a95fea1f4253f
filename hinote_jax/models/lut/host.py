"""Tables of bytes over pictures of bytes, on the host, compiled by Numba.

XLA's gathers read a row of a table at a time and store it; here a block of the
result is summed up where it lies. The numbers are those of the models.
"""

from collections.abc import Callable
import inspect
from typing import Any

import numba
import numpy as np

from hinote_jax.core.typing import Periodic
from hinote_jax.models.lut import ensemble, lookup, sr_lut, taps

_STRIDE = 2**32 - 1  # of a key
# An index that NumPy's rule for negative ones is not for; Numba's own sums are
# of 64 bits, which fill registers with half as many.
_u = np.uint32


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
      # Their lengths are known where it is compiled.
      (0,) * len(self._cells[0]),
      (0,) * s**2,
      out.reshape(h * s, -1),
    )
    return out


@compiled()
def _key(part, stride):
  """Returns a low part and its stride as one number that sorts as the part."""
  return (np.int64(part) << 32) | np.int64(stride)


@compiled()
def _sort(keys):
  """Sorts keys, the largest part first, without branches."""
  n = len(keys)
  for i in range(n - 1):
    for j in range(n - 1 - i):
      p, q = keys[j], keys[j + 1]
      keys[j], keys[j + 1] = max(p, q), min(p, q)


@compiled()
def _enlarge_row(
  image, by, y, cells, table, levels, shift, is_official, seen, block, out
):
  """Fills the rows of the result that are of row y.

  `seen` has as many parts as the cells that are seen, `block` as the result's.
  """
  width, channels = image.shape[1] - 2 * by, image.shape[2]
  n, size, last = len(seen), len(block), np.int32(255 << shift)
  entries, q, side = len(table) // 4, np.int32(1 << shift), len(out)
  # A byte is the sum of four turns over q, halves rounded to even.
  bits = _u(shift)
  below_half, not_whole = _u((q - 1) >> 1), _u(min(shift, 1))
  total, keys = np.empty(size, np.int32), np.empty(n, np.int64)
  a, b, c, d = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
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
          keys[i] = _key(value & (q - 1), stride)
          stride *= levels
        if is_official and n == 4:
          a, b = keys[0] >> 32, keys[1] >> 32
          c, d = keys[2] >> 32, keys[3] >> 32
        _sort(keys)
        if is_official and n == 4 and c > d and d > a and a > b:
          keys[1], keys[2] = keys[2], keys[1]
        before = q
        for i in range(n + 1):
          part = np.int32(keys[i] >> 32) if i < n else np.int32(0)
          weight = before - part
          if weight != 0:
            for j in range(size):
              total[j] += weight * np.int32(table[_u(index) + _u(j)])
          before = part
          if i < n:
            index += np.int32(keys[i] & _STRIDE)
      for j in range(size):
        value = _u(min(max(total[j], np.int32(0)), last))
        is_odd = _u(_u(value >> bits) & not_whole)
        total[j] = _u(_u(value + _u(below_half + is_odd)) >> bits)
      for i in range(side):
        for j in range(side):
          place = (x * side + j) * channels + channel
          out[_u(i), _u(place)] = total[i * side + j]


@compiled(parallel=True)
def _enlarge(
  image, by, cells, table, levels, shift, is_official, seen, block, out
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
      seen,
      block,
      out[y * side : (y + 1) * side],
    )
