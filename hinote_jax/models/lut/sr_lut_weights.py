"""The network of SR-LUT's authors."""

import math

from hinote_jax.interop import layout, rules

_KERNELS = {"S": (2, 2), "F": (1, 3), "V": (1, 2)}


def _patterns(shapes):
  """Returns the patterns that the first convolution has the shape of."""
  first = shapes.get("conv1.weight", ())
  is_one_channel = len(first) == 4 and first[1] == 1
  return [p for p, k in _KERNELS.items() if is_one_channel and first[2:] == k]


def _depth(shapes):
  """Returns how many convolutions there are before the last."""
  return sum(f"conv{i + 1}.weight" in shapes for i in range(len(shapes))) - 1


def _arguments(shapes, **options):
  depth = _depth(shapes)
  outputs = shapes[f"conv{depth + 1}.weight"][0]
  return dict(
    pattern=_patterns(shapes)[0],
    scale=math.isqrt(outputs),
    width=shapes["conv1.weight"][0],
    depth=depth,
    **options,
  )


def _rules(*, pattern, width, depth, **_):
  target = f"turns/net_{pattern}"
  shape = (width, 1, *_KERNELS[pattern])
  first = rules.Transform(
    lambda t: t.reshape(width, -1).T, lambda p: p.T.reshape(shape)
  )
  return [
    *rules.layer("conv1", f"{target}/layer_0", first),
    *rules.layer(f"conv{depth + 1}", f"{target}/last", rules.pointwise),
    *(
      rule
      for i in range(1, depth)
      for rule in rules.layer(
        f"conv{i + 1}", f"{target}/layer_{i}", rules.pointwise
      )
    ),
  ]


LAYOUT = layout.Layout(
  model="sr_lut",
  matches=lambda shapes: bool(_patterns(shapes)) and _depth(shapes) > 0,
  arguments=_arguments,
  rules=_rules,
  options=dict(interval=16, compat=""),
)
