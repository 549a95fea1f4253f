"""WDSR of SuperBench and HiNOTE's authors: weight norms, periodic padding."""

import math

from hinote_jax.interop import layout, rules
from hinote_jax.models.single_scale import edsr_weights as edsr


def _arguments(shapes, *, res_scale):
  width, channels = shapes["head.0.weight_v"][:2]
  return dict(
    scale=math.isqrt(shapes["tail.0.weight_v"][0] // channels),
    channels=channels,
    width=width,
    blocks=layout.count(shapes, "body.{}.module.0.weight_v"),
    expansion=shapes["body.0.module.0.weight_v"][0] // width,
    residual_scale=res_scale,
    periodic=(True, True),
  )


def _layer(source, target, scale=1):
  kinds = (
    (".weight_v", "/direction", rules.conv),
    (".weight_g", "/magnitude", rules.reshaped((-1, 1, 1, 1), (-1,))),
    (".bias", "/bias", rules.as_is),
  )
  return [
    rules.Rule(source + theirs, target + ours, rules.shuffled(scale, transform))
    for theirs, ours, transform in kinds
  ]


def _rules(*, scale, **_):
  return [
    *_layer("head.0", "head"),
    *_layer("body.{i}.module.0", "block_{i}_first"),
    *_layer("body.{i}.module.2", "block_{i}_second"),
    *_layer("tail.0", "tail", scale),
    *_layer("skip.0", "skip", scale),
  ]


LAYOUT = layout.Layout(
  model="wdsr",
  matches=lambda shapes: "body.0.module.2.weight_g" in shapes,
  arguments=_arguments,
  rules=_rules,
  options=dict(res_scale=0.1),
  told=edsr.told,
)
