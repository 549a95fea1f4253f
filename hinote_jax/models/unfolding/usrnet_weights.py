"""USRNet and USRGAN, full and tiny, as published."""

from hinote_jax.interop import layout, rules

# (in, out, y, x) -> (in, y x out), before a shuffle of (y x out) into space.
_double = rules.Transform(
  lambda t: t.transpose(0, 2, 3, 1).reshape(len(t), -1),
  lambda p: p.reshape(len(p), 2, 2, -1).transpose(0, 3, 1, 2),
)
# (out, in, y, x) -> (y x in, out), after cells were moved into (y x in).
_half = rules.Transform(
  lambda t: t.transpose(2, 3, 1, 0).reshape(-1, len(t)),
  lambda p: p.reshape(2, 2, -1, p.shape[1]).transpose(3, 2, 0, 1),
)
_DOUBLING = {
  "convtranspose": (0, _double),
  "pixelshuffle": (0, rules.shuffled(2, rules.conv)),
  "upconv": (1, rules.conv),
}


def _matches(shapes):
  return "p.m_head.weight" in shapes and "h.mlp.4.weight" in shapes


def _arguments(shapes, *, downsample_mode, **chosen):
  blocks = layout.count(shapes, "p.m_down1.{}.res.0.weight")
  is_pooled = f"p.m_down1.{blocks + 1}.weight" in shapes
  halving = "p.m_down{}." + f"{blocks + is_pooled}.weight"
  widths = [shapes["p.m_head.weight"][0]]
  while (name := halving.format(len(widths))) in shapes:
    widths.append(shapes[name][0])
  upsample = "convtranspose"
  if "p.m_up1.1.weight" in shapes:
    upsample = "upconv"
  elif shapes["p.m_up1.0.weight"][-1] == 3:
    upsample = "pixelshuffle"
  return dict(
    channels=shapes["p.m_tail.weight"][0],
    iterations=shapes["h.mlp.4.weight"][0] // 2,
    hyper_width=shapes["h.mlp.0.weight"][0],
    widths=tuple(widths),
    blocks=blocks,
    downsample_mode=downsample_mode if is_pooled else "strideconv",
    upsample_mode=upsample,
    **chosen,
  )


def _rules(
  *, widths, blocks, downsample_mode, upsample_mode, residual=False, **_
):
  if residual:
    raise ValueError(
      "usrnet with residual=True adds its prior to z and the published network "
      "does not: a file of it would be read as another network"
    )
  table = [
    rules.Rule("p.m_head.weight", "prior/head/kernel", rules.conv),
    rules.Rule("p.m_tail.weight", "prior/tail/kernel", rules.conv),
  ]
  for i, name in zip((0, 2, 4), ("first", "second", "third"), strict=True):
    table += rules.layer(f"h.mlp.{i}", f"hyper/{name}", rules.pointwise)
  is_pooled = downsample_mode != "strideconv"
  half = rules.conv if is_pooled else _half
  place, double = _DOUBLING[upsample_mode]
  first = 1 if upsample_mode == "convtranspose" else 2
  parts = [("body", 0)]
  for i in range(1, len(widths)):
    parts += [(f"down{i}", 0), (f"up{i}", first)]
    down, up = f"p.m_down{i}.{blocks + is_pooled}", f"p.m_up{i}.{place}"
    table += rules.layer(down, f"prior/down{i}_half", half, bias=None)
    table += rules.layer(up, f"prior/up{i}_double", double, bias=None)
  for name, start in parts:
    for j in range(blocks):
      # A sequence of one is not one: its only block has no number.
      is_alone = name == "body" and blocks == 1
      source = f"p.m_{name}" if is_alone else f"p.m_{name}.{start + j}"
      for k, own in ((0, "first"), (2, "second")):
        target = f"prior/{name}_{j}_{own}"
        table += rules.layer(f"{source}.res.{k}", target, rules.conv, bias=None)
  return table


LAYOUT = layout.Layout(
  model="usrnet",
  matches=_matches,
  arguments=_arguments,
  rules=_rules,
  options=dict(
    act_mode="R",
    downsample_mode="avgpool",
    scale=None,
    registration="cells",
    walls="mirror",
  ),
)
