"""Tests of files of every format as series, and of pairs of series."""

import os
import pathlib
import sys

import numpy as np
import pytest

from hinote_jax.data import paths
from hinote_jax.data.sources import files
from tests.data import leaks


def _series(t=3, height=4, width=8):
  return np.arange(t * height * width, dtype=np.float64).reshape(
    t, height, width
  )


def _grid(count, variables=("t2m", "u10"), first_day=1):
  """An xarray dataset on a global grid, times a day apart."""
  xarray = pytest.importorskip("xarray")
  start = np.datetime64(f"2020-01-{first_day:02d}", "ns")
  return xarray.Dataset(
    {
      name: (
        ("time", "latitude", "longitude"),
        _series(count) + 1000.0 * c,
        {"units": "K", "long_name": f"long {name}"},
      )
      for c, name in enumerate(variables)
    },
    coords={
      "time": start + np.arange(count) * np.timedelta64(1, "D"),
      "latitude": ("latitude", [60.0, 20.0, -20.0, -60.0]),
      "longitude": ("longitude", np.arange(0.0, 360.0, 45.0)),
    },
  )


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_npy_of_any_rank(tmp_path, axes):
  values = {2: _series()[0], 3: _series(), 4: np.stack([_series()] * 2, -1)}[
    axes
  ]
  np.save(tmp_path / "a.npy", values)
  source = files.files(tmp_path / "a.npy")
  expected = values.reshape(-1, 4, 8, 2 if axes == 4 else 1)
  assert source.field_shape == expected.shape[1:]
  assert source.times == tuple(str(i) for i in range(len(expected)))
  assert source.periodic == (False, False)
  np.testing.assert_array_equal(source.read(0), expected[0])


def test_npz_stacks_the_variables_in_the_order_asked(tmp_path):
  np.savez(tmp_path / "a.npz", u=_series(), v=-_series(), other=np.ones(3))
  source = files.files(tmp_path / "a.npz", ("v", "u"), periodic=(True, True))
  assert source.periodic == (True, True)
  expected = np.stack([-_series()[2], _series()[2]], -1)
  np.testing.assert_array_equal(source.read(2), expected)


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_files_of_a_pattern_are_joined_along_time(tmp_path, suffix):
  for name, first_day, count in (("b", 4, 2), ("a", 1, 3)):
    grid = _grid(count, first_day=first_day)
    if suffix == "nc":
      grid.to_netcdf(tmp_path / f"{name}.nc", engine="scipy")
    else:
      grid.to_zarr(tmp_path / f"{name}.zarr", consolidated=False)
  source = files.files(str(tmp_path / f"*.{suffix}"), ("u10",))
  assert source.times == tuple(f"2020-01-{d:02d}T00:00:00" for d in range(1, 6))
  assert source.periodic == (False, True)
  assert (source.y.name, source.x.name) == ("latitude", "longitude")
  assert source.variables[0].long_name == "long u10"
  np.testing.assert_array_equal(source.read(4)[..., 0], _series(2)[1] + 1000.0)


def test_netcdf_axes_are_ordered_and_single_levels_dropped(tmp_path):
  grid = _grid(3).expand_dims("level", axis=1)
  grid.transpose("time", "level", "longitude", "latitude").to_netcdf(
    tmp_path / "a.nc", engine="scipy"
  )
  source = files.files(tmp_path / "a.nc", ("t2m",))
  np.testing.assert_array_equal(source.read(1)[..., 0], _series()[1])
  xarray = pytest.importorskip("xarray")
  xarray.concat([grid, grid], "level").to_netcdf(
    tmp_path / "b.nc", engine="scipy"
  )
  with pytest.raises(ValueError, match="'t2m' has axes .*select one level"):
    files.files(tmp_path / "b.nc", ("t2m",))


def test_fingerprint_follows_content_and_variables_not_place(tmp_path):
  (tmp_path / "x").mkdir(), (tmp_path / "y").mkdir()
  for folder in ("x", "y"):
    np.savez(tmp_path / folder / "a.npz", u=_series(), v=_series())

  def digest(folder, names):
    return files.files(tmp_path / folder / "a.npz", names).fingerprint

  assert digest("x", ("u", "v")) == digest("y", ("u", "v"))
  assert digest("x", ("u", "v")) != digest("x", ("v", "u"))
  np.savez(tmp_path / "y" / "a.npz", u=_series(), v=_series() + 1.0)
  assert digest("x", ("u", "v")) != digest("y", ("u", "v"))


