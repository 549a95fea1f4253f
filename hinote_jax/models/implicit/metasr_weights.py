"""MetaSR, as LIIF's authors rebuilt it."""

from hinote_jax.interop import layout, rules
from hinote_jax.models.implicit import weights as implicit


def _matches(shapes):
  return (
    implicit.is_implicit(shapes)
    and shapes["imnet.layers.0.weight"][1] == 3
    and "coef.weight" not in shapes
  )


def _arguments(shapes, *, res_scale):
  *hidden, _ = implicit.hidden(shapes)
  return dict(
    hidden=tuple(hidden),
    **implicit.encoder_arguments(shapes, res_scale=res_scale),
  )


def _mix(channels):
  """(c k k o, hidden) -> (k, k, c, hidden, o), and without hidden the bias."""

  def load(tensor):
    split = tensor.reshape(-1, 3, 3, channels, *tensor.shape[1:])
    axes = (1, 2, 0, 4, 3) if tensor.ndim == 2 else (1, 2, 0, 3)
    return split.transpose(axes)

  def save(parameter):
    is_bias = parameter.ndim == 4
    axes = (2, 0, 1, 3) if is_bias else (2, 0, 1, 4, 3)
    moved = parameter.transpose(axes)
    return moved.reshape(-1, *moved.shape[4:])

  return rules.Transform(load, save)


def _rules(
  *, encoder, encoder_options, hidden, channels, out_channels=None, **_
):
  channels = out_channels or channels
  last = f"imnet.layers.{2 * len(hidden)}"
  return [
    *implicit.encoder_rules(encoder, encoder_options),
    rules.Rule(f"{last}.weight", "mix", _mix(channels)),
    rules.Rule(f"{last}.bias", "mix_bias", _mix(channels)),
    *implicit.mlp("imnet.layers", rules.dense),
  ]


LAYOUT = layout.Layout(
  model="metasr",
  matches=_matches,
  arguments=_arguments,
  rules=_rules,
  constants=implicit.constants,
  told=implicit.told,
  options=dict(res_scale=None),
)
