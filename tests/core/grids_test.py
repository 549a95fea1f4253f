"""Tests of cell centres, cell sizes and the maps between coordinates."""

from hypothesis import given
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids

_SIDES = st.integers(1, 400)


def test_axis_centers_of_four_cells():
  np.testing.assert_array_equal(
    grids.axis_centers(4), np.float32([-0.75, -0.25, 0.25, 0.75])
  )


@given(_SIDES)
def test_axis_centers_halve_cells_of_the_extent(n):
  edges = np.linspace(-1.0, 1.0, n + 1)
  centers = 0.5 * (edges[1:] + edges[:-1])
  # float32 rounding of numbers below 1 is 6e-8.
  np.testing.assert_allclose(grids.axis_centers(n), centers, atol=1e-7)


def test_axis_centers_refuse_an_empty_axis():
  with pytest.raises(ValueError, match="at least one cell, got 0"):
    grids.axis_centers(0)


def test_cell_centers_order_is_y_then_x():
  centers = grids.cell_centers((2, 4))
  assert centers.shape == (2, 4, 2)
  np.testing.assert_array_equal(centers[:, 0, 0], np.float32([-0.5, 0.5]))
  np.testing.assert_array_equal(centers[0, :, 1], grids.axis_centers(4))
  np.testing.assert_array_equal(np.ptp(centers[..., 0], axis=1), 0.0)
  np.testing.assert_array_equal(np.ptp(centers[..., 1], axis=0), 0.0)


def test_cell_size_times_count_is_the_extent():
  size = grids.cell_size((8, 97.3))
  np.testing.assert_allclose(size * [8, 97.3], 2.0, rtol=1e-6)  # float32


def test_cell_size_is_the_step_between_centers():
  step = np.diff(grids.axis_centers(13))
  np.testing.assert_allclose(step, grids.cell_size((13, 5))[0], atol=2e-7)


@pytest.mark.parametrize("xp", [np, jnp])
def test_dense_keeps_batch_and_kind(xp):
  y = xp.asarray([[0.0, 0.1], [0.2, 0.3]])
  x = xp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
  points = grids.dense(grids.Axes(y, x))
  assert isinstance(points, np.ndarray) == (xp is np)
  for b, i, j in np.ndindex(2, 2, 3):
    assert points[b, i, j, 0] == y[b, i]
    assert points[b, i, j, 1] == x[b, j]


def test_dense_passes_arrays():
  points = np.zeros((2, 3, 2), np.float32)
  assert grids.dense(points) is points


def test_batched_repeats_the_same_points():
  axes = grids.axes((3, 5))
  many = grids.batched(axes, 4)
  assert many.y.shape == (4, 3) and many.x.shape == (4, 5)
  np.testing.assert_array_equal(many.y[2], axes.y)
  points = grids.batched(grids.cell_centers((3, 5)), 4)
  np.testing.assert_array_equal(points, grids.dense(many))


def test_batched_keeps_points_of_each_example():
  y = jnp.arange(6.0).reshape(2, 3)
  many = grids.batched(grids.Axes(y, y), 2)
  np.testing.assert_array_equal(many.y, y)


@pytest.mark.parametrize(
  "points",
  [
    grids.Axes(np.zeros((3, 4)), np.zeros((3, 4))),
    np.zeros((3, 4, 4, 2)),
    np.zeros((1, 2, 4, 4, 2)),
  ],
)
def test_batched_refuses_another_batch(points):
  with pytest.raises(ValueError, match="do not fit a batch of 2"):
    grids.batched(points, 2)


def test_query_shape_is_the_same_for_both_forms():
  axes = grids.batched(grids.axes((3, 5)), 2)
  assert grids.query_shape(axes) == (3, 5)
  assert grids.query_shape(grids.dense(axes)) == (3, 5)


@given(_SIDES)
def test_to_index_of_centers_counts_cells(n):
  index = grids.to_index(grids.axis_centers(n), n)
  # A coordinate is rounded to 6e-8 and half an extent is n / 2 cells.
  np.testing.assert_allclose(index, np.arange(n), atol=2e-7 * n)


@given(_SIDES, st.floats(-1.0, 500.0))
def test_to_coord_undoes_to_index(n, index):
  coord = grids.to_coord(np.asarray([index]), n)
  assert grids.to_index(coord, n) == pytest.approx(index, abs=1e-9 * n)


def test_to_index_maps_the_ends_to_outer_cell_edges():
  ends = grids.to_index(np.asarray([-1.0, 1.0]), 10)
  np.testing.assert_array_equal(ends, [-0.5, 9.5])


@given(_SIDES, _SIDES, st.floats(1.0, 40.0))
def test_scaled_shape_is_the_nearest_whole_shape(h, w, scale):
  for side, n in zip(grids.scaled_shape((h, w), scale), (h, w), strict=True):
    assert isinstance(side, int)
    assert abs(side - n * scale) <= 0.5 + 1e-9


def test_scaled_shape_rounds_halves_up():
  # Python's round would give 2 and 4: half to even.
  assert grids.scaled_shape((1, 3), 2.5) == (3, 8)
  assert grids.scaled_shape((1, 3), 1.5) == (2, 5)


@given(_SIDES, st.integers(1, 12))
def test_coarse_shape_undoes_whole_scales(n, scale):
  fine = grids.scaled_shape((n, 2 * n), scale)
  assert grids.coarse_shape(fine, scale) == (n, 2 * n)


def test_coarse_shape_keeps_a_cell():
  assert grids.coarse_shape((3, 100), 16.0) == (1, 6)


@pytest.mark.parametrize("scale", [0.5, 0.0, -2.0, np.nan, np.inf])
@pytest.mark.parametrize("shape_of", [grids.scaled_shape, grids.coarse_shape])
def test_shapes_refuse_a_scale_below_one(shape_of, scale):
  with pytest.raises(ValueError, match=f"at least 1, got {scale}"):
    shape_of((4, 4), scale)


@given(_SIDES, _SIDES, st.floats(1.0, 40.0))
def test_scale_of_undoes_cell_size(h, w, scale):
  cell = grids.cell_size((h * scale, w * scale))
  # float32: four roundings.
  np.testing.assert_allclose(
    grids.scale_of(cell, (h, w)), [scale, scale], rtol=5e-7
  )


@given(st.integers(2, 200), st.data())
def test_window_of_the_whole_grid_is_a_slice(n, data):
  start = data.draw(st.integers(0, n - 1))
  count = data.draw(st.integers(1, n - start))
  part = grids.window(start, count, 0, n)
  whole = grids.axis_centers(n)[start : start + count]
  np.testing.assert_allclose(part, whole, atol=1e-7)  # float32


@given(st.floats(0.0, 100.0), st.floats(1.0, 100.0), st.integers(0, 100))
def test_window_is_affine_in_the_fine_index(extent_start, extent, start):
  got = grids.window(start, 3, extent_start, extent)
  left, right = extent_start, extent_start + extent
  want = [
    ((i + 0.5) - 0.5 * (left + right)) / (0.5 * (right - left))
    for i in range(start, start + 3)
  ]
  np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-5)
  assert got.dtype == np.float32


def test_window_of_fractional_extent_agrees_with_its_own_grid():
  # A window of 5 coarse cells at scale 2.3 is 11.5 fine cells long; fine cell
  # 7 of a field at coarse cell 3 lies at fine position 7.5 - 6.9 = 0.6.
  got = grids.window(7, 1, 3 * 2.3, 5 * 2.3)
  np.testing.assert_allclose(got, [2 * 0.6 / 11.5 - 1], atol=1e-6)