@pytest.mark.parametrize("is_hashed_whole", [True, False])
def test_fingerprint_sees_the_middle_of_a_large_file(
  tmp_path, monkeypatch, is_hashed_whole
):
  if not is_hashed_whole:
    monkeypatch.setattr(paths, "_HASHED_WHOLE", 1 << 20)
  path = tmp_path / "a.npy"
  np.save(path, np.zeros((9, 512, 512), np.float32))
  before, stat = files.files(path).fingerprint, path.stat()
  assert files.files(path).fingerprint == before
  np.load(path, mmap_mode="r+")[4, 256, 256] = 1.0
  # Read whole, it needs no clock; else the clock must tell.
  later = stat.st_mtime_ns + (not is_hashed_whole)
  os.utime(path, ns=(stat.st_atime_ns, later))
  assert files.files(path).fingerprint != before


def test_fields_are_in_order_of_their_dates(tmp_path):
  january, february = _grid(3, first_day=1), _grid(2, first_day=4)
  january.isel(time=[2, 0, 1]).to_netcdf(tmp_path / "jan.nc", engine="scipy")
  february.to_netcdf(tmp_path / "feb.nc", engine="scipy")
  source = files.files(str(tmp_path / "*.nc"), ("t2m",))
  assert source.times == tuple(f"2020-01-{d:02d}T00:00:00" for d in range(1, 6))
  for i, field in enumerate([*_series(3), *_series(2)]):
    np.testing.assert_array_equal(source.read(i)[..., 0], field)


def test_dates_that_overlap_are_refused(tmp_path):
  _grid(3, first_day=1).to_netcdf(tmp_path / "a.nc", engine="scipy")
  _grid(3, first_day=3).to_netcdf(tmp_path / "b.nc", engine="scipy")
  with pytest.raises(
    ValueError, match=r"a.nc and .*b.nc both have .* 2020-01-03T00:00:00"
  ):
    files.files(str(tmp_path / "*.nc"), ("t2m",))


def test_dates_within_a_second_are_apart(tmp_path):
  grid = _grid(3)
  start = np.datetime64("2020-01-01", "ns")
  grid["time"] = start + np.arange(3) * np.timedelta64(250, "ms")
  grid.to_zarr(tmp_path / "a.zarr", consolidated=False)
  source = files.files(tmp_path / "a.zarr", ("t2m",))
  assert source.times[:2] == (
    "2020-01-01T00:00:00",
    "2020-01-01T00:00:00.250000000",
  )


def test_times_without_an_order_are_refused(tmp_path):
  grid = _grid(2)
  grid.to_netcdf(tmp_path / "a.nc", engine="scipy")
  grid.assign_coords(time=[0.5, 1.5]).to_netcdf(
    tmp_path / "b.nc", engine="scipy"
  )
  with pytest.raises(ValueError, match="b.nc are of several kinds"):
    files.files(str(tmp_path / "*.nc"), ("t2m",))
  grid.drop_vars("time").to_netcdf(tmp_path / "b.nc", engine="scipy")
  with pytest.raises(ValueError, match="b.nc has no times and .*a.nc has"):
    files.files(str(tmp_path / "*.nc"), ("t2m",))


def test_arrays_without_times_are_counted_in_order_of_names(tmp_path):
  np.save(tmp_path / "b.npy", _series(2) + 1.0)
  np.save(tmp_path / "a.npy", _series(2))
  both = [str(tmp_path / "*.npy"), tmp_path / "a.npy"]
  source = files.files(both)
  assert source.times == ("0", "1", "2", "3")
  np.testing.assert_array_equal(source.read(2)[..., 0], _series(2)[0] + 1.0)


def _in_units(grid, name, units):
  return grid.assign({name: grid[name].assign_attrs(units=units)})


@pytest.mark.parametrize(
  "change, here, there",
  [
    (lambda g: g.sortby("latitude"), "-60.0 at index 0", "60.0"),
    (lambda g: g.roll(longitude=1, roll_coords=True), "315.0 at index", "0.0"),
    (lambda g: _in_units(g, "t2m", "degC"), "t2m in 'degC'", "t2m in 'K'"),
    (
      lambda g: _in_units(g, "latitude", "rad"),
      "in 'rad'",
      "latitude in 'degrees_north'",
    ),
  ],
)
def test_other_grids_or_units_are_refused(tmp_path, change, here, there):
  _grid(2).to_netcdf(tmp_path / "a.nc", engine="scipy")
  change(_grid(2, first_day=3)).to_netcdf(tmp_path / "b.nc", engine="scipy")
  with pytest.raises(ValueError, match=f"b.nc has .*{here}.*a.nc .*{there}"):
    files.files(str(tmp_path / "*.nc"), ("t2m",))


