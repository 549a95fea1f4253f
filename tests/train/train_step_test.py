"""Tests of the train step: one step by hand, accumulation, units, traces."""

import functools
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import losses, models
from hinote_jax.core import grids
from hinote_jax.train import step as train_step

_KEY = jax.random.key(0)
_LR = 0.1


def _module(channels=1):
  return models.build(
    "hinote",
    preset="pointwise",
    channels=channels,
    width=4,
    blocks=0,
    head_width=4,
    head_depth=1,
  )


def _batch(size=6, channels=1, scale=2.0):
  """Returns windows of 6 x 8 queries, whatever the scale."""
  random = np.random.default_rng(0)
  lowres = random.normal(size=(size, 4, 5, channels))
  highres = random.normal(size=(size, 6, 8, channels))
  y, x = (
    np.tile(grids.window(1, count, 0.0, n * scale), (size, 1))
    for count, n in ((6, 4), (8, 5))
  )
  cell = np.tile(grids.cell_size((4 * scale, 5 * scale)), (size, 1))
  return dict(
    lowres=jnp.asarray(lowres, jnp.float32),
    highres=jnp.asarray(highres, jnp.float32),
    coords=grids.Axes(jnp.asarray(y), jnp.asarray(x)),
    cell=jnp.asarray(cell),
  )


@functools.cache
def _start(loss="l1", channels=1, **kwargs):
  """Returns (module, loss, transform, state); states are never donated."""
  module, loss = _module(channels), losses.build(loss, **kwargs)
  transform = optax.sgd(_LR)  # Adam would hide a factor in the gradient
  state = train_step.init_state(
    _KEY, module, loss, transform, _batch(channels=channels)
  )
  return module, loss, transform, state


def _step(*parts, **kwargs):
  return jax.jit(train_step.make_train_step(*parts, **kwargs))


def _assert_close(got, want, **kwargs):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **kwargs), got, want
  )


def test_init_state_copies_the_model_and_starts_at_zero():
  _, _, _, state = _start("frequency_prior", learned=True)
  assert int(state.step) == 0
  _assert_close(state.average, state.params["model"], atol=0.0)
  average = jax.tree.leaves(state.average)
  for leaf, copy in zip(
    jax.tree.leaves(state.params["model"]), average, strict=True
  ):
    assert leaf.unsafe_buffer_pointer() != copy.unsafe_buffer_pointer()
  assert len(state.params["loss"]) == 2


def test_objective_is_the_mean_of_the_loss_of_the_model():
  module, loss, _, state = _start()
  batch = _batch()
  inputs = batch["lowres"], batch["coords"], batch["cell"]
  pred = module.apply({"params": state.params["model"]}, *inputs)
  error = np.float64(pred) - np.float64(batch["highres"])
  value, parts = train_step.make_objective(module, loss)(state.params, batch)
  assert float(value) == pytest.approx(np.abs(error).mean(), rel=1e-5)
  assert float(parts["mse"]) == pytest.approx((error**2).mean(), rel=1e-5)


def test_step_is_gradient_descent_by_hand():
  module, loss, transform, state = _start("frequency_prior", learned=True)
  batch = _batch()
  new, metrics = _step(module, loss, transform, ema_decay=0.9)(state, batch)
  objective = train_step.make_objective(module, loss)
  (value, parts), grads = jax.jit(jax.value_and_grad(objective, has_aux=True))(
    state.params, batch
  )
  want = jax.tree.map(lambda p, g: p - _LR * g, state.params, grads)
  _assert_close(new.params, want, atol=1e-6)
  # The first decay is 1/10, see `optim.ema`.
  average = jax.tree.map(
    lambda old, new: 0.1 * old + 0.9 * new, state.average, want["model"]
  )
  _assert_close(new.average, average, atol=1e-6)
  norm = np.sqrt(sum(np.sum(np.square(g)) for g in jax.tree.leaves(grads)))
  assert float(metrics["grad_norm"]) == pytest.approx(norm, rel=1e-5)
  assert float(metrics["loss"]) == pytest.approx(float(value), rel=1e-6)
  assert float(metrics["mse"]) == pytest.approx(float(parts["mse"]), rel=1e-6)
  assert int(new.step) == 1
  # The loss learns too.
  moved = state.params["loss"]["log_alpha_d"]
  assert abs(new.params["loss"]["log_alpha_d"] - moved) > 1e-5


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulation_equals_one_big_batch(accumulate):
  module, loss, transform, state = _start()
  batch = _batch()
  whole = _step(module, loss, transform)(state, batch)
  got = _step(module, loss, transform, accumulate=accumulate)(state, batch)
  _assert_close(got, whole, atol=1e-6, rtol=1e-5)  # order of float32 sums


