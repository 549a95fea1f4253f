"""SRCNN and ESPCN, by kernels whose effect is known."""

import jax
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import resize

_KEY = jax.random.key(0)


def _field(shape=(1, 6, 7, 1), seed=0):
  return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype("f4")


def _passing(module, lowres):
  """Returns parameters whose first channel goes through every layer as is."""
  shapes = jax.eval_shape(
    lambda x: module.init(_KEY, x, method="enlarge")["params"], lowres
  )
  params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, "f4"), dict(shapes))
  for layer in params.values():
    centre = layer["kernel"].shape[0] // 2
    layer["kernel"][centre, centre, 0, 0] = 1.0
  return params


@pytest.mark.parametrize("registration", ["cells", "nodes"])
def test_srcnn_that_passes_on_is_cubic_interpolation(registration):
  lowres = _field()
  module = models.build("srcnn", scale=3, registration=registration)
  params = _passing(module, lowres)
  got = module.apply({"params": params}, lowres, method="enlarge")
  want = resize.resize(
    lowres, (18, 21), method="cubic_torch", registration=registration
  )
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_srcnn_of_nodes_keeps_the_corners():
  lowres = _field()
  module = models.build("srcnn", scale=3, registration="nodes")
  params = _passing(module, lowres)
  got = module.apply({"params": params}, lowres, method="enlarge")
  want = lowres[:, :: lowres.shape[1] - 1, :: lowres.shape[2] - 1]
  np.testing.assert_allclose(got[:, ::17, ::20], want, atol=1e-6)


def test_espcn_writes_the_subcells_by_rows():
  lowres = _field()
  module = models.build("espcn", scale=2)
  params = _passing(module, lowres)
  # Subcell (p, q) is the cell times 1 + 2 p + q.
  params["conv_3"]["kernel"][1, 1, 0] = [1.0, 2.0, 3.0, 4.0]
  got = module.apply({"params": params}, lowres, method="enlarge")
  want = np.kron(lowres[0, :, :, 0], [[1.0, 2.0], [3.0, 4.0]])
  np.testing.assert_allclose(got[0, :, :, 0], want, rtol=1e-6)


@pytest.mark.parametrize("name", ["srcnn", "espcn"])
def test_rolled_input_of_a_periodic_field_gives_the_rolled_output(name):
  lowres = _field((1, 6, 7, 2))
  closed = models.build(name, scale=2, channels=2, periodic=(True, True))
  init = jax.jit(lambda x: closed.init(_KEY, x, method="enlarge"))
  variables = init(lowres)
  for is_closed in (True, False):
    module = closed.clone(periodic=(is_closed, is_closed))
    run = jax.jit(lambda x, m=module: m.apply(variables, x, method="enlarge"))
    got = run(np.roll(lowres, (2, -3), axis=(1, 2)))
    want = np.roll(run(lowres), (4, -6), axis=(1, 2))
    assert np.allclose(got, want, atol=1e-5) == is_closed  # float32
