"""The eight flips and transpositions of a field.

To train on (`data.symmetries`) and to average a network over: the geometric
self-ensemble of Lim et al., CVPR workshops 2017, section 3.3. There the field
is transformed, refined, and transformed back; the mean over `EIGHT` is the
result. Here that holds for results of any lines of points and any window too:

    for transform in EIGHT:
      turned = transform.apply(lowres)
      y, x = transform.lines(y, x, lowres.shape[:2])
      rows, columns = transform.window(rows, columns, fine_shape)
      tile = transform.undo(refined window of turned)

Channels are taken as scalars: the components of a vector keep their sign and
their place, so that a turned wind is not the wind of the turned field.
"""

import dataclasses
import itertools

from jaxtyping import Shaped

from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic


@dataclasses.dataclass(frozen=True)
class Transform:
  """A flip of either axis or both, then, where asked, an exchange of the two.

  Attributes:
    flips_y: whether the rows are reversed.
    flips_x: whether the columns are reversed.
    transposes: whether rows and columns then change places.
  """

  flips_y: bool = False
  flips_x: bool = False
  transposes: bool = False

  def apply(
    self, values: Shaped[Array, "*b h w c"]
  ) -> Shaped[Array, "*b m n c"]:
    """Returns the transformed field, [.. w h c] where it transposes."""
    return self._swapped(self._flipped(values))

  def undo(
    self, values: Shaped[Array, "*b m n c"]
  ) -> Shaped[Array, "*b h w c"]:
    """Returns the field, or the window of it, that was transformed."""
    return self._flipped(self._swapped(values))

  def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
    """Returns the shape of a transformed field of `shape`."""
    return self._pair(shape)

  def periodic(self, periodic: Periodic) -> Periodic:
    """Returns which axes of a transformed field close on themselves."""
    return self._pair(periodic)

  def lines(
    self, y: grids.Line, x: grids.Line, shape: tuple[int, int]
  ) -> tuple[grids.Line, grids.Line]:
    """Returns the same points, in cells of the transformed field.

    Args:
      y: rows wanted of the field.
      x: columns wanted of the field.
      shape: (h, w) of the field, before it is transformed.
    """
    flips = (self.flips_y, self.flips_x)
    return self._pair(
      _reversed(line, n) if is_flipped else line
      for line, n, is_flipped in zip((y, x), shape, flips, strict=True)
    )

  def window(
    self, rows: slice, columns: slice, fine_shape: tuple[int, int]
  ) -> tuple[slice, slice]:
    """Returns which window of the transformed result holds a given one.

    Args:
      rows: of the window of the result, in steps of 1.
      columns: of the window.
      fine_shape: (H, W) of the whole result, before it is transformed.
    """
    flips = (self.flips_y, self.flips_x)
    return self._pair(
      _mirrored(part, n) if is_flipped else part
      for part, n, is_flipped in zip(
        (rows, columns), fine_shape, flips, strict=True
      )
    )

  def _flipped(self, values):
    rows = slice(None, None, -1 if self.flips_y else 1)
    columns = slice(None, None, -1 if self.flips_x else 1)
    return values[..., rows, columns, :]

  def _swapped(self, values):
    return values.swapaxes(-3, -2) if self.transposes else values

  def _pair(self, pair):
    first, second = pair
    return (second, first) if self.transposes else (first, second)


EIGHT = tuple(
  Transform(*(bool(is_on) for is_on in choice))
  for choice in itertools.product((False, True), repeat=3)
)


def _reversed(line, n):
  """Returns the points of a line after cell u became cell n - 1 - u."""
  last = line.first + line.step * (line.count - 1)
  return grids.Line(n - 1 - last, line.step, line.count)


def _mirrored(part, n):
  start, stop, step = part.indices(n)
  if step != 1:
    raise ValueError(f"a window is a slice in steps of 1, got {part}")
  return slice(n - stop, n - start)
