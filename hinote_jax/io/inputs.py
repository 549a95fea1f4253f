"""What every reader of files says when it cannot read.

Packages that are missing, names that are unknown, files that are damaged.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import importlib
import os
import pathlib
import types
from typing import Any
import warnings

import numpy as np

from hinote_jax.core import naming
from hinote_jax.fields import Reader
from hinote_jax.io import classic, room


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


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
  """Says of whatever a library raises over a file which file it is.

  A library has its own exceptions for what it expects to be damaged, and any
  other for what it does not. What names the file already passes as it is.

  Raises:
    ModuleNotFoundError: as it was.
    ValueError: the file cannot be read.
  """
  path = pathlib.Path(path)
  try:
    yield
  except ModuleNotFoundError:
    raise
  except Exception as error:
    # Those of libraries have classes of their own, or numbers below 0.
    is_ours = isinstance(error, ValueError | OSError)
    is_ours &= type(error).__module__ == "builtins"
    is_ours &= (getattr(error, "errno", None) or 0) >= 0
    if is_ours and path.name in str(error):
      raise
    raise ValueError(f"cannot read {path} ({line(error)})") from error


def guarded(open: Callable[..., Reader]) -> Callable[..., Reader]:
  """Returns a function that opens files, and reads of them, as `reading`.

  What a file claims to hold is refused where this machine has no room for it.

  Args:
    open: takes the path of a file and more, and returns a reader of it.
  """

  @functools.wraps(open)
  def opened(path, *args, **options):
    with reading(path):
      reader = open(path, *args, **options)
    header = reader.header
    cells = (*header.shape, len(header.variables))
    room.require_memory(path, "a field", cells)

    def read(i: int) -> np.ndarray:
      with reading(path):
        return reader.read(i)

    return dataclasses.replace(reader, read=read)

  return opened


def load_numpy(path: str | os.PathLike, **options: Any) -> Any:
  """Returns the array or archive of a file of NumPy, as `reading`.

  Args:
    path: of the file.
    **options: of np.load.
  """
  with reading(path):
    return np.load(path, allow_pickle=False, **options)


@contextlib.contextmanager
def beside_others() -> Iterator[None]:
  """Keeps zarr from warning of other files in the folder of a store."""
  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*not recognized as a component of")
    yield


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
  with reading(path), beside_others():
    if pathlib.Path(path).is_file():
      classic.require_whole(pathlib.Path(path))
    try:
      return xarray.open_dataset(path, **options)
    except ValueError as error:
      if "IO backends" in str(error):
        require("netCDF4", "io")
      raise
