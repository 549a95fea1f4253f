"""Static fields: averages over cells, climatologies, and what is refused."""

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.data import (
  calendar,
  climatology,
  normalise,
  rasters,
  static,
  static_windows,
)
from hinote_jax.fields import axes


def _degrees(first, last, step):
  y, x = np.arange(first[0], last[0], step), np.arange(first[1], last[1], step)
  return (
    axes.Axis.of("latitude", y, "degrees_north"),
    axes.Axis.of("longitude", x, "degrees_east"),
  )


@pytest.fixture(scope="module")
def globe():
  values = np.random.default_rng(0).normal(size=(36, 72, 2))
  return rasters.Raster(
    "noise", values, *_degrees((-87.5, 2.5), (90, 360), 5.0)
  )


def test_coarser_cells_have_the_mean_of_the_finer_also_across_the_date_line(
  globe,
):
  y = axes.Axis.of("lat", np.arange(80, -90, -20.0), "degrees_north")
  x = axes.Axis.of("lon", np.arange(-170, 180, 20.0), "degrees_east")
  want = np.roll(globe.values, 36, axis=1)
  want = want.reshape(9, 4, 18, 4, 2).mean((1, 3))[::-1]
  np.testing.assert_allclose(globe.on(y, x), want, atol=1e-6)


def test_cells_that_do_not_line_up_are_weighed_by_their_overlap(globe):
  y, x = _degrees((-80.0, 3.0), (80, 360), 7.0)
  got = globe.on(y, x)
  fine = np.repeat(np.repeat(globe.values, 10, 0), 10, 1)  # half a degree
  i, j = 11, 20
  rows = slice(round(2 * (y.values[i] - 3.5 + 90)), None)
  columns = slice(round(2 * (x.values[j] - 3.5)), None)
  want = fine[rows, columns][:14, :14].mean((0, 1))
  np.testing.assert_allclose(got[i, j], want, atol=1e-6)


def test_on_its_own_grid_they_are_the_values_at_poles_and_of_uneven_rows():
  lat, lon = np.linspace(90, -90, 13), np.arange(0, 360, 15.0)
  poles = axes.Axis.of("lat", lat, "degrees_north")
  x = axes.Axis.of("lon", lon, "degrees_east")
  rows = axes.Axis.of("y", np.tanh(np.linspace(-2, 2, 13)), may_be_uneven=True)
  values = np.random.default_rng(0).normal(size=(13, 24, 2))
  for y in (poles, rows):
    got = rasters.Raster("noise", values, y, x).on(y, x)
    np.testing.assert_array_equal(got, values.astype(np.float32))
  other = axes.Axis.of("y", np.linspace(-0.9, 0.9, 13))
  with pytest.raises(ValueError, match="noise: the steps of its y are uneven"):
    rasters.Raster("noise", values, rows, x).on(other, x)


def test_finer_points_are_interpolated_linearly_and_that_is_said(caplog):
  y, x = _degrees((-9.0, 1.0), (10, 20), 2.0)
  plane = 3.0 * y.values[:, None] - 2.0 * x.values
  fine = _degrees((-5.0, 3.0), (5, 15), 0.25)
  got = rasters.Raster("plane", plane[..., None], y, x).on(*fine)[..., 0]
  want = 3.0 * fine[0].values[:, None] - 2.0 * fine[1].values
  np.testing.assert_allclose(got, want, atol=1e-5)
  assert "plane has cells of 2 along latitude and is asked for at 0.25" in (
    caplog.text
  )


def test_grid_beyond_a_raster_or_in_other_units_is_refused():
  y, x = _degrees((40.5, 0.5), (60, 30), 1.0)
  region = rasters.Raster("dem", np.zeros((len(y), len(x), 1)), y, x)
  with pytest.raises(ValueError, match="dem covers latitude from 40.5 to 59.5"):
    region.on(*_degrees((30.5, 0.5), (60, 30), 1.0))
  metres = axes.Axis.of("y", np.arange(20.0), "m")
  with pytest.raises(ValueError, match="its latitude is in 'degrees_north'"):
    region.on(metres, x)


def test_holes_take_the_nearest_value():
  values = np.arange(12.0).reshape(3, 4, 1)
  values[1, 2] = np.nan
  filled, share = rasters.filled("dem", values)
  assert share == 1 / 12 and filled[1, 2, 0] in (2.0, 5.0, 7.0, 10.0)
  with pytest.raises(ValueError, match="dem is missing everywhere"):
    rasters.filled("dem", np.full((2, 2, 1), np.nan))


