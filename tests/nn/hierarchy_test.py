"""Tests of the band-limited hierarchy and of alias-free activations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.nn import hierarchy
from tests.infer import networks

_KEY = jax.random.key(0)


def _square(x):
  return x * x


def _hierarchy(shape, **kwargs):
  """Returns f(x) of a hierarchy of three levels with random parameters."""
  arguments = dict(widths=(4, 8, 8), blocks=(1, 1, 1), convs=(0, 0, 0), heads=2)
  module = hierarchy.Hierarchy(**{**arguments, **kwargs})
  x = jnp.zeros((1, *shape, 4))
  variables = networks.random_variables(module, x)
  return jax.jit(functools.partial(module.apply, variables))


def _wave(n, k):
  rows = np.cos(2 * np.pi * k * (np.arange(n) + 0.5) / n)
  return jnp.asarray(rows, jnp.float32)[None, :, None, None]


def _amplitude(x, k):
  """Returns the amplitude of mode k along the rows."""
  n = x.shape[1]
  return 2 * np.abs(np.fft.rfft(np.asarray(x)[0, :, 0, 0])[k]) / n


@pytest.mark.parametrize("k", [10, 11])
@pytest.mark.parametrize("function", [jax.nn.gelu, _square])
def test_alias_free_removes_the_alias_of_the_second_harmonic(k, function):
  # On 32 cells the second harmonic of mode k > 8 folds to mode 32 - 2k.
  n, alias = 32, 32 - 2 * k
  wave = _wave(n, k)
  made = hierarchy.alias_free(function, wave, periodic=(True, True))
  # Measured, gelu: 0.170 plain and 1.1e-3 alias-free; square: .5 and 3.4e-3.
  assert _amplitude(function(wave), alias) > 0.16
  assert _amplitude(made, alias) < 0.01 * _amplitude(function(wave), alias)
  # What belongs to the band stays: the wave itself, to the filter's ripple.
  assert _amplitude(made, k) == pytest.approx(
    _amplitude(function(wave), k), abs=5e-3
  )


def test_alias_free_keeps_harmonics_in_band():
  wave = _wave(32, 5)
  made = hierarchy.alias_free(_square, wave, periodic=(True, True))
  np.testing.assert_allclose(made, wave**2, atol=2e-3)  # ripple of the filter


@pytest.mark.parametrize("shape", [(8, 8), (13, 8), (11, 17), (37, 40)])
@pytest.mark.parametrize("periodic", [(False, False), (False, True)])
def test_alias_free_keeps_constants_at_walls(shape, periodic):
  # The released code's zero padding gives 1.36 at a corner of a field of ones.
  x = jnp.full((1, *shape, 2), 1.5)
  got = hierarchy.alias_free(jax.nn.gelu, x, periodic=periodic)
  np.testing.assert_allclose(got, jax.nn.gelu(x), atol=2e-6)  # float32 sums


@pytest.mark.parametrize("n, want", [(8, 4), (9, 5), (2, 1), (1, 1)])
def test_coarser_halves_and_rounds_up(n, want):
  assert hierarchy.coarser((n, 2 * n)) == (want, n)


@pytest.mark.parametrize("shape", [(13, 11), (8, 9)])
@pytest.mark.parametrize("is_alias_free", [True, False])
def test_hierarchy_of_a_constant_is_constant(shape, is_alias_free):
  # Every part is pointwise, a mean, or a filter of unit gain up to the wall.
  apply = _hierarchy(shape, is_alias_free=is_alias_free)
  value = jax.random.normal(_KEY, (4,))
  got = apply(jnp.broadcast_to(value, (1, *shape, 4)))
  np.testing.assert_allclose(np.ptp(got, axis=(1, 2)), 0.0, atol=1e-4)
  assert np.abs(got - value).max() > 0.1  # it did something


@pytest.mark.parametrize(
  "shape",
  [
    *((13, 11), (8, 40)),
    *(
      pytest.param(shape, marks=pytest.mark.trial)
      for shape in ((10, 9), (21, 8), (37, 16), (12, 39), (30, 25))
    ),
  ],
)
def test_hierarchy_commutes_with_a_flip(shape):
  # Levels on odd sizes are centred on the same extent; a corner-aligned or
  # half-cell shifted level would break the symmetry.
  apply = _hierarchy(shape)
  x = jax.random.normal(_KEY, (1, *shape, 4))
  got = apply(jnp.flip(x, (1, 2)))
  np.testing.assert_allclose(jnp.flip(got, (1, 2)), apply(x), atol=5e-5)


def test_hierarchy_commutes_with_a_roll_of_whole_coarse_cells():
  apply = _hierarchy((8, 16), convs=(1, 1, 0), periodic=(False, True))
  x = jax.random.normal(_KEY, (1, 8, 16, 4))
  got = apply(jnp.roll(x, 4, axis=2))  # one cell of the third level
  np.testing.assert_allclose(got, jnp.roll(apply(x), 4, axis=2), atol=5e-5)


def test_hierarchy_refuses_levels_of_unlike_number():
  module = hierarchy.Hierarchy(widths=(4, 4), blocks=(1,), convs=(0, 0))
  with pytest.raises(ValueError, match="same number of levels"):
    module.init(_KEY, jnp.zeros((1, 8, 8, 4)))
