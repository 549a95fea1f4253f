"""Tests of SEVIR: files and catalogue as published, and what is refused."""

import csv

import h5py
import numpy as np
import pytest

from hinote_jax.data import splits
from hinote_jax.data.sources import sevir
from tests.data import layouts, leaks

_DATES = [
  "2018-05-03 12:00:00",
  "2018-09-21 20:30:00",
  "2019-04-30 19:45:00",
  "2019-06-11 03:10:00",
  "2019-08-01 16:00:00",
]


def _frame(values) -> int:
  return int(values[-1, -1, 0])


def test_frames_have_their_times_values_and_events(tmp_path):
  source = sevir.sevir(path=layouts.sevir(tmp_path, _DATES), every=24)
  assert (source.name, source.domain) == ("sevir", "radar")
  assert source.field_shape == (12, 12, 1)
  # Two hours before the middle frame, at it, and two hours after.
  assert source.times[:3] == (
    "2018-05-03T10:00",
    "2018-05-03T12:00",
    "2018-05-03T14:00",
  )
  assert source.groups[:4] == ("S700000",) * 3 + ("S700001",)
  frames = [_frame(source.read(i)) for i in range(15)]
  assert frames == [50 * k + f for k in range(5) for f in (0, 24, 48)]
  assert source.y.units == "km"
  np.testing.assert_allclose(source.x.values, 16.0 + 32.0 * np.arange(12))
  assert "NOAA" in source.citation


@pytest.mark.parametrize(
  "kind, step, units", [("ir069", 0.01, "degC"), ("vis", 1e-4, "1")]
)
def test_satellite_types_are_scaled(tmp_path, kind, step, units):
  folder = layouts.sevir(tmp_path, _DATES, (kind,), size=3)
  source = sevir.sevir((kind,), path=folder, every=10)
  assert source.variables[0].units == units
  np.testing.assert_allclose(source.read(6)[-1, -1], step * (50 + 10), 1e-6)


def test_vil_is_decoded_by_the_rule_of_the_tutorial(tmp_path):
  stored = np.array([0.0, 5.0, 6.0, 18.0, 19.0, 254.0])
  expected = [
    0.0,
    0.0,
    4.0 / 90.66,
    16.0 / 90.66,
    np.exp((19.0 - 83.9) / 38.9),
    np.exp((254.0 - 83.9) / 38.9),
  ]
  np.testing.assert_allclose(sevir.decoded_vil(stored), expected, rtol=1e-12)
  folder = layouts.sevir(tmp_path, _DATES)
  source = sevir.sevir(path=folder, every=48, decode_vil=True)
  assert source.variables[0].units == "kg m-2"
  np.testing.assert_allclose(
    source.read(1)[-1, -1, 0], np.exp((48.0 - 83.9) / 38.9), rtol=1e-5
  )


def test_types_of_one_grid_go_together(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES, ("ir069", "ir107", "vil"))
  source = sevir.sevir(("ir107", "ir069"), path=folder, every=48)
  assert [v.name for v in source.variables] == ["ir107", "ir069"]
  assert source.read(1)[-1, -1] == pytest.approx([0.48, 0.48])
  with pytest.raises(ValueError, match=r"vil of .* and ir069 of .* different"):
    sevir.sevir(("vil", "ir069"), path=folder)


def test_split_is_by_event_and_by_the_official_date(tmp_path):
  source = sevir.sevir(path=layouts.sevir(tmp_path, _DATES), every=6)
  owners = leaks.check(
    source,
    tmp_path / "split.json",
    lambda values: _frame(values) // 50,
    validation=1,
    test="2019-06-01",
  )
  assert owners == {"train": {0, 1}, "validation": {2}, "test": {3, 4}}


def test_events_that_overlap_one_held_out_are_left_out(tmp_path):
  # The second is under way when the third begins, another storm or not.
  dates = ["2019-05-20 12:00:00", "2019-05-31 20:00:00", "2019-05-31 23:30:00"]
  dates += ["2019-06-01 01:00:00", "2019-06-01 05:00:00"]
  source = sevir.sevir(path=layouts.sevir(tmp_path, dates), every=6)
  split = splits.by_group(
    source.groups, validation=1, test="2019-06-01", times=source.times
  )
  split.check_disjoint(source.groups, source.times)
  named = {
    n: {source.groups[i] for i in p} for n, p in leaks.parts_of(split).items()
  }
  # The date cuts the third and the fourth in two.
  assert named == {
    "train": {"S700000"},
    "validation": {"S700001"},
    "test": {"S700004"},
  }
  loose = splits.Split(
    train=tuple(i for i, g in enumerate(source.groups) if g == "S700001"),
    validation=tuple(i for i, g in enumerate(source.groups) if g == "S700000"),
    test=tuple(i for i, g in enumerate(source.groups) if g == "S700002"),
  )
  with pytest.raises(ValueError, match="train and test overlap in time"):
    loose.check_disjoint(source.groups, source.times)


