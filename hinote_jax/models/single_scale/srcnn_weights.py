"""SRCNN of SuperBench and HiNOTE's authors."""

from hinote_jax.interop import layout, rules

_SIZES = {0: (9, 9), 2: (5, 5), 4: (5, 5)}


def _arguments(shapes, *, upscale_factor):
  channels = shapes["model.0.weight"][1]
  return dict(scale=upscale_factor, channels=channels, registration="nodes")


def _rules(**_):
  pairs = ((f"model.{i}", f"conv_{i // 2}") for i in _SIZES)
  return [rule for pair in pairs for rule in rules.layer(*pair, rules.conv)]


LAYOUT = layout.Layout(
  model="srcnn",
  matches=lambda shapes: all(
    shapes.get(f"model.{i}.weight", ())[2:] == s for i, s in _SIZES.items()
  ),
  arguments=_arguments,
  rules=_rules,
  options=dict(upscale_factor=4),
  told=lambda *, scale, **_: dict(upscale_factor=scale),
)
