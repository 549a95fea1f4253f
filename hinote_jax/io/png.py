"""PNG files: what they say, their pixels, and writing them row by row.

Pillow cannot read or write colours of 16 bits. Pixels are read by imagecodecs;
a picture is written here, a block of rows at a time, with what belongs to it.
Section numbers are those of the specification, https://www.w3.org/TR/png-3/.
"""

from collections.abc import Iterable, Iterator, Mapping
import pathlib
import struct
from typing import Any, BinaryIO
import zlib

import numpy as np

from hinote_jax.io import inputs, picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Number of channels to type of colour and back, section 11.2.1; type 3 is a
# palette.
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_METRES_PER_INCH = 0.0254
_ORIENTATION = 274
_LARGEST_TEXT = 64 << 20
# Rows are filtered this many bytes at a time, which keeps them in the cache.
_FILTERED_BYTES = 1 << 20


def info(path: pathlib.Path) -> picture.Picture:
  """Reads what a file says of its picture, not the pixels.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it is no PNG file, is cut short, or holds an animation.
  """
  chunks, text = {}, {}
  for kind, data in _chunks(path):
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
      text.update([_text(kind, data)])
    else:
      chunks.setdefault(kind, data)
  width, height, depth, colour = struct.unpack(">2I2B", chunks[b"IHDR"][:10])
  count = _CHANNELS[colour]
  is_transparent = colour in (4, 6) or b"tRNS" in chunks
  colours = picture.GREY if count < 3 else picture.RGB
  return picture.Picture(
    shape=(height, width),
    channels=colours + (picture.ALPHA,) * is_transparent,
    dtype="uint16" if depth == 16 else "uint8",
    text=text,
    **_rendering(chunks),
  )


def _chunks(path: pathlib.Path) -> Iterator[tuple[bytes, bytes]]:
  """Yields (type, data) of each chunk but those of the pixels."""
  with path.open("rb") as file:
    if file.read(8) != _SIGNATURE:
      raise ValueError("it is no PNG file")
    kind = b""
    while kind != b"IEND":
      start = file.read(8)
      if len(start) < 8:
        raise ValueError("it is cut short")
      length, kind = struct.unpack(">I4s", start)
      if kind == b"acTL":
        raise ValueError("it is animated: give each picture its own file")
      if kind == b"IDAT":
        file.seek(length + 4, 1)
        continue
      data, check = file.read(length), file.read(4)
      if check != struct.pack(">I", zlib.crc32(kind + data)):
        raise ValueError(f"its chunk {kind.decode('latin-1')} is damaged")
      yield kind, data


def _rendering(chunks: Mapping[bytes, bytes]) -> dict[str, Any]:
  """Returns profile, gamma, dots an inch and which side is up."""
  known = {}
  if b"iCCP" in chunks:
    _, packed = chunks[b"iCCP"].split(b"\0", 1)
    known["icc"] = _inflated(packed[1:])
  if b"gAMA" in chunks:
    known["gamma"] = struct.unpack(">I", chunks[b"gAMA"])[0] / 1e5
  if b"pHYs" in chunks:
    x, y, unit = struct.unpack(">2IB", chunks[b"pHYs"])
    if unit == 1:
      known["dpi"] = (x * _METRES_PER_INCH, y * _METRES_PER_INCH)
  if b"eXIf" in chunks:
    exif = inputs.require("PIL.Image", "io").Exif()
    exif.load(chunks[b"eXIf"])
    known["orientation"] = int(exif.get(_ORIENTATION, 1))
  return known


def _text(kind: bytes, data: bytes) -> tuple[str, str]:
  """Returns keyword and text of a chunk, section 11.3.3."""
  keyword, rest = data.split(b"\0", 1)
  encoding = "latin-1"
  if kind == b"zTXt":
    rest = _inflated(rest[1:])
  elif kind == b"iTXt":
    is_packed, encoding = rest[0], "utf-8"
    _, _, rest = rest[2:].split(b"\0", 2)
    rest = _inflated(rest) if is_packed else rest
  return keyword.decode("latin-1"), rest.decode(encoding, "replace")


def _inflated(data: bytes) -> bytes:
  """Returns what was packed; a few bytes may stand for gigabytes."""
  inflate = zlib.decompressobj()
  whole = inflate.decompress(data, _LARGEST_TEXT)
  if not inflate.eof:
    raise ValueError(
      f"a text or profile in it is damaged or over {_LARGEST_TEXT >> 20} MB"
    )
  return whole


