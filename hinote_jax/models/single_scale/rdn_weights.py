"""RDN, alone and as the encoder of the arbitrary-scale networks."""

from hinote_jax.interop import layout, rules
from hinote_jax.nn import blocks


def trunk(source: str, target: str) -> list[rules.Rule]:
  """Returns the rules of an `rdn.Trunk`."""
  inner = f"{source}RDBs.{{i}}"
  pairs = {
    f"{source}SFENet1": "head",
    f"{source}SFENet2": "second",
    f"{inner}.convs.{{j}}.conv.0": "block_{i}_conv_{j}",
    f"{inner}.LFF": "block_{i}_fuse",
    f"{source}GFF.0": "fuse",
    f"{source}GFF.1": "tail",
  }
  return [
    rule
    for name, path in pairs.items()
    for rule in rules.layer(name, target + path, rules.conv)
  ]


def tail(scale: int) -> list[rules.Rule]:
  """Returns the rules of the enlargement and the last convolution."""
  steps = blocks.shuffle_steps(scale)
  table = rules.layer(f"UPNet.{2 * len(steps)}", "last", rules.conv)
  for i, factor in enumerate(steps):
    table += rules.layer(
      f"UPNet.{2 * i}",
      f"tail/up_{i}",
      rules.shuffled(factor, rules.conv),
      bias=rules.shuffled(factor, rules.as_is),
    )
  return table


def sizes(shapes: rules.Shapes, source: str = "") -> dict[str, int]:
  """Returns the attributes of a trunk, and channels."""
  width, channels = shapes[f"{source}SFENet1.weight"][:2]
  first = f"{source}RDBs.0.convs."
  return dict(
    width=width,
    blocks=layout.count(shapes, source + "RDBs.{}.LFF.weight"),
    layers=layout.count(shapes, first + "{}.conv.0.weight"),
    growth=shapes[first + "0.conv.0.weight"][0],
    channels=channels,
  )


def is_trunk(shapes: rules.Shapes, source: str = "") -> bool:
  """Says whether there is a residual dense trunk."""
  return f"{source}SFENet1.weight" in shapes


def _arguments(shapes):
  arguments = sizes(shapes)
  if "UPNet.4.weight" in shapes:
    scale = 4
  else:
    scale = round((shapes["UPNet.0.weight"][0] / arguments["growth"]) ** 0.5)
  return dict(scale=scale, **arguments)


LAYOUT = layout.Layout(
  model="rdn",
  matches=lambda shapes: is_trunk(shapes) and "UPNet.0.weight" in shapes,
  arguments=_arguments,
  rules=lambda *, scale, **_: trunk("", "trunk/") + tail(scale),
)
