"""Random numbers of every example its own, whatever was drawn before."""

from typing import Any

import numpy as np


class Streams:
  """Random numbers of the examples of a step, made without a new generator.

  The upper half of the counter names the example, the lower half counts what
  it draws: streams of different examples never meet.
  """

  def __init__(self, seed, stream, step):
    self._bits = np.random.Philox(key=[seed, stream], counter=[0, 0, step, 0])
    self._begin = self._bits.state
    self._generator = np.random.Generator(self._bits)

  def of(self, row) -> np.random.Generator:
    """Returns the generator of an example; the one before ends with it."""
    self._begin["state"]["counter"][3] = row
    return self.at(self._begin)

  @property
  def state(self) -> Any:
    """Where the generator is, for `at`."""
    return self._bits.state

  def at(self, state) -> np.random.Generator:
    """Returns the generator where it was; the one before ends with it."""
    self._bits.state = state
    return self._generator


def scale(
  rng: np.random.Generator,
  low: float | int,
  high: float | int,
  power: float | int = 0,
) -> float:
  """Returns a scale between two, drawn with a density of scale**-power."""
  if power == 1:
    drawn = np.exp(rng.uniform(np.log(low), np.log(high)))
  else:
    rank = 1 - power  # the integral of the density is s**rank / rank
    first, last = sorted((low**rank, high**rank))
    drawn = rng.uniform(first, last) ** (1 / rank)
  return min(max(float(drawn), low), high)  # not outside by rounding
