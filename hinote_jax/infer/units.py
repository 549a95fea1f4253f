"""The units in which published image networks take and give their values.

Images are values in [0, 1] everywhere else.
"""

from hinote_jax import models
from hinote_jax.core import naming
from hinote_jax.core.typing import Array


class Centred:
  """The values of LIIF and what came after it: (v - 0.5) / 0.5, in [-1, 1]."""

  def normalise(self, x: Array) -> Array:
    """Maps [0, 1] to [-1, 1]."""
    return (x - 0.5) / 0.5

  def denormalise(self, x: Array) -> Array:
    """Maps [-1, 1] to [0, 1]."""
    return x * 0.5 + 0.5


UNIT_CENTRED = Centred()
# None passes values in [0, 1] through.
NORMALISERS = {"centred": UNIT_CENTRED, "unit": None}


def normaliser(
  model: str, channels: int | None, name: str | None = None
) -> Centred | None:
  """Returns what goes around a published network; None where nothing does.

  Args:
    model: its name in `models`.
    channels: of its images; None where any number will do.
    name: one of `NORMALISERS`, to take it whatever the network; None for the
      convention of the network.

  Raises:
    ValueError: the name is unknown.
  """
  if name is None:
    is_centred = models.spec(model).is_centred_in_colour and channels == 3
    name = "centred" if is_centred else "unit"
  return naming.look_up("normalisation", name, NORMALISERS)
