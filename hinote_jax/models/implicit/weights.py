"""What the layouts of the arbitrary-scale networks share: encoder and MLP."""

from collections.abc import Mapping
from typing import Any

from hinote_jax.interop import rules
from hinote_jax.models.single_scale import edsr_weights as edsr
from hinote_jax.models.single_scale import rdn_weights as rdn

_SOURCE, _TARGET = "encoder.", "encoder/"


def encoder_arguments(
  shapes: rules.Shapes, *, res_scale: float | None = None
) -> dict[str, Any]:
  """Returns the encoder's name and options, and the channels of the field.

  Raises:
    ValueError: the encoder is none that is known.
  """
  if rdn.is_trunk(shapes, _SOURCE):
    name, options = "rdn", rdn.sizes(shapes, _SOURCE)
  elif edsr.is_trunk(shapes, _SOURCE):
    name = "edsr"
    options = edsr.sizes(shapes, _SOURCE, res_scale=res_scale)
  else:
    first = [n for n in shapes if n.startswith(_SOURCE)][:3]
    raise ValueError(f"its encoder ({', '.join(first)}, ...) is not known here")
  channels = options.pop("channels")
  if f"{_SOURCE}tail.1.weight" in shapes:
    scale = edsr.scale_of(shapes, _SOURCE)
    name = "edsr_enlarging"
    options = dict(options, channels=channels, scale=scale)
  return dict(channels=channels, encoder=name, encoder_options=options)


def encoder_rules(encoder: str, options: Mapping[str, Any]) -> list[rules.Rule]:
  """Returns the table of an encoder."""
  if encoder == "rdn":
    return rdn.trunk(_SOURCE, _TARGET)
  count = options.get("blocks", 16)
  if encoder == "edsr":
    return edsr.trunk(_SOURCE, _TARGET, count)
  tail = edsr.tail(_SOURCE, _TARGET, options["scale"])
  return edsr.trunk(_SOURCE, f"{_TARGET}trunk/", count) + tail


def constants(*, channels: int, encoder: str, **_: Any):
  """Returns the mean shift that EDSR encoders of colour carry."""
  return {} if encoder == "rdn" else edsr.mean_shift(_SOURCE, channels)


def mlp(
  source: str, kernel: rules.Transform, first: int = 0
) -> list[rules.Rule]:
  """Returns the rules of an MLP's layers from the one numbered `first`.

  A ReLU lies between two layers and takes a number in the published names.
  """
  return [
    rule
    for i in range(first, 16)
    for rule in rules.layer(f"{source}.{2 * i}", f"layer_{i}", kernel)
  ]


def hidden(shapes: rules.Shapes, source: str = "imnet.layers") -> list[int]:
  """Returns the outputs of each layer of an MLP, the last one's too."""
  widths, i = [], 0
  while f"{source}.{i}.weight" in shapes:
    widths.append(shapes[f"{source}.{i}.weight"][0])
    i += 2
  return widths


def is_implicit(shapes: rules.Shapes) -> bool:
  """Says whether an encoder and an MLP are there."""
  has_encoder = any(name.startswith(_SOURCE) for name in shapes)
  return has_encoder and "imnet.layers.0.weight" in shapes
