"""Self-attention within square windows, as in Swin (Liu et al., ICCV 2021)."""

import functools
import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float
import numpy as np

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.nn import bands, blocks


def partition(x: Array, window: int) -> Array:
  """Cuts a field into windows by rows, [b h w c] -> [b n t c], t = window^2.

  Raises:
    ValueError: h or w is not a multiple of `window`.
  """
  b, h, w, c = x.shape
  if h % window or w % window:
    raise ValueError(f"{h} x {w} cells are not whole windows of {window}")
  x = x.reshape(b, h // window, window, w // window, window, c)
  return x.swapaxes(2, 3).reshape(b, -1, window**2, c)


def merge(x: Array, shape: tuple[int, int]) -> Array:
  """Undoes `partition`, [b n t c] -> [b h w c]."""
  b, _, t, c = x.shape
  (h, w), window = shape, math.isqrt(t)
  x = x.reshape(b, h // window, w // window, window, window, c)
  return x.swapaxes(2, 3).reshape(b, h, w, c)


def relative_index(window: int) -> np.ndarray:
  """Returns the row of the bias table of each query and key, [t t] int64.

  Rows are the offsets (dy, dx) of the query from the key, each from 1 - window
  to window - 1, dx fastest.
  """
  y, x = np.divmod(np.arange(window**2), window)
  dy, dx = (v[:, None] - v[None, :] + window - 1 for v in (y, x))
  return dy * (2 * window - 1) + dx


def overlap_index(window: int, wide: int) -> np.ndarray:
  """Returns the row of the bias table for keys of a wider window, [t s] int64.

  Rows are the offsets of the key from the query as HAT counts them: those
  below 0 are counted from the table's end.

  Args:
    window: side of the queries' window.
    wide: side of the keys'.
  """
  (y, x), (v, u) = (np.divmod(np.arange(n**2), n) for n in (window, wide))
  dy, dx = (
    key[None, :] - query[:, None] + window - wide + 1
    for query, key in ((y, v), (x, u))
  )
  return dy * (window + wide - 1) + dx


def shift_sides(
  shape: tuple[int, int], shift: int, periodic: Periodic
) -> np.ndarray:
  """Returns which cells lie before the ends of the axes, [h w], and behind.

  The field was rolled by -shift, so the last windows of an axis hold cells of
  both its ends: of different numbers. Those are neighbours on a periodic axis.
  """
  is_start = [
    np.arange(n) >= (n if closed else n - shift)
    for n, closed in zip(shape, periodic, strict=True)
  ]
  return 2 * is_start[0][:, None] + is_start[1]


def resshift_sides(
  shape: tuple[int, int], window: int, shift: int
) -> np.ndarray:
  """Returns what ResShift has in place of `shift_sides`, [h w].

  Only the ends of the rows are told apart, and each window is transposed.
  """
  h, w = shape
  is_start = np.arange(h)[:, None] >= h - shift
  cells = np.broadcast_to(is_start, shape)
  cells = cells.reshape(h // window, window, w // window, window)
  return cells.swapaxes(1, 3).reshape(shape)


def shift_mask(
  shape: tuple[int, int],
  window: int,
  shift: int,
  periodic: Periodic,
  is_transposed: bool = False,
) -> np.ndarray:
  """Returns which cells may attend to each other, [n t t] bool.

  See `shift_sides`, and `WindowAttention.is_transposed`.
  """
  if is_transposed:
    side = resshift_sides(shape, window, shift)
  else:
    side = shift_sides(shape, shift, periodic)
  side = np.asarray(partition(side[None, :, :, None], window)[0, :, :, 0])
  return side[:, :, None] == side[:, None, :]


def attend(
  q: Float[Array, "b n k t d"],
  k: Float[Array, "b n k s d"],
  v: Float[Array, "b n k s d"],
  bias: Float[Array, "k t s"],
  mask: Bool[Array, "n t s"] | None = None,
  mix: Float[Array, ""] | None = None,
) -> Float[Array, "b n t e"]:
  """Returns softmax(q k^T / sqrt(d) + bias) v, the heads k joined, e = k d.

  Keys may be of larger windows than queries. With E = exp(L - max L) of the
  logits L, what is divided by the sums of E is E v, of fewer numbers than E.

  Args:
    q: queries.
    k: keys.
    v: values.
    bias: of each head, by query and key.
    mask: which pairs count.
    mix: w, for w softmax(L) + (1 - w) relu(L)^2 in place of softmax(L) (Zhou
      et al., CVPR 2024, adaptive sparse self-attention).
  """
  b, n, heads, t, d = q.shape
  logits = jnp.einsum("bnktd,bnksd->bnkts", q / math.sqrt(d), k)
  logits = logits.astype(jnp.float32) + bias
  if mask is not None:
    logits = jnp.where(mask[:, None], logits, -jnp.inf)
  largest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
  weight = jnp.exp(logits - largest)
  total = weight.sum(-1, keepdims=True)
  if mix is not None:
    sparse = jnp.square(nn.relu(logits))
    weight = mix * weight + (1.0 - mix) * total * sparse
  y = jnp.einsum("bnkts,bnksd->bnktd", weight.astype(v.dtype), v)
  y = (y / total).astype(v.dtype)
  return y.swapaxes(2, 3).reshape(b, n, t, heads * d)


def _params(module: nn.Module, c: int, heads: int, rows: int):
  """Returns the dense layers around an attention and its bias table."""
  if c % heads:
    raise ValueError(f"{c} channels do not divide among {heads} heads")
  init = nn.initializers.truncated_normal(0.02)
  return (
    blocks.Affine(3 * c, name="qkv")(c),
    module.param("bias_table", init, (rows, heads)),
    blocks.Affine(c, name="proj")(c),
  )


def _in_patches(function, x: lazy.LazyGrid, side, shift, margin, params):
  """Returns an attention on a lazy grid; `function` as `_of_patch` takes it."""
  # A window begins up to `side - 1` cells before the first cell that is asked
  # for, or ends so far behind the last. Others are not looked at.
  reading = lazy.same_cells(x, side - 1 + margin)
  function = lazy.bind(_of_patch, function, side, shift, margin)
  return lazy.LazyGrid(x.domain, (reading,), function, params)


class WindowAttention(nn.Module):
  """Multi-head attention among the cells of each window of a field.

  Attributes:
    heads: of the attention; they divide the channels.
    window: side of a window in cells; it divides the field.
    shift: how far the windows are moved towards the end of the axes.
    periodic: whether the (y, x) axis closes on itself.
    dtype: of the computation.
    is_transposed: cells of both ends are told apart as ResShift's weights
      expect, see `resshift_sides`; on arrays only.
  """

  heads: int
  window: int
  shift: int = 0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32
  is_transposed: bool = False

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    rows = (2 * self.window - 1) ** 2
    params = _params(self, x.shape[-1], self.heads, rows)
    attend_ = lazy.bind(_attention, self.heads, self.window, self.dtype)
    if isinstance(x, lazy.LazyGrid):
      return _in_patches(attend_, x, self.window, self.shift, 0, params)
    if not self.shift:
      return attend_(params, x)
    shape = grids.pair(x.shape[1:3])
    if self.is_transposed:
      sides = resshift_sides(shape, self.window, self.shift)
    else:
      sides = shift_sides(shape, self.shift, self.periodic)
    x = jnp.roll(x, (-self.shift, -self.shift), axis=(1, 2))
    y = attend_(params, x, sides)
    return jnp.roll(y, (self.shift, self.shift), axis=(1, 2))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _attention(
  heads: int, window: int, dtype: DTypeLike, params, x, sides=None
):
  """Attention within the windows of a field of whole windows.

  Cells of different `sides` [h w] do not attend to each other.
  """
  qkv, table, proj = params
  shape = x.shape[1:3]
  bias = table.T[:, relative_index(window)]

  def attended(values):
    x, sides = values
    q, k, v = _by_heads(_dense(x, qkv, dtype), 3, heads)
    mask = None
    if sides is not None:
      mask = sides[0, :, :, None] == sides[0, :, None, :]
    return _dense(attend(q, k, v, bias, mask), proj, dtype)

  if sides is not None:
    sides = partition(jnp.asarray(sides)[None, :, :, None], window)[..., 0]
  values = partition(x, window), sides
  return merge(bands.parts(attended, values, window**2), shape)


class OverlapAttention(nn.Module):
  """Attention of each window's cells to those of a wider window around it.

  As HAT's overlapping cross-attention (Chen et al., CVPR 2023): beyond a wall
  keys and values are zeros, which count.

  Attributes:
    heads: of the attention; they divide the channels.
    window: side of a window in cells; it divides the field.
    margin: how many cells wider the windows of the keys are, on each side.
    is_mixed: the weights are w softmax(L) + (1 - w) relu(L)^2, w learned.
  """

  heads: int
  window: int
  margin: int
  is_mixed: bool = False
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    margin, side = self.margin, self.window
    rows = (2 * (side + margin) - 1) ** 2
    params = _params(self, x.shape[-1], self.heads, rows)
    mix = self.param("mix", _any_mix, (1,)) if self.is_mixed else None
    attend_ = lazy.bind(_overlapping, self.heads, side, margin, self.dtype)
    if isinstance(x, lazy.LazyGrid):
      return _in_patches(attend_, x, side, 0, margin, (*params, mix))
    cells = np.ones(x.shape[1:3], bool)
    inside = blocks.padded(cells, margin, self.periodic, axis=0)
    x = blocks.padded(x, margin, self.periodic)
    return attend_((*params, mix), x, inside)


def _any_mix(key, shape):
  """Draws w evenly between 0.3 and 0.7, as log(w / (1 - w))."""
  w = jax.random.uniform(key, shape, minval=0.3, maxval=0.7)
  return jnp.log(w / (1.0 - w))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _overlapping(
  heads: int, window: int, margin: int, dtype: DTypeLike, params, x, inside
):
  """Attention within whole windows of a field that has a margin around it.

  Keys and values are zeros where `inside` [h w] is not.
  """
  qkv, table, proj, mix = params
  wide = window + 2 * margin
  bias = table.T[:, overlap_index(window, wide)]
  joined = _dense(x, qkv, dtype)
  q, kv = jnp.split(joined, [x.shape[-1]], axis=-1)
  q = q[:, margin : q.shape[1] - margin, margin : q.shape[2] - margin]
  kv = jnp.where(jnp.asarray(inside)[..., None], kv, 0.0)
  b, height, width, c = q.shape
  w = None if mix is None else jax.nn.sigmoid(mix[0])
  rows, columns = (
    np.arange(0, n, window)[:, None] + np.arange(wide) for n in (height, width)
  )

  def attended(values):
    q, kv = values  # bands of rows as high as a window, and as a wide one
    q = partition(q.reshape(-1, window, width, c), window)
    (q,) = _by_heads(q, 1, heads)
    kv = kv.reshape(len(q), wide, -1, 2 * c)[:, :, columns].swapaxes(1, 2)
    kv = kv.reshape(len(q), len(columns), wide**2, 2 * c)
    k, v = _by_heads(kv, 2, heads)
    y = _dense(attend(q, k, v, bias, mix=w), proj, dtype)
    return merge(y, (window, width)).reshape(b, -1, window, width, c)

  values = q.reshape(b, -1, window, width, c), kv[:, rows]
  y = bands.parts(attended, values, window * width)
  return y.reshape(b, height, width, c)


def _by_heads(x, count, heads):
  """Returns `count` tensors out of one, [b n t e] -> each [b n k t d]."""
  x = x.reshape(*x.shape[:3], count, heads, -1)
  return x.transpose(3, 0, 1, 4, 2, 5)


def _dense(x, layer, dtype):
  kernel, bias = layer
  return blocks.multiply(x, kernel, dtype) + bias.astype(dtype)


def _of_patch(
  function, side: int, shift: int, margin: int, params, window, patch
):
  """Returns the attention of a window of a lazy grid, from a larger patch.

  Args:
    function: (params, values, inside), of whole windows and their margin;
      `inside` [h w] says where there is a cell.
    side: of a window.
    shift: where windows begin.
    margin: of cells around the windows that are read.
    params: of the function.
    window: that is asked for.
    patch: what is read.
  """
  values = patch.values
  # The last cell asked for may be the first of one more window.
  counts = [-(-(n + side - 1) // side) for n in window.shape]
  # Windows begin at `shift`, and whole windows before and behind it.
  first = [
    (window.start[axis] - shift) // side * side + shift for axis in (0, 1)
  ]
  inside = []
  for axis, (n, closed) in enumerate(zip(*patch.domain, strict=True)):
    cells = jnp.arange(-margin, counts[axis] * side + margin) + first[axis]
    # Beyond a wall there is nothing; what stands there is not looked at.
    inside.append(
      jnp.full(cells.shape, True) if closed else (cells >= 0) & (cells < n)
    )
    index = cells - patch.start[axis]
    index = jnp.clip(index, 0, values.shape[1 + axis] - 1)
    values = jnp.take(values, index, axis=1 + axis)
  values = function(params, values, inside[0][:, None] & inside[1])
  return lazy.Patch(values, jnp.stack(first), patch.domain).crop(window)
