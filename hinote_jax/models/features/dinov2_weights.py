"""DINOv2: the official files, `dinov2_vit{s,b,l,g}14(_reg4)_pretrain.pth`."""

import math
import re

from hinote_jax.interop import layout, rules

_KNOWN = ("cls_token", "pos_embed", "patch_embed.proj.weight")


def _blocks(shapes):
  """Returns how many blocks there are, in how many parts."""
  pattern = re.compile(r"blocks\.(?:(\d+)\.)?(\d+)\.norm1\.weight")
  names = [m for m in map(pattern.fullmatch, shapes) if m]
  parts = {m[1] for m in names if m[1] is not None}
  return len(names), len(parts)


def _arguments(shapes, *, num_heads, interpolate_offset, interpolate_antialias):
  width, channels, patch, _ = shapes["patch_embed.proj.weight"]
  depth, chunks = _blocks(shapes)
  first = "blocks.0.0" if chunks else "blocks.0"
  is_gated = f"{first}.mlp.w12.weight" in shapes
  last = f"{first}.mlp.{'w3' if is_gated else 'fc2'}.weight"
  registers = shapes.get("register_tokens", (1, 0))[1]
  if interpolate_offset is None:
    interpolate_offset = 0.0 if registers else 0.1
  if interpolate_antialias is None:
    interpolate_antialias = registers > 0
  return dict(
    channels=channels,
    width=width,
    depth=depth,
    heads=num_heads or max(1, width // 64),
    hidden=shapes[last][1],
    is_gated=is_gated,
    is_scaled=f"{first}.ls1.gamma" in shapes,
    registers=registers,
    side=math.isqrt(shapes["pos_embed"][1] - 1),
    offset=interpolate_offset,
    antialias=interpolate_antialias,
    patch=patch,
    chunks=chunks,
  )


def _rules(*, depth, chunks, patch, channels, is_gated, **_):
  embed = rules.reshaped(
    (patch, patch, channels, -1), (patch * patch * channels, -1), rules.conv
  )
  table = [
    rules.Rule("cls_token", "cls", rules.as_is),
    rules.Rule("pos_embed", "positions", rules.as_is),
    rules.Rule("mask_token", "mask", rules.as_is),
    rules.Rule("register_tokens", "register", rules.as_is),
    *rules.layer("patch_embed.proj", "embed", embed),
    *rules.norm("norm", "norm"),
  ]
  size = -(-depth // chunks) if chunks else 0
  dense = ("w12", "w3") if is_gated else ("fc1", "fc2")
  for i in range(depth):
    source = f"blocks.{i // size}.{i}" if chunks else f"blocks.{i}"
    target = f"block_{i}"
    for j in (0, 1):
      layer = f"{target}/perceptron/{('first', 'second')[j]}"
      table += rules.norm(f"{source}.norm{j + 1}", f"{target}/norm_{j}")
      table += rules.layer(f"{source}.mlp.{dense[j]}", layer, rules.dense)
      scale = rules.Rule(
        f"{source}.ls{j + 1}.gamma", f"{target}/scale_{j}", rules.as_is
      )
      table.append(scale)
    for part in ("qkv", "proj"):
      ours = f"{target}/attention/{part}"
      table += rules.layer(f"{source}.attn.{part}", ours, rules.dense)
  return table


LAYOUT = layout.Layout(
  model="dinov2",
  matches=lambda shapes: (
    all(name in shapes for name in _KNOWN) and _blocks(shapes)[0] > 0
  ),
  arguments=_arguments,
  rules=_rules,
  options=dict(
    num_heads=None, interpolate_offset=None, interpolate_antialias=None
  ),
  told=lambda *, heads, offset, antialias, **_: dict(
    num_heads=heads,
    interpolate_offset=offset,
    interpolate_antialias=antialias,
  ),
)
