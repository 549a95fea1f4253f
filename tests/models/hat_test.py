"""HAT's parts by loops, and what its variants share with it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from hinote_jax import models
from hinote_jax.core import grids
from hinote_jax.models.single_scale import hat
from hinote_jax.nn import blocks, window_attention
from hinote_jax.train import contract
from tests.infer import networks

_KEY = jax.random.key(0)
_WALLS = list(itertools.product((False, True), repeat=2))
_SMALL = dict(networks.WINDOWS, overlap_ratio=0.5)


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype("f4")


def _drawn(module, *args, **kwargs):
  return networks.random_variables(module, *args, **kwargs)


def _float64(variables):
  return jax.tree.map(np.float64, variables)["params"]


def _padded(x, margin, periodic):
  """One field [h w c] with zeros beyond walls, going on around circles."""
  for axis, closed in enumerate(periodic):
    widths = [(margin, margin) if i == axis else (0, 0) for i in range(3)]
    x = np.pad(x, widths, mode="wrap" if closed else "constant")
  return x


def _overlapping(p, x, heads, window, margin, periodic):
  """Attention of windows to wider ones, window by window, in float64."""
  h, w, c = x.shape
  qkv = x @ p["qkv"]["kernel"] + p["qkv"]["bias"]
  k, v = (_padded(t, margin, periodic) for t in np.split(qkv[..., c:], 2, -1))
  wide, side = window + 2 * margin, 2 * (window + margin) - 1
  table = p["bias_table"].reshape(side, side, heads)
  out = np.zeros((h, w, heads, c // heads))
  for y, x_, head in itertools.product(range(h), range(w), range(heads)):
    top, left = (i // window * window for i in (y, x_))
    keys, values = (
      t[top : top + wide, left : left + wide].reshape(wide**2, heads, -1)
      for t in (k, v)
    )
    q = qkv[y, x_, :c].reshape(heads, -1)[head]
    logits = keys[:, head] @ q / np.sqrt(c // heads)
    # Key minus query, from the least that is wanted on; below 0 from the end.
    for n, (ky, kx) in enumerate(np.ndindex(wide, wide)):
      dy, dx = (
        key - i % window + window - wide + 1 for key, i in ((ky, y), (kx, x_))
      )
      row = dy * side + dx
      logits[n] += table.reshape(-1, heads)[row, head]
    weight = scipy.special.softmax(logits)
    if "mix" in p:
      mix = scipy.special.expit(p["mix"][0])
      weight = mix * weight + (1 - mix) * np.maximum(logits, 0) ** 2
    out[y, x_, head] = weight @ values[:, head]
  return out.reshape(h, w, c) @ p["proj"]["kernel"] + p["proj"]["bias"]


@pytest.mark.parametrize("periodic", _WALLS)
@pytest.mark.parametrize("is_mixed", [False, True])
def test_overlapping_attention_is_that_of_loops(periodic, is_mixed):
  x = _field((2, 4, 8, 4))
  layer = window_attention.OverlapAttention(2, 4, 1, is_mixed, periodic)
  variables = _drawn(layer, x)
  got = layer.apply(variables, x)
  for one, field in zip(got, x, strict=True):
    p = _float64(variables)
    want = _overlapping(p, np.float64(field), 2, 4, 1, periodic)
    np.testing.assert_allclose(one, want, atol=2e-5)  # float32


def test_fresh_mix_is_between_three_and_seven_tenths():
  layer = window_attention.OverlapAttention(2, 4, 1, is_mixed=True)
  keys = jax.random.split(_KEY, 30)
  x = jnp.zeros((1, 4, 4, 4))
  made = jax.vmap(lambda key: layer.init(key, x)["params"]["mix"])(keys)
  w = scipy.special.expit(made)
  assert 0.3 <= w.min() < 0.4 and 0.6 < w.max() <= 0.7


def _gelu(x):
  return x * scipy.special.ndtr(x)


def _convolved(p, x, periodic):
  """One field [h w c] by a 3x3 kernel, in float64."""
  x = _padded(x, 1, periodic)
  h, w = x.shape[0] - 2, x.shape[1] - 2
  return p.get("bias", 0.0) + sum(
    x[i : i + h, j : j + w] @ p["kernel"][i, j] for i, j in np.ndindex(3, 3)
  )


@pytest.mark.parametrize("periodic", _WALLS)
def test_channels_are_weighed_by_their_means(periodic):
  x = _field((2, 5, 7, 6))
  layer = hat.ChannelAttention(4, 3, periodic)
  variables = _drawn(layer, x)
  got = layer.apply(variables, x)
  p = _float64(variables)
  for one, field in zip(got, np.float64(x), strict=True):
    y = _gelu(_convolved(p["first"], field, periodic))
    y = _convolved(p["second"], y, periodic)
    z = y.mean((0, 1)) @ p["squeeze"]["kernel"] + p["squeeze"]["bias"]
    z = np.maximum(z, 0) @ p["excite"]["kernel"] + p["excite"]["bias"]
    np.testing.assert_allclose(one, y * scipy.special.expit(z), atol=2e-5)


@pytest.mark.parametrize("periodic", [(False, False), (True, False)])
def test_refining_network_is_that_of_the_paper(periodic):
  x = _field((1, 5, 6, 8))
  layer = hat.RefiningNetwork(5, periodic)
  variables = _drawn(layer, x)
  (got,) = layer.apply(variables, x)
  p, (x,) = _float64(variables), np.float64(x)
  some = _convolved(p["partial"], x[..., :2], periodic)
  x = np.concatenate([some, x[..., 2:]], -1)
  x = _gelu(x @ p["fc_0"]["kernel"] + p["fc_0"]["bias"])
  whole = {
    "kernel": p["depthwise"]["kernel"][:, :, :, None] * np.eye(5),
    "bias": p["depthwise"]["bias"],
  }
  x = _gelu(_convolved(whole, x[..., :5], periodic)) * x[..., 5:]
  want = x @ p["fc_1"]["kernel"] + p["fc_1"]["bias"]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_depthwise_convolution_is_one_of_each_channel():
  x = _field((1, 4, 5, 3))
  layer = blocks.DepthwiseConv((False, True))
  variables = _drawn(layer, x)
  got = layer.apply(variables, x)
  for c in range(3):
    alone = jax.tree.map(lambda leaf, c=c: leaf[..., c : c + 1], variables)
    want = layer.apply(alone, x[..., c : c + 1])
    np.testing.assert_allclose(got[..., c : c + 1], want, atol=1e-6)
    plain = blocks.Conv(1, periodic=(False, True))
    kernel = alone["params"]["kernel"][..., None]
    alone = {"params": {"kernel": kernel, "bias": alone["params"]["bias"]}}
    want = plain.apply(alone, x[..., c : c + 1])
    np.testing.assert_allclose(got[..., c : c + 1], want, atol=1e-5)


@pytest.mark.parametrize("name", ["hat", "hat_ast"])
def test_other_fields_are_continued_by_reflection(name):
  module = networks.build(name, window_size=8, overlap_ratio=0.5)
  lowres = _field((1, 6, 9, 2))
  variables = _drawn(module, lowres, method="enlarge")
  padded = np.pad(lowres, ((0, 0), (0, 2), (0, 7), (0, 0)), mode="reflect")
  run = jax.jit(lambda x: module.apply(variables, x, method="enlarge"))
  want = run(padded)[:, :12, :18]
  np.testing.assert_allclose(run(lowres), want, atol=1e-5)


def test_variant_is_an_option():
  options = dict(attention="mixed", feed_forward="frfn", overlap_ratio=0.5)
  plain = models.build("hat", size="S", **options)
  assert models.build("hat_ast", overlap_ratio=0.5) == plain
  assert models.build("hat_ast").overlap_ratio == 0.75


@pytest.mark.parametrize(
  ("changed", "words"),
  [
    (dict(overlap_ratio=0.75), "overlap_ratio 0.75 .* windows of 4 .* by 3"),
    (dict(attention="mixd"), "attention.*did you mean 'mixed'"),
    (dict(feed_forward="ffn"), "unknown feed_forward"),
    (dict(scale=5), "3 or a power of two, got 5"),
    (dict(size="XL"), "unknown size of hat"),
  ],
)
def test_what_it_cannot_be_is_said(changed, words):
  with pytest.raises(ValueError, match=words):
    module = models.build("hat", **(_SMALL | changed))
    jax.eval_shape(
      lambda x: module.init(_KEY, x, method="enlarge"), jnp.zeros((1, 8, 8, 1))
    )


def _batch(module, count):
  lowres = _field((count, 4, 4, module.channels))
  return dict(
    lowres=jnp.asarray(lowres),
    coords=grids.batched(grids.axes((8, 8)), count),
    cell=jnp.tile(grids.cell_size((8, 8)), (count, 1)),
    row=jnp.arange(count),
  )


def test_branches_are_left_out_in_training_only_and_by_example():
  module = networks.build("hat", drop_path=0.9)
  spec, batch = models.spec("hat"), _batch(module, 6)
  variables = _drawn(module, *contract.inputs(batch)[0])
  apply = jax.jit(
    lambda batch, key: contract.apply(module, variables, batch, spec, key=key)
  )
  whole, one, other = (apply(batch, k) for k in (None, _KEY, jax.random.key(1)))
  assert np.abs(one - whole).max() > 0.01
  assert np.abs(one - other).max() > 0.01
  axes = batch["coords"]
  turned = {
    name: values[::-1] for name, values in batch.items() if values is not axes
  }
  again = apply(turned | dict(coords=axes), _KEY)
  np.testing.assert_allclose(again[::-1], one, atol=1e-6)


def test_mean_over_what_is_left_out_is_the_whole():
  class _Only(hat.Hat):
    def __call__(self, x, block):
      return self._in_training(x, block)

  only = _Only(drop_path=0.5, depths=(3,), num_heads=(1,))
  x = jnp.ones((4000, 1, 1, 1))
  for index, rate in enumerate((0.0, 0.25, 0.5)):
    block = hat.window_transformer.Block("", index, 1, 0, None)
    got = only.apply({}, x, block, rngs={"drop_path": _KEY})
    assert float((got == 0).mean()) == pytest.approx(rate, abs=0.03)
    assert float(got.mean()) == pytest.approx(1.0, abs=0.05)


def test_half_precision_is_near():
  module = networks.build("hat", depths=(1,))
  inputs = contract.inputs(_batch(module, 1))[0]
  variables = _drawn(module, *inputs)
  half = module.clone(dtype=jnp.bfloat16)
  want, got = (jax.jit(m.apply)(variables, *inputs) for m in (module, half))
  assert got.dtype == jnp.float32
  assert 0 < networks.error(np.asarray(got), np.asarray(want)) < 0.1
