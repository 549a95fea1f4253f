"""Tests of the optimiser against closed forms."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.interop import checkpoints
from hinote_jax.train import optim


def _cosine(t, peak, final):
  return peak * (final + (1 - final) * 0.5 * (1 + np.cos(np.pi * t)))


@pytest.mark.parametrize("steps, warmup", [(50, 10), (50, 0), (10, 3)])
def test_schedule_is_a_line_then_a_cosine(steps, warmup):
  peak, final = 2e-3, 0.05
  rate = optim.schedule(
    learning_rate=peak, steps=steps, warmup=warmup, final=final
  )
  for step in range(steps + 3):
    if step < warmup:
      # The first step is not lost: it has a share of its own.
      first = peak / (warmup + 1)
      want = first + (peak - first) * step / warmup
    else:
      t = min((step - warmup) / (steps - warmup), 1.0)
      want = _cosine(t, peak, final)
    assert float(rate(step)) == pytest.approx(want, rel=1e-5), step


def test_schedule_of_a_run_shorter_than_its_warmup_peaks_at_its_end():
  rate = optim.schedule(learning_rate=1.0, steps=5, warmup=100, final=0.0)
  values = [float(rate(step)) for step in range(5)]
  assert np.all(np.diff(values) > 0) and values[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [1, 2])
def test_schedule_of_very_short_runs_is_positive(steps):
  rate = optim.schedule(learning_rate=1.0, steps=steps, warmup=0, final=0.1)
  assert all(float(rate(step)) > 0 for step in range(steps))


def _params():
  return {
    "kernel": jnp.full((2, 3), 2.0),
    "bias": jnp.full((3,), 2.0),
    "log_alpha": jnp.asarray(2.0),
  }


def _build(**kwargs):
  arguments = dict(learning_rate=0.1, steps=10, warmup=0, final=1.0)
  return optim.build(**{**arguments, **kwargs})[0]


def test_weight_decay_is_of_kernels_only():
  transform = _build(weight_decay=0.5)
  params = _params()
  zero = jax.tree.map(jnp.zeros_like, params)
  updates, _ = transform.update(zero, transform.init(params), params)
  # Decoupled: -rate * decay * value.
  np.testing.assert_allclose(updates["kernel"], -0.1 * 0.5 * 2.0, rtol=1e-6)
  np.testing.assert_array_equal(updates["bias"], 0.0)
  np.testing.assert_array_equal(updates["log_alpha"], 0.0)


# What networks multiply by, apart from "kernel"; AdamW shrinks nothing else.
_PRODUCTS = {
  "dfno": {"positive", "negative"},
  "metasr": {"mix"},
  "wdsr": {"direction"},
}


@pytest.mark.parametrize(
  "name",
  [
    name
    for name, spec in models.every_spec().items()
    if not (spec.is_interpolation or spec.is_imported)
  ],
)
def test_weight_decay_is_of_the_products_of_every_network(name):
  shapes = checkpoints.parameter_shapes(name, models.spec(name).tiny)
  params = {
    tuple(path.split("/")): jax.ShapeDtypeStruct(shape, np.float32)
    for path, shape in shapes.items()
  }
  mask = optim._is_kernel(traverse_util.unflatten_dict(params))
  every = traverse_util.flatten_dict(mask).items()
  decayed = {path[-1] for path, is_kernel in every if is_kernel}
  assert decayed <= {"kernel"} | _PRODUCTS.get(name, set())


def test_build_is_adam_with_its_gradient_clipped():
  transform = _build(clip=1.0, b2=0.9)
  params = _params()
  state = transform.init(params)
  m = v = 0.0
  # Two steps: the first of Adam alone is blind to scale.
  for t, size in ((1, 10.0), (2, 0.01)):
    grads = jax.tree.map(lambda p, size=size: jnp.full_like(p, size), params)
    updates, state = transform.update(grads, state, params)
    norm = size * np.sqrt(10)  # of 6 + 3 + 1 equal numbers
    g = size * min(1.0, 1.0 / norm)
    m, v = 0.9 * m + 0.1 * g, 0.9 * v + 0.1 * g**2
    want = -0.1 * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.9**t))
    for leaf in jax.tree.leaves(updates):
      np.testing.assert_allclose(leaf, want, rtol=1e-4)  # Adam's epsilon


def test_ema_of_a_constant_forgets_its_start_in_closed_form():
  average, params = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}
  left = 1.0
  for step in range(60):
    average = optim.ema(average, params, decay=0.8, step=step)
    left *= min(0.8, (1 + step) / (10 + step))
    np.testing.assert_allclose(average["w"], 1.0 - left, rtol=1e-5)


def test_ema_decay_never_exceeds_its_limit():
  ones, zeros = {"w": jnp.ones(1)}, {"w": jnp.zeros(1)}
  late = optim.ema(ones, zeros, decay=0.999, step=10**6)
  assert float(late["w"][0]) == pytest.approx(0.999)
  early = optim.ema(ones, zeros, decay=0.999, step=0)
  assert float(early["w"][0]) == pytest.approx(0.1)


def test_whole_numbers_of_any_size_are_numbers():
  params = {"kernel": jnp.ones((2, 2))}
  whole = _build(clip=10**12, weight_decay=10**12, learning_rate=1)
  plain = _build(clip=1e12, weight_decay=1e12, learning_rate=1.0)
  ours, theirs = (
    jax.jit(t.update)(params, t.init(params), params)[0] for t in (whole, plain)
  )
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)
