"""Tests that many devices take the step of one, in every parallel mode."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import losses, models
from hinote_jax.core import grids
from hinote_jax.train import parallel
from hinote_jax.train import step as train_step
from tests import trials

_KEY = jax.random.key(0)
_STEPS = 3


def _batch(step, size=8):
  random = np.random.default_rng(step)
  fine = grids.axes((8, 10))
  return dict(
    lowres=random.normal(size=(size, 4, 5, 1)).astype(np.float32),
    highres=random.normal(size=(size, 8, 10, 1)).astype(np.float32),
    coords=grids.Axes(*(np.tile(v, (size, 1)) for v in fine)),
    cell=np.tile(grids.cell_size((8, 10)), (size, 1)),
  )


@functools.cache
def _start():
  """Returns (step, state) of a small network with attention."""
  module = models.build(
    "hinote",
    preset="pointwise",
    width=4,
    blocks=0,
    level_widths=(4, 4),
    level_blocks=(0, 1),
    level_convs=(0, 0),
    heads=2,
    is_alias_free=False,
    head_width=4,
    head_depth=1,
  )
  loss = losses.build("frequency_prior", learned=True)
  # SGD: Adam would hide a gradient that is summed and not averaged.
  transform = optax.sgd(0.1, momentum=0.9)
  state = train_step.init_state(_KEY, module, loss, transform, _batch(0))
  step = train_step.make_train_step(module, loss, transform)
  return step, jax.tree.map(np.array, state)


@functools.cache
def _reference():
  """Returns the metrics and the state of the plain step on one device."""
  step, state = _start()
  step = jax.jit(step)
  history = []
  for i in range(_STEPS):
    state, metrics = step(state, _batch(i))
    history.append(jax.tree.map(float, metrics))
  return history, state


def _devices(count):
  devices = jax.local_devices()
  if len(devices) < count:
    pytest.skip(f"{count} devices are needed, {len(devices)} are here")
  return devices[:count]


@pytest.mark.parametrize("count", trials.apart_from((8).__eq__, [1, 8]))
@pytest.mark.parametrize("mode", parallel.MODES)
def test_mode_takes_the_steps_of_one_device(mode, count):
  devices = _devices(count)
  step, state = _start()
  history, want = _reference()
  state = parallel.put_state(state, mode, devices)
  step = parallel.parallelize(step, mode, devices)
  for i in range(_STEPS):
    batch = parallel.put_batch(_batch(i), mode, devices)
    old = state
    state, metrics = step(state, batch)
    # Float32 sums over 8 examples in another order: a few 1e-7 each step.
    got = jax.tree.map(float, parallel.get_state(metrics))
    assert got == pytest.approx(history[i], rel=2e-5)
    # The state was donated: no second copy of it lives.
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old.params))
  assert int(parallel.get_state(state).step) == _STEPS
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
    parallel.get_state(state),
    want,
  )
  # Every device holds the same state, not only the first.
  for leaf in jax.tree.leaves(state.params):
    assert len(leaf.addressable_shards) == count
    for shard in leaf.addressable_shards:
      np.testing.assert_array_equal(shard.data, leaf.addressable_data(0))


@pytest.mark.parametrize("mode", parallel.MODES)
def test_a_step_is_compiled_once_for_every_shape(mode):
  traced = []

  def step(state, batch, axis_name=None):
    traced.append(batch.shape)
    mean = batch.mean()
    if axis_name is not None:
      mean = jax.lax.pmean(mean, axis_name)
    return state + mean, {"mean": mean}

  step = parallel.Programs(parallel.parallelize(step, mode))
  state = parallel.put_state(np.float32(0.0), mode)
  rows = jax.device_count()
  for size in (3, 5, 3, 5):
    batch = np.full((rows, size), size, np.float32)
    state, metrics = step(state, parallel.put_batch(batch, mode))
    assert float(metrics["mean"]) == size
  assert float(state) == 16.0
  assert len(traced) == 2


@pytest.mark.parametrize(
  "queries", trials.apart_from(lambda queries: queries == 4, [2, 4, 8])
)
def test_devices_share_the_rows_of_an_example(queries):
  devices = _devices(8)
  step, state = _start()
  history, want = _reference()
  lr = 0.1
  before = state.params
  state = parallel.put_state(state, "jit", devices)
  step = parallel.parallelize(step, "jit", devices, queries)
  for i in range(_STEPS):
    batch = parallel.put_batch(_batch(i), "jit", devices, queries)
    shard = batch["highres"].addressable_shards[0].data
    assert shard.shape == (queries, 8 // queries, 10, 1)
    assert batch["coords"].x.addressable_shards[0].data.shape == (queries, 10)
    state, metrics = step(state, batch)
    got = jax.tree.map(float, parallel.get_state(metrics))
    assert got == pytest.approx(history[i], rel=2e-5)
    if i == 0:  # one step of SGD from the same point: the gradients
      ours = parallel.get_state(state).params
      jax.tree.map(
        lambda new, old, one: np.testing.assert_allclose(
          (np.asarray(new) - old) / lr, (np.asarray(one) - old) / lr, atol=1e-5
        ),
        ours,
        before,
        _after_one().params,
      )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
    parallel.get_state(state),
    want,
  )


@functools.cache
def _after_one():
  step, state = _start()
  return jax.jit(step)(state, _batch(0))[0]


def test_rows_that_cannot_be_shared_are_refused():
  with pytest.raises(ValueError, match="takes config.parallel='jit', got 'pm"):
    parallel.check_batch(8, "pmap", 2)
  with pytest.raises(ValueError, match="query_devices: 3 does not divide the"):
    parallel.check_batch(8, "jit", 3)
  batch = _batch(0) | {"highres": np.zeros((8, 6, 10, 1), np.float32)}
  with pytest.raises(ValueError, match="queries: 6 rows do not divide among"):
    parallel.put_batch(batch, "jit", _devices(8), 4)


def test_a_batch_that_does_not_divide_is_told_what_does(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 3)
  with pytest.raises(
    ValueError,
    match="config.batch_size: a batch of 8 does not divide among 3 devices; "
    "use a multiple of 3, such as 6 or 9, or 1, 2, 4 or 8 devices",
  ):
    parallel.check_batch(8)
  parallel.check_batch(9)


def test_what_is_of_a_whole_batch_is_not_given_parts(monkeypatch):
  loss = "config.loss.name: published_l1"
  for mode in ("pmap", "shard_map"):
    with pytest.raises(
      ValueError,
      match=f"{loss} is of a batch as a whole, and config.parallel='{mode}' "
      "divides it among 8 devices; set that to 'jit'",
    ):
      parallel.check_whole(loss, mode)
  parallel.check_whole(loss, "jit")
  with pytest.raises(ValueError, match="accumulate=2 takes it in parts; set"):
    parallel.check_whole(loss, "jit", 2)
  monkeypatch.setattr(jax, "device_count", lambda: 1)
  parallel.check_whole(loss, "pmap")


@pytest.mark.parametrize("mode", parallel.MODES)
@pytest.mark.parametrize("kind", [np.array, jnp.array])
def test_put_state_never_aliases(mode, kind):
  mine = kind([1.0, 2.0, 3.0])

  def step(state, batch, axis_name=None):
    return state + 1.0, {"sum": jnp.sum(state)}

  devices = _devices(1)  # where device 0 could share the caller's buffer
  state = parallel.put_state(mine, mode, devices)
  step = parallel.parallelize(step, mode, devices)
  state, _ = step(state, parallel.put_batch(np.zeros((1, 1)), mode, devices))
  np.testing.assert_array_equal(mine, [1.0, 2.0, 3.0])
  np.testing.assert_array_equal(parallel.get_state(state), [2.0, 3.0, 4.0])


@pytest.mark.parametrize("mode", parallel.MODES)
def test_put_batch_gives_each_device_its_rows(mode):
  devices = _devices(8)
  rows = np.arange(32.0).reshape(16, 2)
  placed = parallel.put_batch({"rows": rows}, mode, devices)["rows"]
  if mode == "pmap":
    np.testing.assert_array_equal(placed, rows.reshape(8, 2, 2))
    return
  np.testing.assert_array_equal(placed, rows)
  for i, shard in enumerate(placed.addressable_shards):
    np.testing.assert_array_equal(shard.data, rows[2 * i : 2 * i + 2])


@pytest.mark.parametrize("mode", parallel.MODES)
def test_batch_that_does_not_divide_raises(mode):
  message = "a batch of 6 does not divide among 8 devices; use a multiple of 8"
  with pytest.raises(ValueError, match=message):
    parallel.put_batch(_batch(0, size=6), mode, _devices(8))


def test_unknown_mode_raises():
  for call in (
    lambda: parallel.parallelize(lambda s, b, axis_name: (s, b), "vmap"),
    lambda: parallel.put_state({}, "vmap"),
    lambda: parallel.put_batch({}, "vmap"),
  ):
    with pytest.raises(
      ValueError, match="unknown parallel mode 'vmap'; did you mean 'pmap'"
    ):
      call()


def test_process_rows_split_the_batch(monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  rows = []
  for index in range(3):
    monkeypatch.setattr(jax, "process_index", lambda index=index: index)
    rows += parallel.process_rows(12)
  assert rows == list(range(12))
  with pytest.raises(ValueError, match="a batch of 10 .* among 3 processes"):
    parallel.process_rows(10)
