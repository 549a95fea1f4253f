"""A run that begins as the network of a file, or is told why it cannot."""

from flax import traverse_util
import jax
import numpy as np
import pytest

from hinote_jax import interop
from hinote_jax.interop import checkpoints
from hinote_jax.train import parts
from hinote_jax.train import step as train_step

_MEAN = (0.4488, 0.4371, 0.4040)
_IMAGES = dict(
  embed_dim=4,
  depths=(1,),
  num_heads=(1,),
  window_size=2,
  upsampler="pixelshuffledirect",
  scale=2,
  channels=3,
)
_SRNO = dict(
  channels=1,
  width=4,
  heads=1,
  blocks=1,
  hidden=(4,),
  encoder_options=dict(width=4, blocks=1),
)


def _drawn(name, kwargs):
  random = np.random.default_rng(0)
  shapes = checkpoints.parameter_shapes(name, kwargs)
  drawn = {p: random.normal(size=s).astype("f4") for p, s in shapes.items()}
  return traverse_util.unflatten_dict(drawn, sep="/")


def _begun(tmp_path, name, written, kwargs):
  """Returns parameters of a file and those of a model that begins as it."""
  params = _drawn(name, written)
  path = tmp_path / "net.pth"
  interop.save_torch(path, name, written, {"params": params})
  fresh = jax.tree.map(np.zeros_like, params)
  state = train_step.TrainState(0, {"model": fresh, "loss": {}}, fresh, None)
  begun = parts._begun(state, str(path), {"name": name, **kwargs})
  return params, begun


@pytest.mark.parametrize(
  ("name", "written", "changed"),
  [
    # How a network is run and trained is no part of it, nor are the sizes of
    # layers that it has not.
    (
      "swinir",
      dict(_IMAGES, mean=_MEAN),
      dict(num_feat=8, dtype="bfloat16", periodic=(True, True)),
    ),
    ("srno", _SRNO, dict(max_scale=4.0, consistent=dict(degradation="area"))),
  ],
)
def test_model_begins_as_the_network_of_a_file(
  tmp_path, name, written, changed
):
  params, state = _begun(tmp_path, name, written, {**written, **changed})
  for got in (state.params["model"], state.average):
    jax.tree.map(np.testing.assert_array_equal, got, params)


@pytest.mark.parametrize(
  ("name", "written", "changed", "words"),
  [
    (
      "swinir",
      dict(_IMAGES, mean=_MEAN),
      dict(mean=(), img_range=2.0),
      r"img_range=1.0, mean=\(0.4488, .*has img_range=2.0, mean=\(\)",
    ),
    (
      "edsr",
      dict(width=4, blocks=1, scale=2),
      dict(residual_scale=0.2),
      "residual_scale=0.1 and config.model has residual_scale=0.2",
    ),
    (
      "srno",
      _SRNO,
      dict(encoder_options=dict(width=4, blocks=1, residual_scale=0.1)),
      "encoder_options.residual_scale=1.0 and .*scale=0.1: make the model that",
    ),
  ],
)
def test_another_network_of_the_same_parameters_is_refused(
  tmp_path, name, written, changed, words
):
  with pytest.raises(ValueError, match=rf"config.start: .*net.pth .*{words}"):
    _begun(tmp_path, name, written, {**written, **changed})
