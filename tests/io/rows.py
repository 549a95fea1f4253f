"""Values that are read in blocks of rows and never whole."""

import numpy as np


class Rows:
  """[count H W c] that gives values[i, rows] alone, and remembers how many.

  Attributes:
    shape: of the values.
    largest: rows that were asked for at once, at most.
  """

  def __init__(self, values: np.ndarray):
    self._values = values
    self.shape = values.shape
    self.largest = 0

  def __getitem__(self, index: tuple[int, slice]) -> np.ndarray:
    i, rows = index
    assert isinstance(rows, slice)
    block = self._values[int(i), rows]
    self.largest = max(self.largest, len(block))
    return block

  def __array__(self, *args, **kwargs):
    raise AssertionError("read whole")
