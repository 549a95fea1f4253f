"""The encoders that the arbitrary-scale networks share, by name."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.models.single_scale import edsr, rdn
from hinote_jax.nn import blocks


class EnlargingEdsr(edsr.Edsr):
  """EDSR with its enlargement left on, as an encoder.

  It hands on `channels` features instead of `width`: how the released HiNOTE
  repository builds its peers, kept to read their weights, not to be trained.
  """

  def __call__(self, lowres: Float[lazy.Grid, "b h w c"]):  # pyright: ignore[reportIncompatibleMethodOverride]
    return self.enlarge(lowres)


_ENCODERS = {
  "edsr": blocks.Trunk,
  "edsr_enlarging": EnlargingEdsr,
  "rdn": rdn.Trunk,
}


def make(name: str, options: Mapping[str, Any], /, **shared: Any) -> nn.Module:
  """Returns an encoder, [b h w c] -> [b h w d].

  Args:
    name: "edsr" (16 blocks of 64 channels), "rdn" (its size B) or
      "edsr_enlarging".
    options: attributes that differ from the encoder's own.
    **shared: `periodic`, `dtype` and `name` in its parent.

  Raises:
    ValueError: unknown name or attribute.
  """
  kind = naming.look_up("encoder", name, _ENCODERS)
  for option in options:
    naming.look_up(f"option of {name}", option, kind.__dataclass_fields__)
  return kind(**options, **shared)
