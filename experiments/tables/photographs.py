"""Writes photographs in grey, at their size and halved, to train tables on.

    python -m experiments.tables.photographs FOLDER [--colour]

They come with scikit-image: of NASA (public domain) or CC0, so that what is
trained on them may be given to anybody. Halved, they are as sharp as those
that tables are scored on. With --colour those of them that are in colour are
copied as they are.
"""

import argparse
import importlib.util
import pathlib
import shutil

import numpy as np
from PIL import Image

_NAMES = (
  "astronaut.png",
  "brick.png",
  "camera.png",
  "chelsea.png",
  "coffee.png",
  "grass.png",
  "gravel.png",
  "ihc.png",
  "rocket.jpg",
)


def _halved(values: np.ndarray) -> np.ndarray:
  """Returns means of 2 x 2 samples, rounded."""
  h, w = (n // 2 for n in values.shape)
  cells = values[: 2 * h, : 2 * w].reshape(h, 2, w, 2)
  return np.round(cells.mean(axis=(1, 3))).astype(np.uint8)


def _files() -> list[pathlib.Path]:
  """Returns where the photographs are.

  Raises:
    ModuleNotFoundError: scikit-image is not installed.
  """
  spec = importlib.util.find_spec("skimage")
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      "the photographs come with scikit-image: pip install scikit-image"
    )
  return [pathlib.Path(spec.origin).parent / "data" / n for n in _NAMES]


def write(folder: pathlib.Path, *, in_colour: bool = False) -> None:
  """Writes them into a folder, made where it is missing.

  Args:
    folder: where they go.
    in_colour: copies those in colour, and none in grey.

  Raises:
    ModuleNotFoundError: scikit-image is not installed.
  """
  folder.mkdir(parents=True, exist_ok=True)
  for path in _files():
    picture = Image.open(path)
    if in_colour:
      if picture.mode == "RGB":
        shutil.copy(path, folder)
      continue
    grey = np.asarray(picture.convert("L"))
    stem = folder / path.stem
    Image.fromarray(grey).save(f"{stem}.png")
    Image.fromarray(_halved(grey)).save(f"{stem}_halved.png")


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("folder", type=pathlib.Path)
  parser.add_argument("--colour", action="store_true")
  arguments = parser.parse_args()
  write(arguments.folder, in_colour=arguments.colour)
