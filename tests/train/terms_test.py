"""Training with terms: by a config, resumed, on many devices; refusals."""

import shutil

import jax
import numpy as np
import optax
import pytest

from hinote_jax import infer, models
from hinote_jax.core import grids
from hinote_jax.train import (
  checkpoint,
  feature_networks,
  loop,
  metric_log,
  parallel,
)
from hinote_jax.train import step as train_step
from tests import runs

_TINY = dict(width=4, heads=2, blocks=1, decoder_blocks=0, nodes=1)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
  """The workdir of a small inn, trained for two steps."""
  folder = tmp_path_factory.mktemp("inn")
  path = runs.write_fields(folder / "fields.npy")
  config = runs.tiny_config(path, folder / "cache")
  config.steps, config.validate_every = 2, 2
  config.degradation = "decimate(cubic)"
  config.windows.min_scale = config.windows.max_scale = 1.0
  config.model = dict(name="inn", **_TINY)
  config.loss = dict(name="autoencode", window=5, data_range=4.0)
  loop.train_and_evaluate(config, folder / "run")
  return folder / "run"


def _line(network):
  return f'0.5*mghf_c(network="{network}", patches=16)'


def test_network_gives_fields_back_and_is_scored_by_their_variance(network):
  (scores,) = [s for s in metric_log.read(network) if checkpoint.BEST_KEY in s]
  assert 0.0 < scores[checkpoint.BEST_KEY] < 3.0
  assert not (network / "report.md").exists()  # it makes no field finer
  with pytest.raises(ValueError, match="features and no finer field"):
    infer.load(network)


def test_run_resumes_exactly(network, tmp_path):
  path = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(path, tmp_path / "cache")
  config.steps, config.validate_every = 4, 2
  config.loss = dict(name="l1", terms=_line(network))
  loop.train(config, tmp_path / "run")
  whole = _state(tmp_path / "run")
  frozen = jax.tree.leaves(whole["untrained"]["loss"])
  assert len(frozen) > 10  # the network is part of the checkpoint
  shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
  assert loop.train(config, tmp_path / "run")["steps_now"] == 2
  jax.tree.map(np.testing.assert_array_equal, _state(tmp_path / "run"), whole)


def _state(workdir):
  with checkpoint.Checkpoints(workdir) as checkpoints:
    state, _ = checkpoints.load("latest")
  return jax.tree.map(np.asarray, state)


def test_eight_devices_have_the_loss_of_one(network):
  if jax.local_device_count() < 8:
    pytest.skip("eight devices are needed")
  random = np.random.default_rng(0)
  batch = dict(
    lowres=random.normal(size=(8, 4, 5, 1)).astype(np.float32),
    highres=random.normal(size=(8, 8, 10, 1)).astype(np.float32),
    coords=grids.Axes(*(np.tile(v, (8, 1)) for v in grids.axes((8, 10)))),
    cell=np.tile(grids.cell_size((8, 10)), (8, 1)),
  )
  module = models.build("srcnn", scale=2, channels=1)
  fields = dict(name="l1", terms=_line(network))
  loss, transform = feature_networks.loss(fields), optax.sgd(0.1)
  state = train_step.init_state(
    jax.random.key(0), module, loss, transform, batch
  )
  step = train_step.make_train_step(module, loss, transform, units=(0.3,))
  alone = jax.jit(step)
  want = jax.tree.map(float, alone(state, batch)[1])
  # What the last bit of the input alone does to the norm of the gradient.
  nearby = []
  for _ in range(6):
    signs = random.choice((-1.0, 1.0), batch["lowres"].shape)
    lowres = batch["lowres"] * (1.0 + 1e-7 * signs).astype(np.float32)
    nearby.append(
      float(alone(state, batch | dict(lowres=lowres))[1]["grad_norm"])
    )
  rounding = max(abs(norm - want["grad_norm"]) for norm in nearby)
  placed = parallel.put_state(jax.tree.map(np.array, state), "pmap")
  many = parallel.parallelize(step, "pmap")
  _, got = many(placed, parallel.put_batch(batch, "pmap"))
  got = jax.tree.map(float, parallel.get_state(got))
  assert 0.0 < rounding < 1e-4 * want["grad_norm"]
  norms = got.pop("grad_norm"), want.pop("grad_norm")
  assert norms[0] == pytest.approx(norms[1], abs=2.0 * rounding)
  assert got == pytest.approx(want, rel=2e-6)


def test_missing_network_is_named_with_where_it_is_published():
  for term, words in (
    ("mghf_n", "inn_pretrained.pt .* no licence"),
    ("dino_js", "dinov2_vits14_pretrain.pth .* Apache-2.0"),
  ):
    with pytest.raises(FileNotFoundError, match=words):
      feature_networks.loss(dict(name="l1", terms=f"{term}(network='no.pth')"))
    with pytest.raises(
      FileNotFoundError, match="network says of none|" + words
    ):
      feature_networks.loss(dict(name="l1", terms=term))


def test_network_of_another_kind_is_refused(network):
  line = f"dino_js(network='{network}')"
  with pytest.raises(ValueError, match="of the kind dinov2, .* holds inn"):
    feature_networks.loss(dict(name="l1", terms=line))
