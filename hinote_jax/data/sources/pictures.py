"""Pictures: folders of PNG, JPEG and TIFF, and DIV2K.

Values are in [0, 1]: samples of 8 bits over 255, of 16 bits over 65535; TIFF of
float32 as it is. A field is a picture, or a window of one:

  `tiles` x `tiles` windows of `shape` lie evenly from edge to edge of a
  picture, one in the middle where `tiles` is 1. A picture that is smaller is
  mirrored at its edges, evenly on both sides, to that shape.

Without a shape the pictures must be of one size and are taken whole.

DIV2K, Agustsson & Timofte 2017 (CVPR workshops), is for research only; see
`div2k` for how to get it. Split: by file, never within one; DIV2K's published
parts by train="train/*", test="validation/*".
"""

from collections.abc import Sequence
import functools
import hashlib
import itertools
import os
import pathlib

import numpy as np

from hinote_jax import fields
from hinote_jax.data import paths, series
from hinote_jax.evaluate import image_sets
from hinote_jax.fields import axes
from hinote_jax.io import images as readers
from hinote_jax.io import inputs, picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
_BITS = {"uint8": 8, "uint16": 16, "float32": 32}
_DIV2K = (
  "DIV2K, Agustsson & Timofte 2017, NTIRE 2017 Challenge on Single Image "
  "Super-Resolution (CVPR workshops); for academic research only"
)


def images(
  variables: Sequence[str] | None = None,
  *,
  path: paths.Paths,
  shape: tuple[int, int] | None = None,
  tiles: int = 1,
  bits: int | None = None,
  citation: str = "",
) -> series.Source:
  """Returns pictures, or windows of them, each file a group.

  Args:
    variables: channels: ("grey",) or ("red", "green", "blue"), or some of
      these; None takes those of the first picture. All pictures must have
      them; alpha is left out by naming the colours.
    path: a folder of pictures, a pattern, or files.
    shape: (H, W) of every field; None takes whole pictures of one size.
    tiles: windows along either axis of a picture.
    bits: 8 or 16 that a sample must have; None takes what the first has, which
      all must have.
    citation: whom to thank.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: a package that reads a format is missing.
    ValueError: a picture is damaged, or differs in channels, depth or size.
  """
  files = paths.expand(path, SUFFIXES)
  opened = [readers.open(p) for p in files]
  names = _channels(files, opened, variables)
  _check_depth(files, opened, bits)
  if shape is None:
    shape = _one_size(files, opened)
  where = [
    (k, page, *window)
    for k, reader in enumerate(opened)
    for page in range(len(reader))
    for window in _windows(reader.header.shape, shape, tiles).items()
  ]

  def read(k: int, page: int) -> np.ndarray:
    chosen = [opened[k].header.names.index(name) for name in names]
    return opened[k].read(page)[..., chosen]

  labels = paths.labels(files)
  options = [*names, *map(str, (*shape, tiles))]
  return _source(
    "images",
    names,
    shape,
    times=tuple(_label(labels[k], page, start) for k, page, start, _ in where),
    groups=tuple(labels[k] for k, *_ in where),
    citation=citation,
    fingerprint=paths.fingerprint(files, options),
    reader=_reader(read, [(k, p, n) for k, p, _, n in where], shape, tiles),
  )


def _reader(read_picture, where, shape, tiles):
  """Returns what reads a window; a picture is decoded once for all of its.

  Args:
    read_picture: gives a picture [h w c] by what names it.
    where: of each window, what names its picture, and its number.
    shape: (H, W) of every window.
    tiles: windows along either axis.
  """

  @functools.lru_cache(maxsize=1)
  def whole(*picture) -> np.ndarray:
    return padded(read_picture(*picture), shape)

  def read(i: int) -> np.ndarray:
    *picture, number = where[i]
    values = whole(*picture)
    starts = itertools.product(*_starts(values.shape, shape, tiles))
    y, x = list(starts)[number]
    return values[y : y + shape[0], x : x + shape[1]]

  return read


