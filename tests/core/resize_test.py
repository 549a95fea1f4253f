"""Tests of interpolation: exact reproductions, conservation, boundaries."""

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids, resize, taps

_KEY = jax.random.key(0)
_FOLD = st.sampled_from(taps.FOLDS)
_METHOD = st.sampled_from(taps.METHODS)


def _inside(u, n, radius):
  """Returns which positions have all their taps on the axis."""
  return (np.floor(u) - radius + 1 >= 0) & (np.floor(u) + radius <= n - 1)


@given(st.integers(8, 24), st.integers(4, 60))
def test_cubic_reproduces_quadratics(n, count):
  i, u = np.arange(n), resize.centers(n, count)
  matrix = resize.matrix(n, count, method="cubic", antialias=False)
  inside = _inside(u, n, 2)
  got = matrix @ (0.3 * i**2 - 2.0 * i + 1.0)
  want = 0.3 * u**2 - 2.0 * u + 1.0
  assert inside.any()
  np.testing.assert_allclose(got[inside], want[inside], atol=1e-9)


def test_cubic_torch_does_not_reproduce_quadratics():
  # Third-order accuracy singles out a = -1/2 (Keys 1981); the test above
  # would otherwise say nothing about the parameter.
  n, count = 12, 30
  u = resize.centers(n, count)
  matrix = resize.matrix(n, count, method="cubic_torch", antialias=False)
  error = matrix @ np.arange(n) ** 2.0 - u**2
  assert np.abs(error[_inside(u, n, 2)]).max() > 0.05


@given(st.integers(2, 24), st.integers(1, 60))
def test_linear_reproduces_affine_fields(n, count):
  i, u = np.arange(n), resize.centers(n, count)
  matrix = resize.matrix(n, count, method="linear", antialias=False)
  # Beyond the outer centres the edge value is held.
  want = 3.0 * np.clip(u, 0, n - 1) - 1.0
  np.testing.assert_allclose(matrix @ (3.0 * i - 1.0), want, atol=1e-10)


def test_cubic_torch_quarter_taps():
  # F.interpolate(bicubic, a = -0.75) by 4 reads half way between two cells.
  matrix = resize.matrix(16, 4, method="cubic_torch", antialias=False)
  want = np.zeros((4, 16))
  for j in range(4):
    want[j, 4 * j : 4 * j + 4] = [-0.09375, 0.59375, 0.59375, -0.09375]
  np.testing.assert_allclose(matrix, want, atol=1e-15)


def test_nearest_ties_go_up():
  # Three cells from two: the middle one is centred on the edge between them.
  matrix = resize.matrix(2, 3, method="nearest")
  np.testing.assert_array_equal(matrix, [[1, 0], [0, 1], [0, 1]])


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("count", [1, 3, 4, 7, 16, 18])
def test_nearest_reads_the_cell_it_lies_in(n, count):
  j = np.arange(count)
  index = (2 * j + 1) * n // (2 * count)  # in whole numbers: no rounding
  matrix = resize.matrix(n, count, method="nearest")
  np.testing.assert_array_equal(matrix, np.eye(n)[index])


@given(st.integers(1, 40), st.integers(1, 40))
def test_area_is_the_overlap_of_cells(n, count):
  matrix = resize.matrix(n, count, method="area")
  fine, coarse = np.arange(n) / n, np.arange(count) / count
  right = np.minimum(fine + 1 / n, coarse[:, None] + 1 / count)
  overlap = np.maximum(right - np.maximum(fine, coarse[:, None]), 0.0)
  np.testing.assert_allclose(matrix, overlap * count, atol=1e-10)


@pytest.mark.parametrize("shape", [(4, 3), (5, 7), (9, 11), (20, 13)])
def test_area_conserves_the_mean(shape):
  x = jax.random.normal(_KEY, (2, 8, 9, 3))
  got = resize.resize(x, shape, method="area").mean((1, 2))
  np.testing.assert_allclose(got, x.mean((1, 2)), atol=1e-6)  # float32 sums


