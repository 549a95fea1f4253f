"""Tests of the splits by time and by group."""

import dataclasses
import itertools
import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from hinote_jax.data import splits
from tests.data import leaks


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


_GROUPS = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=30)


def _parts(split):
  return list(leaks.parts_of(split).values())


@given(
  _GROUPS,
  st.integers(1, 3),
  st.integers(1, 3),
  st.none() | st.integers(0, 5),
)
def test_groups_are_never_divided(groups, validation, test, seed):
  options = dict(validation=validation, test=test, seed=seed)
  try:
    split = splits.by_group(groups, **options)
  except ValueError:
    assert validation + test >= len(set(groups))
    return
  split.check_disjoint(groups)
  whose = [{groups[i] for i in part} for part in _parts(split)]
  assert list(map(len, whose)) == [
    len(set(groups)) - validation - test,
    validation,
    test,
  ]
  assert set.union(*whose) == set(groups)
  assert sorted(i for part in _parts(split) for i in part) == list(
    range(len(groups))
  )
  if seed is None:  # the last to appear are held out
    order = list(dict.fromkeys(groups))
    assert whose[2] == set(order[-test:])


def test_a_date_before_all_groups_leaves_nothing_and_that_is_said():
  groups, times = ["a", "b", "c"], ["2019-01-01", "2019-02-01", "2019-03-01"]
  with pytest.raises(ValueError, match="3 groups leave nothing for validation"):
    splits.by_group(
      groups, validation="2019-02-01", test="2018-01-01", times=times
    )


@given(
  st.lists(
    st.tuples(st.integers(10, 40), st.integers(0, 6)), min_size=3, max_size=12
  ),
  st.none() | st.integers(0, 5),
)
def test_dated_groups_of_two_parts_never_overlap(events, seed):
  groups, times = [], []
  for k, (begin, length) in enumerate(events):
    for day in range(begin, begin + length + 1):
      groups.append(str(k))
      times.append(f"2019-01-{day:02d}T12:00")
  try:
    split = splits.by_group(
      groups, validation=1, test=1, seed=seed, times=times
    )
  except ValueError as error:
    assert "leave nothing for" in str(error)
    return
  split.check_disjoint(groups, times)
  ranges = [
    [
      range(events[int(g)][0], sum(events[int(g)]) + 1)
      for g in {groups[i] for i in part}
    ]
    for part in _parts(split)
  ]
  for one, other in itertools.combinations(ranges, 2):
    for a, b in itertools.product(one, other):
      assert not set(a) & set(b)


def test_groups_by_name_and_fraction():
  groups = ["train/1", "train/2", "valid/1", "test/1", "test/1", "test/2"]
  split = splits.by_group(groups, validation="valid/*", test=["test/1"])
  assert _parts(split) == [(0, 1, 5), (2,), (3, 4)]
  split = splits.by_group(
    groups, train="train/1", validation="train/2, valid/1", test="test/*"
  )
  assert _parts(split) == [(0,), (1, 2), (3, 4, 5)]
  assert _parts(splits.by_group(groups, validation=0.2, test=0.4)) == [
    (0, 1),
    (2,),
    (3, 4, 5),
  ]


@pytest.mark.parametrize(
  "options, message",
  [
    (
      dict(validation=1, test=2),
      "3 groups leave nothing for train .2 for test, 1 for validation, 0",
    ),
    (dict(validation="d", test=1), "no group is called 'd'; there are a, b"),
    (
      dict(validation=1, test="2019-06-01"),
      "split.test is the date 2019-06-01 and the groups have none",
    ),
    (dict(validation=0, test=1), "^split.validation must be .* got 0$"),
    (dict(validation=1, test=1, times=["1"]), "5 groups and 1 times are given"),
  ],
)
def test_refuses_what_groups_cannot_be(options, message):
  with pytest.raises(ValueError, match=message):
    splits.by_group(["a", "a", "b", "c", "c"], **options)


@pytest.mark.parametrize(
  "parts, groups, times, message",
  [
    (
      ((0,), (1,), (2,)),
      "aba",
      (),
      "a has fields in train and in test .index 2",
    ),
    (((0, 1), (1,), (2,)), "abc", (), "disjoint"),
    (((1, 0), (2,), (3,)), "aabc", (), "disjoint and in time order"),
    (
      ((0,), (2,), (1,)),
      "abc",
      ("2020-01-01", "2020-01-01", "2020-01-02"),
      "train and test overlap in time, 2020-01-01 to 2020-01-01",
    ),
    (
      ((0, 1), (2,), (3,)),
      "",
      ("2020-01-01", "2020-01-03", "2020-01-02", "2020-01-04"),
      "train and validation overlap in time",
    ),
  ],
)
def test_shared_groups_and_times_are_found(parts, groups, times, message):
  with pytest.raises(ValueError, match=message):
    splits.Split(*parts).check_disjoint(tuple(groups), times)


def test_groups_may_come_in_any_order():
  split = splits.Split(train=(2, 3), validation=(1,), test=(0,))
  split.check_disjoint(("a", "b", "c", "c"), ("0", "0", "0", "1"))
  assert split.describe(("a", "b", "c", "c")) == (
    "by group, 1/1/1 of them: 2 for training, 1 for validation, 1 held out"
  )
  assert split.describe().startswith("by time: 2 for training, 1")


def test_stored_split_names_the_groups(tmp_path, make_dataset):
  path = tmp_path / "split.json"
  dataset = dataclasses.replace(
    make_dataset(count=6), groups=tuple("aabbcc"), times=tuple("123456")
  )
  made = splits.stored_or_new(path, dataset, validation=1, test=1)
  made.save(path, dataset)
  stored = json.loads(path.read_text())
  assert stored["groups"] == {
    "train": ["a"],
    "validation": ["b"],
    "test": ["c"],
  }
  assert splits.stored_or_new(path, dataset, validation=1, test=1) == made
  # The same numbers, but they now belong together.
  moved = dataclasses.replace(dataset, groups=tuple("aabbbb"))
  with pytest.raises(
    ValueError, match="b has fields in validation and in test"
  ):
    splits.Split.load(path, moved)


def test_series_without_groups_take_no_seed(tmp_path, make_dataset):
  with pytest.raises(
    ValueError, match="split.seed and split.train are of group"
  ):
    splits.stored_or_new(
      tmp_path / "s.json", make_dataset(), validation=1, test=1, seed=0
    )


def test_a_date_begins_a_block(make_dataset, tmp_path):
  dataset = make_dataset(count=10)
  split = splits.stored_or_new(
    tmp_path / "s.json",
    dataset,
    validation="2020-01-05",
    test="2020-01-08",
    gap=1,
  )
  assert _parts(split) == [(0, 1, 2), (4, 5), (7, 8, 9)]
  with pytest.raises(
    ValueError, match="split.test is 'late' and this series is"
  ):
    splits.by_time(10, validation=1, test="late", times=dataset.times)
  with pytest.raises(ValueError, match="10 times leave nothing for test"):
    splits.by_time(10, validation=1, test="2021", times=dataset.times)
