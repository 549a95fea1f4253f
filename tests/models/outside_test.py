"""A model from a folder outside of the package, named nowhere in it."""

import textwrap

import jax
import numpy as np

from hinote_jax import infer, models
from hinote_jax.train import loop
from tests import runs

_MODEL = '''
  from flax import linen as nn
  import jax
  import jax.numpy as jnp

  from hinote_jax import lazy
  from hinote_jax.core import resize
  from hinote_jax.nn import blocks


  def _mean(params, patch, inside):
    del params
    counted = patch.values
    if inside is not None:
      counted = counted * inside[..., None]
    return counted.sum((1, 2))


  def _gated(params, values):
    total, points, gate = params
    return values * (1.0 + gate * (total / points)[:, None, None])


  class Blur(nn.Module):
    """Convolutions, a gate by the mean of all features, interpolation."""

    width: int = 4
    channels: int = 1
    periodic: tuple[bool, bool] = (False, False)

    @nn.compact
    def __call__(self, lowres, coords, cell):
      x = blocks.Conv(self.width, periodic=self.periodic, name="head")(lowres)
      x = lazy.stored(lazy.pointwise(jax.nn.gelu, x))
      total = lazy.total(_mean, (), x)
      points = jnp.asarray(float(x.shape[1] * x.shape[2]))
      gate = self.param("gate", nn.initializers.ones, (self.width,))
      x = lazy.pointwise(_gated, x, params=(total, points, gate))
      x = blocks.Conv(self.channels, periodic=self.periodic, name="tail")(x)
      rules = resize.boundaries(self.periodic, "edge")
      return lazy.interpolate(
        lowres + x, coords, method="cubic", boundary=rules
      )
'''
_SPEC = """
  from hinote_jax.models.spec import Spec

  SPECS = (Spec("blur", "toy_family.model:Blur", tiny=dict(width=3)),)
"""


def test_it_trains_evaluates_streams_and_shards(tmp_path, monkeypatch):
  folder = tmp_path / "elsewhere" / "toy_family"
  folder.mkdir(parents=True)
  (folder / "__init__.py").touch()
  (folder / "model.py").write_text(textwrap.dedent(_MODEL))
  (folder / "spec.py").write_text(textwrap.dedent(_SPEC))
  monkeypatch.syspath_prepend(str(folder.parent))
  name = "toy_family.spec:blur"
  assert models.spec(name).tiny == dict(width=3)

  fields = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(fields, tmp_path / "cache")
  config.model = dict(name=name, **models.spec(name).tiny)
  workdir = tmp_path / "run"
  loop.train_and_evaluate(config, workdir)
  assert (workdir / "report.md").is_file()

  predictor = infer.load(workdir)
  lowres = np.load(fields)[-1][::2, ::2]
  whole = predictor(lowres, shape=(50, 61))
  tolerance = 1e-5 * whole.std()
  in_tiles = predictor(lowres, shape=(50, 61), memory="1GB", side=17)
  np.testing.assert_allclose(in_tiles, whole, atol=tolerance)
  over_devices = predictor(lowres, shape=(50, 61), devices=jax.devices())
  np.testing.assert_allclose(over_devices, whole, atol=tolerance)