def test_missing_values(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES, missing={1: 12, 4: 13})
  whole = sevir.sevir(path=folder, every=6)
  assert set(whole.groups) == {"S700000", "S700002", "S700003"}
  frames = sevir.sevir(path=folder, every=6, missing="frame")
  # Frame 12 of the one is taken and lacks a value; frame 13 is not taken.
  assert frames.groups.count("S700001") == 8
  assert frames.groups.count("S700004") == 9
  assert all(
    np.isfinite(frames.read(i)).all() for i in range(len(frames.times))
  )


def test_without_a_catalogue_events_are_named_by_the_files(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES, missing={1: 12})
  found = sorted((folder / "data").rglob("*.h5"))
  source = sevir.sevir(path=found, every=12)
  assert source.times[1] == "S700000 frame 12"
  assert [g for g in dict.fromkeys(source.groups)] == [
    f"S70000{k}" for k in range(5)
  ]
  assert np.isnan(source.read(6)).sum() == 1
  owners = leaks.check(
    sevir.sevir(path=found, every=12, missing="frame"),
    tmp_path / "split.json",
    lambda values: _frame(values) // 50,
    validation=1,
    test=1,
  )
  assert owners["test"] == {4}
  with pytest.raises(ValueError, match="is the date 2019-06-01 and the groups"):
    splits.by_group(
      source.groups, validation=1, test="2019-06-01", times=source.times
    )


def test_limit_takes_events_all_over_the_years(tmp_path):
  source = sevir.sevir(path=layouts.sevir(tmp_path, _DATES), limit=3)
  assert set(source.groups) == {"S700000", "S700002", "S700004"}


def _rewrite(folder, change):
  with open(folder / "CATALOG.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  rows = change(rows)
  with open(folder / "CATALOG.csv", "w", newline="") as file:
    table = csv.DictWriter(file, rows[0].keys())
    table.writeheader()
    table.writerows(rows)


def test_events_listed_twice_are_left_out(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES)
  _rewrite(folder, lambda rows: [*rows, rows[2]])
  assert "S700002" not in sevir.sevir(path=folder).groups


def test_catalogue_of_absent_files(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES)
  (lost,) = (folder / "data").rglob("*2019*.h5")
  lost.unlink()
  with pytest.raises(
    ValueError, match=r"names 1 files that are not here, .*_2019_.* 3 events"
  ) as error:
    sevir.sevir(path=folder)
  assert "\n" not in str(error.value) and "partial" in str(error.value)
  rest = sevir.sevir(path=folder, partial=True)
  assert set(rest.groups) == {"S700000", "S700001"}


def test_catalogue_of_other_events(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES)
  _rewrite(folder, lambda rows: [rows[0] | {"file_index": "1"}, *rows[1:]])
  with pytest.raises(ValueError, match="holds S700001 at index 1 where the"):
    sevir.sevir(path=folder)
  _rewrite(folder, lambda rows: [rows[0] | {"file_index": "9"}, *rows[1:]])
  with pytest.raises(ValueError, match="holds no event at index 9 where the"):
    sevir.sevir(path=folder)


@pytest.mark.parametrize(
  "change, message",
  [
    (
      lambda rows: [
        {k: v for k, v in r.items() if k != "time_utc"} for r in rows
      ],
      "no column 'time_utc': it is no catalogue of SEVIR",
    ),
    (
      lambda rows: [r | {"time_utc": "soon"} for r in rows],
      "the row of event S700000 cannot be read",
    ),
    (
      lambda rows: [r | {"img_type": "lght"} for r in rows],
      "CATALOG.csv lists no event with vil",
    ),
  ],
)
def test_bad_catalogues(tmp_path, change, message):
  folder = layouts.sevir(tmp_path, _DATES)
  _rewrite(folder, change)
  with pytest.raises(ValueError, match=message) as error:
    sevir.sevir(path=folder)
  assert "\n" not in str(error.value)


def test_bad_files_and_requests(tmp_path):
  folder = layouts.sevir(tmp_path, _DATES)
  with pytest.raises(ValueError, match="SEVIR has no 'lght'; known: vil"):
    sevir.sevir(("lght",), path=folder)
  with pytest.raises(ValueError, match="every must be at least 1, got 0"):
    sevir.sevir(path=folder, every=0)
  with pytest.raises(FileNotFoundError, match="no catalogue at nowhere.csv"):
    sevir.sevir(path=folder, catalog="nowhere.csv")
  found = sorted((folder / "data").rglob("*.h5"))
  with pytest.raises(
    ValueError, match="files of SEVIR have no 'vis'; .*known: vil"
  ):
    sevir.sevir(("vis",), path=found)
  whole = found[0].read_bytes()
  found[0].write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match=r"cannot read .*2018.*\.h5 \(.*trunc"):
    sevir.sevir(path=folder)
  with h5py.File(found[0], "w") as file:
    file["other"] = np.ones((3, 4))
  with pytest.raises(ValueError, match="no 'vil'|not as SEVIR has it"):
    sevir.sevir(path=folder)
