"""Tests of fields that are divided by place."""

import dataclasses

import numpy as np
import pytest

from hinote_jax.data import splits
from hinote_jax.data.sources import files, places

xarray = pytest.importorskip("xarray")


@pytest.fixture
def path(tmp_path):
  """Returns two times on longitudes from 300 to 410, ten degrees apart."""
  values = np.arange(2 * 4 * 12, dtype=np.float32).reshape(2, 4, 12)
  fields = xarray.Dataset(
    {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
    coords={
      "time": np.datetime64("2020-01-01", "ns") + np.arange(2) * 86_400 * 10**9,
      "latitude": [30.0, 20.0, 10.0, 0.0],
      "longitude": 300.0 + 10.0 * np.arange(12),
    },
  )
  fields.to_netcdf(tmp_path / "fields.nc")
  return tmp_path / "fields.nc"


def _columns(source, i):
  return np.flatnonzero(~np.isnan(source.read(i)).any((0, 2))).tolist()


def test_a_field_comes_once_a_place_and_is_missing_elsewhere(path):
  # Longitudes go around: 0 to 20 is 360 to 380.
  asked = ("300:330,0:20", "340:350", "395:430")
  source = files.files(path, places=asked)
  whole = files.files(path)
  assert len(source) == 6
  assert source.groups == tuple(p for p in asked for _ in range(2))
  for i, want in enumerate([[0, 1, 2, 6, 7], [4], [10, 11]]):
    for time in range(2):
      assert _columns(source, 2 * i + time) == want
      got = source.read(2 * i + time)[:, want]
      np.testing.assert_array_equal(got, whole.read(time)[:, want])
  assert source.fingerprint != whole.fingerprint


def test_places_are_the_parts_though_their_times_are_the_same(path):
  source = files.files(path, places=("300:330", "340:350", "395:420"))
  split = splits.by_group(
    source.groups, validation=1, test=1, times=source.times
  )
  parts = dataclasses.astuple(split)
  assert parts == ((0, 1), (2, 3), (4, 5))
  split.check_disjoint(source.groups, source.times)


@pytest.mark.parametrize(
  ("asked", "message"),
  [
    (("300:330", "320:350"), "300:330 and 320:350 share longitude 320"),
    (("300:330", "60:70"), "no cell lies in 60:70: longitude goes from 300"),
    (("330:330",), "no cell lies in 330:330"),
    (("300-330",), "'300-330' is no range"),
    (("300:330:2",), "'300:330:2' is no range"),
  ],
)
def test_ranges_that_are_none_are_refused(path, asked, message):
  with pytest.raises(ValueError, match=message):
    files.files(path, places=asked)


def test_they_are_not_divided_by_file_as_well(path):
  with pytest.raises(ValueError, match="give one of them"):
    files.files(path, places=("300:330",), grouped=True)


def test_counted_columns_do_not_go_around(tmp_path):
  np.save(tmp_path / "a.npy", np.zeros((4, 8), np.float32))
  source = files.files(tmp_path / "a.npy")
  low = source.x.values[0]
  divided = places.divide(source, (f"{low}:{low + 3}", f"{low + 5}:{low + 99}"))
  assert [_columns(divided, i) for i in range(2)] == [[0, 1, 2], [5, 6, 7]]
