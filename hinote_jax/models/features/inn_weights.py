"""CDDFuse's encoder and decoder, and networks of their names."""

import numpy as np

from hinote_jax.interop import layout, rules

_LEVELS = {"encoder_level1": "encoder", "encoder_level2": "decoder"}
_NODE, _OUR_NODE = "detailFeature.net.{i}", "encoder/node_{i}"
_FIRST = "encoder_level1.0"

_temperature = rules.reshaped((-1, 1, 1), (-1,))


def _load_pairs(tensor):
  """(c, 2, y, x) of pairs of channels -> (y, x, own then other)."""
  own = [tensor[i::2, i] for i in (0, 1)]
  other = [tensor[i::2, 1 - i] for i in (0, 1)]
  by_channel = [_interleaved(pair) for pair in (own, other)]
  return np.concatenate(by_channel).transpose(1, 2, 0)


def _save_pairs(kernel):
  own, other = np.split(kernel.transpose(2, 0, 1), 2)
  first = _interleaved([own[0::2], other[1::2]])
  second = _interleaved([other[0::2], own[1::2]])
  return np.stack([first, second], axis=1)


def _interleaved(pair):
  joined = np.stack(pair, axis=1)
  return joined.reshape(-1, *joined.shape[2:])


_pairs = rules.Transform(_load_pairs, _save_pairs)


def _weight(source: str, target: str, kernel: rules.Transform):
  return rules.layer(source, target, kernel, bias=None)


def _block(source: str, target: str) -> list[rules.Rule]:
  table = []
  for i in (0, 1):
    table += rules.norm(f"{source}.norm{i + 1}.body", f"{target}/norm_{i}")
  return table


def node(source: str, target: str) -> list[rules.Rule]:
  """Returns the rules of one invertible module."""
  mix = rules.layer(f"{source}.shffleconv", f"{target}/mix", rules.pointwise)
  for part in ("phi", "rho", "eta"):
    bottleneck = f"{source}.theta_{part}.bottleneckBlock"
    mix += _weight(f"{bottleneck}.0", f"{target}/{part}/in", rules.pointwise)
    mix += _weight(f"{bottleneck}.3", f"{target}/{part}/near", rules.depthwise)
    mix += _weight(f"{bottleneck}.5", f"{target}/{part}/out", rules.pointwise)
  return mix


def table(**_) -> list[rules.Rule]:
  """Returns the rules of an `Inn`; those of the encoder serve it alone."""
  point, conv = rules.pointwise, rules.conv
  rows = [*_weight("patch_embed.proj", "encoder/head", conv)]
  for level, part in _LEVELS.items():
    source, target = f"{level}.{{i}}", f"{part}/block_{{i}}"
    attn, ours = f"{source}.attn", f"{target}/attention"
    ffn, gate = f"{source}.ffn", f"{target}/perceptron"
    rows += _block(source, target)
    rows += [
      rules.Rule(f"{attn}.temperature", f"{ours}/temperature", _temperature),
      *_weight(f"{attn}.qkv", f"{ours}/qkv", point),
      *_weight(f"{attn}.qkv_dwconv", f"{ours}/near", rules.depthwise),
      *_weight(f"{attn}.project_out", f"{ours}/out", point),
      *_weight(f"{ffn}.project_in", f"{gate}/in", point),
      *_weight(f"{ffn}.dwconv", f"{gate}/near", rules.depthwise),
      *_weight(f"{ffn}.project_out", f"{gate}/out", point),
    ]
  base, ours = "baseFeature", "encoder/base"
  rows += _block(base, ours)
  rows += [
    rules.Rule(
      f"{base}.attn.scale", f"{ours}/attention/temperature", _temperature
    ),
    *_weight(f"{base}.attn.qkv1", f"{ours}/attention/qkv", point),
    *_weight(f"{base}.attn.qkv2", f"{ours}/attention/near", conv),
    *_weight(f"{base}.attn.proj", f"{ours}/attention/out", point),
    *_weight(f"{base}.mlp.project_in", f"{ours}/perceptron/in", point),
    *_weight(f"{base}.mlp.dwconv", f"{ours}/perceptron/near", _pairs),
    *_weight(f"{base}.mlp.project_out", f"{ours}/perceptron/out", point),
    *node(_NODE, _OUR_NODE),
    *_weight("reduce_channel", "decoder/reduce", point),
    *_weight("output.0", "decoder/narrow", conv),
    *_weight("output.2", "decoder/last", conv),
  ]
  return rows


def _arguments(shapes, **options):
  width, channels = shapes["patch_embed.proj.weight"][:2]
  norm = "{}.norm1.body.weight"
  return dict(
    channels=channels,
    width=width,
    heads=shapes[f"{_FIRST}.attn.temperature"][0],
    blocks=layout.count(shapes, f"encoder_level1.{norm}"),
    decoder_blocks=layout.count(shapes, f"encoder_level2.{norm}"),
    factor=shapes[f"{_FIRST}.ffn.project_out.weight"][1] / width,
    nodes=layout.count(shapes, "detailFeature.net.{}.shffleconv.weight"),
    has_decoder="reduce_channel.weight" in shapes,
    **options,
  )


LAYOUT = layout.Layout(
  model="inn",
  matches=lambda shapes: any(n.startswith("detailFeature.") for n in shapes),
  arguments=_arguments,
  rules=table,
  options=dict(residual=True, is_bounded=True),
)
