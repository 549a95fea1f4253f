"""What every reader of files says when it cannot read.

Packages that are missing, names that are unknown, files that are damaged.
"""

from collections.abc import Iterable, Sequence
import importlib
import os
import pathlib
import pickle
import types
from typing import Any
import warnings
import zipfile

import numpy as np

from hinote_jax.core import naming


def require(module: str, extra: str) -> types.ModuleType:
  """Imports a package that an extra of this one installs.

  Raises:
    ModuleNotFoundError: it is missing; says which extra brings it.
  """
  try:
    return importlib.import_module(module)
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f"{error.name} is needed here: pip install 'hinote_jax[{extra}]'"
    ) from error


def choose(
  variables: Sequence[str] | None, known: Iterable[str], where: object
) -> tuple[str, ...]:
  """Returns the names asked for, all of them by default; refuses unknown ones.

  Raises:
    ValueError: a variable is unknown or asked for twice.
  """
  known = tuple(known)
  names = known if variables is None else tuple(variables)
  for name in names:
    if name not in known:
      raise ValueError(f"{where} has no {name!r}; {naming.hint(name, known)}")
  if not names or len(set(names)) < len(names):
    raise ValueError(
      f"name each variable of {where} once, got {list(names)}; known: "
      f"{', '.join(known)}"
    )
  return names


def line(error: Exception) -> str:
  """Returns what an error says, on one line."""
  return " ".join(str(error).split())[:200] or type(error).__name__


def load_numpy(path: str | os.PathLike, **options: Any) -> Any:
  """Returns the array or archive of a file of NumPy.

  Args:
    path: of the file.
    **options: of np.load.

  Raises:
    ValueError: the file cannot be read.
  """
  try:
    return np.load(path, allow_pickle=False, **options)
  except (
    OSError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
  ) as error:
    raise ValueError(f"cannot read {path} ({line(error)})") from error


def load_xarray(path: str | os.PathLike, **options: Any) -> Any:
  """Returns a NetCDF file or Zarr store as an xarray.Dataset, not loaded.

  Args:
    path: of the file or store.
    **options: of xarray.open_dataset.

  Raises:
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: the file cannot be read.
  """
  xarray = require("xarray", "io")
  if pathlib.Path(path).suffix == ".zarr":
    require("zarr", "io")
    # Looking for consolidated metadata warns and gains nothing on a disk.
    options = {"engine": "zarr", "consolidated": False} | options
  try:
    with warnings.catch_warnings():
      # Other files may lie in the folder of a store.
      warnings.filterwarnings("ignore", ".*not recognized as a component of")
      return xarray.open_dataset(path, **options)
  except (OSError, ValueError, KeyError) as error:
    if "IO backends" in str(error):
      require("netCDF4", "io")
    raise ValueError(f"cannot read {path} ({line(error)})") from error
