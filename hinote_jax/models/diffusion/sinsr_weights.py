"""SinSR's and ResShift's files, and that of their autoencoder.

The U-Net is one file, the autoencoder another: its tensors are put beside the
others as `autoencoder.NAME`.
"""

import math
from typing import Any

import numpy as np

from hinote_jax.interop import layout, rules
from hinote_jax.models.diffusion import unet as networks
from hinote_jax.nn import window_attention

CODER = "autoencoder"
_WHENCE = (
  "autoencoder_vq_f4.pth of its authors (the releases of "
  "github.com/zsyOAOA/ResShift; non-commercial)"
)
_MIDDLE = "middle_block.1"
_GROUPS = (
  ("input_blocks.{i}.{j}", "net/in_{i}_{j}"),
  ("output_blocks.{i}.{j}", "net/out_{i}_{j}"),
  ("middle_block.{j}", "net/middle_{j}"),
)
_TABLE = "attn.relative_position_bias_table"


def _swin(source: str, target: str) -> list[rules.Rule]:
  table: list[rules.Rule] = []
  block = f"{source}.blocks.{{k}}"
  block_target = f"{target}/block_{{k}}"
  for name, path in (("patch_embed", "embed"), ("patch_unembed", "unembed")):
    table += rules.layer(f"{source}.{name}.proj", f"{target}/{path}", _point)
    table += rules.norm(f"{source}.{name}.norm", f"{target}/{path}_norm")
  for i in (0, 1):
    table += rules.norm(f"{block}.norm{i + 1}", f"{block_target}_norm_{i}")
    table += rules.layer(
      f"{block}.mlp.fc{i + 1}", f"{block_target}_fc_{i}", _point
    )
  attention = f"{block_target}_attention"
  table.append(
    rules.Rule(f"{block}.{_TABLE}", f"{attention}/bias_table", rules.as_is)
  )
  for part in ("qkv", "proj"):
    ours_ = f"{attention}/{part}"
    table += rules.layer(f"{block}.attn.{part}", ours_, rules.dense)
  return table


_point = rules.pointwise


def _unet() -> list[rules.Rule]:
  conv, table = rules.conv, []
  for source, target in _GROUPS:
    for name, part, kind in (
      ("in_layers.2", "conv_0", conv),
      ("emb_layers.1", "time", rules.dense),
      ("out_layers.3", "conv_1", conv),
      ("skip_connection", "skip", _point),
    ):
      table += rules.layer(f"{source}.{name}", f"{target}/{part}", kind)
    table += rules.norm(f"{source}.in_layers.0", f"{target}/norm_0")
    table += rules.norm(f"{source}.out_layers.0", f"{target}/norm_1")
    table += _swin(source, target)
  table += rules.layer("input_blocks.{i}.0.op", "net/in_{i}_0", conv)
  table += rules.layer("output_blocks.{i}.1.conv", "net/out_{i}_1", conv)
  table += rules.layer("input_blocks.0.0", "net/head", conv)
  for i in (0, 1):
    table += rules.layer(f"time_embed.{2 * i}", f"net/time_{i}", rules.dense)
  table += rules.norm("out.0", "net/last_norm")
  return table + rules.layer("out.2", "net/last", conv)


def _extractor(count: int) -> list[rules.Rule]:
  table, place = [], 0
  for i in range(count):
    name = f"feature_extractor.{place}{'.op' if i % 2 else ''}"
    table += rules.layer(name, f"net/extractor_{i}", rules.conv)
    place += 1 if i % 2 else 2
  return table