def div2k(
  variables: Sequence[str] | None = None,
  *,
  path: str | os.PathLike | None = None,
  shape: tuple[int, int] = (256, 256),
  tiles: int = 2,
  config: str = "bicubic_x2",
) -> series.Source:
  """Returns windows of the 900 pictures of DIV2K, each picture a group.

  They must have been prepared by tensorflow-datasets, which needs TensorFlow
  for it: tfds build div2k --config=bicubic_x2 --file_format=array_record

  Args:
    variables: some of red, green, blue; None is all.
    path: the data folder of tensorflow-datasets; None is its own default.
    shape: (H, W) of every window, no larger than the pictures.
    tiles: windows along either axis of a picture.
    config: any configuration has the same pictures of high resolution.

  Raises:
    FileNotFoundError: it is not prepared.
    ModuleNotFoundError: a package is missing.
    ValueError: it cannot be read picture by picture.
  """
  names = tuple(variables or picture.RGB)
  chosen = [picture.RGB.index(n) for n in _known(names, picture.RGB, "DIV2K")]
  parts = {
    part: image_sets.div2k(path, config=config, split=part)
    for part in ("train", "validation")
  }
  where = [
    (part, k, t)
    for part, pictures in parts.items()
    for k in range(len(pictures.names))
    for t in range(tiles * tiles)
  ]
  labels = [f"{part}/{k}" for part, k, _ in where]
  digest = hashlib.sha256(repr((names, shape, tiles, len(where))).encode())
  for pictures in parts.values():  # the first picture stands for all
    digest.update(pictures.read(0).tobytes())

  def read(part: str, k: int) -> np.ndarray:
    return parts[part].read(k)[..., chosen] / np.float32(255)

  times = (f"{a} window {t}" for a, (*_, t) in zip(labels, where, strict=True))
  return _source(
    "div2k",
    names,
    shape,
    times=tuple(times),
    groups=tuple(labels),
    citation=_DIV2K,
    fingerprint=digest.hexdigest(),
    reader=_reader(read, where, shape, tiles),
  )


def padded(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Returns a picture mirrored at its edges to a shape, if it is smaller.

  Args:
    values: [h w c].
    shape: (H, W), what it must have at least.
  """
  missing = [max(m - n, 0) for n, m in zip(values.shape, shape, strict=False)]
  if not any(missing):
    return values
  margins = [(m // 2, m - m // 2) for m in missing]
  return np.pad(values, [*margins, (0, 0)], mode="symmetric")


def _source(name, names, shape, **known) -> series.Source:
  return series.Source(
    name=name,
    header=fields.Header(
      tuple(
        fields.Variable(n, "1", {"long_name": f"{n} of [0, 1]"}) for n in names
      ),
      axes.counted("y", shape[0]),
      axes.counted("x", shape[1]),
    ),
    domain="image",
    **known,
  )


def _label(name, page, start) -> str:
  where = f" at {start[0]},{start[1]}" if any(start) else ""
  return name + (f" page {page}" if page else "") + where


def _starts(size, shape, tiles) -> list[list[int]]:
  """Returns where windows begin along y and x."""
  starts = []
  for n, m in zip(size, shape, strict=False):
    room = max(n - m, 0)
    ends = (0, room) if tiles > 1 else (room // 2, room // 2)
    starts.append(np.linspace(*ends, tiles).round().astype(int).tolist())
  return starts


def _windows(size, shape, tiles) -> dict[tuple[int, int], int]:
  """Returns where the windows of a picture begin, each once, and its number."""
  if tiles < 1:
    raise ValueError(f"tiles must be at least 1, got {tiles}")
  rows, columns = _starts(size, shape, tiles)
  numbers = {}
  for number, start in enumerate(itertools.product(rows, columns)):
    numbers.setdefault(start, number)
  return numbers


def _channels(files, opened, variables) -> tuple[str, ...]:
  """Returns the channels to take; refuses pictures without them."""
  first = opened[0].header.names
  names = tuple(variables or first)
  for p, reader in zip(files, opened, strict=True):
    held = reader.header.names
    what = "+".join(held)
    if variables is None and picture.ALPHA in held:
      colours = ",".join(n for n in held if n != picture.ALPHA)
      raise ValueError(
        f"{p} has the channels {what} and alpha is no colour to be learned: "
        f"name the others by config.data.variables={colours}"
      )
    if variables is None and held != first:
      raise ValueError(
        f"{p} has the channels {what} and {files[0]} has {'+'.join(first)}: "
        "give pictures that are all grey or all in colour"
      )
    if not set(names) <= set(held):
      raise ValueError(
        f"{p} has the channels {what} and {'+'.join(names)} is wanted: convert "
        "it, or name what it has"
      )
  return _known(names, names, files[0])


def _known(names, known, where) -> tuple[str, ...]:
  return inputs.choose(names, known, where)


def _check_depth(files, opened, bits) -> None:
  """Refuses pictures of other depths than asked for, or than the first."""
  held = [_BITS.get(r.header.variables[0].dtype, 0) for r in opened]
  if bits is not None and bits not in (8, 16, 32):
    raise ValueError(f"bits must be 8, 16 or 32, got {bits}")
  for p, depth in zip(files, held, strict=True):
    if bits is not None and depth != bits:
      raise ValueError(
        f"{p} has samples of {depth} bits and {bits} are asked for: its values "
        "would be read on another scale"
      )
    if depth != held[0]:
      raise ValueError(
        f"{p} has samples of {depth} bits and {files[0]} of {held[0]}: give "
        "pictures of one depth"
      )


def _one_size(files: Sequence[pathlib.Path], opened) -> tuple[int, int]:
  first = opened[0].header.shape
  for p, reader in zip(files, opened, strict=True):
    if reader.header.shape != first:
      raise ValueError(
        f"{p} is {reader.header.shape} and {files[0]} {first} pixels: give "
        "config.data.shape, the windows to cut of them"
      )
  return first