@pytest.mark.parametrize("method", taps.METHODS)
def test_matrix_of_the_same_grid_is_the_identity(method):
  matrix = resize.matrix(7, 7, method=method)
  np.testing.assert_allclose(matrix, np.eye(7), atol=1e-12)


@pytest.mark.parametrize(
  "sizes", [(24, 9), (24, 12), (31, 8), (16, 40), (3, 1)]
)
@pytest.mark.parametrize(
  "method, name",
  [("linear", "BILINEAR"), ("cubic", "BICUBIC"), ("lanczos", "LANCZOS")],
)
def test_antialiased_kernels_that_drop_equal_pillow(sizes, method, name):
  image = pytest.importorskip("PIL.Image")
  n, count = sizes
  x = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
  kernel = getattr(image.Resampling, name)
  want = np.asarray(image.fromarray(x).resize((count, count), kernel))
  matrix = resize.matrix(n, count, method=method, boundary="drop")
  got = matrix @ x @ matrix.T
  # Pillow sums in double precision and rounds to float32 twice.
  np.testing.assert_allclose(got, want, atol=5e-7)
  folded = resize.matrix(n, count, method=method, boundary="edge")
  if count < n:
    assert np.abs(folded - matrix).max() > 1e-3  # the walls do differ


@given(st.integers(1, 24), st.floats(0.2, 4.0))
def test_scale_places_the_cells_of_matlabs_imresize(n, scale):
  # Contributions by definition: output cell k = 1.. of ceil(n scale) is centred
  # at k / scale + (1 - 1 / scale) / 2, cells counted from 1.
  count = int(np.ceil(n * scale))
  stretch = max(1.0, 1.0 / scale)
  want = np.zeros((count, n))
  for row in range(count):
    center = (row + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = int(np.floor(center - 2.0 * stretch))
    cells = np.arange(first, first + int(np.ceil(4.0 * stretch)) + 2)
    t = np.abs(center - cells) / stretch
    weight = np.where(t <= 1, 1.5 * t**3 - 2.5 * t**2 + 1, 0.0)
    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weight = np.where((t > 1) & (t <= 2), outer, weight)
    around = np.r_[np.arange(n), np.arange(n)[::-1]][(cells - 1) % (2 * n)]
    np.add.at(want[row], around, weight / weight.sum())
  got = resize.matrix(n, count, method="cubic", boundary="mirror", scale=scale)
  np.testing.assert_allclose(got, want, atol=1e-10)


@given(st.integers(2, 24), st.integers(2, 60))
def test_nodes_hit_both_ends_and_affine_fields(n, count):
  matrix = resize.matrix(n, count, method="linear", registration="nodes")
  u = np.linspace(0, n - 1, count)
  if count < n:  # widened at the walls: affine only without antialiasing
    matrix = resize.matrix(
      n, count, method="linear", registration="nodes", antialias=False
    )
  np.testing.assert_allclose(matrix @ np.arange(n), u, atol=1e-10)


def test_one_node_is_the_first():
  matrix = resize.matrix(5, 1, method="cubic", registration="nodes")
  np.testing.assert_allclose(matrix, [[1, 0, 0, 0, 0]], atol=1e-15)


@given(st.integers(1, 40), st.integers(1, 40))
def test_torchs_area_averages_the_cells_it_touches(n, count):
  want = np.zeros((count, n))
  for j in range(count):
    cells = slice(j * n // count, -(-(j + 1) * n // count))
    want[j, cells] = 1.0
  want /= want.sum(1, keepdims=True)
  got = resize.matrix(n, count, method="area_torch")
  np.testing.assert_allclose(got, want, atol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40))
def test_torchs_nearest_reads_the_cell_of_the_lower_edge(n, count):
  matrix = resize.matrix(n, count, method="nearest_torch")
  np.testing.assert_array_equal(
    matrix, np.eye(n)[np.arange(count) * n // count]
  )


@pytest.mark.parametrize(
  "boundary, pad",
  [
    ("edge", "edge"),
    ("mirror", "symmetric"),
    ("reflect", "reflect"),
    ("wrap", "wrap"),
  ],
)
@given(st.integers(1, 9))
def test_fold_is_numpy_padding(boundary, pad, n):
  halo = 2 * n + 3  # twice around
  index = np.arange(-halo, n + halo)
  want = np.pad(np.arange(n), halo, mode=pad)
  np.testing.assert_array_equal(taps.fold(index, n, boundary), want)
  folded = taps.fold(jnp.asarray(index), n, boundary)
  np.testing.assert_array_equal(folded, want)


@given(
  st.integers(1, 12),
  st.lists(st.floats(-30.0, 30.0, width=32), min_size=1, max_size=6),
  _METHOD,
  _FOLD,
  st.floats(1.0, 5.0),
)
def test_weights_rows_sum_to_one(n, u, method, boundary, stretch):
  matrix = resize.weights(
    np.asarray(u), n, method=method, boundary=boundary, stretch=stretch
  )
  np.testing.assert_allclose(matrix.sum(-1), 1.0, atol=1e-12)


@given(
  st.integers(1, 12),
  st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6),
  st.sampled_from([m for m in taps.METHODS if m != "nearest_torch"]),
  st.floats(1.0, 5.0),
)
def test_dropped_rows_sum_to_one_within_the_axis(n, where, method, stretch):
  u = np.asarray(where) * (n - 1)
  options = dict(method=method, stretch=stretch)
  matrix = resize.weights(u, n, boundary="drop", **options)
  np.testing.assert_allclose(matrix.sum(-1), 1.0, atol=1e-12)


@given(
  st.integers(1, 12),
  st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=6),
  st.sampled_from([m for m in taps.METHODS if "nearest" not in m]),
)
def test_zero_is_a_field_with_zeros_around_it(n, u, method):
  u, halo = np.asarray(u), 40
  wide = resize.weights(u + halo, n + 2 * halo, method=method)
  got = resize.weights(u, n, method=method, boundary="zero")
  np.testing.assert_allclose(got, wide[:, halo : halo + n], atol=1e-10)


