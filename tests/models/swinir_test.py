"""Window attention by loops, and what SwinIR makes of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.interop import checkpoints
from hinote_jax.nn import window_attention

_KEY = jax.random.key(0)
_SMALL = dict(
  embed_dim=8, depths=(2,), num_heads=(2,), window_size=4, num_feat=8
)


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype("f4")


def _enlarge(module, variables, lowres):
  run = jax.jit(lambda x: module.apply(variables, x, method="enlarge"))
  return np.asarray(run(lowres))


def _drawn(module, *args, **kwargs):
  """Returns parameters that make attention far from uniform."""
  random = np.random.default_rng(0)
  made = jax.eval_shape(lambda *a: module.init(_KEY, *a, **kwargs), *args)

  def draw(path, leaf):
    values = random.normal(size=leaf.shape).astype("f4")
    if path[-1].key == "kernel":
      values = values / np.sqrt(values[..., 0].size)
    return 2.0 * values if "qkv" in str(path) else values

  return jax.tree_util.tree_map_with_path(draw, made)


def test_windows_are_cut_by_rows_and_put_back():
  x = _field((2, 6, 9, 2))
  cut = window_attention.partition(x, 3)
  assert cut.shape == (2, 6, 9, 2)  # 2 by 3 windows of 9 cells
  np.testing.assert_array_equal(cut[1, 4].reshape(3, 3, 2), x[1, 3:6, 3:6])
  np.testing.assert_array_equal(window_attention.merge(cut, (6, 9)), x)
  with pytest.raises(ValueError, match="6 x 9 cells .* windows of 4"):
    window_attention.partition(x, 4)


def test_relative_index_counts_the_offsets():
  offsets = list(itertools.product(range(-2, 3), repeat=2))
  cells = list(itertools.product(range(3), repeat=2))
  index = window_attention.relative_index(3)
  for (i, q), (j, k) in itertools.product(enumerate(cells), repeat=2):
    assert offsets[index[i, j]] == (q[0] - k[0], q[1] - k[1])


@pytest.mark.parametrize(
  "periodic", list(itertools.product((False, True), repeat=2))
)
@pytest.mark.parametrize("shift", [1, 2])
def test_mask_joins_what_is_near_in_the_field(periodic, shift):
  shape, window = (8, 12), 4
  mask = window_attention.shift_mask(shape, window, shift, periodic)
  where = np.stack(np.indices(shape), -1)[None]
  where = np.roll(where, (-shift, -shift), axis=(1, 2))
  where = window_attention.partition(where, window)[0]
  # Cells of one window are within it in the field, unless an end lies between.
  away = np.abs(where[:, :, None] - where[:, None, :])
  is_near = (away < window) | np.array(periodic)
  np.testing.assert_array_equal(mask, is_near.all(-1))


def _by_loops(params, x, heads, window, shift, periodic):
  """One field [h w c], cell by cell, in float64."""
  h, w, c = x.shape
  d = c // heads
  p = jax.tree.map(np.float64, params)
  qkv = x @ p["qkv"]["kernel"] + p["qkv"]["bias"]
  qkv = qkv.reshape(h, w, 3, heads, d)
  of_bias = p["bias_table"].reshape(2 * window - 1, 2 * window - 1, heads)
  out = np.zeros((h, w, heads, d))

  def place(i, n):
    """Returns the window of a cell and where the cell is in it."""
    return divmod((i - shift) % n, window)

  def is_joined(i, j, n, closed):
    is_wrapped = (i < shift) != (j < shift)  # one came over the end
    return place(i, n)[0] == place(j, n)[0] and (closed or not is_wrapped)

  cells = list(itertools.product(range(h), range(w)))
  for (y, x_), head in itertools.product(cells, range(heads)):
    near = [
      (v, u)
      for v, u in cells
      if is_joined(y, v, h, periodic[0]) and is_joined(x_, u, w, periodic[1])
    ]
    logits = []
    for v, u in near:
      dy = place(y, h)[1] - place(v, h)[1] + window - 1
      dx = place(x_, w)[1] - place(u, w)[1] + window - 1
      product = qkv[y, x_, 0, head] @ qkv[v, u, 1, head]
      logits.append(product / np.sqrt(d) + of_bias[dy, dx, head])
    weight = np.exp(np.array(logits) - max(logits))
    values = np.array([qkv[v, u, 2, head] for v, u in near])
    out[y, x_, head] = weight @ values / weight.sum()
  return out.reshape(h, w, c) @ p["proj"]["kernel"] + p["proj"]["bias"]


@pytest.mark.parametrize(
  ("shift", "periodic"),
  [
    (0, (False, False)),
    (1, (False, False)),
    (2, (True, False)),
    (1, (True, True)),
  ],
)
def test_attention_equals_that_of_loops(shift, periodic):
  x = _field((2, 6, 9, 4))
  layer = window_attention.WindowAttention(2, 3, shift, periodic)
  variables = _drawn(layer, x)
  got = layer.apply(variables, x)
  for one, field in zip(got, x, strict=True):
    want = _by_loops(variables["params"], field, 2, 3, shift, periodic)
    np.testing.assert_allclose(one, want, atol=2e-5)  # float32


def test_keys_may_be_of_larger_windows():
  q, k, v = (_field((1, 2, 2, n, 3), n) for n in (4, 9, 10))
  v = v[:, :, :, :9]
  bias = _field((2, 4, 9))
  logits = np.einsum("bnktd,bnksd->bnkts", q, k) / np.sqrt(3) + bias
  weight = np.exp(logits) / np.exp(logits).sum(4, keepdims=True)
  for mix in (None, np.array(0.3, "f4")):
    got = window_attention.attend(q, k, v, bias, mix=mix)
    if mix is not None:  # of softmax and squared ReLU
      weight = mix * weight + (1 - mix) * np.maximum(logits, 0) ** 2
    want = np.einsum("bnkts,bnksd->bntkd", weight, v).reshape(1, 2, 4, 6)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_heads_must_divide_the_channels():
  layer = window_attention.WindowAttention(3, 2)
  with pytest.raises(ValueError, match="8 channels .* 3 heads"):
    layer.init(_KEY, np.zeros((1, 4, 4, 8), "f4"))


def test_other_fields_are_continued_by_reflection():
  lowres = _field((1, 6, 7, 1))
  module = models.build("swinir", scale=2, **_SMALL)
  variables = _drawn(module, lowres, method="enlarge")
  padded = np.pad(lowres, ((0, 0), (0, 2), (0, 1), (0, 0)), mode="reflect")
  got = _enlarge(module, variables, lowres)
  want = _enlarge(module, variables, padded)[:, :12, :14]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_periodic_field_may_be_rolled_by_windows():
  lowres = _field((1, 8, 12, 1))
  walls = models.build("swinir", scale=2, **_SMALL)
  variables = _drawn(walls, lowres, method="enlarge")
  for periodic in ((True, True), (False, False)):
    module = walls.clone(periodic=periodic)
    got = _enlarge(module, variables, np.roll(lowres, (4, -4), axis=(1, 2)))
    want = _enlarge(module, variables, lowres)
    want = np.roll(want, (8, -8), axis=(1, 2))
    assert np.allclose(got, want, atol=1e-5) == periodic[0]  # float32


def test_periodic_axis_of_other_length_has_walls():
  lowres = _field((1, 6, 8, 1))
  walls = models.build("swinir", scale=2, **_SMALL)
  variables = _drawn(walls, lowres, method="enlarge")
  for periodic, same_as in (
    ((True, False), (False, False)),
    ((True, True), (False, True)),
  ):
    got = _enlarge(walls.clone(periodic=periodic), variables, lowres)
    want = _enlarge(walls.clone(periodic=same_as), variables, lowres)
    np.testing.assert_array_equal(got, want)


def test_mean_and_range_are_taken_off_and_put_back():
  lowres = _field((1, 4, 8, 2))
  plain = models.build("swinir", scale=2, channels=2, **_SMALL)
  variables = _drawn(plain, lowres, method="enlarge")
  mean = np.array([0.5, -2.0], "f4")
  shifted = plain.clone(mean=tuple(mean.tolist()), img_range=4.0)
  got = _enlarge(shifted, variables, lowres)
  want = _enlarge(plain, variables, (lowres - mean) * 4.0) / 4.0 + mean
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_empty_upsampler_adds_to_its_input():
  lowres = _field((1, 6, 7, 1))
  module = models.build("swinir", scale=1, upsampler="", **_SMALL)
  params = _drawn(module, lowres, method="enlarge")["params"]
  params = params | {"last": jax.tree.map(jnp.zeros_like, params["last"])}
  got = _enlarge(module, {"params": params}, lowres)
  np.testing.assert_array_equal(got, lowres)


@pytest.mark.parametrize(
  ("changed", "words"),
  [
    (dict(upsampler="pixelshufle"), "unknown upsampler .*'pixelshuffle'"),
    (dict(upsampler=""), "keeps the grid, got scale 2"),
    (dict(resi_connection="2conv"), "unknown resi_connection"),
    (dict(scale=5), "3 or a power of two, got 5"),
  ],
)
def test_what_it_cannot_be_is_said(changed, words):
  module = models.build("swinir", **(dict(_SMALL, scale=2) | changed))
  with pytest.raises(ValueError, match=words):
    jax.eval_shape(
      lambda x: module.init(_KEY, x, method="enlarge"), jnp.zeros((1, 8, 8, 1))
    )


@pytest.mark.parametrize(
  ("kwargs", "count"),
  [
    (dict(scale=4), 11_900_199),
    (dict(size="lightweight", scale=2), 910_152),
  ],
)
def test_sizes_are_the_published_ones(kwargs, count):
  shapes = checkpoints.parameter_shapes("swinir", dict(kwargs, channels=3))
  assert sum(int(np.prod(shape)) for shape in shapes.values()) == count
