"""Tests of the interpolations as models, and of finding models by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import grids, resize, spectral

_KEY = jax.random.key(0)
_SHAPE = (15, 16)
_CELL = jnp.asarray(grids.cell_size(_SHAPE))[None]


@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
@pytest.mark.parametrize(
  "name, method",
  [
    ("nearest", "nearest"),
    ("bilinear", "linear"),
    ("bicubic", "cubic"),
    ("lanczos", "lanczos"),
    ("spectral", None),
  ],
)
def test_interpolation_is_the_resize_of_its_name(name, method, periodic):
  x = jax.random.normal(_KEY, (1, 6, 7, 2))
  module = models.build(name, periodic=periodic, channels=2)
  coords = grids.axes(_SHAPE)
  variables = module.init(_KEY, x, coords, _CELL)
  assert not jax.tree.leaves(variables)
  got = module.apply(variables, x, coords, _CELL)
  if name == "spectral":
    want = spectral.resize(x, _SHAPE, periodic=periodic)
  else:
    rules = resize.boundaries(periodic, "edge")
    want = resize.resize(x, _SHAPE, method=method, boundary=rules)
  np.testing.assert_allclose(got, want, atol=2e-5)  # float32 coordinates


def test_every_interpolation_gives_its_cells_back():
  x = jax.random.normal(_KEY, (1, 6, 7, 2))
  coords, cell = grids.axes((6, 7)), jnp.asarray(grids.cell_size((6, 7)))[None]
  for name in models.INTERPOLATIONS:
    got = models.build(name).apply({}, x, coords, cell)
    np.testing.assert_allclose(got, x, atol=1e-5)  # float32 coordinates


def test_build_of_an_unknown_name_says_the_nearest():
  with pytest.raises(ValueError, match="'hynote'; did you mean 'hinote'"):
    models.build("hynote")


def test_build_refuses_an_unknown_argument():
  with pytest.raises(ValueError, match="'widht'; did you mean 'width'"):
    models.build("hinote", widht=3)


def test_names_are_all_built():
  for name in models.names():
    assert hasattr(models.build(name), "periodic")
