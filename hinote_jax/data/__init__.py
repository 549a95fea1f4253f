"""Data: source -> tfds builder -> memory map -> split -> windows -> batches.

What is missing in the fields is filled on the way, and not scored (`holes`).

`load` gives a `Dataset`; `splits`, `normalise` and `batches` do the rest. Each
source is documented where it is made: what it is, its licence and units, how to
get it and how it is split.

    era5_sample   24 fields of weather that come with a package
    era5          weather: NetCDF or Zarr of any kind, SuperBench's HDF5
    superbench    SuperBench's HDF5: turbulence, weather, cosmology
    turbulence2d  generated turbulence
    sevir         storms: SEVIR's HDF5 and its catalogue
    mri           heads that come with a package, NIfTI, fastMRI's HDF5
    images        folders of PNG, JPEG, TIFF
    div2k         photographs, by tensorflow-datasets
    files         your own, in any format that `io` reads

Importing this package imports no reader of files.
"""

from collections.abc import Callable, Sequence
import importlib
import inspect
import os

from hinote_jax.core import naming
from hinote_jax.data import builder, holes, series
from hinote_jax.data.series import Dataset

# Name -> module of this package and function in it.
SOURCES = {
  "era5_sample": ("era5", "sample"),
  "era5": ("era5", "era5"),
  "superbench": ("superbench", "superbench"),
  "turbulence2d": ("turbulence", "turbulence2d"),
  "sevir": ("sevir", "sevir"),
  "mri": ("mri", "mri"),
  "images": ("pictures", "images"),
  "div2k": ("pictures", "div2k"),
  "files": ("files", "files"),
}


def load(
  name: str,
  *,
  variables: Sequence[str] | None = None,
  path: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
  cache_dir: str | os.PathLike | None = None,
  **options: object,
) -> Dataset:
  """Returns a dataset by name, from the cache or through it.

  Example:
    dataset = data.load("files", path="fields/*.nc", variables=("t2m", "u10"))
    dataset.values  # [t H W c], a memory map
    dataset.times, dataset.header.y

  Args:
    name: see the list above; one that has sizes may be followed by one, as in
      "turbulence2d:small".
    variables: names, in the order of the channels, or all of them in one
      string, between commas; None or none takes all.
    path: the files, of those that are not made or installed; "" is as good as
      None.
    cache_dir: see `builder.cached`.
    **options: of the source; see its function.

  Raises:
    ValueError: the name or an option is unknown, or the data are not usable.
    ModuleNotFoundError: a package that the source needs is missing.
    OSError: a file is missing, or the cache cannot be written.

  Examples:
    >>> import numpy as np
    >>> np.save("fields.npy", np.zeros((3, 4, 5), np.float32))
    >>> dataset = load("files", path="fields.npy", cache_dir="cache")
    >>> dataset.values.shape  # [t H W c], a memory map
    (3, 4, 5, 1)
  """
  fields = source(name, variables=variables, path=path, **options)
  return holes.filled(builder.cached(fields, cache_dir), cache_dir)


def source(
  name: str,
  *,
  variables: Sequence[str] | None = None,
  path: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
  **options: object,
) -> series.Source:
  """Returns a source by name; arguments and errors as of `load`.

  Examples:
    >>> import numpy as np
    >>> np.save("series.npy", np.zeros((3, 4, 5), np.float32))
    >>> source("files", path="series.npy").shape
    (4, 5)
  """
  name, _, size = name.partition(":")
  make = maker(name)
  taken = inspect.signature(make).parameters
  # A config cannot hold None for what a flag may give later: it has "" or ().
  if path not in (None, "", ()):
    options["path"] = path
  elif "path" in taken and taken["path"].default is inspect.Parameter.empty:
    raise ValueError(
      f"the dataset {name!r} needs a path to the files, a glob pattern or "
      "several: give --config.data.path=..."
    )
  if size:
    if options.setdefault("size", size) != size:
      raise ValueError(
        f"the dataset is called {name}:{size} and its size is asked to be "
        f"{options['size']!r}: say one of them"
      )
  for option in options:
    if option not in taken:
      known = ", ".join(taken)
      raise ValueError(
        f"the dataset {name!r} takes no {option!r}; it takes {known}"
      )
  return make(variables=_names(variables), **options)


def options(name: str) -> dict[str, object]:
  """Returns what a source takes beside variables and path, with its defaults.

  Raises:
    ValueError: there is no such source.

  Examples:
    >>> options("files")["grouped"]
    False
  """
  taken = inspect.signature(maker(name)).parameters
  return {
    option: parameter.default
    for option, parameter in taken.items()
    if option not in ("variables", "path")
  }


def maker(name: str) -> Callable[..., series.Source]:
  """Returns the function that makes a source, by the name of the source.

  Raises:
    ValueError: there is no such source.

  Examples:
    >>> maker("era5_sample").__name__
    'sample'
  """
  module, function = naming.look_up("dataset", name, SOURCES)
  return getattr(
    importlib.import_module(f"hinote_jax.data.sources.{module}"), function
  )


def _names(variables: Sequence[str] | None) -> tuple[str, ...] | None:
  """Returns the names asked for, None for all; a flag gives "a,b" as one."""
  if isinstance(variables, str):
    variables = (variables,)
  if variables is not None and len(variables) == 1:
    variables = [name.strip() for name in variables[0].split(",")]
  return tuple(name for name in variables or () if name) or None
