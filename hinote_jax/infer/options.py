"""What is asked of a result beyond the network's answer."""

import dataclasses

from hinote_jax.degradations import pipeline
from hinote_jax.infer import blurred


@dataclasses.dataclass(frozen=True)
class Options:
  """What is asked of a result beyond the network's answer.

  Attributes:
    consistent: degrading the result with this gives the input back, to 1e-5 of
      its range; None: it need not.
    keeps_mean: the mean over the cells that are not missing is that of the
      input, to 1e-6 of its range.
    clip: (lowest, highest) value, None for no bound; applied last, also to
      what is consistent or keeps the mean.
    is_ensemble: average over the eight flips and transpositions.
    memory: of the process; None: no tiles.
    side: longest side of a tile; None chooses.
    span: (lowest, highest) value of the file, black and white to a network of
      colours; None: those of the type.
    is_renamed: the variables are the model's under other names, in its order.
    blur: what made the input, for networks that take it.
  """

  consistent: pipeline.Degradation | None = None
  keeps_mean: bool = False
  clip: tuple[float | int | None, float | int | None] = (None, None)
  is_ensemble: bool = False
  memory: str | float | int | None = None
  side: int | None = None
  span: tuple[float, float] | None = None
  is_renamed: bool = False
  blur: blurred.Blur | None = None

  def notes(self) -> list[str]:
    """Returns what must be known of them together."""
    is_bound = self.clip != (None, None)
    if is_bound and (self.consistent or self.keeps_mean):
      return [
        "--clip comes last: where it changes a value, the result does not give "
        "the input back, nor keep its mean"
      ]
    return []