def test_grid_may_differ_by_rounding(tmp_path):
  _grid(2).to_netcdf(tmp_path / "a.nc", engine="scipy")
  rounded = _grid(2, first_day=3).assign_coords(
    longitude=np.float32(np.arange(0.0, 360.0, 45.0) + 1e-5)
  )
  rounded.t2m.attrs["long_name"] = "said otherwise"
  rounded.to_netcdf(tmp_path / "b.nc", engine="scipy")
  assert len(files.files(str(tmp_path / "*.nc"), ("t2m",)).times) == 4


def _write_bad(folder):
  np.save(folder / "flat.npy", np.ones(5))
  np.save(folder / "text.npy", np.full((2, 3, 4), "a"))
  np.save(folder / "two.npy", np.ones((2, 3, 4, 2)))
  np.save(folder / "wide.npy", np.ones((2, 3, 5, 2)))
  np.savez(folder / "mixed.npz", u=np.ones((2, 3, 4)), v=np.ones((2, 3, 5)))
  for suffix in ("npy", "npz", "nc"):
    (folder / f"garbage.{suffix}").write_bytes(b"not a field")
  (folder / "picture.gif").write_bytes(b"")


@pytest.mark.parametrize(
  "path, variables, message",
  [
    ("none.npy", None, r"no file at .*none.npy"),
    ("no*.npy", None, r"no file at .*no\*.npy"),
    ("picture.gif", None, r"cannot tell the format of .*known: .npy, .npz"),
    ("garbage.npy", None, r"cannot read .*garbage.npy"),
    ("garbage.npz", None, r"cannot read .*garbage.npz"),
    ("flat.npy", None, r"shape \(5,\) and \[h w\], \[h w c\]"),
    ("text.npy", None, r"holds <U1 and real numbers"),
    ("two.npy", ("u",), r"has 2 channels and 1 names were given: u"),
    ("mixed.npz", ("w",), r"mixed.npz has no 'w'; known: u, v"),
    ("mixed.npz", None, r"'u' \(2, 3, 4\) and 'v' \(2, 3, 5\) are two"),
    ("[tw]*[oe].npy", None, r"wide.npy has 3 x 5 .*two.npy has 3 x 4 cells"),
  ],
)
def test_bad_files_are_refused_in_a_sentence(
  tmp_path, path, variables, message
):
  _write_bad(tmp_path)
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    files.files(str(tmp_path / path), variables)
  assert "\n" not in str(error.value)


def test_unreadable_netcdf_is_refused_in_a_sentence(tmp_path):
  pytest.importorskip("xarray")
  _write_bad(tmp_path)
  with pytest.raises(
    (ValueError, ModuleNotFoundError), match="cannot read|hinote_jax.io"
  ) as error:
    files.files(tmp_path / "garbage.nc", ("t2m",))
  assert "\n" not in str(error.value)


def test_missing_xarray_names_the_extra(tmp_path, monkeypatch):
  (tmp_path / "a.nc").write_bytes(b"")
  monkeypatch.setitem(sys.modules, "xarray", None)
  with pytest.raises(ModuleNotFoundError, match=r"'hinote_jax\[io\]'"):
    files.files(tmp_path / "a.nc", ("t2m",))


@pytest.mark.parametrize("grouped", [False, True])
def test_files_may_be_groups(tmp_path, grouped):
  for k in range(4):
    np.save(tmp_path / f"run_{k}.npy", 100.0 * k + _series(2))
  source = files.files(
    str(tmp_path / "*.npy"), grouped=grouped, domain="turbulence"
  )
  assert source.domain == "turbulence"
  if not grouped:
    assert source.groups == ()
    return
  assert source.groups[:3] == ("run_0", "run_0", "run_1")
  leaks.check(
    source,
    tmp_path / "split.json",
    lambda values: int(values[0, 0, 0]) // 100,
    validation=1,
    test=1,
  )


def test_groups_may_share_a_clock(tmp_path):
  for k in range(2):
    _grid(2, ("t2m",)).to_netcdf(tmp_path / f"run_{k}.nc")
  source = files.files(str(tmp_path / "*.nc"), grouped=True)
  assert source.times == ("2020-01-01T00:00:00", "2020-01-02T00:00:00") * 2


def test_unknown_domain_is_refused(tmp_path):
  np.save(tmp_path / "a.npy", _series())
  with pytest.raises(
    ValueError, match="domain 'wether'; did you mean 'weather'"
  ):
    files.files(tmp_path / "a.npy", domain="wether")


