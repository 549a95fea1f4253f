"""Tests of the split by time."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from hinote_jax.data import splits


@given(
  st.integers(1, 200), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9)
)
def test_parts_are_disjoint_contiguous_and_apart(count, validation, test, gap):
  try:
    split = splits.by_time(count, validation=validation, test=test, gap=gap)
  except ValueError:
    assert validation + test + 2 * gap >= count
    return
  split.check_disjoint()
  assert len(split.train) >= 1
  assert (len(split.validation), len(split.test)) == (validation, test)
  parts = [split.train, split.validation, split.test]
  assert parts[0][0] == 0 and parts[-1][-1] == count - 1
  for part in parts:
    assert list(part) == list(range(part[0], part[-1] + 1))
  for before, after in itertools.pairwise(parts):
    assert after[0] - before[-1] == gap + 1


def test_fractions_are_of_all_times():
  split = splits.by_time(20, validation=0.1, test=0.2, gap=1)
  assert split.train == tuple(range(12))
  assert split.validation == (13, 14)
  assert split.test == (16, 17, 18, 19)


@pytest.mark.parametrize(
  "options, message",
  [
    (
      dict(validation=3, test=3, gap=2),
      "10 times leave nothing for training .*: lower split.validation",
    ),
    (dict(validation=-1, test=3), "^split.validation must be .* got -1$"),
    (dict(validation=0, test=3), "^split.validation must be .* got 0$"),
    (dict(validation=3, test=0), "^split.test must be .* at least 1.* got 0$"),
    (dict(validation=1, test=2.5), "^split.test must be a number .* got 2.5$"),
    (dict(validation=1, test=2, gap=-1), "^split.gap must not be negative"),
  ],
)
def test_refuses_what_cannot_be(options, message):
  with pytest.raises(ValueError, match=message):
    splits.by_time(10, **options)


@pytest.mark.parametrize(
  "parts", [((0, 1), (1, 2), (3,)), ((4, 5), (0,), (2,)), ((1, 0), (2,), (3,))]
)
def test_check_disjoint_finds_shared_and_disordered_times(parts):
  with pytest.raises(ValueError, match="disjoint and in time order"):
    splits.Split(*parts).check_disjoint()


def test_stored_split_is_read_back(tmp_path, make_dataset):
  path, dataset = tmp_path / "run" / "split.json", make_dataset(count=10)
  made = splits.stored_or_new(path, dataset, validation=1, test=2, gap=1)
  assert not path.parent.exists()
  made.save(path, dataset)
  again = splits.stored_or_new(path, dataset, validation=1, test=2, gap=1)
  assert made == again == splits.Split.load(path, dataset)
  stored = json.loads(path.read_text())
  assert stored["times"]["test"] == ["2020-01-09", "2020-01-10"]
  assert stored["fingerprint"] == dataset.fingerprint
  assert [p.name for p in path.parent.iterdir()] == ["split.json"]


def test_stored_split_of_another_request_is_refused(tmp_path, make_dataset):
  path, dataset = tmp_path / "split.json", make_dataset(count=10)
  splits.by_time(10, validation=1, test=2, gap=1).save(path, dataset)
  with pytest.raises(ValueError, match=r"5 times \(0 to 4\) for train"):
    splits.stored_or_new(path, dataset, validation=1, test=2, gap=2)


def test_stored_split_of_other_data_is_refused(tmp_path, make_dataset):
  path = tmp_path / "split.json"
  splits.by_time(10, validation=1, test=2).save(path, make_dataset(count=10))
  with pytest.raises(
    ValueError, match="its count is 10 and the dataset's is 9"
  ):
    splits.stored_or_new(path, make_dataset(count=9), validation=1, test=2)


def test_broken_file_is_refused(tmp_path, make_dataset):
  path = tmp_path / "split.json"
  path.write_text('{"train": [0, 1')
  with pytest.raises(ValueError, match="is not a split .* delete it"):
    splits.stored_or_new(path, make_dataset(), validation=1, test=1)
