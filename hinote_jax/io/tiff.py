"""TIFF files: what they say, their pixels, and writing them tile by tile."""

from collections.abc import Iterable, Iterator
import pathlib
from typing import Any

import numpy as np

from hinote_jax.io import inputs, picture

TILE = 256  # rows and columns

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2
_ORIENTATION, _RESOLUTION_UNIT = 274, 296
_TEXTS = {"Description": 270, "Author": 315, "Copyright": 33432}
# Offsets of 32 bits reach 4 GiB; the tags and tables need some of it.
_LARGEST_CLASSIC = (1 << 32) - (1 << 26)


def info(path: pathlib.Path) -> picture.Picture:
  """Reads what a file says of its pages, not the pixels.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it is no TIFF file, its pages differ, or its colours are
      neither grey nor RGB.
  """
  with _opened(path) as file:
    series = _series(path, file)
    page = series.keyframe
    tags = page.tags
    unit = tags.valueof(_RESOLUTION_UNIT, 2)
    has_dpi = 282 in tags and 283 in tags and unit != 1
    text = {name: tags.valueof(tag) for name, tag in _TEXTS.items()}
    if file.is_shaped or file.is_imagej or file.is_ome:
      # Says how the pages are arranged, which will not be so any longer.
      text["Description"] = None
    is_planes = series.axes.endswith("SYX")
    height, width = series.shape[-3 if series.axes[-1] == "S" else -2 :][:2]
    samples = {"S": series.shape[-1]}.get(series.axes[-1], 1)
    samples = series.shape[-3] if is_planes else samples
    return picture.Picture(
      shape=(height, width),
      channels=_channels(path, page, samples),
      dtype="uint8" if page.dtype == bool else page.dtype.name,
      count=series.size // (height * width * samples),
      icc=tags.valueof(34675),
      dpi=tuple(page.get_resolution("inch")) if has_dpi else None,
      text={name: str(value) for name, value in text.items() if value},
      orientation=int(tags.valueof(_ORIENTATION, 1)),
      is_premultiplied=_PREMULTIPLIED in page.extrasamples,
    )


def _opened(path: pathlib.Path) -> Any:
  tifffile = inputs.require("tifffile", "io")
  inputs.require("imagecodecs", "io")
  return tifffile.TiffFile(path)


def _series(path: pathlib.Path, file: Any) -> Any:
  """Returns the only series of pages that are alike."""
  series = file.series
  if not series:
    raise ValueError(f"cannot read {path} (it is cut short)")
  if len(series) > 1:
    raise ValueError(
      f"{path} holds {len(series)} series of pages that differ in size or "
      "type: give each its own file"
    )
  if not series[0].axes.endswith(("YX", "YXS")):
    raise ValueError(
      f"{path} holds pages of the axes {series[0].axes}: known are those that "
      "end in YX and YXS"
    )
  return series[0]


def _channels(path: pathlib.Path, page: Any, count: int) -> tuple[str, ...]:
  """Returns the names of the samples of a pixel."""
  kind, is_alpha = int(page.photometric), False
  if len(page.extrasamples) == 1:
    is_alpha = page.extrasamples[0] in (_PREMULTIPLIED, _STRAIGHT)
  colours = count - is_alpha
  names = tuple(f"channel{c}" for c in range(colours))
  if kind in (_RGB, _YCBCR) and colours == 3:
    names = picture.RGB
  elif kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and colours == 1:
    names = picture.GREY
  elif kind not in (_RGB, _BLACK_IS_ZERO):
    raise ValueError(
      f"{path} has colours of the kind {page.photometric.name} with {count} "
      "samples: convert it to grey or RGB"
    )
  return names + (picture.ALPHA,) * is_alpha


def read(path: pathlib.Path, i: int) -> np.ndarray:
  """Returns the pixels of page i, [h w c]; 0 is black.

  Raises:
    ValueError: the file is damaged.
  """
  with _opened(path) as file:
    series = _series(path, file)
    page = series.keyframe
    pixels = _page(file, series, i)
    axes = series.axes
  if pixels.dtype == bool:
    pixels = pixels.astype(np.uint8) * 255
  if int(page.photometric) == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
    pixels = np.iinfo(pixels.dtype).max - pixels
  if axes.endswith("SYX"):
    return np.moveaxis(pixels, 0, -1)
  return pixels if axes.endswith("S") else pixels[..., None]


def _page(file: Any, series: Any, i: int) -> np.ndarray:
  """Returns page i as it is stored."""
  shape = series.shape[-3 if "S" in series.axes else -2 :]
  count = series.size // int(np.prod(shape))
  if len(series.pages) == count:
    return series.pages[i].asarray()
  # One page stands for all: they lie one after the other behind it.
  if series.dataoffset is None:
    raise ValueError(f"{count} pages are stored as {len(series.pages)}")
  dtype = np.dtype(file.byteorder + series.dtype.char)
  offset = series.dataoffset + i * int(np.prod(shape)) * dtype.itemsize
  pixels = file.filehandle.memmap_array(dtype, shape, offset)
  return np.array(pixels, dtype.newbyteorder("="))


def write(
  path: pathlib.Path, what: picture.Picture, blocks: Iterable[np.ndarray]
) -> None:
  """Writes upright pages in compressed tiles.

  Args:
    path: of the file.
    what: the pages are.
    blocks: rows of them, page by page from the top, [r w c]; each begins at a
      multiple of `TILE` rows.
  """
  tifffile = inputs.require("tifffile", "io")
  inputs.require("imagecodecs", "io")
  channels, alpha = len(what.channels), int(what.has_alpha)
  is_rgb = what.channels[:3] == picture.RGB
  more = {}
  if channels > 1:
    extra = [0] * (channels - (3 if is_rgb else 1) - alpha)
    extra += [_PREMULTIPLIED if what.is_premultiplied else _STRAIGHT] * alpha
    more = {"planarconfig": "contig", "extrasamples": extra}
  if what.dpi is not None:
    more |= {"resolution": what.dpi, "resolutionunit": "inch"}
  shape = (what.count, *what.shape) + (channels,) * (channels > 1)
  text = {name: what.text.get(name, "").encode() for name in _TEXTS}
  tags = [
    (_TEXTS[name], 2, None, text[name], True)
    for name in ("Author", "Copyright")
    if text[name]
  ]
  size = int(np.prod(shape)) * np.dtype(what.dtype).itemsize
  is_big = size > _LARGEST_CLASSIC
  with tifffile.TiffWriter(path, bigtiff=is_big, ome=False) as file:
    file.write(
      _tiles(blocks),
      shape=shape,
      dtype=what.dtype,
      photometric="rgb" if is_rgb else "minisblack",
      tile=(TILE, TILE),
      compression="zlib",
      predictor=True,
      iccprofile=what.icc,
      description=text["Description"] or None,
      metadata=None,
      software=False,
      extratags=tags,
      **more,
    )


def _tiles(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
  """Yields the tiles of blocks of rows, those of one channel as [r w]."""
  for block in blocks:
    block = block if block.shape[-1] > 1 else block[..., 0]
    for r in range(0, block.shape[0], TILE):
      for c in range(0, block.shape[1], TILE):
        yield block[r : r + TILE, c : c + TILE]
