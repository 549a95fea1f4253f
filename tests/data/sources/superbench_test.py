"""Tests of SuperBench: turbulence, weather and pairs, as published."""

import h5py
import numpy as np
import pytest

from hinote_jax.data.sources import era5, superbench
from tests.data import layouts, leaks

_PARTS = ("train", "valid_1", "valid_2", "test_1", "test_2")


def _owner(values) -> int:
  return int(values[-1, -1, 0]) // 100


def _nskt(root, **options):
  """The published folders, two runs in each; the runs are counted."""
  for k, part in enumerate(_PARTS):
    for j in (0, 1):
      path = root / part / f"nskt_{2 * k + j}.h5"
      layouts.superbench(path, 2 * k + j, **options)
  return root


def test_turbulence_is_read_run_by_run(tmp_path):
  source = superbench.superbench(("vorticity", "u"), path=_nskt(tmp_path))
  assert (source.name, source.domain) == ("superbench", "turbulence")
  assert source.periodic == (False, False)
  assert source.groups[:3] == ("test_1/nskt_6",) * 3
  assert source.times[:2] == ("test_1/nskt_6 field 0", "test_1/nskt_6 field 1")
  np.testing.assert_array_equal(source.read(4)[-1, -1], [703.0, 701.0])
  boxes = superbench.superbench(path=tmp_path, periodic=(True, True))
  assert boxes.periodic == (True, True)


def test_published_folders_are_the_parts(tmp_path):
  owners = leaks.check(
    superbench.superbench(path=_nskt(tmp_path)),
    tmp_path / "split.json",
    _owner,
    train="train/*",
    validation="valid_1/*",
    test="test_1/*, test_2/*",
  )
  assert owners == {"train": {0, 1}, "validation": {2, 3}, "test": {6, 7, 8, 9}}


def test_runs_are_divided_whole_and_years_of_weather_by_time(tmp_path):
  for k in range(4):
    layouts.superbench(tmp_path / "nskt" / f"run_{k}.h5", k)
  source = superbench.superbench(path=tmp_path / "nskt")
  owners = leaks.check(
    source, tmp_path / "split.json", _owner, validation=1, test=1, seed=3
  )
  assert sorted(map(len, owners.values())) == [1, 1, 2]
  one = superbench.superbench(path=tmp_path / "nskt" / "run_2.h5")
  assert one.groups == ()


def test_weather_of_superbench_is_era5(tmp_path):
  shape = (721, 1440)
  for year in (2008, 2010):
    layouts.superbench(tmp_path / f"{year}.h5", year, count=2, shape=shape)
  source = era5.era5(("temperature",), path=tmp_path, every=2)
  assert source.domain == "weather" and source.groups == ()
  assert source.periodic == (False, True)
  assert source.variables[0].units == "K"
  assert (source.y.values[0], source.y.values[-1]) == (90.0, -90.0)
  assert source.times == ("2008 field 0", "2010 field 0")
  assert source.read(1)[300, 700, 0] == 201001.0
  with pytest.raises(
    ValueError, match="superbench has no dates, as '2008 field"
  ):
    era5.era5(path=tmp_path, start="2008")


def test_pairs_hold_the_coarse_simulation(tmp_path):
  _nskt(tmp_path, lowres=4)
  source = superbench.superbench(("v", "vorticity"), path=tmp_path, paired=True)
  assert source.lowres.field_shape == (2, 2, 2)
  assert source.lowres.times == source.times
  assert source.lowres.groups == source.groups
  for i in (0, 7, 29):
    fine, coarse = source.read(i), source.lowres.read(i)
    np.testing.assert_array_equal(coarse, fine[-2:, -2:] + 0.25)
  plain = superbench.superbench(("v", "vorticity"), path=tmp_path)
  digests = {s.fingerprint for s in (plain, source, source.lowres)}
  assert len(digests) == 3  # each has its own place in the cache


def test_what_is_refused(tmp_path):
  _nskt(tmp_path)
  with pytest.raises(ValueError, match="holds no 'LR_fields', the low resolut"):
    superbench.superbench(path=tmp_path, paired=True)
  with pytest.raises(ValueError, match="no 'pressure'; known: u, v, vorticity"):
    superbench.superbench(("pressure",), path=tmp_path)
  with h5py.File(tmp_path / "train" / "nskt_0.h5", "r+") as file:
    file["fields"][1, 1, 3, 4] = np.nan
  source = superbench.superbench(path=tmp_path / "train")
  assert np.argwhere(np.isnan(source.read(1))).tolist() == [[3, 4, 1]]
  whole = (tmp_path / "train" / "nskt_1.h5").read_bytes()
  path = tmp_path / "cut" / "run.h5"
  path.parent.mkdir()
  path.write_bytes(whole[: len(whole) - 100])
  with pytest.raises(ValueError, match=r"cannot read .*run.h5 \(.*trunc"):
    superbench.superbench(path=path)
  with h5py.File(path, "w") as file:
    file["p"] = np.ones((3, 8, 8))
  with pytest.raises(ValueError, match="no 'fields'|is not as SuperBench has"):
    superbench.superbench(path=path)
  path.unlink()
  layouts.superbench(path.with_name("wide.h5"), 1, shape=(8, 16))
  with pytest.raises(
    ValueError, match="wide.h5 has 8 x 16|has 8 x 8 cells .* wide"
  ):
    superbench.superbench(path=tmp_path)
