"""Kinds of attention give the recorded values of published code."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.attention_cost import favor, kinds, probsparse, softmax
from tests.parity import reference


def _recorded(name):
  return reference.arrays("attention", name)


def _points_first(values):
  return values.swapaxes(1, 2)


def _assert_close(got, want, recorded=0.0):
  """As all parity: 2e-5 of the spread, or 10 times the published rounding."""
  most = max(2e-5 * float(want.std()), 10.0 * recorded)
  reference.assert_close(got, want, most)


def _assert_gradients(attend, arrays, case, keys=("q", "k", "v")):
  """Compares the gradients of sum(out * cot) with the recorded ones."""
  inputs = [_points_first(arrays[name]) for name in keys]
  cot = _points_first(arrays["cot"])
  got = jax.jit(
    jax.grad(lambda *qkv: jnp.sum(attend(*qkv) * cot), argnums=(0, 1, 2))
  )(*inputs)
  for name, gradient in zip("qkv", got, strict=True):
    want = arrays[f"{case}grad_{name}"]
    _assert_close(_points_first(gradient), want)


@reference.needs_reference
def test_softmax_is_the_published():
  arrays = _recorded("softmax")
  q, k, v = (_points_first(arrays[name]) for name in "qkv")
  got = softmax.attend(q, k, v, block=8)
  _assert_close(_points_first(got), arrays["out_f64"])
  _assert_close(got, arrays["informer_full"])
  _assert_gradients(softmax.attend, arrays, "")


@reference.needs_reference
@pytest.mark.parametrize("case", ["softmax", "softmax_scaled"])
def test_favor_is_the_published(case):
  arrays = _recorded("favor")
  q, k, v = (_points_first(arrays[name]) for name in "qkv")
  projection = arrays[f"{case}:projection"]
  attend = functools.partial(favor.attend, projection=projection)
  _assert_close(
    _points_first(attend(q, k, v)),
    arrays[f"{case}:out_f64"],
    float(np.abs(arrays[f"{case}:out"] - arrays[f"{case}:out_f64"]).max()),
  )
  _assert_gradients(attend, arrays, f"{case}:")


@reference.needs_reference
def test_features_of_favor_are_the_published():
  arrays = _recorded("favor")
  q, k = (_points_first(arrays[name]) for name in "qk")
  projection = arrays["softmax:projection"]
  largest = favor.largest_product(k, projection)
  of_q = favor.of_queries(q, projection, 1e-4)
  of_k = favor.of_keys(k, projection, 1e-4, largest)
  _assert_close(_points_first(of_q), arrays["softmax:phi_q"])
  _assert_close(_points_first(of_k), arrays["softmax:phi_k"])


@reference.needs_reference
@pytest.mark.parametrize("case", ["nomask", "all"])
def test_probsparse_is_the_published(case):
  arrays = _recorded("probsparse")
  meta = json.loads(
    (reference.ROOT / "attention" / "probsparse.meta.json").read_text()
  )["cases"][case]
  q, k, v = (arrays[f"{case}:{name}"] for name in "qkv")
  sample = arrays[f"{case}:index_sample"]
  kept = probsparse.count(meta["L"], meta["factor"])
  assert (kept, kept) == (meta["u"], meta["sample_k"])
  measure = _points_first(probsparse.peakedness(q, k, sample))
  _assert_close(measure, arrays[f"{case}:M"])
  top = np.sort(jax.lax.top_k(measure, kept)[1], axis=-1)
  np.testing.assert_array_equal(top, arrays[f"{case}:top"])
  got = probsparse.attend(q, k, v, sample, kept)
  rounding = meta["f32_vs_f64"]["maxabs"]
  _assert_close(got, arrays[f"{case}:out_f64"], rounding)


@reference.needs_reference
@pytest.mark.parametrize("case", ["galerkin", "galerkin_cross"])
def test_galerkin_is_the_published(case):
  arrays = _recorded("galerkin_fourier")
  keys = ("q", "k", "v") if "cross" in case else ("q", "k_self", "v_self")
  q, k, v = (_points_first(arrays[name]) for name in keys)
  # The published sum is over keys, and its divisor the number of queries.
  factor = k.shape[1] / q.shape[1]

  def attend(q, k, v):
    return kinds.galerkin_attention(q, k, v, is_normed=False) * factor

  _assert_close(_points_first(attend(q, k, v)), arrays[f"{case}:out_f64"])
  _assert_gradients(attend, arrays, f"{case}:", keys)
