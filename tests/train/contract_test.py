"""What is not trained, what is drawn, and what a model takes beside the field.

The toy model has all three; see `toy`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import infer, losses, models
from hinote_jax.core import grids
from hinote_jax.data import batches
from hinote_jax.train import checkpoint, contract, metric_log, parallel
from hinote_jax.train import loop as train
from hinote_jax.train import step as train_step
from tests import runs, trials

_TOY = "tests.train.toy:toy"
_SPEC = models.spec(_TOY)


def _noise(rows):
  return (np.asarray(rows) % 5).astype(np.float32) / 5


def _batch(step, rows=range(8)):
  random = np.random.default_rng(step)
  size = len(rows)
  axes = grids.axes((8, 10))
  return dict(
    lowres=random.normal(size=(size, 4, 5, 1)).astype(np.float32),
    highres=random.normal(size=(size, 8, 10, 1)).astype(np.float32),
    coords=grids.Axes(*(np.tile(v, (size, 1)) for v in axes)),
    cell=np.tile(grids.cell_size((8, 10)), (size, 1)),
    noise=_noise(rows),
    row=np.asarray(rows, np.uint32),
  )


@functools.cache
def _start(seed=0):
  module, loss = models.build(_TOY), losses.build("l2")
  transform = optax.sgd(0.1)  # Adam would hide a factor in the gradient
  state = train_step.init_state(
    jax.random.key(0), module, loss, transform, _batch(0), spec=_SPEC
  )
  step = train_step.make_train_step(
    module, loss, transform, spec=_SPEC, seed=seed
  )
  return step, jax.tree.map(np.array, state)


def _steps(step, state, count=2):
  losses_ = []
  for i in range(count):
    state, metrics = step(state, _batch(i))
    losses_.append(float(metrics["loss"]))
  return losses_, state


@functools.cache
def _reference():
  step, state = _start()
  return _steps(jax.jit(step), state)


@pytest.mark.parametrize("count", trials.apart_from((4).__eq__, [1, 4]))
@pytest.mark.parametrize("mode", parallel.MODES)
def test_every_mode_takes_the_same_steps(mode, count):
  devices = jax.local_devices()[:count]
  step, start = _start()
  want_losses, want = _reference()
  state = parallel.put_state(start, mode, devices)
  step = parallel.parallelize(step, mode, devices)
  for i, loss in enumerate(want_losses):
    batch = parallel.put_batch(_batch(i), mode, devices)
    state, metrics = step(state, batch)
    got = float(parallel.get_state(metrics)["loss"])
    assert got == pytest.approx(loss, rel=1e-6)
  got = parallel.get_state(state)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    got,
    want,
  )
  np.testing.assert_array_equal(
    got.untrained["model"]["tables"]["waves"],
    start.untrained["model"]["tables"]["waves"],
  )


def test_only_params_are_trained_and_averaged():
  _, start = _start()
  _, state = _reference()
  assert set(start.params["model"]) == {"lift", "project"}
  assert set(start.untrained) == {"model"}
  moved = jax.tree.map(
    lambda a, b: np.abs(a - b).max(), start.params, state.params
  )
  assert min(jax.tree.leaves(moved)) > 0.0
  variables = checkpoint.averaged(state.to_dict())
  assert set(variables) == {"params", "tables"}


def test_an_example_draws_the_same_in_any_company():
  module = models.build(_TOY)
  _, state = _start()
  variables = checkpoint.averaged(state.to_dict())
  batch, key = _batch(0), jax.random.key(3)

  def predict(batch, key=key):
    return np.asarray(contract.apply(module, variables, batch, _SPEC, key=key))

  whole = predict(batch)
  turned = jax.tree.map(lambda leaf: leaf[[6, 1]], batch)
  np.testing.assert_allclose(predict(turned), whole[[6, 1]], atol=1e-6)
  # Another row or step draws otherwise, and nothing is drawn without a key.
  other = turned | {"row": np.asarray([5, 1], np.uint32)}
  error = np.abs(predict(other) - whole[[6, 1]]).max(axis=(1, 2, 3))
  assert error[0] > 1e-3 and error[1] < 1e-6
  assert np.abs(predict(batch, jax.random.key(4)) - whole).max() > 1e-3
  plain = predict(batch, None)
  np.testing.assert_allclose(plain, predict(batch, None), atol=0)
  assert np.abs(plain - whole).max() > 1e-3


def test_the_seed_decides_what_is_drawn():
  _, start = _start()
  values = [
    _steps(jax.jit(_start(seed)[0]), start, 1)[0][0] for seed in (0, 0, 1)
  ]
  assert values[0] == values[1] != values[2]


def test_accumulation_draws_the_same():
  step, state = _start()
  module, loss = models.build(_TOY), losses.build("l2")
  parts = train_step.make_train_step(
    module, loss, optax.sgd(0.1), accumulate=4, spec=_SPEC
  )
  (want,), whole = _steps(jax.jit(step), state, 1)
  (got,), state = _steps(jax.jit(parts), state, 1)
  assert got == pytest.approx(want, rel=1e-6)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    state,
    whole,
  )


def test_an_answer_of_another_shape_is_refused():
  batch = {"highres": jnp.zeros((1, 4, 4, 2))}
  with pytest.raises(ValueError, match=r"\(1, 4, 4, 1\) and the target has"):
    contract.scored(jnp.zeros((1, 4, 4, 1)), batch)  # it would be repeated


def test_a_missing_extra_is_named():
  batch = _batch(0)
  del batch["noise"]
  with pytest.raises(ValueError, match="toy takes noise beside .* lowres, "):
    contract.inputs(batch, _SPEC)


def _own_loss(batch, **arguments):
  """Returns what a model adds to the loss, and its variables."""
  settings = dict(models.spec("im_lut").tiny, channels=1, refiner="")
  settings = {"name": "im_lut", **settings, **arguments}
  module, spec = models.build(**settings), models.spec_of(settings)
  variables = contract.init(module, jax.random.key(0), batch, spec)
  return float(contract.own_loss(module, variables, batch, spec)), variables


def test_what_a_model_adds_to_its_loss_is_passed_on():
  random = np.random.default_rng(0)
  batch = _batch(0) | {
    "static": {
      "fine": random.normal(size=(8, 8, 10, 2)).astype(np.float32),
      "coarse": random.normal(size=(8, 4, 5, 2)).astype(np.float32),
    }
  }
  want, variables = _own_loss(batch)
  assert want > 0.0
  ending = dict(degradation="area", method="area")
  got, same = _own_loss(batch, consistent=ending)
  assert got == want
  jax.tree.map(np.testing.assert_array_equal, same, variables)
  # Told of the place, each channel has a loss of its own: here the first.
  got, _ = _own_loss(batch, static_units=(1.0, 1.0), consistent=ending)
  assert got == pytest.approx(want, rel=1e-6)
  # Most models add nothing, whatever they are wrapped in.
  module = models.build("bicubic", consistent=ending)
  assert contract.own_loss(module, {}, batch) == 0.0


@pytest.fixture
def config(tmp_path, monkeypatch):
  """Returns the config of a toy's run; its windows have the extra."""
  make = batches.Windows._batch

  def with_noise(self, stream, step, rows, scale=None):
    return make(self, stream, step, rows, scale) | {"noise": _noise(rows)}

  monkeypatch.setattr(batches.Windows, "_batch", with_noise)
  path = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(path, tmp_path / "cache")
  config.model = dict(name=_TOY, width=4)
  config.loss = dict(name="l1")
  return config