def test_nearest_with_zeros_around_has_the_outer_edges():
  u = np.asarray([-0.5001, -0.5, 0.2, 3.4999, 3.5, 3.5001])
  matrix = resize.weights(u, 4, method="nearest", boundary="zero")
  index = [0, 0, 0, 3, 3, 3]
  want = np.eye(4)[index] * np.asarray([0, 1, 1, 1, 1, 0])[:, None]
  np.testing.assert_array_equal(matrix, want)


@pytest.mark.parametrize("method", taps.METHODS)
@pytest.mark.parametrize("boundary", taps.BOUNDARIES)
def test_weights_traced_equal_numpy(method, boundary):
  reach = (1.0, 8.0) if boundary == "drop" else (-4.0, 12.0)
  u = np.random.default_rng(1).uniform(*reach, (3, 5)).astype(np.float32)
  options = dict(method=method, boundary=boundary)
  if method != "nearest":
    options["stretch"] = 1.75
  want = resize.weights(u.astype(np.float64), 9, **options)
  got = jax.jit(lambda u: resize.weights(u, 9, **options))(u)
  # Offsets of up to ten cells are rounded to 1e-6, kernels have slope 1.
  np.testing.assert_allclose(got, want, atol=5e-6)


@pytest.mark.parametrize("method", ["nearest", *taps.KERNELS])
@pytest.mark.parametrize(
  "boundary", [("edge", "wrap"), ("mirror", "edge"), ("zero", "drop")]
)
def test_sample_forms_agree_with_resize(method, boundary):
  x = jax.random.normal(_KEY, (2, 6, 7, 2))
  shape = (11, 16)
  options = dict(method=method, boundary=boundary)
  want = resize.resize(x, shape, **options)
  on_axes = resize.sample(x, grids.axes(shape), **options)
  points = jnp.asarray(grids.cell_centers(shape))
  on_points = resize.sample(x, points, **options)
  # float32 coordinates: 1e-6 cells.
  np.testing.assert_allclose(on_axes, want, atol=2e-5)
  np.testing.assert_allclose(on_points, want, atol=2e-5)


