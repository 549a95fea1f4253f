"""Random numbers of every example its own, whatever was drawn before."""

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
    self._bits.state = self._begin
    return self._generator