def test_a_run_resumes_bit_for_bit_and_predicts(config, tmp_path, monkeypatch):
  train.train(config, tmp_path / "whole")
  make = train.batches.prefetch

  def stopping(make_batch, steps):
    return make(make_batch, range(steps.start, min(steps.stop, 4)))

  with monkeypatch.context() as patch:
    patch.setattr(train.batches, "prefetch", stopping)
    train.train(config, tmp_path / "run")  # as if killed after step 4
  assert metric_log.read(tmp_path / "run")[-1]["step"] == 4
  train.train(config, tmp_path / "run")
  (state, meta), (want, want_meta) = (
    checkpoint.load(tmp_path / name, "latest") for name in ("run", "whole")
  )
  assert meta["step"] == 6 and meta["sha256"] == want_meta["sha256"]
  jax.tree.map(np.testing.assert_array_equal, state, want)
  whole, resumed = (
    (tmp_path / name / "metrics.jsonl").read_bytes()
    for name in ("whole", "run")
  )
  assert whole == resumed
  predictor = infer.load(tmp_path / "run")
  assert set(predictor.variables) == {"params", "tables"}
  lowres = np.load(config.data.path)[0, ::2, ::2]
  quiet, loud = (
    predictor(lowres, scale=2.5, extras={"noise": np.float32(level)})
    for level in (0.0, 1.0)
  )
  assert quiet.shape == (50, 60) and np.abs(quiet - loud).max() > 1e-3
  with pytest.raises(ValueError, match="toy takes noise beside the field"):
    predictor(lowres, scale=2.5)


def test_frozen_parameters_stay(config, tmp_path):
  config.steps = config.validate_every = 2
  config.optim.frozen = ("model/lift",)
  config.optim.weight_decay = 0.1
  train.train(config, tmp_path / "run")
  state, _ = checkpoint.load(tmp_path / "run", "latest")
  module = models.build(_TOY, width=4, channels=1)
  start = module.init(
    jax.random.split(jax.random.key(0))[0],
    jnp.zeros((1, 8, 8, 1)),
    grids.axes((8, 8)),
    jnp.zeros((1, 2)),
    noise=jnp.zeros(1),
  )["params"]
  jax.tree.map(
    np.testing.assert_array_equal,
    state["params"]["model"]["lift"],
    start["lift"],
  )
  moved = state["params"]["model"]["project"]["kernel"]
  assert np.abs(moved - start["project"]["kernel"]).min() > 0.0
  # And are stored and gone on with.
  train.train(config, tmp_path / "run")


@pytest.mark.parametrize(
  "pattern, message",
  [("modle", "'modle' is found in no parameter"), ("", "nothing to train")],
)
def test_freezing_nothing_or_all_is_refused(config, tmp_path, pattern, message):
  config.optim.frozen = (pattern,)
  with pytest.raises(ValueError, match=f"config.optim.frozen: .*{message}"):
    train.train(config, tmp_path / "run")