def _coder() -> list[rules.Rule]:
  table, conv = [], rules.conv
  prefix, root = f"{CODER}.", "coder"
  pairs = []
  for part, way in (("encoder", "down"), ("decoder", "up")):
    part_root = f"{root}/{part}"
    pairs += [
      (
        f"{prefix}{part}.{way}.{{l}}.block.{{i}}",
        f"{part_root}/level_{{l}}_{{i}}",
      ),
      (f"{prefix}{part}.mid.block_1", f"{part_root}/middle/block_0"),
      (f"{prefix}{part}.mid.block_2", f"{part_root}/middle/block_1"),
    ]
    attention = f"{prefix}{part}.mid.attn_1"
    table += rules.norm(
      f"{attention}.norm", f"{part_root}/middle/attention/norm"
    )
    for name, ours in (("q", "q"), ("k", "k"), ("v", "v"), ("proj_out", "out")):
      target = f"{part_root}/middle/attention/{ours}"
      table += rules.layer(f"{attention}.{name}", target, _point)
    table += rules.layer(f"{prefix}{part}.conv_in", f"{part_root}/head", conv)
    table += rules.norm(f"{prefix}{part}.norm_out", f"{part_root}/last_norm")
    table += rules.layer(f"{prefix}{part}.conv_out", f"{part_root}/last", conv)
  for source, target in pairs:
    for i in (0, 1):
      table += rules.norm(f"{source}.norm{i + 1}", f"{target}/norm_{i}")
      table += rules.layer(f"{source}.conv{i + 1}", f"{target}/conv_{i}", conv)
    table += rules.layer(f"{source}.nin_shortcut", f"{target}/skip", _point)
  halve, double = "encoder.down.{l}.downsample", "decoder.up.{l}.upsample"
  table += rules.layer(
    f"{prefix}{halve}.conv", f"{root}/encoder/halve_{{l}}", conv
  )
  table += rules.layer(
    f"{prefix}{double}.conv", f"{root}/decoder/double_{{l}}", conv
  )
  table += rules.layer(f"{prefix}quant_conv", f"{root}/before", _point)
  table += rules.layer(f"{prefix}post_quant_conv", f"{root}/after", _point)
  book = f"{prefix}quantize.embedding.weight"
  return [*table, rules.Rule(book, f"{root}/book", rules.as_is)]


def _rules(*, unet, **_: Any) -> list[rules.Rule]:
  count = len(networks.UNet(**unet).extractor)
  return [*_unet(), *_extractor(count), *_coder()]


def _levels(shapes, is_residual, num_res_blocks):
  """Returns the blocks of each level, and the first of its input blocks."""
  names = {name.split(".")[1] for name in shapes if "input_blocks." in name}
  count = len(names) - 1
  if is_residual:
    each = num_res_blocks + 1
    ends = list(range(each, count, each))
  else:
    ends = [
      i for i in range(1, count) if f"input_blocks.{i}.0.op.weight" in shapes
    ]
  starts = [1, *(end + 1 for end in ends)]
  blocks = [
    end - start for start, end in zip(starts, [*ends, count + 1], strict=True)
  ]
  return tuple(blocks), starts


