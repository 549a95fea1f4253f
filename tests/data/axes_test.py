"""Tests of which axis is taken for time, y and x."""

import types

import numpy as np
import pytest

from hinote_jax.data import axes

xarray = pytest.importorskip("xarray")

_DAYS = np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(
  1, "D"
)
_COORDS = {
  "time": _DAYS,
  "when": _DAYS,
  "step": np.arange(3),
  "run": _DAYS[:1],
  "lat": np.arange(4.0),
  "lon": np.arange(5.0),
  "level": np.arange(2),
  "one": np.arange(1),
}
_SIZES = {k: len(v) for k, v in _COORDS.items()} | {"n": 3, "y": 4, "x": 5}


def _array(text, bare=()):
  """An array whose axes are the words of a text; cells count in C order."""
  dims = text.split()
  shape = [_SIZES[d] for d in dims]
  coords = {d: _COORDS[d] for d in dims if d in _COORDS and d not in bare}
  values = np.arange(float(np.prod(shape))).reshape(shape)
  return xarray.DataArray(values, dims=dims, coords=coords, name="u")


@pytest.mark.parametrize(
  "dims, expected",
  [
    ("time lat lon", "time lat lon"),
    ("lat lon time", "time lat lon"),
    ("lon lat time", "time lat lon"),
    ("lat time lon", "time lat lon"),
    ("y x time", "time y x"),
    ("y x when", "when y x"),  # by its dates
    ("lat lon n", "n lat lon"),  # what remains
    ("n y x", "n y x"),  # by its place
    ("n y lon", None),
    ("lat n x", None),
    ("lat lon", "time lat lon"),
    ("x y", "time x y"),
    ("one lat lon time", "time lat lon"),
    ("lat one lon", "one lat lon"),
    ("run step lat lon", "step lat lon"),
    ("level lat lon time", None),
    ("time step lat lon", None),
    ("level n lat lon", None),
    ("time lat", None),
    ("lat", None),
  ],
)
def test_time_is_found_and_comes_first(dims, expected):
  array = _array(dims)
  if expected is None:
    with pytest.raises(ValueError, match="a.nc: 'u' has axes .*(time|level)"):
      axes.ordered("a.nc", array)
    return
  found = axes.ordered("a.nc", array)
  assert found.dims == tuple(expected.split())
  same = array.expand_dims([d for d in found.dims if d not in array.dims])
  dropped = [d for d in array.dims if d not in found.dims]
  same = same.squeeze(dropped).transpose(*found.dims)
  np.testing.assert_array_equal(found.values, same.values)


def test_time_is_found_by_name_without_a_coordinate():
  found = axes.ordered("a.nc", _array("lat lon time", bare=("time",)))
  assert found.dims == ("time", "lat", "lon")
  assert axes.times("a.nc", found, "time") is None


def test_time_of_a_whole_file_is_kept():
  array = _array("lat lon").assign_coords(
    step=6, time=_DAYS[0], valid_time=_DAYS[1]
  )
  found = axes.ordered("a.nc", array)
  assert found.dims == ("valid_time", "lat", "lon")
  assert axes.times("a.nc", found, "valid_time") == _DAYS[1:2]
  levels = _array("level lat lon").assign_coords(time=_DAYS[0])
  with pytest.raises(ValueError, match="select one level first"):
    axes.ordered("a.nc", levels)


def test_steps_of_a_forecast_have_the_dates_they_are_for():
  array = _array("step lat lon").assign_coords(valid_time=("step", _DAYS))
  found = axes.ordered("a.nc", array)
  np.testing.assert_array_equal(axes.times("a.nc", found, "step"), _DAYS)


def test_dates_of_other_calendars_are_dates():
  # Stand-ins for dates of cftime, which need not be installed.
  days = [types.SimpleNamespace(calendar="noleap", day=d) for d in (1, 2, 3)]
  array = _array("y x n").assign_coords(n=np.array(days, object))
  found = axes.ordered("a.nc", array)
  assert found.dims == ("n", "y", "x")
  assert list(axes.times("a.nc", found, "n")) == days


def test_missing_dates_are_refused():
  days = _DAYS.copy()
  days[1] = np.datetime64("NaT", "D")
  array = _array("time lat lon").assign_coords(time=days)
  with pytest.raises(ValueError, match="time at index 1 of 'time' is missing"):
    axes.times("a.nc", array, "time")
