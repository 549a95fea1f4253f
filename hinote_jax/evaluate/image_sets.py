"""Images for evaluation: a folder of files, or DIV2K by tensorflow-datasets.

Every image is [H W 3] of uint8 or uint16 and is read when it is asked for.
"""

from collections.abc import Callable
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax.core import naming
from hinote_jax.io import images as pictures
from hinote_jax.io import inputs

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_DEPTHS = (np.uint8, np.uint16)


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
  """A set of images.

  Attributes:
    name: of the set.
    names: of each image.
    read: index -> [H W 3], uint8 or uint16.
  """

  name: str
  names: tuple[str, ...]
  read: Callable[[int], np.ndarray]


def load(
  name: str,
  *,
  path: str | os.PathLike | None = None,
  limit: int | None = None,
  **options: Any,
) -> Images:
  """Returns a set of images by name.

  Args:
    name: "folder" or "div2k".
    path: the folder; for "div2k" the data folder of tensorflow-datasets, None
      for its own default.
    limit: take only so many, the first.
    **options: of `folder` or `div2k`.

  Raises:
    ValueError: the name is unknown, or there are no images.
    OSError: the folder or the data set is not there.
  """
  source = naming.look_up("image set", name, {"folder": folder, "div2k": div2k})
  images = source(path, **options)
  if limit is None:
    return images
  if limit < 1:
    raise ValueError(f"limit must be at least 1 image, got {limit}")
  return dataclasses.replace(images, names=images.names[:limit])


def folder(path: str | os.PathLike | None) -> Images:
  """Returns the images of a folder, by name; sub-folders are left out."""
  if not path:
    raise ValueError("images need a folder: give --config.data.path=FOLDER")
  root = pathlib.Path(path)
  if not root.is_dir():
    raise NotADirectoryError(f"{str(path)!r} is not a folder of images")
  files = sorted(
    file
    for file in root.iterdir()
    if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
  )
  if not files:
    raise ValueError(
      f"folder {str(path)!r} holds no image: known are {', '.join(SUFFIXES)}"
    )
  return Images(
    name=root.resolve().name,
    names=tuple(file.name for file in files),
    read=lambda i: read(files[i]),
  )


def div2k(
  path: str | os.PathLike | None,
  *,
  config: str = "bicubic_x2",
  split: str = "validation",
) -> Images:
  """Returns the high-resolution images of a part of DIV2K.

  There are 100 of "validation" and 800 of "train". They must have been
  prepared by tensorflow-datasets; any configuration has the same ones. They
  come in the order of its records, not of their numbers.
  """
  tfds = inputs.require("tensorflow_datasets", "data")
  inputs.require("array_record", "data")
  inputs.require("PIL.Image", "io")
  builder = tfds.builder(
    f"div2k/{config}", data_dir=None if path is None else os.fspath(path)
  )
  where = builder.data_dir_root
  command = f"tfds build div2k --config={config} --file_format=array_record"
  if not builder.is_prepared():
    raise FileNotFoundError(
      f"div2k/{config} is not prepared in {where}: run `{command} "
      f"--data_dir={where}` (it downloads the images and needs TensorFlow), or "
      "name another folder by --config.data.path"
    )
  try:
    records = builder.as_data_source(
      split, decoders={"lr": tfds.decode.SkipDecoding()}
    )
  except (NotImplementedError, ValueError) as error:
    reason = " ".join(str(error).split())[:200]
    raise ValueError(
      f"div2k/{config} in {where} cannot be read image by image ({reason}): "
      f"prepare it by `{command}` in another folder"
    ) from error
  return Images(
    name=f"DIV2K {split} (tensorflow-datasets, div2k/{config})",
    names=tuple(f"record {i}" for i in range(len(records))),
    read=lambda i: np.asarray(records[i]["hr"]),
  )


def read(path: str | os.PathLike) -> np.ndarray:
  """Reads an image file, [H W 3], uint8 or uint16.

  Grey images become three equal channels, as the published code has it;
  palettes are looked up; an alpha channel that is opaque everywhere is dropped.
  A tag that says which side is up is not obeyed.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it is damaged, partly transparent, has several pictures, or is
      neither grey nor RGB of 8 or 16 bits.
  """
  what, pixels = pictures.stored(pathlib.Path(path))
  if what.count > 1:
    raise ValueError(
      f"{path} holds {what.count} pictures: give each its own file"
    )
  if what.has_alpha and pixels[..., -1].min() < np.iinfo(pixels.dtype).max:
    raise ValueError(
      f"{path} is partly transparent: put it on a background first"
    )
  colours = pixels[..., : pixels.shape[-1] - what.has_alpha]
  if colours.shape[-1] not in (1, 3) or colours.dtype not in _DEPTHS:
    raise ValueError(
      f"{path} holds {', '.join(what.channels)} of {what.dtype}: convert it to "
      "grey or RGB of 8 or 16 bits"
    )
  return np.repeat(colours, 3, axis=-1) if colours.shape[-1] == 1 else colours
