"""What the layouts of the arbitrary-scale networks share: encoder and MLP."""

from collections.abc import Mapping
from typing import Any

from hinote_jax.interop import rules
from hinote_jax.models import encoders
from hinote_jax.models.single_scale import edsr_weights as edsr
from hinote_jax.models.single_scale import hat_weights as hat
from hinote_jax.models.single_scale import rdn_weights as rdn
from hinote_jax.models.single_scale import swinir_weights as swinir

_TRANSFORMERS = {"swinir": swinir.LAYOUT, "hat": hat.LAYOUT}
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
  elif any(name.startswith(f"{_SOURCE}layers.0.") for name in shapes):
    name, options = _windows(shapes)
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


def _windows(shapes):
  """Returns the name and the options of an encoder of window attention."""
  size = len(_SOURCE)
  own = {n[size:]: s for n, s in shapes.items() if n.startswith(_SOURCE)}
  name = "swinir" if _TRANSFORMERS["swinir"].matches(own) else "hat"
  layout = _TRANSFORMERS[name]
  options = layout.arguments(own, **layout.options)
  # Published ones take no mean off; what they have is of no enlargement.
  for unused in ("scale", "mean", "upsampler"):
    del options[unused]
  return name, options


def _attributes(encoder, options):
  network = encoders.make(encoder, options)
  return {name: getattr(network, name) for name in network.__dataclass_fields__}


def encoder_rules(encoder: str, options: Mapping[str, Any]) -> list[rules.Rule]:
  """Returns the table of an encoder."""
  if encoder == "rdn":
    return rdn.trunk(_SOURCE, _TARGET)
  if encoder in _TRANSFORMERS:
    table = _TRANSFORMERS[encoder].rules(**_attributes(encoder, options))
    return [
      rules.Rule(f"{_SOURCE}{r.source}", f"{_TARGET}{r.target}", r.transform)
      for r in table
    ]
  count = options.get("blocks", 16)
  if encoder == "edsr":
    return edsr.trunk(_SOURCE, _TARGET, count)
  tail = edsr.tail(_SOURCE, _TARGET, options["scale"])
  return edsr.trunk(_SOURCE, f"{_TARGET}trunk/", count) + tail


def constants(
  *, channels: int, encoder: str, encoder_options: Mapping[str, Any], **_: Any
):
  """Returns what encoders carry: mean shifts of colour, masks and indices."""
  if encoder in _TRANSFORMERS:
    attributes = _attributes(encoder, encoder_options)
    buffers = _TRANSFORMERS[encoder].constants(**attributes)
    return {f"{_SOURCE}{name}": value for name, value in buffers.items()}
  return {} if encoder == "rdn" else edsr.mean_shift(_SOURCE, channels)


def told(
  *, encoder: str, encoder_options: Mapping[str, Any], **_: Any
) -> dict[str, Any]:
  """Returns the option that says what residual blocks are multiplied by."""
  scale = _attributes(encoder, encoder_options).get("residual_scale")
  return dict(res_scale=scale)


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
