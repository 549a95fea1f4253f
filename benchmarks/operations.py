"""Operations of the reference algorithms, by formula.

A multiplication and an addition are two operations. What is counted is the
textbook algorithm, not what our code does: a token of the sampler is formed
and multiplied, whether or not we fold that product away. Non-linearities,
normalisations and additions are not counted.
"""

from hinote_jax.models import hinote, samplers


def _conv(points: int, size: int, fan_in: int, fan_out: int) -> int:
  return 2 * points * size**2 * fan_in * fan_out


def _dense(points: int, fan_in: int, fan_out: int) -> int:
  return 2 * points * fan_in * fan_out


def _galerkin(points: int, width: int, heads: int) -> int:
  """q, k, v, two layers of the MLP; k^T v and q c, whose heads are narrow."""
  depth = width // heads
  return _dense(points, width, 5 * width) + 2 * _dense(points, width, depth)


def _low_pass(points: int, width: int) -> int:
  """Two passes of a windowed sinc of six cells each way, at the finer grid."""
  return 2 * points * width * 2 * 12


def _hierarchy(model: hinote.Hinote, points: int) -> int:
  total = 0
  for level, width in enumerate(model.level_widths):
    here = points // 4**level
    total += model.level_convs[level] * 2 * _conv(here, 3, width, width)
    total += model.level_blocks[level] * _galerkin(here, width, model.heads)
    if level > 0:
      above = model.level_widths[level - 1]
      total += 2 * _dense(here, above, width)
      total += _low_pass(4 * here, above) + _low_pass(4 * here, width)
      if model.is_alias_free:
        total += 2 * _low_pass(16 * here, above) + 2 * _low_pass(
          4 * here, width
        )
  return total


def forward(
  model: hinote.Hinote, shape: tuple[int, int], queries: tuple[int, int]
) -> int:
  """Returns the operations of one field, low-resolution to query points."""
  h, w = shape
  inputs = model.channels * (1 + model.sees_detail) + 2 * model.sees_scale
  cells, points, width = h * w, queries[0] * queries[1], model.width
  total = _conv(cells, 3, inputs, width)
  total += (2 * model.blocks + 1) * _conv(cells, 3, width, width)
  ratio = 1
  while ratio < model.upsample:
    total += _conv(cells * ratio**2, 3, width, 4 * width)
    total += 4 * _dense(cells * ratio**2, width, width)  # complex mixing
    ratio *= 2
    total += _dense(cells * ratio**2, 2 * width, width)
  token = samplers.token_width(width)
  if model.domain == "queries":
    top = model.level_widths[0]
    total += _dense(points, token, top) + _hierarchy(model, points)
    return total + _dense(points, top, model.channels)
  total += _hierarchy(model, cells * ratio**2)
  head = model.head_width
  total += _dense(points, token, head)
  total += (model.head_depth - 1) * _dense(points, head, head)
  return total + _dense(points, head, model.channels)
