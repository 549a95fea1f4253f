"""Tests of the four-neighbour sampler and the dense layer folded into it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids, resize
from hinote_jax.nn import samplers

_KEY = jax.random.key(0)
_PERIODIC = [(False, False), (False, True), (True, True)]
_CELL = jnp.asarray([[0.5, 0.25], [1.0, 0.125]])


def _random_axes(batch, shape, limit=1.0):
  """Returns irregular but separable points, inside +-limit."""
  keys = jax.random.split(_KEY)
  return grids.Axes(
    *(
      jax.random.uniform(k, (batch, n), minval=-limit, maxval=limit)
      for k, n in zip(keys, shape, strict=True)
    )
  )


@pytest.mark.parametrize("periodic", _PERIODIC)
def test_weighted_features_sum_to_linear_interpolation(periodic):
  feats = jax.random.normal(_KEY, (2, 5, 6, 3))
  points = jax.random.uniform(_KEY, (2, 4, 7, 2), minval=-1.1, maxval=1.1)
  tokens = samplers.local_ensemble(feats, points, _CELL, periodic=periodic)
  got = tokens[..., 8:-2].reshape(2, 4, 7, 4, 3).sum(-2)
  rules = resize.boundaries(periodic, "edge")
  want = resize.sample(feats, points, method="linear", boundary=rules)
  np.testing.assert_allclose(got, want, atol=5e-6)  # float32 positions


def test_token_has_offsets_then_features_then_cell():
  feats = jax.random.normal(_KEY, (1, 4, 5, 2))
  # A query a quarter of a cell below row 1, three quarters right of column 2.
  y, x = grids.to_coord(np.float32(1.25) * np.ones(1), 4), None
  x = grids.to_coord(np.float32(2.75) * np.ones(1), 5)
  points = jnp.asarray(np.stack([y, x], -1)[None, None], jnp.float32)
  tokens = samplers.local_ensemble(feats, points, _CELL[:1])
  assert tokens.shape[-1] == samplers.token_width(2) == 18
  token = tokens[0, 0, 0]
  offsets = [0.5, 1.5, 0.5, -0.5, -1.5, 1.5, -1.5, -0.5]  # 2 per cell
  np.testing.assert_allclose(token[:8], offsets, atol=2e-6)
  corners = [(1, 2, 0.75 * 0.25), (1, 3, 0.75 * 0.75)]
  corners += [(2, 2, 0.25 * 0.25), (2, 3, 0.25 * 0.75)]
  want = np.concatenate([a * feats[0, i, j] for i, j, a in corners])
  np.testing.assert_allclose(token[8:16], want, atol=5e-6)
  np.testing.assert_array_equal(token[16:], _CELL[0])


def test_offsets_at_a_wall_are_from_the_end_cell():
  near = samplers.neighbours(jnp.asarray([-1.0, 1.0]), 4, is_periodic=False)
  np.testing.assert_array_equal(near.cells, [[0, 0], [3, 3]])
  np.testing.assert_allclose(near.offset, [[-1, -1], [1, 1]], atol=1e-6)
  np.testing.assert_allclose(near.weight, 0.5, atol=1e-6)


def test_offsets_across_a_seam_are_short():
  near = samplers.neighbours(jnp.asarray([-1.0, 1.0]), 4, is_periodic=True)
  np.testing.assert_array_equal(near.cells, [[3, 0], [3, 0]])
  np.testing.assert_allclose(near.offset, [[1, -1], [1, -1]], atol=1e-6)


@pytest.mark.parametrize("k", [1, -2])
def test_local_ensemble_follows_a_roll(k):
  feats = jax.random.normal(_KEY, (2, 5, 6, 3))
  coords = _random_axes(2, (4, 7))
  here = samplers.local_ensemble(feats, coords, _CELL, periodic=(False, True))
  moved = samplers.local_ensemble(
    jnp.roll(feats, k, axis=2),
    coords._replace(x=coords.x + 2.0 * k / 6),
    _CELL,
    periodic=(False, True),
  )
  np.testing.assert_allclose(moved, here, atol=1e-5)  # float32 positions


@pytest.mark.parametrize("n, scale", [(24, 3), (97, 3), (180, 5), (640, 7)])
def test_neighbours_of_a_query_on_a_centre_are_it_and_the_next(n, scale):
  # At odd scales every scale-th query is on a centre. On which side of it
  # float32 puts the query must not matter: tokens jump between the sides.
  coord = grids.axis_centers(n * scale)[scale // 2 :: scale]
  near = samplers.neighbours(jnp.asarray(coord), n, is_periodic=True)
  want = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=-1)
  np.testing.assert_array_equal(near.cells, want)
  np.testing.assert_allclose(near.weight[:, 0], 1.0, atol=1e-6 * n)
  assert near.weight.min() >= 0.0


@pytest.mark.parametrize("scale", [1.0, 2.5, 4.0, 9.0])
@pytest.mark.parametrize("ratio", [1, 4])
def test_relative_cell_is_held_at_the_largest_scale(scale, ratio):
  shape = (12, 20)
  cell = jnp.asarray(2.0 / (np.asarray(shape) * scale), jnp.float32)[None]
  feats = tuple(ratio * n for n in shape)
  got = samplers.relative_cell(cell, feats, ratio, max_scale=4.0)
  want = 2.0 * ratio / min(scale, 4.0)
  np.testing.assert_allclose(got, [[want, want]], rtol=1e-6)


def _layer(periodic, feats, coords):
  layer = samplers.SampledDense(5, periodic)
  variables = layer.init(_KEY, feats, coords, _CELL)
  bias = jax.random.normal(_KEY, (5,))
  return layer, {"params": {**variables["params"], "bias": bias}}


@pytest.mark.parametrize("periodic", _PERIODIC)
def test_sampled_dense_equals_dense_of_tokens(periodic):
  feats = jax.random.normal(_KEY, (2, 5, 6, 3))
  coords = _random_axes(2, (4, 7), limit=1.1)
  layer, variables = _layer(periodic, feats, coords)
  tokens = samplers.local_ensemble(feats, coords, _CELL, periodic=periodic)
  params = variables["params"]
  want = tokens @ params["kernel"] + params["bias"]
  folded = layer.apply(variables, feats, coords, _CELL)
  np.testing.assert_allclose(folded, want, atol=1e-5)  # float32 sums of 22
  gathered = layer.apply(variables, feats, grids.dense(coords), _CELL)
  np.testing.assert_allclose(gathered, want, atol=1e-5)


@pytest.mark.parametrize("periodic", _PERIODIC)
def test_sampled_dense_gradients_agree(periodic):
  feats = jax.random.normal(_KEY, (2, 5, 6, 3))
  coords = _random_axes(2, (4, 7))
  layer, variables = _layer(periodic, feats, coords)
  target = jax.random.normal(_KEY, (2, 4, 7, 5))

  def loss(variables, feats, rel_cell, points):
    return jnp.mean(layer.apply(variables, feats, points, rel_cell) * target)

  grad = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
  folded = grad(variables, feats, _CELL, coords)
  gathered = grad(variables, feats, _CELL, grids.dense(coords))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),  # float32
    folded,
    gathered,
  )
  assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(folded))
