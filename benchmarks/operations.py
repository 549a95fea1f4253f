"""Operations of the reference algorithms, by formula.

A multiplication and an addition are two operations. What is counted is the
textbook algorithm, not what our code does: a token of the sampler is formed
and multiplied, whether or not we fold that product away. Non-linearities,
normalisations and additions are not counted.
"""

import math

from flax import linen as nn

from hinote_jax.models.hinote import model as hinote
from hinote_jax.nn import blocks as shuffles
from hinote_jax.nn import samplers


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
  model: nn.Module, shape: tuple[int, int], queries: tuple[int, int]
) -> int | None:
  """Returns the operations of one field, low-resolution to query points.

  None for a network whose formula is not here.
  """
  kind = type(model).__name__.lower()
  if kind not in _FORMULAS:
    return None
  return _FORMULAS[kind](model, shape, queries)


def _hinote(model, shape, queries):
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


def _edsr(model, cells: int) -> int:
  """EDSR's trunk with the options of an implicit network."""
  width = model.encoder_options.get("width", 64)
  blocks = model.encoder_options.get("blocks", 16)
  total = _conv(cells, 3, model.channels, width)
  return total + (2 * blocks + 1) * _conv(cells, 3, width, width)


def _mlp(points: int, widths: list[int]) -> int:
  pairs = zip(widths, widths[1:], strict=False)
  return sum(_dense(points, a, b) for a, b in pairs)


def _liif(model, shape, queries):
  cells, points = math.prod(shape), math.prod(queries)
  inputs = 9 * model.encoder_options.get("width", 64) + 4
  widths = [inputs, *model.hidden, model.channels]
  return _edsr(model, cells) + 4 * _mlp(points, widths)


def _lte(model, shape, queries):
  cells, points = math.prod(shape), math.prod(queries)
  width, waves = model.encoder_options.get("width", 64), 2 * model.waves
  total = _edsr(model, cells) + 2 * _conv(cells, 3, width, waves)
  return total + 4 * _mlp(points, [waves, *model.hidden, model.channels])


def _metasr(model, shape, queries):
  cells, points = math.prod(shape), math.prod(queries)
  taps = 9 * model.encoder_options.get("width", 64)
  own = _mlp(points, [3, *model.hidden, taps * model.channels])
  return _edsr(model, cells) + own + _dense(points, taps, model.channels)


def _srno(model, shape, queries):
  cells, points = math.prod(shape), math.prod(queries)
  token = samplers.token_width(model.encoder_options.get("width", 64))
  total = _edsr(model, cells) + _dense(points, token, model.width)
  total += model.blocks * _galerkin(points, model.width, model.heads)
  return total + _mlp(points, [model.width, *model.hidden, model.channels])


def _hinote_official(model, shape, queries):
  """Of one level; the encoder of one channel is not counted."""
  del shape
  points, width = math.prod(queries), model.attention_width
  total = _conv(points, 5, samplers.token_width(1), width)
  total += _galerkin(points, width, model.attention_head)
  return total + _conv(points, 3, width, 1)


def _transformer(model, cells):
  """SwinIR of pixel shuffles, which HAT has more of."""
  width, scale = model.embed_dim, model.scale
  window, blocks = model.window_size**2, sum(model.depths)
  inner = int(model.mlp_ratio * width)
  mlp = 2 * _dense(cells, width, inner)
  attention = 4 * _dense(cells, width, width) + 2 * _dense(cells, width, window)
  total = _conv(cells, 3, model.channels, width) + blocks * (attention + mlp)
  total += (len(model.depths) + 1) * _conv(cells, 3, width, width)
  total += _conv(cells, 3, width, model.num_feat)
  for factor in shuffles.shuffle_steps(scale):
    total += _conv(cells, 3, model.num_feat, factor**2 * model.num_feat)
    cells *= factor**2
  return total + _conv(cells, 3, model.num_feat, model.channels)


def _swinir(model, shape, queries):
  del queries
  return _transformer(model, math.prod(shape))


def _hat(model, shape, queries):
  """With an MLP at the end of every group."""
  del queries
  cells, width = math.prod(shape), model.embed_dim
  wide = int(model.window_size * (1 + model.overlap_ratio)) ** 2
  convs = 2 * _conv(cells, 3, width, width // model.compress_ratio)
  end = 4 * _dense(cells, width, width) + 2 * _dense(cells, width, wide)
  end += 2 * _dense(cells, width, int(model.mlp_ratio * width))
  total = _transformer(model, cells) + sum(model.depths) * convs
  return total + len(model.depths) * end


_FORMULAS = {
  "hinote": _hinote,
  "liif": _liif,
  "lte": _lte,
  "metasr": _metasr,
  "srno": _srno,
  "swinir": _swinir,
  "hat": _hat,
  "hinoteofficial": _hinote_official,
}
