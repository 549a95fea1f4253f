"""What makes two networks of the same parameters give other answers."""

from collections.abc import Collection, Mapping
from typing import Any

from hinote_jax import models
from hinote_jax.models import encoders

# How a network is run and trained, and what its layout alone holds.
_USE = {
  *("dtype", "points_at_once", "max_scale", "kernel", "noise"),
  *("drop_path", "guide", "sharpness", "img_size"),
}
# Sizes: where they count, parameters of the same shapes have the same.
_SIZES = {
  *("width", "depth", "waves", "num_feat", "interval", "pattern_interval"),
  *("mlp_ratio", "compress_ratio", "squeeze_factor", "overlap_ratio"),
  *("factor", "unet", "autoencoder"),
}


def of(name: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
  """Returns all attributes of a model, those it was not given too.

  Args:
    name: of the model in `models.build`.
    kwargs: its keyword arguments.

  Examples:
    >>> of("espcn", {"scale": 2})["channels"]
    1
  """
  module = models.build(name, **kwargs)
  names = set(module.__dataclass_fields__) - {"parent", "name"}
  return {attribute: getattr(module, attribute) for attribute in names}


def differing(
  own: Mapping[str, Any],
  read: Mapping[str, Any],
  *,
  apart: Collection[str] = (),
) -> dict[str, tuple[Any, Any]]:
  """Returns attribute -> (own, read), where networks answer differently.

  Args:
    own: attributes of a network.
    read: those of one that a file is read as; the parameters of both have the
      same shapes.
    apart: attributes that do not count.

  Examples:
    >>> own, read = ({"mean": m, "dtype": t} for m, t in [((), 1), ((0.4,), 2)])
    >>> differing(own, read)
    {'mean': ((), (0.4,))}
  """
  pairs = {name: (own[name], read[name]) for name in sorted(own.keys() & read)}
  options = pairs.pop("encoder_options", None)
  if options and own["encoder"] == read["encoder"]:
    ours, theirs = (encoders.make(read["encoder"], each) for each in options)
    # What a file does not tell of an encoder is of its enlargement.
    for name in options[1]:
      pair = getattr(ours, name), getattr(theirs, name)
      pairs[f"encoder_options.{name}"] = pair
  alike = {*_USE, *_SIZES, *apart}
  return {
    name: pair
    for name, pair in pairs.items()
    if name.rpartition(".")[2] not in alike
    and pair[0] != pair[1]
    and not _is_open(name, pair[1])
  }


def _is_open(name: str, value: Any) -> bool:
  """Says whether a file leaves an attribute to the field, as tables do."""
  return value is None or (name == "limits" and not value)


def in_words(differing: Mapping[str, tuple[Any, Any]]) -> tuple[str, str]:
  """Returns both sides of what `differing` gives, as calls have them.

  Examples:
    >>> in_words({"mean": ((), (0.4,)), "scale": (2, 4)})
    ('mean=(), scale=2', 'mean=(0.4,), scale=4')
  """
  own, read = (
    ", ".join(f"{name}={pair[i]!r}" for name, pair in differing.items())
    for i in (0, 1)
  )
  return own, read