def read(path: pathlib.Path, i: int) -> np.ndarray:
  """Returns the pixels, [h w c] uint8 or uint16; i is 0.

  Palettes and transparent colours are looked up.

  Raises:
    ValueError: the file is damaged.
  """
  imagecodecs = inputs.require("imagecodecs", "io")
  pixels = imagecodecs.png_decode(path.read_bytes())
  return pixels if pixels.ndim == 3 else pixels[..., None]


def write(
  path: pathlib.Path, what: picture.Picture, blocks: Iterable[np.ndarray]
) -> None:
  """Writes an upright picture.

  Args:
    path: of the file.
    what: the picture is, uint8 or uint16.
    blocks: rows of it from the top, [r w c].
  """
  (height, width), channels = what.shape, len(what.channels)
  depth = np.dtype(what.dtype).itemsize
  colour = _COLOURS[channels]
  size = struct.pack(">2I5B", width, height, 8 * depth, colour, 0, 0, 0)
  packer = zlib.compressobj()
  above = np.zeros(width * channels * depth, np.uint8)
  with path.open("wb") as file:
    file.write(_SIGNATURE)
    _put(file, b"IHDR", size)
    for kind, data in _ancillary(what):
      _put(file, kind, data)
    for block in blocks:
      samples = np.ascontiguousarray(block, f">u{depth}")
      rows = samples.view(np.uint8).reshape(len(block), -1)
      count = max(1, _FILTERED_BYTES // rows.shape[1])
      for first in range(0, len(rows), count):
        part = rows[first : first + count]
        lines = _filtered(part, above, channels * depth)
        _put(file, b"IDAT", packer.compress(lines.tobytes()))
        above = part[-1]
    _put(file, b"IDAT", packer.flush())
    _put(file, b"IEND", b"")


def _ancillary(what: picture.Picture) -> Iterator[tuple[bytes, bytes]]:
  """Yields the chunks that come before the pixels."""
  if what.gamma is not None:
    yield b"gAMA", struct.pack(">I", round(1e5 * what.gamma))
  if what.icc is not None:
    yield b"iCCP", b"icc\0\0" + zlib.compress(what.icc)
  if what.dpi is not None:
    x, y = (round(n / _METRES_PER_INCH) for n in what.dpi)
    yield b"pHYs", struct.pack(">2IB", x, y, 1)
  for keyword, text in what.text.items():
    name = keyword.encode("latin-1", "replace")[:79]
    try:
      yield b"tEXt", name + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
      yield b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8")


def _put(file: BinaryIO, kind: bytes, data: bytes) -> None:
  """Writes a chunk; a piece of the pixels that is still empty is left out."""
  if data or kind != b"IDAT":
    file.write(struct.pack(">I", len(data)) + kind + data)
    file.write(struct.pack(">I", zlib.crc32(kind + data)))


def _filtered(rows: np.ndarray, above: np.ndarray, pixel: int) -> np.ndarray:
  """Returns rows as differences, each by the filter of the least sum.

  Section 9.2, without the filter that takes the mean of two neighbours.

  Args:
    rows: [r n] uint8.
    above: the row before them, [n] uint8.
    pixel: bytes in one pixel.

  Returns:
    [r 1+n] uint8, the number of its filter before each row.
  """
  value = rows.astype(np.int16)
  up = np.concatenate([above[None].astype(np.int16), value[:-1]])
  left, corner = np.zeros_like(value), np.zeros_like(value)
  left[:, pixel:] = value[:, :-pixel]
  corner[:, pixel:] = up[:, :-pixel]
  guesses = {0: np.zeros_like(value), 1: left, 2: up}
  guesses[4] = _paeth(left, up, corner)
  off = np.stack([(value - g).astype(np.uint8) for g in guesses.values()])
  sums = np.abs(off.view(np.int8).astype(np.int16)).sum(axis=-1, dtype=np.int64)
  best = np.argmin(sums, axis=0)
  kinds = np.array(list(guesses), np.uint8)[best]
  lines = off[best, np.arange(len(rows))]
  return np.concatenate([kinds[:, None], lines], axis=1)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
  """Returns the neighbour nearest to left + up - corner, section 9.4."""
  to_left, to_up = np.abs(up - corner), np.abs(left - corner)
  to_corner = np.abs(left + up - 2 * corner)
  is_left = (to_left <= to_up) & (to_left <= to_corner)
  return np.where(is_left, left, np.where(to_up <= to_corner, up, corner))
