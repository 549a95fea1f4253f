"""Tests of the terms of a loss: values by hand, gradients, their language."""

import functools
from typing import NamedTuple

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import losses, models
from hinote_jax.interop import checkpoints
from hinote_jax.losses import contrast, embedding, mghf, structure, terms

_SHAPE = (2, 6, 7, 1)


class _Features(NamedTuple):
  details: tuple
  embedding: jax.Array


class _Squares:
  """Stands for a network: the field and its square, in two details."""

  channels = 1
  patch = 1

  def apply(self, variables, field, method):
    assert method == "features"
    pair = jnp.concatenate([field, jnp.square(field)], axis=-1)
    details = (pair, variables["gain"] * pair)
    return _Features(details, pair.mean((1, 2)))


_NETWORK = terms.Network(_Squares(), {"gain": 2.0})


def _fields(shape=_SHAPE):
  random = np.random.default_rng(0)
  return random.normal(size=(2, *shape)).astype(np.float32)


def _value(line, pred, highres, unit=1.0):
  asked = terms.parse(line)
  loss = terms.build(losses.build("l2"), asked, (_NETWORK,) * len(asked))
  args = pred / unit, highres / unit, None, None
  variables = loss.init(jax.random.key(0), *args)
  return loss.apply(variables, *args, unit=unit).mean()


def _pairs(fields):
  return [np.concatenate([f, f * f], -1).astype(np.float64) for f in fields]


def test_detail_features_are_compared_by_their_squares():
  pred, highres = _fields()
  x, y = _pairs((pred, highres))
  l2 = np.square(pred - highres).mean()
  mse = np.square(x - y).mean()
  got = _value("0.5*mghf_n", pred, highres)
  np.testing.assert_allclose(got, l2 + 0.5 * (1 + 4) / 2 * mse, rtol=1e-5)
  got = _value('0.5*mghf_n(nodes="last")', pred, highres)
  np.testing.assert_allclose(got, l2 + 0.5 * 4 * mse, rtol=1e-5)
  # A term sees the field itself, whatever the unit of the loss.
  got = _value("0.5*mghf_n", pred, highres, unit=2.0)
  np.testing.assert_allclose(got, l2 / 4 + 0.5 * 2.5 * mse, rtol=1e-5)
  got = _value("mghf_n(factor=2, offset=1)", pred, highres)
  x, y = _pairs((2 * pred + 1, 2 * highres + 1))
  want = l2 + 2.5 * np.square(x - y).mean()
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_parts_of_the_coarse_grained_term_add_up():
  pred, highres = _fields()
  x, y = (2.0 * v for v in _pairs((pred, highres)))
  b, h, w, c = x.shape
  heights = np.exp(np.abs(y).reshape(b, h * w, c))
  p = heights / heights.sum(1, keepdims=True)
  entropy = -(p * np.log(p)).sum(1) / np.log(h * w)
  kept = entropy <= entropy.mean(1, keepdims=True)
  assert kept.sum(1).tolist() == [1, 1]  # of two channels the more peaked
  weights = kept[:, None, None].astype(float)
  off = "style=0, content=0, eta1=0, eta2=0"
  base = np.square(pred - highres).mean()

  def got(part):
    line = f"mghf_c({off.replace(part + '=0', part + '=3')})"
    return float(_value(line, pred, highres) - base) / 3.0

  def gram(v):
    flat = (weights * v).reshape(b, -1, c)
    return np.einsum("bni,bnj->bij", flat, flat) / (c * h * w)

  want = np.square(gram(x) - gram(y)).mean()
  assert got("style") == pytest.approx(want, rel=1e-4)
  want = (weights * np.square(x - y)).mean()
  assert got("content") == pytest.approx(want, rel=1e-4)
  each = [
    np.corrcoef(x[i, ..., j].ravel(), y[i, ..., j].ravel())[0, 1]
    for i in range(b)
    for j in range(c)
  ]
  assert got("eta1") == pytest.approx(1 - np.mean(each), rel=1e-4)
  query, key = (
    v.reshape(b, -1, c)
    / np.linalg.norm(v.reshape(b, -1, c), axis=-1)[..., None]
    for v in (x, y)
  )
  want = contrast.monce(jnp.asarray(query), jnp.asarray(key)).mean()
  assert got("eta2") == pytest.approx(float(want), rel=1e-3)


def test_divergence_is_symmetric_and_bounded():
  x, y = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
  p, q = (np.exp(v) / np.exp(v).sum(-1, keepdims=True) for v in (x, y))
  m = (p + q) / 2
  want = (p * np.log(p / m) + q * np.log(q / m)).sum(-1) / 2
  got = embedding.jensen_shannon(jnp.asarray(x), jnp.asarray(y))
  np.testing.assert_allclose(got, want, rtol=1e-4)
  pred, highres = _fields()
  got = _value("dino_js", pred, highres) - _value("0*dino_js", pred, highres)
  pairs = [v.mean((1, 2)) for v in _pairs(0.25 * _fields() + 0.5)]
  want = embedding.jensen_shannon(*map(jnp.asarray, pairs)).mean()
  np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-7)


