"""The zoo: every model is built by name and called alike.

    module = models.build("hinote", size="S", channels=1)
    variables = module.init(key, lowres, coords, cell)
    highres = module.apply(variables, lowres, coords, cell)  # [b H W c]

`lowres` is [b h w c]; `coords` is `grids.Axes` or [(b) H W 2]; `cell` is [b 2].
Every module has a field `periodic`, (y, x), which `clone` may change.
"""

from collections.abc import Mapping
import importlib

from flax import linen as nn

from hinote_jax import naming

_FACTORIES = {
  "dfno": "dfno:Dfno",
  "edsr": "edsr:build",
  "espcn": "shallow:Espcn",
  "hinote": "hinote:build",
  "hinote_official": "hinote_official:HinoteOfficial",
  "liif": "liif:build",
  "lte": "lte:build",
  "metasr": "metasr:build",
  "rdn": "rdn:build",
  "srcnn": "shallow:Srcnn",
  "srno": "srno:build",
  "swinir": "swinir:build",
  "wdsr": "wdsr:Wdsr",
  "nearest": "interpolation:nearest",
  "bilinear": "interpolation:bilinear",
  "bicubic": "interpolation:bicubic",
  "lanczos": "interpolation:lanczos",
  "spectral": "interpolation:spectral",
}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "spectral")


def names() -> tuple[str, ...]:
  """Returns the names `build` knows, sorted."""
  return tuple(sorted(_FACTORIES))


def build(name: str, **kwargs) -> nn.Module:
  """Returns the model called `name`, made from keyword arguments.

  Raises:
    ValueError: the name is unknown; the message says which is nearest.
    TypeError: the model takes no such argument.
  """
  module, factory = naming.look_up("model", name, _FACTORIES).split(":")
  module = importlib.import_module(f"hinote_jax.models.{module}")
  kwargs = {name: _hashable(value) for name, value in kwargs.items()}
  return getattr(module, factory)(**kwargs)


def _hashable(value):
  """Returns lists as tuples and dicts frozen, as a module must have them."""
  if isinstance(value, list | tuple):
    return tuple(_hashable(v) for v in value)
  if isinstance(value, Mapping):
    return nn.FrozenDict({k: _hashable(v) for k, v in value.items()})
  return value
