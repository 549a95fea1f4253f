"""The zoo: every model is built by name and called alike.

    module = models.build("hinote", size="S", channels=1)
    variables = module.init(key, lowres, coords, cell)
    highres = module.apply(variables, lowres, coords, cell)  # [b H W c]

`lowres` is [b h w c]; `coords` is `grids.Axes` or [(b) H W 2]; `cell` is [b 2].
Every module has a field `periodic`, (y, x), which `clone` may change.

A family is a folder with a module `spec`. One outside of this package is named
by its module and the model, "my_models.spec:blur".
"""

from collections.abc import Mapping
import dataclasses
import functools
import importlib
from typing import Any

from flax import linen as nn

from hinote_jax.core import naming
from hinote_jax.models.interpolation import spec as interpolation
from hinote_jax.models.spec import Spec

_FAMILIES = (
  "hinote",
  "hinote_official",
  "implicit",
  "single_scale",
  "lut",
  "unfolding",
  "interpolation",
  "features",
  "diffusion",
)

STATIC = "static"  # the extra that says what is known of a place
INTERPOLATIONS = tuple(spec.name for spec in interpolation.SPECS)


def specs() -> dict[str, Spec]:
  """Returns what is said of every model of this package, by name, sorted.

  Networks of features, and those of files alone, are apart, see `every_spec`.

  Examples:
    >>> specs()["srno"].is_interpolation
    False
  """
  every = every_spec().items()
  return {n: s for n, s in every if not (s.is_features or s.is_imported)}


@functools.cache
def every_spec() -> dict[str, Spec]:
  """Returns `specs`, networks of features and of files alone, sorted.

  Examples:
    >>> every_spec()["inn"].is_features
    True
  """
  modules = (
    importlib.import_module(f"{__name__}.{family}.spec") for family in _FAMILIES
  )
  every = [spec for module in modules for spec in module.SPECS]
  return {spec.name: spec for spec in sorted(every, key=lambda s: s.name)}


def spec(name: str) -> Spec:
  """Returns what is said of one model.

  Args:
    name: of `names`, or "module:name" of a model elsewhere; the module has
      `SPECS`.

  Raises:
    ValueError: the name is unknown; the message says which is nearest.

  Examples:
    >>> spec("bicubic").is_interpolation
    True
    >>> spec("bicubik")
    Traceback (most recent call last):
    ValueError: unknown model 'bicubik'; did you mean 'bicubic'? known: ...
  """
  module, colon, model = name.rpartition(":")
  if not colon:
    return naming.look_up("model", name, every_spec())
  elsewhere = {s.name: s for s in importlib.import_module(module).SPECS}
  return naming.look_up(f"model of {module}", model, elsewhere)


def names() -> tuple[str, ...]:
  """Returns the names `build` knows, sorted.

  Examples:
    >>> {"hinote", "liif", "bicubic"} <= set(names())
    True
  """
  return tuple(specs())


def build(name: str, **kwargs: Any) -> nn.Module:
  """Returns the model called `name`, made from keyword arguments.

  With `static_units`, one number a static field, any model takes those beside
  the field, see `informed.Informed`; with `blend`, it is mixed with
  interpolations at some scales, see `blended.Blended`; with `consistent`, a
  mapping of attributes of `consistent.Consistent`, its answers degrade to its
  input.

  Raises:
    ValueError: the name is unknown; the message says which is nearest.
    TypeError: the model takes no such argument.

  Examples:
    >>> build("hinote", size="S", channels=2).channels
    2
    >>> build("bicubic").clone(periodic=(False, True)).periodic
    (False, True)
  """
  # As checkpoints of earlier versions call it.
  if "most" in kwargs:
    kwargs["points_at_once"] = kwargs.pop("most")
  kwargs = {name: _hashable(value) for name, value in kwargs.items()}
  if (ending := kwargs.pop("consistent", None)) is not None:
    from hinote_jax.models import consistent

    plain: Any = build(name, **kwargs)
    channels = getattr(plain, "channels", None)
    options: Any = dict(ending, channels=channels, periodic=plain.periodic)
    return consistent.Consistent(plain, **options)
  known, blend = spec(name), kwargs.pop("blend", None)
  if blend is not None:
    from hinote_jax.models import blended

    plain = build(name, **kwargs)
    channels = getattr(plain, "channels", None)
    return blended.Blended(plain, blend, channels, plain.periodic)
  if "static_units" not in kwargs or STATIC in known.extras:
    return known.build(**kwargs)
  from hinote_jax.models import informed

  units, channels = kwargs.pop("static_units"), kwargs.pop("channels")
  if "residual_scale" in kwargs:
    kwargs["residual_scale"] = (*kwargs["residual_scale"], *units)
  plain = known.build(channels=channels + len(units), **kwargs)
  return informed.Informed(plain, units, channels, periodic=plain.periodic)


def spec_of(arguments: Mapping[str, Any]) -> Spec:
  """Returns what is said of a model that `build` makes of these arguments.

  Beside what its spec says, a model with `static_units` takes static fields.

  Examples:
    >>> arguments = dict(name="hinote", channels=1, static_units=(1.0,))
    >>> spec_of(arguments).extras
    ('static',)
  """
  known = spec(arguments["name"])
  if "static_units" not in arguments or STATIC in known.extras:
    return known
  return dataclasses.replace(known, extras=(*known.extras, STATIC))


def _hashable(value):
  """Returns lists as tuples and dicts frozen, as a module must have them."""
  if isinstance(value, list | tuple):
    return tuple(_hashable(v) for v in value)
  if isinstance(value, Mapping):
    return nn.FrozenDict({k: _hashable(v) for k, v in value.items()})
  return value
