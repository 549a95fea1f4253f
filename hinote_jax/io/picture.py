"""What a picture file says of its pictures, whatever its format."""

from collections.abc import Mapping
import dataclasses

import numpy as np

GREY, RGB, ALPHA = ("grey",), ("red", "green", "blue"), "alpha"

# How a picture is stored, by the tag 274 of TIFF and EXIF: whether rows and
# columns are exchanged, and then whether each is turned about.
_TURNS = {
  2: (False, False, True),
  3: (False, True, True),
  4: (False, True, False),
  5: (True, False, False),
  6: (True, False, True),
  7: (True, True, True),
  8: (True, True, False),
}


@dataclasses.dataclass(frozen=True)
class Picture:
  """What a file says of its pictures; all of them are alike.

  Attributes:
    shape: (height, width) as stored.
    channels: "grey" or "red", "green", "blue", or others; then "alpha".
    dtype: of the samples.
    count: number of pictures.
    icc: colour profile, or None.
    dpi: dots an inch along (x, y) as stored, or None.
    gamma: of the samples, or None.
    text: keyword -> text.
    orientation: tag that says which side is up, 1 for upright.
    is_premultiplied: whether the colours are multiplied by alpha.
    leads: name and size of what counts the pictures; () for their pages.
    structure: what ImageJ or OME say of the pictures, as text; "" for nothing.
    per_unit: pixels along (x, y) in the unit of length that this text names.
  """

  shape: tuple[int, int]
  channels: tuple[str, ...]
  dtype: str
  count: int = 1
  icc: bytes | None = None
  dpi: tuple[float, float] | None = None
  gamma: float | None = None
  text: Mapping[str, str] = dataclasses.field(default_factory=dict)
  orientation: int = 1
  is_premultiplied: bool = False
  leads: tuple[tuple[str, int], ...] = ()
  structure: str = ""
  per_unit: tuple[float, float] | None = None

  @property
  def has_alpha(self) -> bool:
    """Whether the last channel says how opaque a pixel is."""
    return self.channels[-1] == ALPHA

  def upright(self) -> "Picture":
    """Returns what the file says of the pictures put upright."""
    is_turned = self.orientation in _TURNS and _TURNS[self.orientation][0]
    if not is_turned:
      return dataclasses.replace(self, orientation=1)
    return dataclasses.replace(
      self,
      orientation=1,
      shape=self.shape[::-1],
      dpi=self.dpi and self.dpi[::-1],
      per_unit=self.per_unit and self.per_unit[::-1],
    )


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Returns a stored picture put upright.

  Args:
    pixels: [h w c].
    orientation: tag that says which side is up.

  Returns:
    [h w c] or, where it lay on its side, [w h c].
  """
  if orientation not in _TURNS:
    return pixels
  is_turned, flip_y, flip_x = _TURNS[orientation]
  pixels = np.swapaxes(pixels, 0, 1) if is_turned else pixels
  return pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
