"""The encoders of the arbitrary-scale networks, by name."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flax import linen as nn
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.models.single_scale import edsr, hat, rdn, swinir
from hinote_jax.nn import blocks


class EnlargingEdsr(edsr.Edsr):
  """EDSR with its enlargement left on, as an encoder.

  It hands on `channels` features instead of `width`: how the released HiNOTE
  repository builds its peers, kept to read their weights, not to be trained.
  """

  def __call__(self, lowres: Float[lazy.Grid, "b h w c"]):  # pyright: ignore[reportIncompatibleMethodOverride]
    return self.enlarge(lowres)


class SwinirFeatures(swinir.Swinir):
  """SwinIR before its enlargement, as LTE's authors take it."""

  @nn.compact
  def __call__(self, lowres: Float[lazy.Grid, "b h w c"]):  # pyright: ignore[reportIncompatibleMethodOverride]
    return self.features(lowres)


class HatFeatures(hat.Hat):
  """HAT before its enlargement."""

  @nn.compact
  def __call__(self, lowres: Float[lazy.Grid, "b h w c"]):  # pyright: ignore[reportIncompatibleMethodOverride]
    return self.features(lowres)


class _Kind(NamedTuple):
  """An encoder.

  Attributes:
    module: [b h w c] -> [b h w d].
    sizes: attributes by the name of a size.
    features: the attribute that is d.
  """

  module: type[nn.Module]
  sizes: Mapping[str, Mapping[str, Any]]
  features: str = "width"


_ENCODERS = {
  "edsr": _Kind(blocks.Trunk, edsr.SIZES),
  "edsr_enlarging": _Kind(EnlargingEdsr, edsr.SIZES, "channels"),
  "hat": _Kind(HatFeatures, hat.SIZES, "num_feat"),
  "rdn": _Kind(rdn.Trunk, rdn.SIZES),
  "swinir": _Kind(SwinirFeatures, swinir.SIZES, "num_feat"),
}


def features(name: str, options: Mapping[str, Any]) -> int:
  """Returns how many features an encoder hands on."""
  return getattr(make(name, options), _ENCODERS[name].features)


def make(
  name: str,
  options: Mapping[str, Any],
  /,
  *,
  features: int | None = None,
  **shared: Any,
) -> nn.Module:
  """Returns an encoder, [b h w c] -> [b h w d].

  Args:
    name: "edsr" (16 blocks of 64 channels), "rdn" (its size B), "swinir" (its
      classical size), "hat" or "edsr_enlarging".
    options: attributes that differ from the encoder's own; `size` stands for
      those of one of its sizes.
    features: d; None: as the options say.
    **shared: `periodic`, `dtype` and `name` in its parent.

  Raises:
    ValueError: unknown name, size or attribute.
  """
  kind = naming.look_up("encoder", name, _ENCODERS)
  options = dict(options)
  if "size" in options:
    size = naming.look_up(f"size of {name}", options.pop("size"), kind.sizes)
    options = {**size, **options}
  if features is not None:
    options.setdefault(kind.features, features)
  for option in options:
    naming.look_up(
      f"option of {name}", option, kind.module.__dataclass_fields__
    )
  return kind.module(**options, **shared)
