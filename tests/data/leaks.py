"""Whether a split of a source leaks, told by the values of the fields."""

from collections.abc import Callable
import itertools

import numpy as np
import pytest

from hinote_jax.data import series, splits


def dataset_of(source: series.Source) -> series.Dataset:
  """Returns a source in memory, without the cache."""
  values = np.stack([source.read(i) for i in range(len(source.times))])
  return series.Dataset.of(source, values)


def parts_of(split: splits.Split) -> dict[str, tuple[int, ...]]:
  """Returns name -> indices of the parts."""
  return {n: getattr(split, n) for n in ("train", "validation", "test")}


def check(
  source: series.Source,
  path,
  owner: Callable[[np.ndarray], object],
  **sizes,
) -> dict[str, set]:
  """Checks that a source is split by owner and refuses to be split otherwise.

  Args:
    source: in groups.
    path: where a split may be stored.
    owner: says of the values of a field [H W c] whose it is.
    **sizes: of `splits.stored_or_new`.

  Returns:
    Whose fields are in each part.
  """
  dataset = dataset_of(source)
  whose = [owner(values) for values in dataset.values]
  split = splits.stored_or_new(path, dataset, **sizes)
  owners = {n: {whose[i] for i in p} for n, p in parts_of(split).items()}
  assert all(owners.values())
  for one, other in itertools.combinations(owners.values(), 2):
    assert not one & other
  # Groups tell apart what the values do: no two owners under one label.
  assert len(set(zip(dataset.groups, whose, strict=True))) == len(set(whose))
  # Every third field: what a split that knows of no groups would do.
  count = len(dataset)
  naive = splits.Split(*(tuple(range(k, count, 3)) for k in range(3)))
  naive_owners = [{whose[i] for i in p} for p in parts_of(naive).values()]
  assert naive_owners[0] & naive_owners[2]
  with pytest.raises(ValueError, match="has fields in train and in"):
    naive.check_disjoint(dataset.groups, dataset.times)
  naive.save(path, dataset)
  with pytest.raises(ValueError, match="has fields in train and in"):
    splits.stored_or_new(path, dataset, **sizes)
  return owners