def test_earth_has_mountains_seas_and_their_roughness():
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  height, land, rough = (
    static.raw(f"earth:{name}", y, x)[..., 0]
    for name in ("orography", "land", "roughness")
  )
  tibet = np.argmin(abs(y.values - 33)), np.argmin(abs(x.values - 88))
  pacific = np.argmin(abs(y.values - 0)), np.argmin(abs(x.values - 200))
  assert height[tibet] > 4500 and land[tibet] > 0.95
  assert height[pacific] < 1 and land[pacific] < 0.01 and rough[pacific] < 5
  assert 0 <= land.min() and land.max() <= 1 and rough.min() >= 0


def _series(count=12, shape=(6, 8)):
  values = np.random.default_rng(1).normal(size=(count, *shape, 1))
  return values.astype(np.float32), normalise.Normaliser.fit(
    values, range(count)
  )


def test_climatology_leaves_the_field_and_its_neighbours_out():
  values, normaliser = _series()
  usual = climatology.Climatology(values, range(10), normaliser)
  iy, ix = np.arange(2, 5), np.arange(3, 9) % 8
  got = usual.without(4, iy, ix)
  others = [i for i in range(10) if i not in (3, 4, 5)]
  fields = normaliser.normalise(values[others])[:, iy][:, :, ix]
  np.testing.assert_allclose(got[..., :1], fields.mean(0), atol=1e-6)
  spread = np.log(fields.std(0) + 1e-3)
  np.testing.assert_allclose(got[..., 1:], spread, atol=1e-5)
  # A field that was not trained on is left out of nothing.
  np.testing.assert_array_equal(
    usual.without(11, np.arange(6), np.arange(8)), usual.whole()[0]
  )
  changed = values.copy()
  changed[4] += 100.0
  again = climatology.Climatology(changed, range(10), normaliser)
  np.testing.assert_allclose(again.without(4, iy, ix), got, atol=1e-4)


def test_climatology_of_an_hour_is_of_its_days_but_for_those_beside():
  values, normaliser = _series(24)
  hours = [i % 2 for i in range(24)]
  usual = climatology.Climatology(values, range(20), normaliser, hours, "hour")
  fields = normaliser.normalise(values)[..., :1].astype(np.float64)
  rows, columns = np.arange(6), np.arange(8)
  for hour, whole in usual.whole().items():
    want = fields[hour:20:2].mean(0)
    np.testing.assert_allclose(whole[..., :1], want, atol=1e-6)
  others = [i for i in range(0, 20, 2) if i not in (4, 6, 8)]
  np.testing.assert_allclose(
    usual.without(6, rows, columns)[..., :1], fields[others].mean(0), atol=1e-6
  )
  with pytest.raises(ValueError, match="of hour 0 needs 8 .* there are 5"):
    climatology.Climatology(values, range(10), normaliser, hours, "hour")


def test_what_takes_a_date_changes_with_it():
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  usual = {
    month: np.random.default_rng(month).normal(size=(len(y), len(x), 2))
    for month in (1, 2)
  }
  names = ("climatology:month", "sun", "season", "earth:land")
  known, _ = static.fit(names, y, x, usual)
  assert known.sources == ("earth:land", "sun", "season", "climatology:month")
  assert known.timed == "sun" and known.units == ("1",) * 6
  again = static.load(known.to_meta(), known.climatology).on(y, x)
  one, two = (again(np.datetime64(f"2020-0{m}-01T06")) for m in (1, 2))
  is_same = [np.array_equal(one[..., c], two[..., c]) for c in range(6)]
  assert is_same == [True] + [False] * 5
  np.testing.assert_allclose(
    two[..., 4:] * known.std[4:] + known.mean[4:], usual[2], atol=1e-5
  )
  sun = calendar.sun(np.datetime64("2020-01-01T06"), y, x)
  np.testing.assert_array_equal(one[..., 1:2], sun)
  with pytest.raises(ValueError, match="takes the date of a field, and this"):
    again()
  with pytest.raises(ValueError, match="of month 3, .* trained on 1, 2"):
    again(np.datetime64("2020-03-01"))


def test_climatology_of_few_fields_is_refused():
  values, normaliser = _series()
  with pytest.raises(ValueError, match="needs 8 training fields or more"):
    climatology.Climatology(values, range(5), normaliser)


@pytest.mark.parametrize("text", ["area", "truncate"])
def test_windows_are_those_of_the_whole_coarsened_field(text):
  fixed = np.random.default_rng(2).normal(size=(12, 16, 2)).astype(np.float32)
  degradation = degradations.parse(text)
  windows = static_windows.StaticWindows(
    fixed=fixed,
    degradation=degradation,
    periodic=(False, True),
    window=(3, 4),
    queries=(4, 5),
  )

  class Draw:
    field, scale, start, query = 0, 2.0, (4, 12), (1, 2)

  got = windows.of([Draw])
  coarse = degradation.field(fixed, (6, 8), periodic=(False, True))
  columns = np.arange(6, 10) % 8
  np.testing.assert_allclose(
    got["coarse"][0], coarse[2:5][:, columns], atol=1e-5
  )
  columns = np.arange(14, 19) % 16
  np.testing.assert_array_equal(got["fine"][0], fixed[5:9][:, columns])


