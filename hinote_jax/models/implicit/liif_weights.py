"""LIIF."""

from hinote_jax.interop import layout, rules
from hinote_jax.models import encoders
from hinote_jax.models.implicit import weights as implicit

# The MLP's inputs: unfolded features, offset (y, x), cell (y, x).
_PLACE = 2


def _matches(shapes):
  return (
    implicit.is_implicit(shapes)
    and shapes["imnet.layers.0.weight"][1] > 3
    and "coef.weight" not in shapes
  )


def _arguments(shapes, *, local_ensemble, feat_unfold, cell_decode, res_scale):
  *hidden, _ = implicit.hidden(shapes)
  return dict(
    hidden=tuple(hidden),
    local_ensemble=local_ensemble,
    feat_unfold=feat_unfold,
    cell_decode=cell_decode,
    **implicit.encoder_arguments(shapes, res_scale=res_scale),
  )


def _features(inputs, size):
  """(out, c * k * k) -> (k, k, c, out): a dense layer as a convolution."""

  def load(tensor):
    kernel = tensor.reshape(-1, inputs // size**2, size, size)
    return rules.conv.load(kernel)

  def save(parameter):
    return rules.conv.save(parameter).reshape(-1, inputs)

  return rules.Transform(load, save)


def _rules(*, encoder, encoder_options, feat_unfold, cell_decode, **_):
  width = encoders.features(encoder, encoder_options)
  size = 3 if feat_unfold else 1
  inputs = width * size**2
  sizes, targets = [inputs, _PLACE], ["features/kernel", "offset/kernel"]
  if cell_decode:
    sizes.append(_PLACE)
    targets.append("cell/kernel")
  transforms = [_features(inputs, size), *[rules.dense] * (len(sizes) - 1)]
  return [
    *implicit.encoder_rules(encoder, encoder_options),
    rules.Rule(
      "imnet.layers.0.weight", tuple(targets), rules.parts(sizes, transforms)
    ),
    rules.Rule("imnet.layers.0.bias", "features/bias", rules.as_is),
    *implicit.mlp("imnet.layers", rules.dense, first=1),
  ]


LAYOUT = layout.Layout(
  model="liif",
  matches=_matches,
  arguments=_arguments,
  rules=_rules,
  constants=implicit.constants,
  told=implicit.told,
  options=dict(
    local_ensemble=True, feat_unfold=True, cell_decode=True, res_scale=None
  ),
)
