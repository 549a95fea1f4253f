"""The networks that terms of a loss compare by and that come along."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color, data

from hinote_jax.core import grids
from hinote_jax.losses import terms
from hinote_jax.train import feature_networks

_NAMES = ("inn-photo", "inn-turbulence")


def _unseen(name):
  """Returns a field that the network never saw, of unit variance."""
  if name == "inn-photo":
    field = color.rgb2gray(data.coffee())[100:164, 200:264]  # held out
  else:
    # Waves of random phases, as smooth as turbulence that a grid resolves.
    random = np.random.default_rng(0)
    waves = np.fft.rfft2(random.normal(size=(64, 64)))
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.arange(33)))
    field = np.fft.irfft2(waves / (4.0 + k.T) ** 3)
  field = (field - field.mean()) / field.std()
  return jnp.asarray(field[None, ..., None], jnp.float32)


@pytest.fixture(name="network", scope="module", params=_NAMES)
def _network(request):
  (term,) = terms.parse(f'mghf_n(network="{request.param}")')
  network = feature_networks.load(term)
  return request.param, network.module, network.variables


def test_those_that_come_along_are_these_and_small():
  paths = list(feature_networks.SHIPPED.glob("*.npz"))
  assert sorted(path.stem for path in paths) == list(_NAMES)
  assert sum(path.stat().st_size for path in paths) < 2e6


def test_detail_is_turned_back_exactly(network):
  name, module, variables = network
  features = module.apply(variables, _unseen(name), method="features")
  got = module.apply(variables, features.details[-1], method="inverse")
  np.testing.assert_allclose(
    got, features.shared, atol=1e-5 * float(jnp.std(features.shared))
  )


def test_a_field_it_never_saw_is_given_back(network):
  name, module, variables = network
  field = _unseen(name)
  axes = grids.batched(grids.axes(field.shape[1:3]), 1)
  cell = jnp.asarray(grids.cell_size(field.shape[1:3]))[None]
  got = jax.jit(module.apply)(variables, field, axes, cell)
  assert float(jnp.square(got - field).mean()) < 0.01
