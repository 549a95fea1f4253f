"""TIFF files: what they say, their pixels, and writing them tile by tile.

Pages are alike, whether they were written at once or one by one; smaller copies
of a picture (pyramids, thumbnails) are passed over. ImageJ and OME say in a
text of their own how the pages are arranged and how large a pixel is; it goes
along.
"""

from collections.abc import Iterable, Iterator
import pathlib
import re
import struct
from typing import Any

import numpy as np

from hinote_jax.io import inputs, picture

TILE = 256  # rows and columns

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2
_ORIENTATION, _RESOLUTION_UNIT = 274, 296
_TEXTS = {"Description": 270, "Author": 315, "Copyright": 33432}
_LEADS = {"T": "time", "Z": "z", "C": "channel"}
_OME_TYPES = {"float32": "float", "float64": "double"}
# Offsets of 32 bits reach 4 GiB; the tags and tables need some of it.
_LARGEST_CLASSIC = (1 << 32) - (1 << 26)


def info(path: pathlib.Path) -> picture.Picture:
  """Reads what a file says of its pages, not the pixels.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it is no TIFF file or cut short, its pages differ, or its
      colours are neither grey nor RGB.
  """
  with _opened(path) as file:
    _require_chain(path, file)
    alike = _series(path, file)
    series, page = alike[0], alike[0].keyframe
    tags = page.tags
    unit = tags.valueof(_RESOLUTION_UNIT, 2)
    has_dpi = 282 in tags and 283 in tags and unit != 1
    text = {name: tags.valueof(tag) for name, tag in _TEXTS.items()}
    if file.is_shaped or file.is_imagej or file.is_ome:
      # Says how the pages are arranged, which will not be so any longer.
      text["Description"] = None
    is_one = len(alike) == 1
    is_short = page.dtype == bool or int(page.photometric) == _PALETTE
    structure = file.pages[0].description if file.is_imagej else ""
    structure = file.ome_metadata if file.is_ome else structure
    is_planes = series.axes.endswith("SYX")
    height, width = series.shape[-3 if series.axes[-1] == "S" else -2 :][:2]
    samples = {"S": series.shape[-1]}.get(series.axes[-1], 1)
    samples = series.shape[-3] if is_planes else samples
    return picture.Picture(
      shape=(height, width),
      channels=_channels(path, page, samples),
      dtype="uint8" if is_short else page.dtype.name,
      count=len(alike) * series.size // (height * width * samples),
      leads=_leads(series) if is_one else (),
      structure=structure if is_one else "",
      per_unit=page.resolution if file.is_imagej else None,
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


def _require_chain(path: pathlib.Path, file: Any) -> None:
  """Refuses a file in which pages follow that are not there.

  Each page says where the next one begins, the last one 0. Where that leads
  out of the file, tifffile takes the pages before it for all.
  """
  stream, tiff, known = file.filehandle, file.tiff, set()
  place = 8 if file.is_bigtiff else 4
  while page := _number(path, stream, place, tiff.offsetformat):
    if page >= stream.size or page in known:
      raise ValueError(
        f"cannot read {path} (it is cut short or damaged: page {len(known)} "
        f"is to begin at byte {page} of {stream.size})"
      )
    known.add(page)
    tags = _number(path, stream, page, tiff.tagnoformat)
    place = page + tiff.tagnosize + tags * tiff.tagsize


def _require_images(path: pathlib.Path, file: Any, series: list[Any]) -> None:
  """Refuses a file of ImageJ with fewer pictures than it says.

  They may all lie behind one page; where some are not there, tifffile takes
  that page alone.
  """
  if not file.is_imagej or series[0].kind == "imagej":
    return
  page, said = file.pages.first, file.imagej_metadata.get("images", 1)
  size = page.imagelength * page.imagewidth
  held = sum(one.size for one in series) // size
  if held < said:
    raise ValueError(
      f"cannot read {path} (it is cut short: it says of {said} pictures and "
      f"holds {held})"
    )


def _number(path: pathlib.Path, stream: Any, place: int, form: str) -> int:
  """Returns the number at a byte of a file."""
  stream.seek(place)
  data = stream.read(struct.calcsize(form))
  if len(data) < struct.calcsize(form):
    raise ValueError(f"cannot read {path} (it is cut short)")
  return struct.unpack(form, data)[0]


def _leads(series: Any) -> tuple[tuple[str, int], ...]:
  """Returns name and size of the dimensions that count the pages."""
  count = series.ndim - (3 if "S" in series.axes else 2)
  names = [_LEADS.get(axis, "page") for axis in series.axes[:count]]
  if len(set(names)) < len(names):
    names = [f"page{k}" for k in range(count)]
  return tuple(zip(names, series.shape[:count], strict=True))


def _series(path: pathlib.Path, file: Any) -> list[Any]:
  """Returns the series of pages, all of which are alike."""
  series = file.series
  if not series:
    raise ValueError(f"cannot read {path} (it is cut short)")
  _require_images(path, file, series)
  series = [one for one in series if not one.keyframe.is_reduced] or series
  looks = {(s.shape, s.dtype, s.axes, s.keyframe.photometric) for s in series}
  if len(looks) > 1:
    raise ValueError(
      f"{path} holds {len(series)} series of pages that differ in size or "
      "type: give each its own file"
    )
  if not series[0].axes.endswith(("YX", "YXS")):
    raise ValueError(
      f"{path} holds pages of the axes {series[0].axes}: known are those that "
      "end in YX and YXS"
    )
  return series


def _channels(path: pathlib.Path, page: Any, count: int) -> tuple[str, ...]:
  """Returns the names of the samples of a pixel."""
  kind, is_alpha = int(page.photometric), False
  if len(page.extrasamples) == 1:
    is_alpha = page.extrasamples[0] in (_PREMULTIPLIED, _STRAIGHT)
  colours = count - is_alpha
  names = tuple(f"channel{c}" for c in range(colours))
  is_palette = kind == _PALETTE and count == 1
  if is_palette or (kind in (_RGB, _YCBCR) and colours == 3):
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
    alike = _series(path, file)
    series, page = alike[0], alike[0].keyframe
    size = np.prod(series.shape[-3 if "S" in series.axes else -2 :])
    which, i = divmod(i, series.size // int(size))
    pixels = _page(file, alike[which], i)
    axes = series.axes
    if int(page.photometric) == _PALETTE:
      # The colours of a palette have 16 bits, of which 8 are told apart.
      pixels = np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1)
      return pixels.astype(np.uint8)
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
  if what.per_unit is not None:
    more |= {"resolution": what.per_unit, "resolutionunit": "none"}
  elif what.dpi is not None:
    more |= {"resolution": what.dpi, "resolutionunit": "inch"}
  shape = (what.count, *what.shape) + (channels,) * (channels > 1)
  text = {name: what.text.get(name, "").encode() for name in _TEXTS}
  description = text["Description"]
  if what.structure:
    is_ome = what.structure.rstrip().endswith("OME>")
    make = _ome if is_ome else _imagej
    description = make(what.structure, what).encode()
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
      description=description or None,
      metadata=None,
      software=False,
      extratags=tags,
      **more,
    )


