"""SwinIR: the official files and those of HiNOTE's authors."""

import math
from typing import Any

import numpy as np

from hinote_jax.interop import layout, rules
from hinote_jax.models.single_scale import edsr_weights as edsr
from hinote_jax.nn import blocks, window_attention

_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, RGB
_BLOCK, _OURS = "layers.{i}.residual_group.blocks.{j}", "group_{i}_block_{j}"
_TABLE = f"{_BLOCK}.attn.relative_position_bias_table"


def sizes(shapes: rules.Shapes) -> dict[str, Any]:
  """Returns the attributes of a `WindowTransformer` that shapes tell."""
  width, channels = shapes["conv_first.weight"][:2]
  first = _TABLE.format(i="{}", j=0)
  groups = [
    _TABLE.format(i=i, j="{}") for i in range(layout.count(shapes, first))
  ]
  hidden = shapes[_BLOCK.format(i=0, j=0) + ".mlp.fc1.weight"][0]
  upsampler, scale = _upsampler(shapes, channels)
  return dict(
    scale=scale,
    channels=channels,
    embed_dim=width,
    depths=tuple(layout.count(shapes, name) for name in groups),
    num_heads=tuple(shapes[name.format(0)][1] for name in groups),
    window_size=(math.isqrt(shapes[first.format(0)][0]) + 1) // 2,
    mlp_ratio=hidden / width,
    upsampler=upsampler,
    resi_connection=_connection(shapes),
    num_feat=shapes.get("conv_before_upsample.0.weight", (64,))[0],
    mean=_MEAN if channels == 3 else (),
  )


def _connection(shapes):
  for name, end in (("1conv", ""), ("3conv", ".0")):
    places = ("conv_after_body", "layers.0.conv")
    if any(f"{place}{end}.weight" in shapes for place in places):
      return name
  return "identity"


def _arguments(shapes, *, img_range, img_size):
  known = sizes(shapes)
  if img_size is None:
    img_size = _img_size(shapes, known["window_size"])
  img_size = tuple(np.broadcast_to(img_size, 2).tolist())
  return dict(known, img_range=img_range, img_size=img_size)


def _upsampler(shapes, channels):
  """Returns the name of the upsampler and its scale."""
  if "conv_up1.weight" in shapes:
    return "nearest+conv", 4 if "conv_up2.weight" in shapes else 2
  is_widened = "conv_before_upsample.0.weight" in shapes
  if "upsample.0.weight" not in shapes:
    return ("pixelshuffle" if is_widened else ""), 1
  outputs, inputs = shapes["upsample.0.weight"][:2]
  if not is_widened:
    return "pixelshuffledirect", math.isqrt(outputs // channels)
  steps = (f"upsample.{2 * i}.weight" in shapes for i in range(8))
  return "pixelshuffle", 3 if outputs == 9 * inputs else 2 ** sum(steps)


def _img_size(shapes, window):
  """Returns the squarest (h, w) that has as many windows as the masks."""
  masks = [s[0] for name, s in shapes.items() if name.endswith(".attn_mask")]
  index = _BLOCK.format(i=0, j=1) + ".attn.relative_position_index"
  if index in shapes and not masks:
    raise ValueError("its img_size is one window, so it shifts none")
  count = masks[0] if masks else 64
  rows = max(n for n in range(1, math.isqrt(count) + 1) if count % n == 0)
  return rows * window, count // rows * window


def table(*, resi_connection, upsampler, scale, **_: Any) -> list[rules.Rule]:
  """Returns the rules of a `WindowTransformer`; takes its attributes."""
  table = [
    *rules.layer("conv_first", "head", rules.conv),
    *rules.norm("patch_embed.norm", "norm_0"),
    *attention(f"{_BLOCK}.attn", f"{_OURS}_attention"),
    *perceptron(_BLOCK, _OURS),
    *rules.norm("norm", "norm_1"),
  ]
  steps = [""] if resi_connection == "1conv" else [".0", ".2", ".4"]
  for i, step in enumerate(steps):
    source, target = f"layers.{{i}}.conv{step}", f"group_{{i}}_conv_{i}"
    table += rules.layer(source, target, rules.conv)
    table += rules.layer(f"conv_after_body{step}", f"body_conv_{i}", rules.conv)
  if upsampler == "pixelshuffledirect":
    return table + edsr.shuffled("upsample.0", "last", scale)
  factors = blocks.shuffle_steps(scale)
  for i, factor in enumerate(factors):
    table += rules.layer(f"conv_up{i + 1}", f"up_{i}", rules.conv)
    table += edsr.shuffled(f"upsample.{2 * i}", f"up/up_{i}", factor)
  table += rules.layer("conv_hr", f"up_{len(factors)}", rules.conv)
  table += rules.layer("conv_before_upsample.0", "before", rules.conv)
  return table + rules.layer("conv_last", "last", rules.conv)


def attention(source: str, target: str) -> list[rules.Rule]:
  """Returns the rules of an attention within windows."""
  name = f"{source}.relative_position_bias_table"
  return [
    rules.Rule(name, f"{target}/bias_table", rules.as_is),
    *rules.layer(f"{source}.qkv", f"{target}/qkv", rules.dense),
    *rules.layer(f"{source}.proj", f"{target}/proj", rules.dense),
  ]


def perceptron(source: str, target: str) -> list[rules.Rule]:
  """Returns the rules of the norms and the perceptron of a block."""
  table = []
  for i in (0, 1):
    mlp = f"{source}.mlp.fc{i + 1}"
    table += rules.norm(f"{source}.norm{i + 1}", f"{target}_norm_{i}")
    table += rules.layer(mlp, f"{target}_fc_{i}", rules.dense)
  return table


def _constants(*, depths, window_size, img_size, **_):
  index = window_attention.relative_index(window_size)
  shift, walls = window_size // 2, (False, False)
  mask = window_attention.shift_mask(img_size, window_size, shift, walls)
  mask = np.where(mask, 0.0, -100.0).astype(np.float32)
  buffers = {}
  for i, depth in enumerate(depths):
    for j in range(depth):
      block = _BLOCK.format(i=i, j=j)
      buffers[f"{block}.attn.relative_position_index"] = index
      if j % 2:
        buffers[f"{block}.attn_mask"] = mask
  return buffers


LAYOUT = layout.Layout(
  model="swinir",
  matches=lambda shapes: (
    "conv_first.weight" in shapes
    and _TABLE.format(i=0, j=0) in shapes
    and not any(".overlap_attn." in name for name in shapes)  # HAT
  ),
  arguments=_arguments,
  rules=table,
  constants=_constants,
  options=dict(img_range=1.0, img_size=None),
)
