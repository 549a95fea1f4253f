"""Tests of the released network that need no recorded values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.core import grids, resize
from hinote_jax.models.hinote_official import published
from tests import trials
from tests.infer import networks

_KEY = jax.random.key(0)
_SMALL = dict(attention_width=16, attention_head=2)


def _inputs(shape, window, batch=1):
  lowres = jax.random.uniform(_KEY, (batch, *shape, 1))
  cell = jnp.tile(grids.cell_size(window), (batch, 1))
  return lowres, grids.Axes(*map(jnp.asarray, grids.axes(window))), cell


def _network(inputs, **kwargs):
  """Returns a small network and parameters, none of them special."""
  module = models.build("hinote_official", **{**_SMALL, **kwargs})
  return module, networks.random_variables(module, *inputs)


@pytest.mark.parametrize(
  ("width", "heads", "levels", "count"),
  [
    (256, 16, 1, 420_627),
    (128, 4, 1, 128_403),
    (256, 16, 2, 3_109_395),
    (256, 16, 3, 5_798_163),
    (128, 4, 3, 1_473_683),
  ],
)
def test_parameters_are_as_many_as_the_release_has(width, heads, levels, count):
  kwargs = dict(
    attention_width=width, attention_head=heads, hierarchical_levels=levels
  )
  shapes = interop.checkpoints.parameter_shapes("hinote_official", kwargs)
  assert sum(math.prod(shape) for shape in shapes.values()) == count


def test_bands_change_neither_answer_nor_gradient():
  window = 7, 9  # in bands of two rows, one of them filled
  lowres, axes, cell = _inputs((6, 5), window, batch=2)
  module, variables = _network(
    (lowres, axes, cell), feature_up_ratio=1, points_at_once=20
  )
  weight = jax.random.normal(_KEY, (2, *window, 1))

  def both(apply, coords):
    """Returns the answer, and the slope of a mixture of its values."""

    def total(variables, lowres):
      answer = apply(variables, lowres, coords, cell)
      return (answer * weight).sum(), answer

    slope = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    (_, answer), found = jax.jit(slope)(variables, lowres)
    return answer, jax.tree.leaves(found)

  def plain(*inputs):
    # To see inside, module after module is run on the whole window.
    return module.apply(*inputs, mutable=["intermediates"])[0]

  want, want_slope = both(plain, axes)
  for coords in (axes, jnp.asarray(grids.dense(axes))):
    got, slope = both(module.apply, coords)
    np.testing.assert_allclose(got, want, atol=1e-5 * float(want.std()))
    for a, b in zip(slope, want_slope, strict=True):
      assert np.linalg.norm(a - b) <= 2e-5 * np.linalg.norm(b)


def test_a_silent_decoder_leaves_linear_interpolation():
  for periodic in [(False, False), (True, True)]:
    inputs = lowres, axes, _ = _inputs((5, 6), (9, 8))
    module, variables = _network(inputs, feature_up_ratio=1, periodic=periodic)
    silent = jax.tree.map(jnp.zeros_like, variables)
    boundary = resize.boundaries(periodic, "edge")
    want = resize.sample(lowres, axes, method="linear", boundary=boundary)
    got = jax.jit(module.apply)(silent, *inputs)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize(
  "fourier_up",
  trials.apart_from("Corner".__eq__, sorted(published.FOURIER_UPS)),
)
def test_gradients_of_constant_fields_are_finite(fourier_up):
  lowres, axes, cell = _inputs((6, 5), (8, 8), batch=3)
  lowres = lowres.at[0].set(0.0).at[1].set(0.7).at[2].mul(1e-25)
  inputs = lowres, axes, cell
  module, variables = _network(
    inputs, fourier_up=fourier_up, feature_combine="cat", feature_up_ratio=2
  )

  @jax.jit
  @jax.grad
  def slope(variables, inputs):
    return jnp.abs(module.apply(variables, *inputs)).sum()

  for leaf in jax.tree.leaves(slope(variables, inputs)):
    assert np.all(np.isfinite(leaf))


def test_ratio_one_has_no_encoder():
  kwargs = dict(feature_up_ratio=1)
  paths = interop.checkpoints.parameter_shapes("hinote_official", kwargs)
  assert {path.split("/")[0] for path in paths} == {"lift", "decoder"}


@pytest.mark.parametrize(
  ("kwargs", "message"),
  [
    (dict(hierarchical_levels=3), "sides divide by 4, got 9 x 8"),
    (dict(hierarchical_levels=0), "hierarchical_levels must be 1 or more"),
    (dict(feature_up_ratio=3), "feature_up_ratio must be a power of two"),
    (dict(channels=3), "takes one channel"),
    (dict(fourier_up="corner"), "did you mean 'Corner'"),
    (dict(feature_combine="sum"), "unknown feature_combine"),
    (dict(liif_up_method="linear"), "unknown liif_up_method"),
    (dict(attention_head=3), "3 heads do not divide 16 channels"),
  ],
)
def test_what_cannot_be_is_said(kwargs, message):
  module = models.build("hinote_official", **{**_SMALL, **kwargs})
  inputs = _inputs((5, 6), (9, 8))
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(module.init, _KEY, *inputs)