def test_folders_stand_for_the_files_in_them(tmp_path):
  for name in ("b/one.npy", "a/two.npy", "a/.hidden.npy", "a/c/three.npy"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    np.save(tmp_path / name, _series())
  (tmp_path / "a" / "text.txt").write_text("")
  found = paths.expand(tmp_path, (".npy",))
  assert paths.labels(found) == ["a/c/three", "a/two", "b/one"]
  store = tmp_path / "s.zarr"
  (store / "inner.zarr").mkdir(parents=True)
  assert paths.expand(tmp_path, (".zarr",)) == [store]
  assert paths.expand(store) == [store]
  assert paths.expand(str(tmp_path / "**" / "t*.npy")) == found[:2]
  assert paths.stem(found[0].with_name("a.b.nii.gz")) == "a.b"


@pytest.mark.parametrize(
  "names, title",
  [
    (["place_0000.nc"], "place_0000"),
    (["place_0000.nc", "place_0384.nc"], "place"),
    (["1979.nc", "1980.nc"], "era5"),
    (["t2m.2001.nii.gz", "t2m.2002.nii.gz"], "t2m"),
  ],
)
def test_several_files_have_one_name(names, title):
  assert paths.title([pathlib.Path("data/era5") / n for n in names]) == title


def _pair(folder, high, low):
  np.save(folder / "high.npy", high)
  np.save(folder / "low.npy", low)
  return files.files(folder / "high.npy", lowres=folder / "low.npy")


def test_pairs_are_of_the_same_times_and_extent(tmp_path):
  source = _pair(tmp_path, _series(3, 8, 12), _series(3, 4, 6))
  assert source.lowres.field_shape == (4, 6, 1)
  np.testing.assert_array_equal(
    source.lowres.read(2)[..., 0], _series(3, 4, 6)[2]
  )
  alone = files.files(tmp_path / "high.npy")
  assert alone.lowres is None and alone.fingerprint != source.fingerprint
  with pytest.raises(ValueError, match="3 fields of high and 2 of low"):
    _pair(tmp_path, _series(3, 8, 12), _series(2, 4, 6))
  with pytest.raises(ValueError, match="a scale of 2 along y and 2.4 along x"):
    _pair(tmp_path, _series(3, 8, 12), _series(3, 4, 5))
  with pytest.raises(ValueError, match="a scale of 0.5 along y and 0.5 along"):
    _pair(tmp_path, _series(3, 4, 6), _series(3, 8, 12))


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda g: g, None),
    (lambda g: g.assign_coords(latitude=[41.0, -39.0]), None),
    (
      lambda g: g.assign_coords(latitude=[40.0, -20.0]),
      "latitude covers 80 to -80 in high and 70 to -50 in low resolution",
    ),
    (
      lambda g: _in_units(g, "t2m", "degC"),
      "units .'degC'. and the high .*'K'",
    ),
    (
      lambda g: g.rename(t2m="t"),
      "has variables .'t'. and the high one .'t2m'",
    ),
    (
      lambda g: g.assign_coords(time=g.time + np.timedelta64(1, "h")),
      "field 0 is of 2020-01-01T00:00:00 and its low .* 2020-01-01T01:00:00",
    ),
  ],
)
def test_pairs_that_are_none(tmp_path, change, message):
  grid = _grid(3, ("t2m",))
  grid.to_netcdf(tmp_path / "high.nc", engine="scipy")
  # Four rows from 80 N to 80 S become two of 40 degrees to each side.
  coarse = grid.coarsen(latitude=2, longitude=2).mean()
  coarse["t2m"].attrs["units"] = "K"
  change(coarse).to_netcdf(tmp_path / "low.nc", engine="scipy")
  options = dict(path=tmp_path / "high.nc", lowres=tmp_path / "low.nc")
  if message is None:
    assert files.files(**options).lowres.field_shape == (2, 4, 1)
    return
  with pytest.raises(ValueError, match=message) as error:
    files.files(**options)
  assert "\n" not in str(error.value)


def test_series_are_stacked_only_on_one_grid(tmp_path):
  for name, shape in (("u", (3, 4, 8)), ("v", (3, 4, 8)), ("w", (3, 4, 9))):
    np.savez(tmp_path / f"{name}.npz", **{name: _series(*shape)})
  one, two, other = (files.files(tmp_path / f"{n}.npz") for n in "uvw")
  both = files.stack([two, one])
  assert [v.name for v in both.variables] == ["v", "u"]
  assert both.read(1).shape == (4, 8, 2)
  with pytest.raises(ValueError, match="u on .4, 8. cells and w on .4, 9."):
    files.stack([one, other])
