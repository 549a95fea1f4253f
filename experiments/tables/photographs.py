"""Writes photographs in grey, at their size and halved, to train tables on.

    python -m experiments.tables.photographs FOLDER

They come with scikit-image: of NASA (public domain) or CC0, so that what is
trained on them may be given to anybody. Halved, they are as sharp as those
that tables are scored on.
"""

import importlib.util
import pathlib
import sys

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


def write(folder: pathlib.Path) -> None:
  """Writes them into a folder, made where it is missing.

  Raises:
    ModuleNotFoundError: scikit-image is not installed.
  """
  spec = importlib.util.find_spec("skimage")
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      "the photographs come with scikit-image: pip install scikit-image"
    )
  folder.mkdir(parents=True, exist_ok=True)
  for name in _NAMES:
    path = pathlib.Path(spec.origin).parent / "data" / name
    grey = np.asarray(Image.open(path).convert("L"))
    stem = folder / path.stem
    Image.fromarray(grey).save(f"{stem}.png")
    Image.fromarray(_halved(grey)).save(f"{stem}_halved.png")


if __name__ == "__main__":
  write(pathlib.Path(sys.argv[1]))
