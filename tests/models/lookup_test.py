"""Simplex interpolation against closed forms and SciPy's interpolators."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import interpolate

from hinote_jax.models.lut import lookup

_simplex = jax.jit(lookup.simplex, static_argnames="compat")
_SIZES = {1: 9, 2: 6, 3: 4, 4: 3}


def _table(n, k=3, kind=np.float32, seed=0):
  random = np.random.default_rng(seed)
  entries = _SIZES[n] ** n
  return random.integers(-127, 128, size=(entries, k)).astype(kind)


def _points(n, count=200, seed=1):
  random = np.random.default_rng(seed)
  return random.uniform(0, _SIZES[n] - 1, (count, n)).astype(np.float32)


def _multilinear(table, points):
  n = points.shape[-1]
  grid = [np.arange(_SIZES[n])] * n
  values = table.reshape(*[_SIZES[n]] * n, -1).astype(np.float64)
  return interpolate.interpn(grid, values, points)


def _walked(table, point):
  """The rule in words: from corner to corner, the largest part first."""
  n, size = len(point), len(table)
  levels = round(size ** (1 / n))
  low = np.minimum(np.floor(point), levels - 2).astype(int)
  parts = point - low
  at, before, total = low.copy(), 1.0, 0.0
  for axis in np.argsort(-parts, kind="stable"):
    row = np.ravel_multi_index(tuple(at), (levels,) * n)
    total = total + (before - parts[axis]) * table[row].astype(np.float64)
    before, at[axis] = parts[axis], at[axis] + 1
  row = np.ravel_multi_index(tuple(at), (levels,) * n)
  return total + before * table[row]


@pytest.mark.parametrize("n", _SIZES)
@pytest.mark.parametrize("kind", [np.int8, np.float32])
def test_it_walks_from_corner_to_corner(n, kind):
  table, points = _table(n, kind=kind), _points(n)
  want = [_walked(table, point.astype(np.float64)) for point in points]
  got = _simplex(table, points)
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, want, atol=1e-3)


@pytest.mark.parametrize("n", _SIZES)
def test_nodes_edges_and_sums_agree_with_multilinear(n):
  table, points = _table(n), _points(n)
  nodes = np.round(points)
  edges = nodes.copy()
  edges[:, 0] = points[:, 0]
  for at in (nodes, edges):
    want = _multilinear(table, at)
    np.testing.assert_allclose(_simplex(table, at), want, atol=1e-3)
  # A sum of functions of one coordinate each is the same by either rule.
  along = np.random.default_rng(2).normal(size=(n, _SIZES[n]))
  every = itertools.product(range(_SIZES[n]), repeat=n)
  table = np.asarray([sum(along[i, j] for i, j in enumerate(e)) for e in every])
  want = _multilinear(table[:, None], points)
  got = _simplex(table[:, None].astype(np.float32), points)
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_on_a_diagonal_only_the_two_corners_count(n):
  table = _table(n)
  part = np.linspace(0, 1, 5)[:, None]
  got = _simplex(table, np.float32(np.repeat(part, n, axis=1)))
  last = np.ravel_multi_index((1,) * n, (_SIZES[n],) * n)
  want = (1 - part) * table[0] + part * table[last]
  np.testing.assert_allclose(got, want, atol=1e-4)
  # Multilinear interpolation is another one there.
  assert np.abs(got - _multilinear(table, np.repeat(part, n, axis=1))).max() > 1


@pytest.mark.parametrize("n", _SIZES)
def test_it_is_continuous_where_the_order_changes(n):
  table, points = _table(n), np.float64(_points(n, 40))
  points[:, -1] = np.floor(points[:, -1]) + points[:, 0] % 1.0
  near = [np.float32(points + 1e-5 * s * np.eye(n)[-1]) for s in (-1, 1)]
  below, above = (_simplex(table, p) for p in near)
  np.testing.assert_allclose(below, above, atol=0.02)


def test_bytes_are_exact_whatever_the_order_of_the_sum():
  table = _table(4, kind=np.int8)
  random = np.random.default_rng(3)
  parts = random.integers(0, 2 * 256 + 1, size=(300, 4))
  got = _simplex(table, np.float32(parts / 256))
  want = [_walked(table, point / 256) for point in parts]
  np.testing.assert_array_equal(np.float64(got), want)


def test_beyond_the_ends_it_is_that_of_the_end():
  table = _table(2)
  out = np.float32([[-1, 2.5], [7, 9], [2.5, 11]])
  inside = np.clip(out, 0, _SIZES[2] - 1)
  got, want = (_simplex(table, p) for p in (out, inside))
  np.testing.assert_array_equal(got, want)
  assert np.all(np.isfinite(got))


@pytest.mark.parametrize("n", _SIZES)
def test_gradients_are_differences_and_weights(n):
  table, points = _table(n, k=1), _points(n, 20)

  def total(table, points):
    return _simplex(table, points).sum()

  by_table, by_point = jax.grad(total, (0, 1))(table, points)
  np.testing.assert_allclose(by_table.sum(), len(points), rtol=1e-6)
  shift = np.float32(1e-3)
  for axis in range(n):
    moved = points + shift * np.eye(n, dtype=np.float32)[axis]
    rise = (_simplex(table, moved) - _simplex(table, points)) / (
      moved - points
    ).max()
    is_same = np.abs(rise[:, 0] - by_point[:, axis]) < 1.0
    assert is_same.mean() > 0.9  # the others have changed their simplex


def test_the_mistaken_order_of_the_release_has_a_negative_weight():
  parts = np.float32([[0.4, 0.1, 0.9, 0.6], [0.4, 0.1, 0.6, 0.9]])
  rows = np.eye(16, dtype=np.float32)
  right = _simplex(rows, parts)
  wrong = _simplex(rows, parts, compat="official")
  np.testing.assert_array_equal(right[1], wrong[1])  # d > c is another branch
  assert right.min() >= 0 and wrong.min() < 0
  # (1-c) P0000 + (c-a) P0010 + (a-d) P1010 + (d-b) P1011 + b P1111
  want = np.zeros(16)
  want[[0b0000, 0b0010, 0b1010, 0b1011, 0b1111]] = 0.1, 0.5, -0.2, 0.5, 0.1
  np.testing.assert_allclose(wrong[0], want, atol=1e-6)


def test_a_table_of_the_wrong_size_is_one_sentence():
  with pytest.raises(ValueError, match="of 83520 entries has no whole number"):
    _simplex(np.zeros((83520, 1)), np.zeros((2, 4)))
