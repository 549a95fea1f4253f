"""FFDNet as published, of grey and of colour."""

import numpy as np

from hinote_jax.interop import layout, rules

_LAYER = "model.{}.weight"


def _load(tensor):
  cells, level = tensor[:, :-1], tensor[:, -1:]
  groups = cells.reshape(len(cells), -1, 4, *cells.shape[2:]).swapaxes(1, 2)
  return rules.conv.load(
    np.concatenate([groups.reshape(cells.shape), level], axis=1)
  )


def _save(parameter):
  tensor = rules.conv.save(parameter)
  cells, level = tensor[:, :-1], tensor[:, -1:]
  groups = cells.reshape(len(cells), 4, -1, *cells.shape[2:]).swapaxes(1, 2)
  return np.concatenate([groups.reshape(cells.shape), level], axis=1)


# Inputs (c y x) and a noise level, of which ours are (y x c) and the level.
_first = rules.Transform(_load, _save)


def _depth(shapes):
  # Between two convolutions lies one activation.
  return (layout.count(shapes, _LAYER) + 1) // 2


def _matches(shapes):
  last = _LAYER.format(2 * _depth(shapes) - 2)
  if not {_LAYER.format(0), last} <= set(shapes):
    return False
  inputs, outputs = shapes[_LAYER.format(0)][1:2], shapes[last][:1]
  return outputs[0] % 4 == 0 and inputs == (outputs[0] + 1,)


def _arguments(shapes):
  depth = _depth(shapes)
  return dict(
    channels=shapes[_LAYER.format(2 * depth - 2)][0] // 4,
    width=shapes[_LAYER.format(0)][0],
    depth=depth,
  )


def _rules(*, depth, residual=False, **_):
  if residual:
    raise ValueError(
      "ffdnet with residual=True takes its layers from what is noisy and the "
      "published network does not: a file of it would be read as another one"
    )
  table = rules.layer("model.0", "conv0", _first)
  for i in range(1, depth - 1):
    table += rules.layer(f"model.{2 * i}", f"conv{i}", rules.conv)
  last, own = f"model.{2 * depth - 2}", f"conv{depth - 1}"
  bias = rules.shuffled(2, rules.as_is)
  return table + rules.layer(
    last, own, rules.shuffled(2, rules.conv), bias=bias
  )


LAYOUT = layout.Layout(
  model="ffdnet", matches=_matches, arguments=_arguments, rules=_rules
)