def unet_arguments(
  shapes: rules.Shapes,
  *,
  image_size: int | None = None,
  num_res_blocks: int | None = None,
  resblock_updown: bool = False,
) -> dict[str, Any]:
  """Returns the arguments of a `UNet` that shapes and options tell."""
  blocks, starts = _levels(shapes, resblock_updown, num_res_blocks)
  width = shapes["time_embed.0.weight"][1]
  first = [f"input_blocks.{i}" for i in starts]
  out = "{}.0.out_layers.3.weight"
  embed = shapes[f"{_MIDDLE}.patch_embed.proj.weight"][0]
  tables = {n: s for n, s in shapes.items() if n.endswith(_TABLE)}
  sides = [(math.isqrt(rows) + 1) // 2 for rows, _ in tables.values()]
  window = max(sides)
  if image_size is None:
    image_size = _image_size(shapes, first, window)
  time_layer = "input_blocks.1.0.emb_layers.1.weight"
  layers = [n for n in shapes if n.startswith("feature_extractor.")]
  return dict(
    channels=shapes["out.2.weight"][0],
    width=width,
    multiples=tuple(shapes[out.format(f)][0] // width for f in first),
    blocks=blocks,
    attended=tuple(f"{f}.1.patch_embed.proj.weight" in shapes for f in first),
    embed_dim=embed,
    heads=next(iter(tables.values()))[1],
    window=window,
    depth=layout.count(shapes, _MIDDLE + ".blocks.{}.norm1.weight"),
    factor=shapes[f"{_MIDDLE}.blocks.0.mlp.fc1.weight"][0] / embed,
    image_size=image_size,
    is_scaled=shapes[time_layer][0] == 2 * shapes[out.format(first[0])][0],
    is_residual=resblock_updown,
    has_norm=f"{_MIDDLE}.patch_embed.norm.weight" in shapes,
    extractor=tuple(shapes[n][0] for n in layers if n.endswith(".weight")),
  )


def _image_size(shapes, first, window):
  """Returns the side of the latents that the masks in a file are for."""
  for level, block in enumerate(first):
    mask = shapes.get(f"{block}.1.blocks.1.attn_mask")
    if mask is not None:
      return math.isqrt(mask[0]) * window << level
  return 64


def _coder_arguments(shapes):
  own = {
    n.removeprefix(f"{CODER}."): s
    for n, s in shapes.items()
    if n.startswith(f"{CODER}.")
  }
  if not own:
    raise ValueError(
      f"it is the diffusion alone: give the option {CODER}=FILE, {_WHENCE}"
    )
  width, channels = own["encoder.conv_in.weight"][:2]
  count = layout.count(own, "encoder.down.{}.block.0.conv2.weight")
  last = "encoder.down.{}.block.0.conv2.weight"
  return dict(
    channels=channels,
    width=width,
    multiples=tuple(own[last.format(i)][0] // width for i in range(count)),
    blocks=layout.count(own, "encoder.down.0.block.{}.conv2.weight"),
    latents=own["encoder.conv_out.weight"][0],
    codes=own["quantize.embedding.weight"][0],
  )


def _arguments(
  shapes, *, image_size, num_res_blocks, resblock_updown, **options
):
  coder = _coder_arguments(shapes)
  net = unet_arguments(
    shapes,
    image_size=image_size,
    num_res_blocks=num_res_blocks,
    resblock_updown=resblock_updown,
  )
  if net["channels"] != coder["latents"]:
    raise ValueError(
      f"its autoencoder has latents of {coder['latents']} channels and its "
      f"diffusion of {net['channels']}: take {_WHENCE}"
    )
  return dict(
    channels=coder["channels"], unet=net, autoencoder=coder, **options
  )


def _told(*, unet, **_: Any) -> dict[str, Any]:
  net = networks.UNet(**unet)
  return dict(
    image_size=net.image_size,
    num_res_blocks=net.blocks[0],
    resblock_updown=net.is_residual,
  )


def _constants(*, unet, **_: Any) -> dict[str, Any]:
  """Returns the masks and the index buffers."""
  net = networks.UNet(**unet)
  constants, blocks = {}, net.blocks
  places = []
  i = 0
  for level, count in enumerate(blocks):
    if net.attended[level]:
      places.append((f"input_blocks.{i + 1}.1", level))
    i += count + 1
  places.append((_MIDDLE, len(blocks) - 1))
  i = 0
  for level in reversed(range(len(blocks))):
    if net.attended[level]:
      places.append((f"output_blocks.{i}.1", level))
    i += blocks[level] + 1
  for place, level in places:
    side = net.image_size >> level
    window = min(net.window, side)
    index = window_attention.relative_index(window)
    for k in range(net.depth):
      block = f"{place}.blocks.{k}"
      constants[f"{block}.attn.relative_position_index"] = index
      if k % 2 and side > window:
        mask = window_attention.shift_mask(
          (side, side), window, window // 2, (False, False), is_transposed=True
        )
        mask = np.where(mask, 0.0, -100.0).astype(np.float32)
        constants[f"{block}.attn_mask"] = mask
  return constants


LAYOUT = layout.Layout(
  model="sinsr",
  matches=lambda shapes: (
    "input_blocks.0.0.weight" in shapes
    and any(name.startswith("time_embed.") for name in shapes)
  ),
  arguments=_arguments,
  rules=_rules,
  constants=_constants,
  told=_told,
  options=dict(
    image_size=None,
    num_res_blocks=None,
    resblock_updown=False,
    steps=1,
    seed=12345,
    multiple=64,
    crop=512,
    stride=448,
  ),
)
