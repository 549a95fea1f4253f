"""Training, validation and test times: contiguous blocks, stored on disk.

Neighbouring times of one run are nearly the same field, so a random split
leaks. Blocks in time order, with a gap dropped between them, do not.
"""

import dataclasses
import json
import os
import pathlib

from hinote_jax import files
from hinote_jax.data import fields

Size = int | float


@dataclasses.dataclass(frozen=True)
class Split:
  """Time indices of each part, in time order."""

  train: tuple[int, ...]
  validation: tuple[int, ...]
  test: tuple[int, ...]

  def check_disjoint(self) -> None:
    """Checks that the parts share no time and follow one another.

    Raises:
      ValueError: they do not.
    """
    last, before = -1, "the start"
    for name, part in dataclasses.asdict(self).items():
      for i in part:
        if i <= last:
          raise ValueError(
            f"split: time index {i} of {name} does not come after {last} of "
            f"{before}; the parts must be disjoint and in time order"
          )
        last, before = i, name

  def save(self, path: str | os.PathLike, dataset: fields.Dataset) -> None:
    """Writes the indices, their times and the dataset's fingerprint."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may write the same split at once.
    files.write_text(path, json.dumps(_record(self, dataset), indent=2) + "\n")

  @classmethod
  def load(cls, path: str | os.PathLike, dataset: fields.Dataset) -> "Split":
    """Reads a split and checks that it was made for this dataset.

    Raises:
      ValueError: it was made for other data, or cannot be read.
    """
    try:
      stored = json.loads(pathlib.Path(path).read_text())
      parts = {p.name: tuple(stored[p.name]) for p in dataclasses.fields(cls)}
    except (KeyError, TypeError, json.JSONDecodeError) as error:
      raise ValueError(
        f"{path} is not a split ({error!r}): delete it to make a new one"
      ) from error
    split = cls(**parts)
    split.check_disjoint()
    for key in ("dataset", "fingerprint", "count"):
      here = _record(None, dataset)[key]
      if stored.get(key) != here:
        raise ValueError(
          f"{path} was made for other data: its {key} is "
          f"{stored.get(key)!r} and the dataset's is {here!r}; use another "
          "folder, or delete it if the runs there do not matter"
        )
    return split


def by_time(count: int, *, validation: Size, test: Size, gap: int = 1) -> Split:
  """Splits times into blocks: training, then validation, then test.

  Args:
    count: number of times.
    validation: how many, or below 1 which fraction of all times.
    test: the same.
    gap: times dropped between one block and the next.

  Raises:
    ValueError: a part is empty, or a size makes no sense.
  """
  sizes = {
    name: _size(name, size, count)
    for name, size in (("validation", validation), ("test", test))
  }
  if gap < 0:
    raise ValueError(f"split.gap must not be negative, got {gap}")
  end, blocks = count, {}
  for name in ("test", "validation"):
    begin = end - sizes[name]
    blocks[name] = tuple(range(max(begin, 0), end))
    end = begin - gap
  if end < 1:
    raise ValueError(
      f"{count} times leave nothing for training after "
      f"{sizes['validation']} for validation, {sizes['test']} for test and "
      f"gaps of {gap}: lower split.validation, split.test or split.gap, or "
      "give more times"
    )
  return Split(train=tuple(range(end)), **blocks)


def stored_or_new(
  path: str | os.PathLike,
  dataset: fields.Dataset,
  *,
  validation: Size,
  test: Size,
  gap: int = 1,
) -> Split:
  """Returns the split stored at `path`, or where there is none a new one.

  Writes nothing; `Split.save` does.

  Args:
    path: where a run keeps its split.
    dataset: what is split.
    validation: see `by_time`.
    test: see `by_time`.
    gap: see `by_time`.

  Raises:
    ValueError: the stored split belongs to other data or another request.
  """
  wanted = by_time(len(dataset), validation=validation, test=test, gap=gap)
  if not pathlib.Path(path).exists():
    return wanted
  stored = Split.load(path, dataset)
  for part, indices in dataclasses.asdict(wanted).items():
    there = getattr(stored, part)
    if there != indices:
      raise ValueError(
        f"{path} has {_span(there)} for {part} and the request gives "
        f"{_span(indices)}: ask for what it has, or use another folder"
      )
  return stored


def _record(split: Split | None, dataset: fields.Dataset) -> dict:
  record = {
    "dataset": dataset.name,
    "fingerprint": dataset.fingerprint,
    "count": len(dataset),
  }
  if split is None:
    return record
  parts = {k: list(v) for k, v in dataclasses.asdict(split).items()}
  times = {k: [dataset.times[i] for i in v] for k, v in parts.items()}
  return record | parts | {"times": times}


def _size(name: str, size: Size, count: int) -> int:
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
