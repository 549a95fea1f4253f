"""Tests of the invertible network: its inverse, its files, its refusals."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import infer, interop, models
from hinote_jax.core import grids
from hinote_jax.interop import checkpoints, pickles, reader
from hinote_jax.models.features import inn


def test_features_are_turned_back_in_float32():
  encoder = inn.Encoder(width=8, heads=2, blocks=0, nodes=2)
  x = jax.random.normal(jax.random.key(0), (1, 6, 7, 1))

  @jax.jit
  def run(key):
    features, variables = encoder.init_with_output(key, x)
    back = encoder.apply(variables, features.details[-1], method="inverse")
    return features, back

  features, back = run(jax.random.key(1))
  assert len(features.details) == 2
  np.testing.assert_allclose(back, features.shared, atol=1e-5)
  # Nothing is lost on the way, and something is done.
  assert float(jnp.abs(features.details[-1] - features.shared).max()) > 0.1


def _drawn(**kwargs):
  random = np.random.default_rng(0)
  shapes = checkpoints.parameter_shapes("inn", kwargs)
  drawn = {p: random.normal(size=s).astype("f4") for p, s in shapes.items()}
  return {"params": traverse_util.unflatten_dict(drawn, sep="/")}


@pytest.mark.parametrize("channels", [1, 3])
def test_file_tells_what_it_is(tmp_path, channels):
  kwargs = dict(
    channels=channels, width=8, heads=2, blocks=2, decoder_blocks=1, nodes=2
  )
  path = tmp_path / "inn.pth"
  interop.save_torch(path, "inn", kwargs, _drawn(**kwargs))
  imported = interop.load_checkpoint(path)
  plain = dict(factor=2.0, has_decoder=True, residual=True, is_bounded=True)
  assert imported.name == "inn" and imported.kwargs == {**kwargs, **plain}
  with pytest.raises(ValueError, match="features and no finer field"):
    infer.load(path)


def test_encoder_alone_gives_features_and_no_field():
  kwargs = dict(width=4, heads=1, blocks=1, nodes=1)
  tensors = interop.to_tensors("inn", kwargs, _drawn(**kwargs))
  encoder = {
    n: t
    for n, t in tensors.items()
    if not n.startswith(("reduce_channel", "output", "encoder_level2"))
  }
  imported = interop.from_tensors(encoder)
  assert not imported.kwargs["has_decoder"]
  module = models.build("inn", **imported.kwargs)
  field = jnp.ones((1, 8, 8, 1))
  module.apply(imported.variables, field, method="features")
  with pytest.raises(ValueError, match="an encoder alone"):
    module.apply(
      imported.variables, field, grids.axes((8, 8)), jnp.ones((1, 2))
    )


def test_parts_of_a_file_are_read_together():
  tensor = pickles.Tensor(None, 0, (1,), (1,))
  tree = {
    "DIDF_Encoder": {"module.a": tensor},
    "DIDF_Decoder": {"module.b": tensor},
    "BaseFuseLayer": {"module.c": tensor},
  }
  at, got, spec = reader._network(tree)
  assert (at, spec) == ((), {}) and list(got) == ["module.a", "module.b"]


def test_network_of_features_is_not_listed_and_is_built():
  assert "inn" not in models.names() and "dinov2" not in models.names()
  assert models.build("inn", width=6).width == 6
  with pytest.raises(ValueError, match="width 5 does not divide"):
    checkpoints.parameter_shapes("inn", dict(width=5, heads=1))
