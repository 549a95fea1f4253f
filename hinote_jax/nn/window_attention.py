"""Self-attention within square windows, as in Swin (Liu et al., ICCV 2021)."""

import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float
import numpy as np

from hinote_jax import lazy
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.nn import blocks


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


def shift_mask(
  shape: tuple[int, int], window: int, shift: int, periodic: Periodic
) -> np.ndarray:
  """Returns which cells may attend to each other, [n t t] bool.

  The field was rolled by -shift, so the last windows of an axis hold cells of
  both its ends. Those are neighbours on a periodic axis only.
  """
  is_start = [
    np.arange(n) >= (n if closed else n - shift)
    for n, closed in zip(shape, periodic, strict=True)
  ]
  side = 2 * is_start[0][:, None] + is_start[1]
  side = np.asarray(partition(side[None, :, :, None], window)[0, :, :, 0])
  return side[:, :, None] == side[:, None, :]


def attend(
  q: Float[Array, "b n t k d"],
  k: Float[Array, "b n s k d"],
  v: Float[Array, "b n s k d"],
  bias: Float[Array, "t s k"],
  mask: Bool[Array, "n t s"] | None = None,
) -> Float[Array, "b n t e"]:
  """Returns softmax(q k^T / sqrt(d) + bias) v, the heads k joined, e = k d.

  Keys may be of larger windows than queries. `mask` says which pairs count.
  """
  b, n, t, heads, d = q.shape
  logits = jnp.einsum("bntkd,bnskd->bnkts", q / math.sqrt(d), k)
  logits = logits.astype(jnp.float32) + bias.transpose(2, 0, 1)
  if mask is not None:
    logits = jnp.where(mask[:, None], logits, -jnp.inf)
  weight = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
  return jnp.einsum("bnkts,bnskd->bntkd", weight, v).reshape(b, n, t, heads * d)


class WindowAttention(nn.Module):
  """Multi-head attention among the cells of each window of a field.

  Attributes:
    heads: of the attention; they divide the channels.
    window: side of a window in cells; it divides the field.
    shift: how far the windows are moved towards the end of the axes.
  """

  heads: int
  window: int
  shift: int = 0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    c = x.shape[-1]
    if c % self.heads:
      raise ValueError(f"{c} channels do not divide among {self.heads} heads")
    init = nn.initializers.truncated_normal(0.02)
    rows = (2 * self.window - 1) ** 2
    params = (
      blocks.Affine(3 * c, name="qkv")(c),
      self.param("bias_table", init, (rows, self.heads)),
      blocks.Affine(c, name="proj")(c),
    )
    attend_ = lazy.bind(_attention, self.heads, self.window, self.dtype)
    if isinstance(x, lazy.LazyGrid):
      # A window begins up to `window - 1` cells before the first cell that is
      # asked for, and windows end up to twice that behind the last.
      reading = lazy.same_cells(x, 2 * (self.window - 1))
      function = lazy.bind(_of_patch, attend_, self.window, self.shift)
      return lazy.LazyGrid(x.domain, (reading,), function, params)
    return self._of_field(attend_, params, x)

  def _of_field(self, attend_, params, x):
    """Returns the attention of a whole field, rolled to move its windows."""
    _, h, w, _ = x.shape
    mask = None
    if self.shift:
      x = jnp.roll(x, (-self.shift, -self.shift), axis=(1, 2))
      mask = shift_mask((h, w), self.window, self.shift, self.periodic)
    y = attend_(params, x, mask)
    return jnp.roll(y, (self.shift, self.shift), axis=(1, 2))


def _attention(heads: int, window: int, dtype: DTypeLike, params, x, mask=None):
  """Attention within the windows of a field of whole windows."""
  qkv, table, proj = params
  shape = x.shape[1:3]
  x = partition(x, window)
  joined = _dense(x, qkv, dtype)
  joined = joined.reshape(*x.shape[:3], 3, heads, -1)
  q, k, v = jnp.moveaxis(joined, 3, 0)
  y = attend(q, k, v, table[relative_index(window)], mask)
  return merge(_dense(y, proj, dtype), shape)


def _dense(x, layer, dtype):
  kernel, bias = layer
  return blocks.multiply(x, kernel, dtype) + bias.astype(dtype)


def _of_patch(attend_, side: int, shift: int, params, window, patch):
  """Returns the attention of a window of a lazy grid, from a larger patch."""
  values = patch.values
  # The last cell asked for may be the first of one more window.
  counts = [-(-(n + side - 1) // side) for n in window.shape]
  # Windows begin at `shift`, and whole windows before and behind it.
  first = [
    (window.start[axis] - shift) // side * side + shift for axis in (0, 1)
  ]
  inside, along = [], []
  for axis, (n, closed) in enumerate(zip(*patch.domain, strict=True)):
    cells = first[axis] + jnp.arange(counts[axis] * side)
    # Beyond a wall there is nothing; what stands there is masked.
    inside.append(
      jnp.full(cells.shape, True) if closed else (cells >= 0) & (cells < n)
    )
    along.append(cells - patch.start[axis])
  for axis, index in enumerate(along):
    index = jnp.clip(index, 0, values.shape[1 + axis] - 1)
    values = jnp.take(values, index, axis=1 + axis)
  is_cell = inside[0][:, None] & inside[1]
  of_window = partition(is_cell[None, :, :, None], side)[0, :, :, 0]
  mask = of_window[:, :, None] == of_window[:, None, :]
  values = attend_(params, values, mask)
  start = jnp.stack(first)
  return lazy.Patch(values, start, patch.domain).crop(window)
