"""EDSR, alone and as the encoder of the arbitrary-scale networks."""

from typing import Any

import numpy as np

from hinote_jax.interop import layout, rules
from hinote_jax.nn import blocks

_MEAN = np.array([0.4488, 0.4371, 0.4040], np.float32)  # of DIV2K, RGB


def trunk(source: str, target: str, count: int) -> list[rules.Rule]:
  """Returns the rules of a `blocks.Trunk` of `count` residual blocks."""
  inner = f"{source}body.{{i}}.body"
  return [
    *rules.layer(f"{source}head.0", f"{target}head", rules.conv),
    *rules.layer(f"{inner}.0", f"{target}block_{{i}}/first", rules.conv),
    *rules.layer(f"{inner}.2", f"{target}block_{{i}}/second", rules.conv),
    *rules.layer(f"{source}body.{count}", f"{target}tail", rules.conv),
  ]


def tail(source: str, target: str, scale: int) -> list[rules.Rule]:
  """Returns the rules of the enlargement and the last convolution."""
  table = rules.layer(f"{source}tail.1", f"{target}last", rules.conv)
  for i, factor in enumerate(blocks.shuffle_steps(scale)):
    layer, path = f"{source}tail.0.{2 * i}", f"{target}tail/up_{i}"
    table += shuffled(layer, path, factor)
  return table


def shuffled(source: str, target: str, factor: int) -> list[rules.Rule]:
  """Returns the rules of a convolution before a pixel shuffle."""
  kernel, bias = (rules.shuffled(factor, t) for t in (rules.conv, rules.as_is))
  return rules.layer(source, target, kernel, bias=bias)


def mean_shift(source: str, channels: int) -> dict[str, np.ndarray]:
  """Returns the constants that files of colour carry and nothing uses."""
  if channels != 3:
    return {}
  unit = np.eye(3, dtype=np.float32)[:, :, None, None]
  return {
    f"{source}sub_mean.weight": unit,
    f"{source}sub_mean.bias": -_MEAN,
    f"{source}add_mean.weight": unit,
    f"{source}add_mean.bias": _MEAN,
  }


def sizes(
  shapes: rules.Shapes, source: str = "", *, res_scale: float | None = None
) -> dict[str, int | float]:
  """Returns the attributes of a trunk, and channels.

  Args:
    shapes: of the tensors.
    source: what their names begin with.
    res_scale: of the residual blocks; None is 0.1 for 256 channels, else 1.
  """
  width, channels = shapes[f"{source}head.0.weight"][:2]
  if res_scale is None:
    res_scale = 0.1 if width == 256 else 1.0
  return dict(
    width=width,
    blocks=layout.count(shapes, source + "body.{}.body.0.weight"),
    residual_scale=res_scale,
    channels=channels,
  )


def told(*, residual_scale: float, **_: Any) -> dict[str, Any]:
  """Returns the option that says what residual blocks are multiplied by."""
  return dict(res_scale=residual_scale)


def scale_of(shapes: rules.Shapes, source: str = "") -> int:
  """Returns how many times a tail enlarges."""
  width = shapes[f"{source}head.0.weight"][0]
  if shapes[f"{source}tail.0.0.weight"][0] == 9 * width:
    return 3
  steps = (f"{source}tail.0.{2 * i}.weight" in shapes for i in range(8))
  return 2 ** sum(steps)


def is_trunk(shapes: rules.Shapes, source: str = "") -> bool:
  """Says whether there is a trunk of plain residual blocks."""
  return (
    f"{source}head.0.weight" in shapes
    and f"{source}body.0.body.0.weight" in shapes
    and f"{source}body.0.body.2.weight" in shapes
    and f"{source}body.0.body.3.weight" not in shapes
  )


def _arguments(shapes, *, res_scale):
  if res_scale is None and "sub_mean.weight" not in shapes:
    res_scale = 0.1  # HiNOTE's, which takes no mean off
  return dict(scale=scale_of(shapes), **sizes(shapes, res_scale=res_scale))


def _rules(*, blocks, scale, **_):
  return trunk("", "trunk/", blocks) + tail("", "", scale)


LAYOUT = layout.Layout(
  model="edsr",
  matches=lambda shapes: is_trunk(shapes) and "tail.1.weight" in shapes,
  arguments=_arguments,
  rules=_rules,
  constants=lambda *, channels, **_: mean_shift("", channels),
  options=dict(res_scale=None),
  told=told,
)
