"""ESPCN of SuperBench and HiNOTE's authors."""

import math

from hinote_jax.interop import layout, rules
from hinote_jax.models.single_scale import edsr_weights as edsr


def _arguments(shapes):
  outputs, channels = (shapes["conv4.weight"][0], shapes["conv1.weight"][1])
  return dict(scale=math.isqrt(outputs // channels), channels=channels)


def _rules(*, scale, **_):
  table = edsr.shuffled("conv4", "conv_3", scale)
  for i in (1, 2, 3):
    table += rules.layer(f"conv{i}", f"conv_{i - 1}", rules.conv)
  return table


LAYOUT = layout.Layout(
  model="espcn",
  matches=lambda shapes: (
    {name.removesuffix(".weight").removesuffix(".bias") for name in shapes}
    == {"conv1", "conv2", "conv3", "conv4"}
  ),
  arguments=_arguments,
  rules=_rules,
)