def test_fields_are_normalised_over_the_data_set_and_come_back(tmp_path):
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  height = static.raw("earth:orography", y, x)[..., 0]
  np.savez(tmp_path / "x.npz", z=height)
  usual = np.random.default_rng(3).normal(size=(len(y), len(x), 2))
  names = ("climatology", "earth:orography", "latitude")
  known, fixed = static.fit(names, y, x, {0: usual})
  assert known.sources == ("earth:orography", "latitude", "climatology")
  assert known.units == ("m", "1", "1", "1")
  values = known.on(y, x)()
  np.testing.assert_allclose(values.mean((0, 1)), 0, atol=1e-4)
  np.testing.assert_allclose(values.std((0, 1)), 1, atol=1e-4)
  assert fixed.shape[-1] == 2
  again = static.load(known.to_meta(), known.climatology)
  np.testing.assert_array_equal(again.on(y, x)(), values)


def test_file_that_differs_lacks_or_has_other_units_is_refused(tmp_path):
  xarray = pytest.importorskip("xarray")
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  z = np.random.default_rng(4).normal(size=(len(y), len(x)))

  def write(name, z, units):
    places = {
      axis.name: (axis.name, axis.values, {"units": axis.units})
      for axis in (y, x)
    }
    field = xarray.DataArray(z, places, ("latitude", "longitude"))
    field.attrs["units"] = units
    field.to_dataset(name="z").to_netcdf(tmp_path / name)
    return f"{tmp_path / name}:z"

  source = write("dem.nc", z, "m")
  known, _ = static.fit([source], y, x)
  meta, moved = known.to_meta(), write("moved.nc", z, "m")
  np.testing.assert_array_equal(
    static.load(meta, None, [moved]).on(y, x)(), known.on(y, x)()
  )
  with pytest.raises(ValueError, match="is not what the run was told of"):
    static.load(meta, None, [write("other.nc", z + 1, "m")])
  with pytest.raises(ValueError, match="is in 'ft' and the run .* in 'm'"):
    static.load(meta, None, [write("feet.nc", z, "ft")])
  gone = meta | {"sources": [f"{tmp_path}/gone.nc:z"], "digests": {}}
  with pytest.raises(ValueError, match="give it as --static FILE:z"):
    static.load(gone, None)


def test_unknown_and_constant_fields_are_refused():
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  with pytest.raises(ValueError, match="earth:orography"):
    static.raw("earth:orografy", y, x)
  with pytest.raises(ValueError, match="unknown static field 'height'"):
    static.raw("height", y, x)
  sea = _degrees((-50.0, 230.0), (-45, 240), 1.0)
  with pytest.raises(ValueError, match="earth:land is 0 everywhere"):
    static.fit(["earth:land"], *sea)
  cells = axes.counted("y", 4), axes.counted("x", 4)
  with pytest.raises(ValueError, match="tell no latitude"):
    static.raw("latitude", *cells)


def test_climatology_of_a_window_is_that_of_the_whole_kept_or_not(monkeypatch):
  values, normaliser = _series()
  usual = climatology.Climatology(values, range(10), normaliser)
  options = dict(
    fixed=np.zeros((6, 8, 1), np.float32),
    varying=lambda *at: (usual.without(*at) - [0.5, -1.0]) / [2.0, 3.0],
    count=len(values),
    degradation=None,
    periodic=(False, True),
    window=(2, 2),
    queries=(2, 2),
  )
  iy, ix = np.arange(2, 5), np.arange(6, 11) % 8
  got = static_windows.StaticWindows(**options).cells(4, iy, ix)
  monkeypatch.setattr(static_windows, "_KEPT", 0)
  want = static_windows.StaticWindows(**options).cells(4, iy, ix)
  np.testing.assert_array_equal(got, want)
  known = (usual.without(4, iy, ix) - [0.5, -1.0]) / [2.0, 3.0]
  np.testing.assert_allclose(got[..., 1:], known, atol=1e-6)


def test_a_climatology_may_be_all_that_is_known():
  y, x = _degrees((-88.0, 2.0), (90, 360), 4.0)
  usual = np.random.default_rng(0).normal(size=(len(y), len(x), 2))
  known, fixed = static.fit(["climatology"], y, x, {0: usual})
  assert fixed.shape == (len(y), len(x), 0)
  values = known.on(y, x)()
  np.testing.assert_allclose(values.std((0, 1)), 1, atol=1e-4)