@functools.cache
def _inn(dtype):
  kwargs = dict(width=4, heads=2, blocks=0, nodes=2, decoder_blocks=0)
  module = models.build("inn", dtype=dtype, **kwargs)
  random = np.random.default_rng(1)
  drawn = {
    path: 0.5 * random.normal(size=shape).astype(dtype)
    for path, shape in checkpoints.parameter_shapes("inn", kwargs).items()
  }
  params = traverse_util.unflatten_dict(drawn, sep="/")
  return terms.Network(module, {"params": params})


@pytest.mark.parametrize(
  "line",
  [
    "mghf_n",
    "mghf_c(eta1=0, eta2=0)",
    "mghf_c(style=0, content=0, eta1=1, eta2=0)",
    "mghf_c(style=0, content=0, eta1=0, eta2=1, patches=12, iterations=20)",
    "dino_js",
  ],
)
def test_gradient_is_that_of_differences(line):
  with jax.enable_x64(True):
    pred, highres = _fields().astype(np.float64)
    network = _NETWORK if line == "dino_js" else _inn(np.float64)
    (asked,) = terms.parse(line)
    term = terms.build(losses.build("l2"), (asked,), (network,)).terms[0]
    variables = term.init(jax.random.key(0), pred, highres)

    @jax.jit
    def value(pred):
      return term.apply(variables, pred, highres)

    direction = np.random.default_rng(2).normal(size=pred.shape)
    slope = (jax.jit(jax.grad(value))(pred) * direction).sum()
    step = 1e-5
    ends = [value(pred + sign * step * direction) for sign in (1, -1)]
    want = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(slope, want, rtol=2e-5)


def test_perfect_fit_costs_nothing_but_the_contrast():
  field = jnp.asarray(_fields()[0])
  for line in ("mghf_n", "mghf_c(eta2=0)", "dino_js"):
    value, gradient = jax.value_and_grad(
      lambda pred, line=line: _value(line, pred, field)
    )(field)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-6)


def test_field_of_many_channels_passes_one_by_one():
  pred, highres = _fields((2, 5, 6, 3))
  each = [_value("mghf_n", pred[..., [i]], highres[..., [i]]) for i in range(3)]
  got = _value("mghf_n", pred, highres)
  np.testing.assert_allclose(got, np.mean(each), rtol=1e-5)
  three = mghf.in_channels(jnp.asarray(pred[..., :1]), 3)
  np.testing.assert_array_equal(three, np.repeat(pred[..., :1], 3, -1))


def test_correlation_of_a_channel_that_does_not_vary_is_zero():
  x, y = jnp.ones((1, 4, 4, 1)), jnp.asarray(_fields((1, 4, 4, 1))[0])
  value, gradient = jax.value_and_grad(
    lambda x: structure.correlation(x, y).sum()
  )(x)
  assert value == 0.0 and np.all(np.isfinite(gradient))


def test_line_of_terms_says_weights_options_and_networks():
  first, second = terms.parse(
    'mghf_n + 0.05*mghf_c(network="runs/a b", eta1=2, cost=easy)'
  )
  assert first == terms.Term(1.0, "mghf_n", "", {})
  options = {"eta1": 2, "cost": "easy"}
  assert second == terms.Term(0.05, "mghf_c", "runs/a b", options)


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("mghf_x", "unknown term 'mghf_x'; did you mean 'mghf_"),
    ("mghf_c(eta=1)", "unknown option of mghf_c 'eta'; did you mean 'eta"),
    ("mghf_n * 2", "weight\\*name"),
    ("mghf_n(", "weight\\*name"),
    ("1 + mghf_n", "weight\\*name"),
    ("mghf_n(2)", "weight\\*name"),
    ("mghf_n(nodes=f())", "weight\\*name"),
    ("", "weight\\*name"),
  ],
)
def test_other_lines_are_refused(line, message):
  with pytest.raises(ValueError, match=message):
    terms.parse(line)


def test_small_epsilon_of_the_plan_is_refused():
  with pytest.raises(ValueError, match="epsilon must be at least 0.02, got 0"):
    contrast.weights(jnp.zeros((1, 2, 2)), epsilon=0.01)


def test_what_is_beside_whole_patches_is_not_looked_at():
  class InPatches(_Squares):
    patch = 4

  network = terms.Network(InPatches(), {"gain": 2.0})
  (asked,) = terms.parse("dino_js")
  loss = terms.build(losses.build("l2"), (asked,), (network,))
  pred, highres = _fields((11, 9, 1)), _fields((11, 9, 1)) + 0.5

  def value(pred, highres):
    variables = loss.init(jax.random.key(0), pred, highres, None, None)
    one = jnp.ones(())
    whole = loss.apply(variables, pred, highres, None, None, unit=one)
    plain = losses.build("l2").apply({}, pred, highres, None, None)
    return float((whole - plain).mean())

  inside = slice(None), slice(0, 8), slice(0, 8)
  expected = value(pred[inside], highres[inside])
  assert value(pred, highres) == pytest.approx(expected, rel=1e-5)
  assert expected > 0