def test_accumulation_that_does_not_divide_raises():
  module, loss, transform, state = _start()
  step = _step(module, loss, transform, accumulate=4)
  with pytest.raises(ValueError, match="accumulate=4 does not divide the 6"):
    step(state, _batch())


def test_one_trace_serves_every_scale():
  module, loss, transform, state = _start()
  step = train_step.make_train_step(module, loss, transform)
  step = jax.jit(chex.assert_max_traces(step, n=1))
  seen = set()
  for scale in (1.0, 2.0, 2.7, 8.0):
    _, metrics = step(state, _batch(scale=scale))
    seen.add(float(metrics["loss"]))
  assert len(seen) == 4  # the scale reaches the model


@pytest.mark.parametrize("name", ["l2", "frequency_prior"])
def test_units_scale_every_channel_by_hand(name):
  module, loss, _, state = _start(name, channels=2)
  batch, units = _batch(channels=2), (2.0, 0.25)
  inputs = batch["lowres"], batch["coords"], batch["cell"]
  pred = module.apply({"params": state.params["model"]}, *inputs)
  each = []
  for c, unit in enumerate(units):
    one = [
      a[..., c : c + 1] / unit for a in (pred, batch["highres"], inputs[0])
    ]
    each.append(loss.apply({}, *one, batch["coords"]).mean())
  objective = train_step.make_objective(module, loss, units)
  value, parts = objective(state.params, batch)
  assert float(value) == pytest.approx(float(np.mean(each)), rel=1e-5)
  # The reported error stays that of the normalised values.
  mse = float(jnp.mean(jnp.square(pred - batch["highres"])))
  assert float(parts["mse"]) == pytest.approx(mse, rel=1e-6)


def test_a_step_that_is_no_number_is_counted_and_left_out():
  module, loss, transform, state = _start()
  batch = _batch()
  holed = batch | {"highres": batch["highres"].at[0, 0, 0].set(jnp.nan)}
  step = _step(module, loss, transform)
  new, metrics = step(state, holed)
  assert not np.isfinite(float(metrics["loss"]))
  assert int(new.step) == 1
  _assert_close(new.replace(step=state.step), state, atol=0.0)
  # And the next one is as if it had been the first.
  again, _ = step(new, batch)
  want, _ = step(state, batch)
  _assert_close(again.params, want.params, atol=0.0)


@pytest.mark.parametrize("options", [{"remat": True}, {"loss_scale": 1024.0}])
def test_ways_to_save_memory_and_bits_take_the_same_step(options):
  module, loss, transform, state = _start()
  batch = _batch()
  want = _step(module, loss, transform)(state, batch)
  got = _step(module, loss, transform, **options)(state, batch)
  _assert_close(got, want, atol=1e-6, rtol=1e-5)  # order of float32 sums


def test_remat_remembers_products_alone():
  names = ("dot_general", "conv_general_dilated", "exp", "add")
  kept = [
    name
    for name in names
    if train_step._is_product(types.SimpleNamespace(name=name))
  ]
  assert kept == ["dot_general", "conv_general_dilated"]
