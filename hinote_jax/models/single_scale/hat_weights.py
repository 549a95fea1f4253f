"""HAT: the official files, and what its variants are written as."""

import math
import re
from typing import Any

from hinote_jax.interop import layout, rules
from hinote_jax.models.single_scale import swinir_weights as swinir
from hinote_jax.nn import window_attention

_BLOCK, _OURS = "layers.{i}.residual_group.blocks.{j}", "group_{i}_block_{j}"
_END, _OUR_END = "layers.{i}.residual_group.overlap_attn", "group_{i}_end"
_MIX = f"{_END}.ast_weight"


def arguments(
  shapes: rules.Shapes, *, conv_scale: float, img_range: float
) -> dict[str, Any]:
  """Returns the attributes of a `Hat` that shapes and options tell."""
  known = swinir.sizes(shapes)
  width, window = known["embed_dim"], known["window_size"]
  cab = _BLOCK.format(i=0, j=0) + ".conv_block.cab"
  name = f"{_END}.relative_position_bias_table".format(i=0)
  wide = math.isqrt(shapes[name][0]) + 1 - window
  is_refined = any(".overlap_attn.frfn." in name for name in shapes)
  return dict(
    known,
    compress_ratio=width // shapes[f"{cab}.0.weight"][0],
    squeeze_factor=width // shapes[f"{cab}.3.attention.1.weight"][0],
    conv_scale=conv_scale,
    overlap_ratio=wide / window - 1,
    attention="mixed" if _is_mixed(shapes) else "softmax",
    feed_forward="frfn" if is_refined else "mlp",
    img_range=img_range,
  )


def table(**attributes: Any) -> list[rules.Rule]:
  """Returns the rules of a `Hat`; takes its attributes."""
  cab, channels = f"{_BLOCK}.conv_block.cab", f"{_OURS}_channels"
  frfn, refined = f"{_END}.frfn", f"{_OUR_END}_frfn"
  pointwise = rules.pointwise
  return [
    *swinir.table(**attributes),
    *rules.layer(f"{cab}.0", f"{channels}/first", rules.conv),
    *rules.layer(f"{cab}.2", f"{channels}/second", rules.conv),
    *rules.layer(f"{cab}.3.attention.1", f"{channels}/squeeze", pointwise),
    *rules.layer(f"{cab}.3.attention.3", f"{channels}/excite", pointwise),
    *swinir.attention(_END, f"{_OUR_END}_attention"),
    *swinir.perceptron(_END, _OUR_END),
    rules.Rule(_MIX, f"{_OUR_END}_attention/mix", rules.as_is),
    *rules.layer(
      f"{frfn}.partial_conv3", f"{refined}/partial", rules.conv, bias=None
    ),
    *rules.layer(f"{frfn}.linear1.0", f"{refined}/fc_0", rules.dense),
    *rules.layer(f"{frfn}.dwconv.0", f"{refined}/depthwise", rules.depthwise),
    *rules.layer(f"{frfn}.linear2.0", f"{refined}/fc_1", rules.dense),
  ]


def constants(*, window_size: int, overlap_ratio: float, **_: Any):
  """Returns the index buffers."""
  wide = window_size + int(window_size * overlap_ratio + 1e-6)
  name = "relative_position_index"
  return {
    f"{name}_SA": window_attention.relative_index(window_size),
    f"{name}_OCA": window_attention.overlap_index(window_size, wide),
  }


def _is_mixed(shapes):
  return any(name.endswith(".overlap_attn.ast_weight") for name in shapes)


def _is_hat(shapes):
  # Without what is before the names of an encoder.
  return any(re.match(r"layers\.\d+\..*\.overlap_attn\.", n) for n in shapes)


LAYOUT = layout.Layout(
  model="hat",
  matches=lambda shapes: _is_hat(shapes) and not _is_mixed(shapes),
  arguments=arguments,
  rules=table,
  constants=constants,
  options=dict(conv_scale=0.01, img_range=1.0),
)
AST = layout.Layout(
  model="hat_ast",
  matches=lambda shapes: _is_hat(shapes) and _is_mixed(shapes),
  arguments=arguments,
  rules=table,
  constants=constants,
  options=LAYOUT.options,
)
