"""The released decoder of one level, in bands of rows.

    x = lift * tokens,  y = block(x),  answer = project * y

Nothing but a band is ever as wide as the decoder: the first pass sums the
integral of the attention, the second forms the answer. Both start from the
narrow tokens again, which is cheaper than storing and reading x, and before k
and v the lifting is one matrix with theirs. Convolutions are products with
patches here; a convolution within a loop is slow on a CPU. The same as the
plain modules of `hinote_official`, to the rounding of float32.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, sums
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.nn import samplers


def distinct(
  feats: Float[Array, "b h w 1"],
  coords: grids.Axes,
  rel_cell: Float[Array, "b 2"],
  *,
  periodic: Periodic = (False, False),
  placement: grids.Placement | None = None,
) -> Float[Array, "b H W 10"]:
  """Returns the tokens of a regular window, without those that repeat.

  On a window an offset along y is the same for both neighbours along x, and
  the other way round: of the 14 channels of `samplers.local_ensemble` 10 are
  distinct.

  Args:
    feats: features.
    coords: query points.
    rel_cell: query cell in feature cells times 2.
    periodic: which of (y, x) close on themselves.
    placement: where `feats` lies on the grid that `coords` are of; None: it
      is it.
  """
  if placement is None:
    placement = grids.Placement.whole(feats)
  y, x = samplers.in_patch(
    samplers.sides(coords, placement.shape, periodic, halve_at_walls=True),
    placement,
    periodic,
    grids.pair(feats.shape[1:3]),
  )
  (b, height), width = coords.y.shape, coords.x.shape[1]
  along_y, along_x = (
    jax.nn.one_hot(side.cells, n) * side.weight[..., None]
    for side, n in ((y, feats.shape[1]), (x, feats.shape[2]))
  )
  weighted = jnp.einsum(
    "bHph,bhw,bWqw->bHWpq",
    along_y,
    feats[..., 0],
    along_x,
    precision="highest",
    optimize="optimal",
  )
  shape = (b, height, width)
  values = [
    jnp.broadcast_to(y.offset[:, :, None], (*shape, 2)),
    jnp.broadcast_to(x.offset[:, None], (*shape, 2)),
    weighted.reshape(*shape, 4),
    jnp.broadcast_to(rel_cell[:, None, None], (*shape, 2)),
  ]
  return jnp.concatenate(values, -1)


def distinct_of_patch(periodic: Periodic, rel_cell, coords, patch):
  """`distinct` of a patch, for `lazy.at_queries`."""
  return distinct(
    patch.values,
    coords,
    rel_cell,
    periodic=periodic,
    placement=patch.placement,
  )


def on_distinct(
  kernel: Float[Array, "k k 14 d"],
) -> Float[Array, "k k 10 d"]:
  """Returns the lifting kernel for `distinct`; what weighs the same adds up."""
  on_y = kernel[:, :, 0:8:4] + kernel[:, :, 2:8:4]
  on_x = kernel[:, :, 1:4:2] + kernel[:, :, 5:8:2]
  return jnp.concatenate([on_y, on_x, kernel[:, :, 8:]], axis=2)


def _bands(values, rows, halo):
  """Cuts [b H W t] into [b m t rows+2halo W+2halo], zeros beyond the edges."""
  b, height, _, t = values.shape
  count = -(-height // rows)
  more = -(-2 * halo // rows)  # further bands that a halo reaches into
  below = (count + more) * rows - height - halo
  sides = [(0, 0), (halo, below), (halo, halo), (0, 0)]
  padded = jnp.moveaxis(jnp.pad(values, sides), -1, 1)
  parts = padded.reshape(b, t, count + more, rows, -1)
  shifted = [parts[:, :, i : i + count] for i in range(more + 1)]
  bands = jnp.concatenate(shifted, axis=3)[:, :, :, : rows + 2 * halo]
  return jnp.moveaxis(bands, 2, 1)


def _patches(band, size):
  """Returns the size x size neighbourhoods of a band, [size*size*t n].

  Channels are first and the points one axis: what is summed or multiplied then
  lies along memory, in the gradient too.
  """
  rows, width = (n - size + 1 for n in band.shape[1:])
  steps = [(i, j) for i in range(size) for j in range(size)]
  neighbours = [band[:, i : i + rows, j : j + width] for i, j in steps]
  return jnp.concatenate(neighbours).reshape(-1, rows * width)


def _times(x, matrix):
  """Returns what a dense layer without a bias makes of [c n], [d n]."""
  return jnp.einsum("cd,cn->dn", matrix, x)


def _moments(bands, inside, matrix, heads, size):
  """Sums what the integral of k^T v needs, over the bands of one example.

  Args:
    bands: tokens, [m t rows+halo W+halo].
    inside: 1 for the points of the window, 0 for what fills a band, [m n].
    matrix: patches to centred k and v, [p 2d].
    heads: of each.
    size: of the patches.

  Returns:
    the sums of k^T v [g e e], k [g e] and v [g e], normalised.
  """
  depth = matrix.shape[1] // (2 * heads)

  def share(band):
    tokens, is_inside = band
    both = _times(_patches(tokens, size), matrix)
    both = both.reshape(2, heads, depth, -1)
    variance = jnp.square(both).sum(2) / (depth - 1)
    is_flat = variance == 0.0
    std = jnp.where(is_flat, 0.0, jnp.sqrt(jnp.where(is_flat, 1.0, variance)))
    scale = is_inside / (std + 1e-5)
    k, v = both * scale[:, :, None]
    product = jnp.einsum("gdn,gen->gde", k, v, precision="highest")
    return product, k.sum(-1), v.sum(-1)

  return sums.over(share, (bands, inside))


def _attention(sums, points, block):
  """Returns x + attention(x), then the expansion, as one matrix [c c]."""
  attention = block["attention"]
  product, sum_k, sum_v = sums
  k, v = attention["norm_k"], attention["norm_v"]
  scaled_k, scaled_v = k["scale"] * sum_k, v["scale"] * sum_v
  integral = (
    k["scale"][:, :, None] * product * v["scale"][:, None]
    + scaled_k[:, :, None] * v["bias"][:, None]
    + k["bias"][:, :, None] * scaled_v[:, None]
  ) / points + k["bias"][:, :, None] * v["bias"][:, None]
  q = attention["q"]["kernel"]
  c, heads = len(q), len(product)
  matrix = jnp.einsum(
    "igd,gde->ige", q.reshape(c, heads, -1), integral, precision="highest"
  )
  matrix = matrix.reshape(c, c) + jnp.eye(c)
  return jnp.matmul(matrix, block["expand"]["kernel"], precision="highest")


@dataclasses.dataclass(frozen=True)
class Decoder:
  """How the decoder is run; its parameters come with each call.

  `params` are the kernel of the lifting convolution for the tokens' channels,
  [k k t d], those of a `galerkin.GalerkinBlock` without biases and with the
  published norm, and those of the convolution that projects.

  Attributes:
    heads: of the block.
    activate: of the block's MLP and of its sum.
    points_at_once: points of a band; it has one row at least.
  """

  heads: int
  activate: Callable
  points_at_once: int

  def sums(
    self, params: Any, patch: lazy.Patch, inside: Array | None = None
  ) -> tuple[Array, Array, Array]:
    """Returns what the integral of the attention needs, summed over points.

    Args:
      params: of the decoder.
      patch: tokens; beyond them there are zeros.
      inside: 1 for the points that count, [H W]; None for all.
    """
    kernel, block, _ = params
    values = patch.values
    size, c = kernel.shape[0], kernel.shape[-1]
    if inside is None:
      inside = jnp.ones(values.shape[1:3], values.dtype)
    bands = self._cut(values, size)
    count, rows = bands.shape[1], bands.shape[3] - size + 1
    below = count * rows - inside.shape[0]
    inside = jnp.pad(inside, [(0, below), (0, 0)]).reshape(count, -1)

    def centred(name):
      matrix = block["attention"][name]["kernel"]
      matrix = matrix.reshape(c, self.heads, -1)
      return (matrix - matrix.mean(-1, keepdims=True)).reshape(c, c)

    both = jnp.concatenate([centred("k"), centred("v")], axis=1)
    both = jnp.matmul(kernel.reshape(-1, c), both, precision="highest")
    return jax.lax.map(
      lambda bands: _moments(bands, inside, both, self.heads, size), bands
    )

  def answer(self, params: Any, values: Array) -> Float[Array, "b H W e"]:
    """Returns lifting, Galerkin block and projection of the tokens.

    Args:
      params: of the decoder, the sums of all points, and their number.
      values: tokens [b H W t]; beyond them there are zeros.
    """
    (kernel, block, project), sums, points = params
    size, c = kernel.shape[0], kernel.shape[-1]
    lift = kernel.reshape(-1, c)
    contract = block["contract"]["kernel"]
    side = project["kernel"].shape[0]
    last = project["kernel"].transpose(2, 0, 1, 3).reshape(c, -1)

    def example(bands_and_sums):
      bands, sums = bands_and_sums
      expand = _attention(sums, points, block)

      def answer(band):
        x = _times(_patches(band, size), lift)
        y = self.activate(_times(x, expand))
        return _times(self.activate(x + _times(y, contract)), last)

      return jax.lax.map(jax.checkpoint(answer), bands)

    bands = self._cut(values, size)
    parts = jax.lax.map(example, (bands, sums))
    b, count = bands.shape[:2]
    rows, (height, width) = bands.shape[3] - size + 1, values.shape[1:3]
    parts = parts.reshape(b, count, side, side, -1, rows, width)
    parts = jnp.moveaxis(parts, 1, 4)
    parts = parts.reshape(*parts.shape[:4], count * rows, width)
    answer = _gather_taps(parts[..., :height, :])
    return jnp.moveaxis(answer, 1, -1) + project["bias"]

  def __call__(
    self, params: Any, tokens: Float[lazy.Grid, "b H W t"]
  ) -> Float[lazy.Grid, "b H W e"]:
    """Returns what the decoder makes of all its points."""
    _, height, width, _ = tokens.shape
    # Lifting reads two points each way, the projection one of what it makes.
    total = lazy.total(lazy.bind(Decoder.sums, self), params, tokens, reach=2)
    points = jnp.asarray(float(height * width))
    return lazy.local(
      lazy.bind(Decoder.answer, self), (params, total, points), tokens, reach=3
    )

  def _cut(self, values, size):
    """Returns the bands of the tokens, [b m t rows+halo W+halo]."""
    _, height, width, _ = values.shape
    count = -(-height // max(1, self.points_at_once // width))
    return _bands(values, -(-height // count), size // 2)


def _gather_taps(parts):
  """Sums what each point gives to its neighbours, [b k k e H W] -> [b e H W].

  The second half of a convolution whose products with the kernel are done.
  """
  side, height, width = parts.shape[1], *parts.shape[-2:]
  halo = side // 2
  padded = jnp.pad(parts, [(0, 0)] * 4 + [(halo, halo)] * 2)
  return sum(
    padded[:, i, j, :, i : i + height, j : j + width]
    for i in range(side)
    for j in range(side)
  )
