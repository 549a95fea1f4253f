"""JPEG, WebP and BMP files, read by Pillow: what they say and their pixels.

They are not written: the first two throw away what upscaling adds.
"""

import pathlib
from typing import Any

import numpy as np

from hinote_jax.io import inputs, picture

_CHANNELS = {
  "L": picture.GREY,
  "RGB": picture.RGB,
  "RGBA": (*picture.RGB, picture.ALPHA),
}
# Black or white, and palettes, which only BMP has.
_AS = {"1": "L", "P": "RGB"}
_ORIENTATION = 274


def info(path: pathlib.Path) -> picture.Picture:
  """Reads what a file says of its picture, not the pixels.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it is no such file, holds an animation, or its colours are
      neither grey nor RGB.
  """
  with _opened(path) as image:
    mode = _AS.get(image.mode, image.mode)
    if mode not in _CHANNELS:
      raise ValueError(
        f"{path} has colours of the mode {image.mode}: convert it to grey or "
        "RGB"
      )
    if getattr(image, "n_frames", 1) > 1:
      raise ValueError(
        f"{path} is animated: give each of its {image.n_frames} pictures its "
        "own file"
      )
    dpi = image.info.get("dpi")
    comment = image.info.get("comment")
    return picture.Picture(
      shape=(image.height, image.width),
      channels=_CHANNELS[mode],
      dtype="uint8",
      icc=image.info.get("icc_profile"),
      dpi=dpi and (float(dpi[0]), float(dpi[1])),
      text={"Comment": comment.decode("utf-8", "replace")} if comment else {},
      orientation=int(image.getexif().get(_ORIENTATION, 1)),
    )


def read(path: pathlib.Path, i: int) -> np.ndarray:
  """Returns the pixels, [h w c] uint8; i is 0.

  Raises:
    ValueError: the file is damaged.
  """
  with _opened(path) as image:
    pixels = np.asarray(image.convert(_AS.get(image.mode, image.mode)))
  return pixels if pixels.ndim == 3 else pixels[..., None]


def _opened(path: pathlib.Path) -> Any:
  """Returns an image of Pillow, not yet decoded."""
  pillow = inputs.require("PIL.Image", "io")
  return pillow.open(path, formats=("JPEG", "WEBP", "BMP"))
