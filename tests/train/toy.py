"""A model with all that the contract allows: a table that nothing trains, an
extra beside the field, and dropout."""

from flax import linen as nn
import jax.numpy as jnp

from hinote_jax.core import resize
from hinote_jax.models.spec import Spec


class Toy(nn.Module):
  """Bilinear, plus a small network of the field, a table and the noise."""

  width: int = 8
  channels: int = 1
  periodic: tuple[bool, bool] = (False, False)

  @nn.compact
  def __call__(self, lowres, coords, cell, *, noise):
    del cell
    table = self.variable(
      "tables", "waves", lambda: jnp.linspace(-1.0, 1.0, self.width)
    )
    skip = resize.sample(lowres, coords, method="linear")
    feats = nn.Dense(self.width, name="lift")(skip) * table.value
    feats = feats + noise[:, None, None, None]
    is_trained = self.has_rng("dropout")
    feats = nn.Dropout(0.5, deterministic=not is_trained)(nn.tanh(feats))
    return skip + nn.Dense(self.channels, name="project")(feats)


SPECS = (
  Spec("toy", "tests.train.toy:Toy", extras=("noise",), rngs=("dropout",)),
)
