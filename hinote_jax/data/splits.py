"""Training, validation and test parts, stored on disk.

Neighbouring times of one run are nearly the same field, and so are slices of
one head or frames of one storm: a random split leaks. A series is divided into
blocks in the order of time, with a gap dropped between them; fields in groups
(`Dataset.groups`) are divided group by group. Where groups have dates, those of
an earlier part that overlap a later one in time are left out.
"""

from collections.abc import Sequence
import dataclasses
import fnmatch
import itertools
import json
import os
import pathlib

import numpy as np

from hinote_jax.data import series, spans
from hinote_jax.io import files

# How many, which fraction, from which date on, or patterns of names.
Size = int | float | str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Split:
  """Time indices of each part, in time order."""

  train: tuple[int, ...]
  validation: tuple[int, ...]
  test: tuple[int, ...]

  def check_disjoint(
    self, groups: Sequence[str] = (), times: Sequence[str] = ()
  ) -> None:
    """Checks that nothing of one part is in another.

    Args:
      groups: what each field of the dataset belongs to. Without groups the
        parts must follow one another.
      times: its times; where they are dates they must not overlap.

    Raises:
      ValueError: the parts share a field, a group or a time.
    """
    parts = dataclasses.asdict(self)
    _check_order(parts, is_series=not groups)
    if groups:
      _check_groups(parts, groups)
    if not spans.is_dated(times):
      return
    covered = {
      name: list(spans.of(part, groups, times).values())
      for name, part in parts.items()
    }
    for one, other in itertools.combinations(covered, 2):
      merged = spans.merged(covered[other])
      for span in covered[one]:
        if shared := spans.meeting(merged, span):
          raise ValueError(
            f"split: {one} and {other} overlap in time, {span[0]} to "
            f"{span[1]} and {shared[0]} to {shared[1]}: what is trained on "
            "would be tested on"
          )

  def describe(self, groups: Sequence[str] = ()) -> str:
    """Returns how the fields were divided, in words."""
    counts = [
      f"{len(part)} {what}"
      for part, what in (
        (self.train, "for training"),
        (self.validation, "for validation"),
        (self.test, "held out"),
      )
    ]
    if not groups:
      return f"by time: {', '.join(counts)}"
    numbers = "/".join(
      str(len({groups[i] for i in part}))
      for part in (self.train, self.validation, self.test)
    )
    return f"by group, {numbers} of them: {', '.join(counts)}"

  def save(self, path: str | os.PathLike, dataset: series.Dataset) -> None:
    """Writes the indices, their times and groups, and whose they are."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may write the same split at once.
    files.write_text(path, json.dumps(_record(self, dataset), indent=2) + "\n")

  @classmethod
  def load(cls, path: str | os.PathLike, dataset: series.Dataset) -> "Split":
    """Reads a split and checks that it was made for this dataset.

    Raises:
      ValueError: it was made for other data, shares something between its
        parts, or cannot be read.
    """
    try:
      stored = json.loads(pathlib.Path(path).read_text())
      parts = {p.name: tuple(stored[p.name]) for p in dataclasses.fields(cls)}
    except (KeyError, TypeError, ValueError) as error:
      raise ValueError(
        f"{path} is not a split ({error!r}): delete it to make a new one"
      ) from error
    split = cls(**parts)
    for key in ("dataset", "fingerprint", "count"):
      expected = _record(None, dataset)[key]
      if stored.get(key) != expected:
        raise ValueError(
          f"{path} was made for other data: its {key} is "
          f"{stored.get(key)!r} and the dataset's is {expected!r}; use another "
          "folder, or delete it if the runs there do not matter"
        )
    split.check_disjoint(dataset.groups, dataset.times)
    return split


def by_time(
  count: int,
  *,
  validation: Size,
  test: Size,
  gap: int = 1,
  times: Sequence[str] = (),
) -> Split:
  """Splits times into blocks: training, then validation, then test.

  Args:
    count: number of times.
    validation: how many, below 1 which fraction of all times, or the date
      that it begins at, as in "2018" or "2018-06-15".
    test: the same.
    gap: times dropped between one block and the next.
    times: the dates, needed where a size is a date.

  Raises:
    ValueError: a part is empty, or a size makes no sense.
  """
  if gap < 0:
    raise ValueError(f"split.gap must not be negative, got {gap}")
  end, parts = count, {}
  for name, size in (("test", test), ("validation", validation)):
    begin = _begin(name, size, count, end, times)
    parts[name] = tuple(range(max(begin, 0), max(end, 0)))
    end = begin - gap
  parts["train"] = tuple(range(end))
  for name, what in (
    ("train", "training"),
    ("validation", "validation"),
    ("test", "test"),
  ):
    if not parts[name]:
      raise ValueError(
        f"{count} times leave nothing for {what} with a validation part of "
        f"{validation}, a test part of {test} and gaps of {gap}: lower "
        "split.validation, split.test or split.gap, or give more times"
      )
  return Split(**parts)


def by_group(
  groups: Sequence[str],
  *,
  validation: Size,
  test: Size,
  train: Size | None = None,
  seed: int | None = None,
  times: Sequence[str] = (),
) -> Split:
  """Splits fields so that no group is in two parts.

  Groups are taken from the end of their order for test, then for validation.
  Where the times are dates, groups of training that overlap in time with one
  of validation or test are left out, and those of validation with test.

  Args:
    groups: what each field belongs to, a label a field.
    validation: how many groups; below 1 which fraction of them; a date: the
      groups that begin then or later; or patterns of their names, as in
      "valid_1/*" or "CSI2,CSI3".
    test: the same.
    train: the same; None takes the groups that are left.
    seed: draws the order of the groups; None keeps that of their first
      fields, or of their dates.
    times: of the fields.

  Raises:
    ValueError: a part is empty, or a size makes no sense.
  """
  if times and len(times) != len(groups):
    raise ValueError(f"{len(groups)} groups and {len(times)} times are given")
  dated = spans.is_dated(times)
  extent = spans.of(range(len(groups)), groups, times if dated else ())
  order = sorted(extent, key=lambda g: extent[g][0]) if dated else list(extent)
  if seed is not None:
    order = np.random.default_rng(seed).permutation(order).tolist()
  chosen, left = {}, order
  for name, size in (("test", test), ("validation", validation)):
    chosen[name], left = _choose(name, size, left, len(order), extent)
  chosen["train"] = left
  if train is not None:
    chosen["train"], _ = _choose("train", train, left, len(order), extent)
  if dated:
    later = chosen["test"]
    for name in ("validation", "train"):
      chosen[name] = spans.apart(chosen[name], later, extent)
      later = later + chosen[name]
  parts = {
    name: tuple(i for i, g in enumerate(groups) if g in members)
    for name, members in zip(chosen, map(set, chosen.values()), strict=True)
  }
  for name, part in parts.items():
    if not part:
      taken = ", ".join(f"{len(m)} for {n}" for n, m in chosen.items())
      raise ValueError(
        f"{len(order)} groups leave nothing for {name} ({taken}): lower "
        "split.validation or split.test, or give more groups"
      )
  return Split(**parts)


def stored_or_new(
  path: str | os.PathLike,
  dataset: series.Dataset,
  *,
  validation: Size,
  test: Size,
  gap: int = 1,
  train: Size | None = None,
  seed: int | None = None,
) -> Split:
  """Returns the split stored at `path`, or where there is none a new one.

  Splits by group where the dataset has groups, and by time where it has none.
  Writes nothing; `Split.save` does.

  Args:
    path: where a run keeps its split.
    dataset: what is split.
    validation: see `by_time` and `by_group`.
    test: the same.
    gap: see `by_time`; groups need none.
    train: see `by_group`.
    seed: see `by_group`.

  Raises:
    ValueError: the stored split belongs to other data or another request.
  """
  sizes, times = dict(validation=validation, test=test), dataset.times
  if dataset.groups:
    wanted = by_group(
      dataset.groups, train=train, seed=seed, times=times, **sizes
    )
  elif seed is not None or train is not None:
    raise ValueError(
      f"split.seed and split.train are of groups and {dataset.name} has none: "
      "its times are divided in their order, so leave them out"
    )
  else:
    wanted = by_time(len(dataset), gap=gap, times=times, **sizes)
  wanted.check_disjoint(dataset.groups, dataset.times)
  if not pathlib.Path(path).exists():
    return wanted
  stored = Split.load(path, dataset)
  for part, indices in dataclasses.asdict(wanted).items():
    stored_indices = getattr(stored, part)
    if stored_indices != indices:
      raise ValueError(
        f"{path} has {_span(stored_indices)} for {part} and the request gives "
        f"{_span(indices)}: ask for what it has, or use another folder"
      )
  return stored


def _begin(name, size, count, end, times) -> int:
  """Returns where the block of a part begins that ends at `end`."""
  if isinstance(size, int | float):
    return end - _size(name, size, count)
  is_date = isinstance(size, str) and size[:4].isdigit()
  if not (is_date and spans.is_dated(times)):
    raise ValueError(
      f"split.{name} is {size!r} and this series is divided in time: give a "
      "number of times, a fraction or, where it has dates, a date"
    )
  return min(sum(time < size for time in times), end)


def _choose(name, size, left, count, extent) -> tuple[list[str], list[str]]:
  """Returns the groups of a part and those that remain, in their order."""
  if isinstance(size, int | float):
    cut = max(len(left) - _size(name, size, count), 0)
    return left[cut:], left[:cut]
  texts = [size] if isinstance(size, str) else list(size)
  patterns = [p.strip() for text in texts for p in text.split(",")]
  if len(patterns) == 1 and spans.is_date(patterns[0]):
    (date,) = patterns
    if not left:
      return [], []
    if not all(extent[left[0]]):
      raise ValueError(
        f"split.{name} is the date {date} and the groups have none: give a "
        "number, a fraction or names"
      )
    # A group that the date cuts in two belongs to neither side.
    before = [group for group in left if extent[group][1] < date]
    return [group for group in left if extent[group][0] >= date], before
  for pattern in patterns:
    if not fnmatch.filter(left, pattern):
      shown = ", ".join(left[:8]) + (", ..." if len(left) > 8 else "")
      raise ValueError(
        f"split.{name}: no group is called {pattern!r}; there are {shown}"
      )
  chosen = {g for pattern in patterns for g in fnmatch.filter(left, pattern)}
  rest = [group for group in left if group not in chosen]
  return [group for group in left if group in chosen], rest


def _check_order(parts, *, is_series) -> None:
  """Checks that parts are in order and share no field."""
  last, before, seen = -1, "the start", set()
  for name, part in parts.items():
    last = last if is_series else -1
    for i in part:
      if i <= last or i in seen:
        raise ValueError(
          f"split: time index {i} of {name} does not come after {last} of "
          f"{before}; the parts must be disjoint and in time order"
        )
      last, before = i, name
    seen.update(part)


def _check_groups(parts, groups) -> None:
  """Checks that no group has fields in two parts."""
  owners = {}
  for name, part in parts.items():
    for i in part:
      owner = owners.setdefault(groups[i], name)
      if owner != name:
        raise ValueError(
          f"split: {groups[i]} has fields in {owner} and in {name} (index "
          f"{i}): what belongs together must be in one part"
        )


def _record(split: Split | None, dataset: series.Dataset) -> dict:
  record = {
    "dataset": dataset.name,
    "fingerprint": dataset.fingerprint,
    "count": len(dataset),
  }
  if split is None:
    return record
  parts = {k: list(v) for k, v in dataclasses.asdict(split).items()}
  record |= parts
  if dataset.groups:
    record["groups"] = {
      name: list(dict.fromkeys(dataset.groups[i] for i in part))
      for name, part in parts.items()
    }
  times = {k: [dataset.times[i] for i in v] for k, v in parts.items()}
  return record | {"times": times}


def _size(name: str, size: int | float, count: int) -> int:
  if size <= 0 or (size >= 1 and size != int(size)):
    raise ValueError(
      f"split.{name} must be a number of times, at least 1, or a fraction "
      f"above 0 and below 1, got {size}"
    )
  if size < 1:
    return max(1, round(size * count))
  return int(size)


def _span(indices: tuple[int, ...]) -> str:
  if not indices:
    return "no times"
  return f"{len(indices)} times ({indices[0]} to {indices[-1]})"
