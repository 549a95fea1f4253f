"""Copies photographs in colour that are installed, to try what reads them.

    python -m experiments.four_sciences.photographs FOLDER

They come with scikit-image: of NASA (public domain) or CC0.
"""

import importlib.util
import pathlib
import shutil
import sys

_NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def write(folder: pathlib.Path) -> None:
  """Copies them into a folder, made where it is missing.

  Raises:
    ModuleNotFoundError: scikit-image is not installed.
  """
  found = importlib.util.find_spec("skimage")
  if found is None:
    raise ModuleNotFoundError(
      "the photographs come with scikit-image: pip install scikit-image"
    )
  folder.mkdir(parents=True, exist_ok=True)
  for name in _NAMES:
    shutil.copy(pathlib.Path(found.origin).parent / "data" / name, folder)


if __name__ == "__main__":
  write(pathlib.Path(sys.argv[1]))
