"""What a dataset says, for the tests of the metrics."""

import numpy as np

from hinote_jax.metrics import context as contexts


def make(names=("a",), *, units=None, long_names=None, **kwargs):
  """Returns a context of some variables, periodic and without coordinates."""
  count = len(names)
  return contexts.Context(
    names=tuple(names),
    units=tuple(units or ("",) * count),
    long_names=tuple(long_names or ("",) * count),
    **{"periodic": (True, True), "data_range": np.ones(count)} | kwargs,
  )
