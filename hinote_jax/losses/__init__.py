"""Training losses: every loss takes any model's prediction.

A loss is a Flax module, so that one with parameters of its own trains beside
the model: `loss.apply(variables, pred, highres, lowres, coords)` gives the
loss of every element, [b H W c]; the caller takes the mean. It does not depend
on how a batch is divided among devices, but for losses `is_of_batch`.
"""

from flax import linen as nn

from hinote_jax.core import naming
from hinote_jax.losses import (
  focal_frequency,
  frequency_prior,
  pixel,
  published,
  structure,
)

_LOSSES = {
  "l1": pixel.L1,
  "l2": pixel.L2,
  "charbonnier": pixel.Charbonnier,
  "frequency_prior": frequency_prior.FrequencyPrior,
  "focal_frequency": focal_frequency.FocalFrequency,
  "autoencode": structure.Autoencode,
  "published_l1": published.L1Sum,
  "published_l2": published.L2Sum,
  "published_prior": published.PublishedPrior,
}


def build(name: str, **kwargs) -> nn.Module:
  """Returns the loss called `name`, made from keyword arguments.

  Raises:
    ValueError: the name, or an argument, is unknown; says which is nearest.

  Examples:
    >>> import numpy as np
    >>> loss = build("l2")
    >>> highres = np.zeros((1, 2, 2, 1), np.float32)
    >>> loss.apply({}, highres + 3, highres, None, None)[0, 0, 0].tolist()
    [9.0]
  """
  loss = naming.look_up("loss", name, _LOSSES)
  for argument in kwargs:
    naming.look_up(f"argument of {name}", argument, loss.__dataclass_fields__)
  return loss(**kwargs)


def is_of_batch(loss: nn.Module) -> bool:
  """Says whether a loss is of a batch as a whole, and not of each example.

  A loss says so by an attribute of this name.

  Examples:
    >>> is_of_batch(build("l1"))
    False
    >>> is_of_batch(build("focal_frequency", ave_spectrum=True))
    True
  """
  plain = getattr(loss, "loss", loss)  # of one with terms
  return getattr(plain, "is_of_batch", False)
