"""Training losses: every loss takes any model's prediction.

A loss is a Flax module, so that one with parameters of its own trains beside
the model: `loss.apply(variables, pred, highres, lowres, coords)` gives the
loss of every element, [b H W c]; the caller takes the mean.
"""

import difflib

from flax import linen as nn

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
    ValueError: the name is unknown; the message says which is nearest.
  """
  if name not in _LOSSES:
    close = difflib.get_close_matches(name, _LOSSES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"unknown loss {name!r}{hint} Known: {', '.join(_LOSSES)}")
  return _LOSSES[name](**kwargs)