def test_sample_of_nodes_agrees_with_resize():
  x = jax.random.normal(_KEY, (2, 6, 7, 2))
  shape = (11, 16)
  options = dict(method="cubic_torch", registration="nodes")
  want = resize.resize(x, shape, antialias=False, **options)
  axes = grids.Axes(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape))
  for coords in (axes, grids.dense(axes)):
    got = resize.sample(x, coords, **options)
    # float32 coordinates: 1e-6 cells.
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_sample_has_points_of_each_example():
  x = jax.random.normal(_KEY, (2, 6, 7, 1))
  points = jax.random.uniform(_KEY, (2, 3, 4, 2), minval=-1.2, maxval=1.2)
  both = resize.sample(x, points, method="cubic")
  for b in range(2):
    one = resize.sample(x[b : b + 1], points[b], method="cubic")
    np.testing.assert_allclose(both[b], one[0], atol=1e-6)
  assert np.abs(both[0] - both[1]).max() > 0.1


def test_sample_wraps_across_the_seam():
  x = jax.random.normal(_KEY, (1, 4, 8, 1))
  coords = grids.Axes(grids.axis_centers(4), grids.axis_centers(24))
  beyond = coords._replace(x=coords.x + 2.0)  # once around
  options = dict(method="cubic", boundary=("edge", "wrap"))
  np.testing.assert_allclose(
    resize.sample(x, beyond, **options),
    resize.sample(x, coords, **options),
    atol=2e-5,  # float32 coordinates up to 3
  )


def test_apply_takes_a_matrix_of_each_example():
  x = jax.random.normal(_KEY, (2, 3, 4, 2))
  y, x_ = jax.random.normal(_KEY, (2, 5, 3)), jax.random.normal(_KEY, (2, 6, 4))
  got = resize.apply(x, y, x_)
  want = np.stack(
    [np.einsum("Hh,hwc,Ww->HWc", y[b], x[b], x_[b]) for b in (0, 1)]
  )
  np.testing.assert_allclose(got, want, atol=1e-5)  # float32 sums


def test_boundaries_wrap_periodic_axes():
  assert resize.boundaries((True, False), "mirror") == ("wrap", "mirror")


def test_unknown_names_raise():
  with pytest.raises(
    ValueError, match="unknown method 'cubik'; did you mean 'cubic'"
  ):
    resize.matrix(4, 8, method="cubik")
  with pytest.raises(
    ValueError, match="unknown boundary 'zeros'; did you mean 'zero'"
  ):
    resize.matrix(4, 8, method="linear", boundary="zeros")
  with pytest.raises(ValueError, match="unknown boundary 'drop'; .*edge"):
    taps.fold(np.arange(3), 2, "drop")
  with pytest.raises(ValueError, match="unknown registration 'node'; did you"):
    resize.matrix(4, 8, method="linear", registration="node")


def test_what_has_no_meaning_raises():
  with pytest.raises(
    ValueError, match="neither a scale nor cells: got scale=2"
  ):
    resize.matrix(4, 8, method="linear", registration="nodes", scale=2)
  with pytest.raises(ValueError, match="nor cells: got scale=None, 'area'"):
    resize.matrix(4, 8, method="area", registration="nodes")
  for method in taps.OF_CELLS:
    with pytest.raises(ValueError, match="cannot be read at points"):
      resize.sample(np.zeros((1, 4, 4, 1)), grids.axes((5, 5)), method=method)