def _ome(text: str, what: picture.Picture) -> str:
  """Returns what OME says of pictures, of finer ones."""
  sizes = {"SizeX": what.shape[1], "SizeY": what.shape[0]}

  def finer(match: re.Match) -> str:
    tag = match[0]
    for key, size in sizes.items():
      before = re.search(rf'\b{key}="(\d+)"', tag)
      length = re.search(rf'\bPhysical{key}="([^"]*)"', tag)
      if before and length:
        number = float(length[1]) * int(before[1]) / size
        tag = tag.replace(length[0], f'Physical{key}="{number!r}"')
      if before:
        tag = re.sub(rf'\b{key}="\d+"', f'{key}="{size}"', tag)
    kind = _OME_TYPES.get(what.dtype, what.dtype)
    return re.sub(r'\bType="[^"]*"', f'Type="{kind}"', tag)

  text = re.sub(r"<(\w+:)?Pixels\b[^>]*>", finer, text, count=1)
  # All pages lie in this file, one after the other.
  data = r"<(?:\w+:)?TiffData\b[^>]*/>|<(?:\w+:)?TiffData\b.*?TiffData>"
  first, *others = re.finditer(data, text, re.DOTALL)
  for match in reversed(others):
    text = text[: match.start()] + text[match.end() :]
  name = first[0][1:].split()[0].rstrip("/>")
  only = f'<{name} IFD="0" PlaneCount="{what.count}"/>'
  return text.replace(first[0], only, 1)


def _imagej(text: str, what: picture.Picture) -> str:
  """Returns what ImageJ says of pictures, which is the same of finer ones."""
  del what
  # The origin is counted in pixels, and would be wrong.
  return re.sub(r"(?m)^[xy]origin=.*\n?", "", text)


def _tiles(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
  """Yields the tiles of blocks of rows, those of one channel as [r w]."""
  for block in blocks:
    block = block if block.shape[-1] > 1 else block[..., 0]
    for r in range(0, block.shape[0], TILE):
      for c in range(0, block.shape[1], TILE):
        yield block[r : r + TILE, c : c + TILE]
