"""Kinds of attention: the mathematics."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.attention_cost import (
  case,
  distance,
  favor,
  kinds,
  probsparse,
  show,
  softmax,
  task,
)
from hinote_jax.evaluate import markdown
from hinote_jax.nn import window_attention

_FIELD = (8, 16)
_KEY = jax.random.key(0)


def _qkv(n=50, m=None, scale=1.0, seed=0, b=2, heads=3, d=8):
  """Returns normal queries, keys and values of n and m points."""
  random = np.random.default_rng(seed)
  shapes = [(b, points, heads, d) for points in (n, m or n, m or n)]
  q, k, v = (random.normal(size=s).astype(np.float32) for s in shapes)
  return q * scale, k, v


def _exact(q, k, v, mask=None):
  """Returns softmax attention as it is written, in float64."""
  q, k, v = (np.asarray(t, np.float64) for t in (q, k, v))
  logits = np.einsum("bngd,bmgd->bgnm", q, k) / np.sqrt(q.shape[-1])
  if mask is not None:
    logits = np.where(mask, logits, -np.inf)
  weight = np.exp(logits - logits.max(-1, keepdims=True))
  weight /= weight.sum(-1, keepdims=True)
  return np.einsum("bgnm,bmge->bnge", weight, v)


def _distance(got, want):
  return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("n, m", [(50, 50), (7, 33), (64, 16), (1, 1)])
@pytest.mark.parametrize("block", [1, 16, 512])
def test_softmax_in_blocks_is_softmax(n, m, block):
  q, k, v = _qkv(n, m, scale=3.0)
  got = softmax.attend(q, k, v, block)
  np.testing.assert_allclose(got, _exact(q, k, v), atol=3e-6)


@pytest.mark.parametrize("block", [16, 512])
def test_gradient_of_softmax_in_blocks_is_that_of_softmax(block):
  q, k, v = _qkv(37, 53)
  weight = np.random.default_rng(1).normal(size=q.shape)

  def total(attend, *qkv):
    return jnp.sum(attend(*qkv) * weight)

  blocked = functools.partial(softmax.attend, block=block)
  got, want = (
    jax.jit(jax.grad(functools.partial(total, attend), (0, 1, 2)))(q, k, v)
    for attend in (blocked, kinds.whole_softmax)
  )
  for one, other in zip(got, want, strict=True):
    np.testing.assert_allclose(one, other, atol=5e-6)


def test_large_logits_do_not_overflow():
  q, k, v = _qkv(20, scale=300.0)
  got = softmax.attend(q, k, v, 8)
  np.testing.assert_allclose(got, _exact(q, k, v), atol=1e-4)


def test_projections_are_orthogonal_and_normal():
  drawn = favor.draw_projection(jax.random.key(0), 4000 * 8 + 3, 8)
  groups = drawn[:-3].reshape(-1, 8, 8)
  gram = np.einsum("gid,gjd->gij", groups, groups)
  lengths = np.sqrt(np.einsum("gii->gi", gram))
  cosines = gram / lengths[:, :, None] / lengths[:, None]
  np.testing.assert_allclose(
    cosines, np.broadcast_to(np.eye(8), gram.shape), atol=1e-5
  )
  # Five standard errors of 32000 draws; the first and the last of a group.
  for rows in (drawn, *groups.swapaxes(0, 1)):
    np.testing.assert_allclose(rows.mean(0), 0.0, atol=5 / len(rows) ** 0.5)
  np.testing.assert_allclose(np.cov(drawn.T), np.eye(8), atol=5 * 2**0.5 / 178)
  np.testing.assert_allclose((lengths**2).mean(), 8.0, atol=5 * 4 / 178)


def test_random_features_converge_to_softmax():
  q, k, v = _qkv(40, 60, scale=0.4)
  k = 0.4 * k  # features of long vectors have heavy tails
  want, errors = _exact(q, k, v), []
  for features in (64, 1024, 16384):
    projection = favor.draw_projection(jax.random.key(1), features, 8)
    got = favor.attend(q, k, v, projection, epsilon=0.0)
    errors.append(_distance(got, want))
  # A mean of m draws: 16 times the features, a quarter of the error.
  assert 2.8 < errors[0] / errors[1] < 5.6
  assert 2.8 < errors[1] / errors[2] < 5.6
  assert errors[2] < 0.02


def test_random_features_in_bands_are_those_of_one():
  q, k, v = _qkv(1500, 1300, b=1)
  projection = favor.draw_projection(jax.random.key(1), 32, 8)
  got = favor.attend(q, k, v, projection)
  largest = favor.largest_product(k, projection)
  of_q = np.asarray(favor.of_queries(q, projection, 1e-4), np.float64)
  of_k = np.asarray(favor.of_keys(k, projection, 1e-4, largest), np.float64)
  weight = np.einsum("bngr,bmgr->bgnm", of_q, of_k)
  weight /= weight.sum(-1, keepdims=True)
  want = np.einsum("bgnm,bmge->bnge", weight, v)
  np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("is_shared", [True, False])
def test_probsparse_that_keeps_all_queries_is_softmax(is_shared):
  q, k, v = _qkv(40, 30)
  queries = None if is_shared else 40
  sample = probsparse.draw_sample(jax.random.key(0), 30, 5, queries)
  got = probsparse.attend(q, k, v, sample, 40)
  np.testing.assert_allclose(got, _exact(q, k, v), atol=3e-6)


def test_probsparse_answers_the_peaked_queries_and_means_for_others():
  q, k, v = _qkv(40, scale=0.01)
  peaked = np.array([3, 17, 20])
  q[:, peaked] *= 500.0
  got = probsparse.attend(q, k, v, np.arange(40), 3)
  want = np.broadcast_to(v.mean(1, keepdims=True), v.shape).copy()
  want[:, peaked] = _exact(q, k, v)[:, peaked]
  np.testing.assert_allclose(got, want, atol=3e-6)


def test_one_sample_is_the_same_sample_of_each_query():
  q, k, _ = _qkv(1500, 40, b=1)
  sample = probsparse.draw_sample(jax.random.key(0), 40, 9)
  shared = probsparse.peakedness(q, k, sample)
  each = probsparse.peakedness(q, k, jnp.tile(sample, (1500, 1)))
  np.testing.assert_allclose(shared, each, atol=1e-5)


def test_sizes_are_those_of_the_paper():
  assert [probsparse.count(n) for n in (12, 24, 96, 10**6)] == [12, 20, 25, 70]


def test_galerkin_is_its_closed_form():
  q, k, v = _qkv(1100, 2100, b=1)
  got = kinds.galerkin_attention(q, k, v, is_normed=False)
  integral = np.einsum("bmgd,bmge->bgde", *(np.float64(t) for t in (k, v)))
  want = np.einsum("bngd,bgde->bnge", q, integral / 2100)
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_galerkin_is_a_mean_over_keys_and_linear_in_values():
  q, k, v = _qkv(30, 64)
  attend = functools.partial(kinds.galerkin_attention, is_normed=False)
  whole = attend(q, k, v)
  halves = [attend(q, k[:, i::2], v[:, i::2]) for i in (0, 1)]
  np.testing.assert_allclose(sum(halves) / 2, whole, atol=1e-6)
  np.testing.assert_allclose(attend(q, k, 3 * v), 3 * whole, atol=1e-5)


def test_one_window_is_softmax():
  q, k, v = _qkv(64)
  got = kinds.windowed(q, k, v, (8, 8), window=8)
  np.testing.assert_allclose(got, _exact(q, k, v), atol=3e-6)


def test_windows_are_softmax_among_their_cells():
  q, k, v = _qkv(8 * 12)
  window = np.arange(8 * 12).reshape(8, 12) // 12 // 4 * 10
  window = (window + np.arange(12) // 4).ravel()
  got = kinds.windowed(q, k, v, (8, 12), window=4)
  want = _exact(q, k, v, mask=window[:, None] == window)
  np.testing.assert_allclose(got, want, atol=3e-6)


@pytest.mark.parametrize(
  "kind", ["Galerkin", "FAVOR+", "softmax", "softmax, all at once"]
)
def test_order_of_points_does_not_matter(kind):
  q, k, v = _qkv(128)
  attend = jax.jit(kinds.build(kind, jax.random.key(0), _FIELD, 8))
  order = np.random.default_rng(2).permutation(128)
  got = attend(q[:, order], k[:, order], v[:, order])
  np.testing.assert_allclose(got, attend(q, k, v)[:, order], atol=5e-6)


def test_order_of_points_does_not_matter_to_probsparse():
  q, k, v = _qkv(128)
  sample = probsparse.draw_sample(jax.random.key(0), 128, 20)
  order = np.random.default_rng(2).permutation(128)
  moved = np.argsort(order)[sample]
  got = probsparse.attend(q[:, order], k[:, order], v[:, order], moved, 25)
  want = probsparse.attend(q, k, v, sample, 25)[:, order]
  np.testing.assert_allclose(got, want, atol=5e-6)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_small_step_changes_the_result_as_its_gradient_says(kind):
  q, k, v = _qkv(128, b=1)
  attend = kinds.build(kind, jax.random.key(0), _FIELD, 8)
  weight = np.random.default_rng(3).normal(size=q.shape)
  step = np.random.default_rng(4).normal(size=v.shape).astype(np.float32)

  @jax.jit
  def total(v):
    return jnp.sum(attend(q, k, v) * weight)

  # All but Galerkin are linear in v; its norm is nearly, over such a step.
  slope = float(jnp.sum(jax.grad(total)(v) * step))
  change = float(total(v + 1e-2 * step) - total(v - 1e-2 * step)) / 2e-2
  assert slope == pytest.approx(change, rel=2e-3, abs=1e-2)


@pytest.mark.parametrize(
  "attend",
  [
    softmax.attend,
    kinds.galerkin_attention,
    functools.partial(kinds.windowed, shape=(5, 10)),
  ],
)
def test_arrays_that_do_not_belong_together_are_named(attend):
  q, k, v = _qkv()
  with pytest.raises(ValueError, match=r"\[2, 50, 3, 7\]"):
    attend(q[..., :-1], k, v)
  with pytest.raises(ValueError, match=r"\[2, 49, 3, 8\]"):
    attend(q, k, v[:, :-1])


def test_what_cannot_be_is_refused():
  q, k, v = _qkv()
  with pytest.raises(ValueError, match="5 x 9 has not 50"):
    kinds.windowed(q, k, v, (5, 9))
  with pytest.raises(ValueError, match="5 x 10 .* windows of 8"):
    kinds.windowed(q, k, v, (5, 10))
  with pytest.raises(ValueError, match="51 of 50"):
    probsparse.attend(q, k, v, np.arange(5), 51)
  with pytest.raises(ValueError, match=r"\[9, 5\].*50 queries"):
    probsparse.attend(q, k, v, np.zeros((9, 5), int), 5)
  with pytest.raises(ValueError, match=r"\[4, 7\].*8 channels"):
    favor.attend(q, k, v, np.zeros((4, 7)))
  with pytest.raises(ValueError, match="unknown kind 'Galerkn'.*'Galerkin'"):
    kinds.build("Galerkn", jax.random.key(0), (5, 10), 8)


def test_windows_are_those_of_the_package():
  module = window_attention.WindowAttention(heads=3, window=4)
  x = np.random.default_rng(0).normal(size=(1, 8, 12, 24)).astype(np.float32)
  params = jax.jit(module.init)(jax.random.key(0), x)["params"]
  params["bias_table"] *= 0.0
  params["proj"]["kernel"] = jnp.eye(24)
  joined = x @ params["qkv"]["kernel"] + params["qkv"]["bias"]
  q, k, v = jnp.moveaxis(joined.reshape(1, 96, 3, 3, 8), 2, 0)
  want = module.apply({"params": params}, x)
  got = kinds.windowed(q, k, v, (8, 12), window=4)
  np.testing.assert_allclose(got.reshape(want.shape), want, atol=1e-6)


# What is measured, and the page.


def test_fields_of_the_task_are_what_they_are_said_to_be():
  given, wanted = (np.asarray(t, np.float64) for t in task.draw(_KEY, 200, 24))
  k = np.fft.fftfreq(24, 1 / 24)
  y, x = k[:, None], k[None]
  length = np.where((x == 0) & (y == 0), 1.0, np.hypot(y, x))
  modes = np.fft.fft2(given)
  for i, symbol in enumerate([-1 / length**2, 1j * x / length]):
    want = np.fft.ifft2(symbol * modes).real
    ratio = (want * wanted[..., i]).sum() / (want**2).sum()
    # The same but for the constant that makes its variance 1.
    np.testing.assert_allclose(wanted[..., i], ratio * want, atol=1e-4)
  np.testing.assert_allclose(given.mean(), 0.0, atol=1e-6)
  np.testing.assert_allclose((given**2).mean(), 1.0, rtol=0.1)
  np.testing.assert_allclose((wanted**2).mean((0, 1, 2)), 1.0, rtol=0.1)


def test_fields_of_one_key_are_the_same_at_every_side():
  coarse, fine = (task.draw(_KEY, 2, side) for side in (16, 32))
  for one, other in zip(coarse, fine, strict=True):
    np.testing.assert_allclose(one, other[:, ::2, ::2], atol=1e-5)


def test_without_attention_a_point_sees_itself_alone():
  given = np.asarray(task.draw(_KEY, 1, 16).given)
  params, moved = task.init(_KEY), given.copy()
  moved[0, 3, 5] += 1.0
  attend = kinds.build("Galerkin", _KEY, (16, 16), 16)
  for one, is_local in ((None, True), (attend, False)):
    apply = jax.jit(functools.partial(task.predict, attend=one))
    change = np.abs(apply(params, moved) - apply(params, given)).max(-1)[0]
    assert change[3, 5] > 0
    change[3, 5] = 0
    assert (change.max() == 0) == is_local


def test_training_lowers_the_error():
  few, more = (task.train("Galerkin", 0, steps) for steps in (1, 40))
  assert more["same"]["Poisson"] < 0.9 * few["same"]["Poisson"]


def test_distances_are_of_every_way_and_spread():
  rows = list(distance.measure(16, 1))
  assert len(rows) == 5 * len(distance.SPREADS)
  found = {(r["way"], r["spread"]): r["distance"] for r in rows}
  # Where logits hardly differ, so do softmax and the mean.
  assert found["mean of the values", 0.5] < found["mean of the values", 4.0]
  few, more = (found[f"FAVOR+, {m} features", 0.5] for m in (64, 256))
  assert more < few


def test_a_pass_that_needs_too_much_is_not_run():
  arguments = [_KEY, *case.inputs(16, 3)]
  forward = case.passes("softmax, all at once", 16)["forward"]
  got = case.measure(forward, arguments, limit_gb=1e-4)
  assert got == {"reason": "would take 0 GB, more than 0.0001"}
  got = case.measure(forward, arguments, limit_gb=8.0)
  assert got["seconds"] > 0 and 1 <= got["calls"] <= 7


_ROWS = [
  {
    "kind": kind,
    "points": points,
    "forward": {"seconds": 1e-3 * points},
    "both": both,
  }
  for kind, points, both in (
    ("a", 100, {"seconds": 0.25, "peak_gb": 0.5}),
    ("b", 100, {"seconds": 0.5, "peak_gb": 0.25}),
    ("a", 1000, {"seconds": 2.5, "peak_gb": 1.0}),
    ("b", 1000, {"reason": "too long"}),
  )
]


def test_tables_have_dashes_and_reasons_for_what_does_not_fit():
  text = show.times(_ROWS, "both")
  assert "| a | 250 ms | 2.5 s |" in text
  assert "| b | 500 ms | – |" in text
  assert "| a | 0.50 GB | 1.00 GB |" in show.memory(_ROWS)
  assert show.reasons(_ROWS).startswith(
    "* b, 1,000 points, forward and backward: too long"
  )


def test_answer_has_the_numbers():
  tasks = [
    {"kind": kind, "seed": seed, "same": {"m": e, "n": 0.5}, "finer": {}}
    for kind, seed, e in (("a", 0, 0.2), ("a", 1, 0.4), ("b", 0, 0.1))
  ]
  results = {"cost": _ROWS, "task": tasks, "plan": {"steps": 7}}
  text = show.answer(results)
  assert "1,000 points" in text and "a 2.5 s" in text
  assert "others end before, b at 100." in text
  assert "7 steps" in text and "b 10 % / 50 % and a 30 % / 50 %." in text
  assert show.answer({"cost": [], "task": []}) == ""


def test_the_page_is_what_its_script_prints():
  text = show.README.read_text()
  made = show.blocks(json.loads(show.RESULTS.read_text()))
  assert markdown.filled(text, made) == text, (
    "run python -m experiments.attention_cost.show"
  )
