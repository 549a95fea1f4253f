"""Tests of which dimension of a file is time, and its dates."""

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.data import calendar as calendars
from hinote_jax.data.sources import files
from hinote_jax.io import cf_times

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


def _written(folder, array):
  array.to_netcdf(folder / "a.nc", engine="scipy")
  return folder / "a.nc"


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
    ("n y lon", "n y lon"),
    ("lat n x", "n lat x"),
    ("n one when", "when n one"),  # time is no column
    ("lat lon", "lat lon"),
    ("x y", "y x"),
    ("one lat lon time", "time lat lon"),
    ("lat one lon", "one lat lon"),
    ("run step lat lon", "step lat lon"),
    ("level lat lon time", None),
    ("time step lat lon", None),
    ("level n lat lon", None),
    ("time lat", None),
  ],
)
def test_time_is_found_and_comes_first(tmp_path, dims, expected):
  array = _array(dims)
  path = _written(tmp_path, array)
  if expected is None:
    with pytest.raises(ValueError, match="a.nc: 'u' has axes .*(time|level)"):
      io.series(path)
    return
  reader = io.series(path)
  header = reader.header
  names = [d.name for d in header.leads] + [header.y.name, header.x.name]
  assert names == expected.split()
  dropped = [d for d in array.dims if d not in names]
  same = array.squeeze(dropped).transpose(*names).values
  found = np.stack(list(reader)).reshape(same.shape)
  np.testing.assert_array_equal(found, same)


def test_a_field_needs_two_dimensions(tmp_path):
  with pytest.raises(ValueError, match="a.nc has no variable of numbers over"):
    io.series(_written(tmp_path, _array("lat")))


def test_time_is_found_by_name_without_a_coordinate(tmp_path):
  reader = io.series(_written(tmp_path, _array("lat lon time", bare=("time",))))
  assert [d.name for d in reader.header.leads] == ["time"]
  assert reader.times is None


def test_time_of_a_whole_file_is_kept(tmp_path):
  array = _array("lat lon").assign_coords(
    step=6, time=_DAYS[0], valid_time=_DAYS[1]
  )
  assert io.series(_written(tmp_path, array)).times == _DAYS[1:2]
  levels = _array("level lat lon").assign_coords(time=_DAYS[0])
  with pytest.raises(ValueError, match="select one level first"):
    io.series(_written(tmp_path, levels))


def test_steps_of_a_forecast_have_the_dates_they_are_for(tmp_path):
  array = _array("step lat lon").assign_coords(valid_time=("step", _DAYS))
  found = io.series(_written(tmp_path, array))
  np.testing.assert_array_equal(found.times, _DAYS)


def test_numbers_along_time_are_its_labels(tmp_path):
  found = io.series(_written(tmp_path, _array("step lat lon")))
  np.testing.assert_array_equal(found.times, np.arange(3))


def test_dates_of_other_calendars_are_dates(tmp_path):
  pytest.importorskip("cftime")
  array = _array("y x n").assign_coords(n=("n", np.arange(3.0)))
  array["n"].attrs |= {"units": "days since 2001-02-27", "calendar": "noleap"}
  found = io.series(_written(tmp_path, array))
  assert [d.name for d in found.header.leads] == ["n"]
  assert [str(date)[:10] for date in found.times] == [
    "2001-02-27",
    "2001-02-28",
    "2001-03-01",
  ]


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_dates_of_other_calendars_are_of_the_year_where_it_has_them(
  tmp_path, calendar
):
  pytest.importorskip("cftime")
  array = _array("y x n").assign_coords(n=("n", np.arange(3.0)))
  array["n"].attrs |= {"units": "days since 2001-02-28", "calendar": calendar}
  path = _written(tmp_path, array)
  found = cf_times.dates(io.open(path).header)
  labels = files.files(path).times
  if calendar == "360_day":
    assert labels[1] == "2001-02-29T00:00:00"
    assert found is None
    with pytest.raises(ValueError, match="'sun' .* days that the year has not"):
      calendars.dates(labels, "sun")
    return
  assert labels[1] == "2001-03-01T00:00:00"
  np.testing.assert_array_equal(found, calendars.dates(labels, "sun"))


def test_missing_dates_are_refused(tmp_path):
  days = _DAYS.copy()
  days[1] = np.datetime64("NaT", "D")
  path = _written(tmp_path, _array("time lat lon").assign_coords(time=days))
  with pytest.raises(ValueError, match="time at index 1 of 'time' is missing"):
    io.series(path)


def test_one_level_of_some_variables_is_no_dimension(tmp_path):
  array = _array("time lat lon")
  level = (array + 1.0).expand_dims(level=[500.0], axis=1).rename("z")
  xarray.merge([array, level]).to_netcdf(tmp_path / "a.nc", engine="scipy")
  field = io.read(tmp_path / "a.nc", ("u", "z"))
  assert field.header.lead_shape == (3,)
  np.testing.assert_array_equal(field.values[..., 1], field.values[..., 0] + 1)
  io.write(tmp_path / "b.nc", field)
  again = io.read(tmp_path / "b.nc", ("u", "z"))
  np.testing.assert_array_equal(again.values, field.values)


def test_steps_may_be_uneven_where_nothing_is_refined(tmp_path):
  array = _array("time lat lon").assign_coords(lat=[0.0, 1.0, 3.0, 4.0])
  path = _written(tmp_path, array)
  assert not io.series(path).header.y.is_even
  with pytest.raises(ValueError, match="a.nc: lat is uneven, 1 at index 1"):
    io.open(path)
