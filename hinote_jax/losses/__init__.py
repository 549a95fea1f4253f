"""Training losses: every loss takes any model's prediction.

A loss is a Flax module, so that one with parameters of its own trains beside
the model: `loss.apply(variables, pred, highres, lowres, coords)` gives the
loss of every element, [b H W c]; the caller takes the mean.
"""

from flax import linen as nn

from hinote_jax import naming
from hinote_jax.losses import frequency_prior, pixel

_LOSSES = {
  "l1": pixel.L1,
  "l2": pixel.L2,
  "charbonnier": pixel.Charbonnier,
  "frequency_prior": frequency_prior.FrequencyPrior,
}


def build(name: str, **kwargs) -> nn.Module:
  """Returns the loss called `name`, made from keyword arguments.

  Raises:
    ValueError: the name, or an argument, is unknown; says which is nearest.
  """
  loss = naming.look_up("loss", name, _LOSSES)
  for argument in kwargs:
    naming.look_up(f"argument of {name}", argument, loss.__dataclass_fields__)
  return loss(**kwargs)
