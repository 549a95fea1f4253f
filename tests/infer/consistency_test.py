"""Consistency: degrading gives the input back, in tiles as in the whole."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.core import grids
from hinote_jax.degradations import matrices
from hinote_jax.infer import consistency
from tests.degradations import axis
from tests.infer import smooth

_TEXTS = (
  "area",
  "uniform",
  "decimate(cubic)",
  "decimate(cubic, antialias)",
  "pillow",
  "blur(0.5)|decimate(cubic, antialias)",
)
_WALLS = (False, False)
_WHOLE = slice(None)


def _dense(text, fine_shape, coarse_shape, periodic):
  """Returns D as one dense matrix [h*w H*W], from a gather a coarse cell."""
  axes = []
  for n, m, is_periodic in zip(fine_shape, coarse_shape, periodic, strict=True):
    indices, matrix = axis.operator(
      degradations.parse(text), n, scale=n / m, count=m, is_periodic=is_periodic
    )
    axes.append(matrix @ (indices[:, None] == np.arange(n)))
  return np.kron(*axes)


def _tiles(shape, side):
  return [
    (slice(i, min(i + side, shape[0])), slice(j, min(j + side, shape[1])))
    for i in range(0, shape[0], side)
    for j in range(0, shape[1], side)
  ]


def _streamed(projection, highres, lowres, side):
  """Returns the projection of a field that is seen tile by tile."""
  residual, out = projection.residual(), np.empty_like(highres)
  tiles = _tiles(projection.fine_shape, side)
  for rows, columns in reversed(tiles):
    residual.add(rows, columns, highres[rows, columns])
  z = residual.solve(lowres)
  for rows, columns in tiles:
    tile = highres[rows, columns]
    out[rows, columns] = tile + projection.correction(rows, columns, z)
  return out


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("scale", [2.0, 3.7])
@pytest.mark.parametrize("periodic", [_WALLS, (False, True)])
def test_degrading_the_result_gives_the_input(text, scale, periodic):
  degradation, shape = degradations.parse(text), (13, 20)
  fine_shape = grids.scaled_shape(shape, scale)
  lowres, highres = smooth.field((*shape, 2)), smooth.field((*fine_shape, 2), 1)
  projection = consistency.Projection(degradation, fine_shape, shape, periodic)
  out = _streamed(projection, highres, lowres, 17)
  assert out.dtype == np.float32
  back = degradation.field(out, shape, periodic=periodic)
  assert np.abs(highres - out).max() > 1.0
  full = np.ptp(lowres, axis=(0, 1))
  assert np.all(np.abs(back - lowres).max((0, 1)) < 1e-5 * full)


@given(
  st.sampled_from(_TEXTS),
  st.tuples(st.integers(1, 5), st.integers(1, 6)),
  st.tuples(st.floats(1.0, 4.0), st.floats(1.0, 4.0)),
  st.tuples(st.booleans(), st.booleans()),
)
def test_result_is_the_nearest_of_the_consistent_fields(
  text, shape, scales, periodic
):
  fine = tuple(round(n * s) for n, s in zip(shape, scales, strict=True))
  lowres = smooth.field((*shape, 1)).astype(np.float64)
  highres = smooth.field((*fine, 1), 1).astype(np.float64)
  projection = consistency.Projection(
    degradations.parse(text), fine, shape, periodic, tolerance=1e-10
  )
  found = projection(highres, lowres)
  matrix = _dense(text, fine, shape, periodic)
  # The pseudo-inverse gives the smallest of all corrections.
  gap = (
    lowres - (matrix @ highres.reshape(-1, 1)).reshape(lowres.shape)
  ).ravel()
  want = highres + (np.linalg.pinv(matrix) @ gap).reshape(highres.shape)
  # At most 1e-7 of a gap of 40, over singular values down to 0.015.
  np.testing.assert_allclose(found, want, atol=3e-4)


def test_area_at_an_integer_scale_adds_what_each_block_lacks():
  lowres, highres = smooth.field((5, 7, 2)), smooth.field((15, 14, 2), 1)
  area = degradations.parse("area")
  found = consistency.Projection(area, (15, 14), (5, 7), _WALLS)(
    highres, lowres
  )
  blocks = highres.reshape(5, 3, 7, 2, 2).mean((1, 3), dtype=np.float64)
  lacking = (lowres - blocks).repeat(3, 0).repeat(2, 1)
  full = np.ptp(lowres)
  np.testing.assert_allclose(found, highres + lacking, atol=1e-5 * full)


def test_uniform_replaces_the_cells_that_it_reads():
  lowres, highres = smooth.field((5, 4, 1)), smooth.field((15, 20, 1), 1)
  uniform = degradations.parse("uniform")
  found = consistency.Projection(uniform, (15, 20), (5, 4), _WALLS)(
    highres, lowres
  )
  want = highres.copy()
  want[1::3, 2::5] = lowres
  np.testing.assert_allclose(found, want, atol=1e-5 * np.ptp(lowres))


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("side", [1, 7, 40])
def test_tiles_add_up_to_the_whole(text, side):
  lowres, highres = smooth.field((6, 9, 2)), smooth.field((22, 25, 2), 1)
  projection = consistency.Projection(
    degradations.parse(text), (22, 25), (6, 9), (False, True)
  )
  found = _streamed(projection, highres, lowres, side)
  # Both rounded to float32: half a unit in the last place of 280.
  np.testing.assert_allclose(found, projection(highres, lowres), atol=3.1e-5)


@pytest.mark.parametrize("text", _TEXTS)
def test_an_input_that_was_degraded_brings_the_truth_nearer(text):
  # Truth and result are both consistent: Pythagoras.
  truth, shape = smooth.field((30, 44, 1)), (8, 12)
  degradation, periodic = degradations.parse(text), (False, True)
  lowres = degradation.field(truth, shape, periodic=periodic)
  highres = smooth.field((30, 44, 1), 1)
  projection = consistency.Projection(degradation, (30, 44), shape, periodic)
  found = projection(highres, lowres)
  before, after, moved = (
    np.sum((a - b).astype(np.float64) ** 2)
    for a, b in ((highres, truth), (found, truth), (highres, found))
  )
  np.testing.assert_allclose(after + moved, before, rtol=1e-4)
  np.testing.assert_allclose(projection(truth, lowres), truth, atol=1e-3)


@pytest.mark.parametrize("text", _TEXTS)
def test_missing_cells_impose_nothing(text):
  fine, shape, periodic = (14, 20), (5, 7), (False, True)
  lowres = smooth.field((*shape, 2)).astype(np.float64)
  highres = smooth.field((*fine, 2), 1).astype(np.float64)
  lowres[np.random.default_rng(2).random(lowres.shape) < 0.5] = np.nan
  projection = consistency.Projection(
    degradations.parse(text), fine, shape, periodic, tolerance=1e-10
  )
  found = projection(highres, lowres)
  matrix = _dense(text, fine, shape, periodic)
  for i in range(2):
    known = ~np.isnan(lowres[..., i]).ravel()
    rows, before = matrix[known], highres[..., i].ravel()
    gap = lowres[..., i].ravel()[known] - rows @ before
    want = before + np.linalg.pinv(rows) @ gap
    # As above: dropping rows only raises the singular values.
    np.testing.assert_allclose(found[..., i].ravel(), want, atol=3e-4)


def test_a_channel_that_is_missing_everywhere_stays():
  lowres, highres = smooth.field((4, 5, 2)), smooth.field((8, 10, 2), 1)
  lowres[..., 1] = np.nan
  area = degradations.parse("area")
  found = consistency.Projection(area, (8, 10), (4, 5), _WALLS)(highres, lowres)
  np.testing.assert_array_equal(found[..., 1], highres[..., 1])
  assert np.abs(found[..., 0] - highres[..., 0]).max() > 1.0


def test_an_input_without_a_range_is_met():
  highres = smooth.field((11, 13, 1))
  cubic = degradations.parse("imresize")
  projection = consistency.Projection(cubic, (11, 13), (4, 5), _WALLS)
  found = projection(highres, np.full((4, 5, 1), 280.0))
  _, back = projection.degrade(_WHOLE, _WHOLE, found)
  np.testing.assert_allclose(back, 280.0, atol=1e-4)  # float32 of 280


def test_a_wide_blur_is_undone_as_far_as_the_input_asks():
  # The smallest singular value of an axis is 6e-4, of both 5e-7: the closed
  # form would take float32's rounding of the input for structure.
  text, shape, periodic = "blur(1.2)|decimate(linear)", (24, 30), (False, True)
  degradation, truth = degradations.parse(text), smooth.field((48, 60, 1))
  lowres = degradation.field(truth, shape, periodic=periodic)
  highres = truth + 0.3 * (smooth.field((48, 60, 1), 1) - 280.0)
  projection = consistency.Projection(degradation, (48, 60), shape, periodic)
  found = projection(highres, lowres)
  back = degradation.field(found, shape, periodic=periodic)
  assert np.abs(back - lowres).max() < 1e-5 * np.ptp(lowres)
  # The closed form leaves 0.34 of the error.
  assert np.std(found - truth) < 0.3 * np.std(highres - truth)


def test_what_no_correction_can_bring_back_is_said():
  lowres, highres = smooth.field((12, 12, 1)), smooth.field((24, 24, 1), 1)
  lowres += np.float32(10.0) * (np.indices((12, 12)).sum(0) % 2)[..., None]
  wide = degradations.parse("blur(3.0)|area")
  projection = consistency.Projection(wide, (24, 24), (12, 12), _WALLS)
  with pytest.raises(ValueError, match=r"blur\(3.0\)\|area takes to the inp"):
    projection(highres, lowres)


def test_cells_over_the_whole_extent_are_taken_as_lines():
  lowres, highres = smooth.field((6, 9, 1)), smooth.field((22, 25, 1), 1)
  options = (degradations.parse("imresize"),)
  lines = grids.cell_line(6, 22), grids.cell_line(9, 25)
  found = consistency.Projection.of_lines(
    *options, *lines, (6, 9), (False, True)
  )(highres, lowres)
  want = consistency.Projection(*options, (22, 25), (6, 9), (False, True))(
    highres, lowres
  )
  np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("text", _TEXTS)
def test_cells_may_begin_anywhere_on_a_ring(text):
  # The fine columns begin three coarse cells, or twelve fine ones, on.
  lowres, highres = smooth.field((6, 9, 1)), smooth.field((12, 36, 1), 1)
  degradation, periodic = degradations.parse(text), (False, True)
  y, x = grids.cell_line(6, 12), grids.cell_line(9, 36)
  turned = x._replace(first=x.first + 3.0)
  found = consistency.Projection.of_lines(
    degradation, y, turned, (6, 9), periodic
  )(np.roll(highres, -12, axis=1), lowres)
  want = consistency.Projection.of_lines(degradation, y, x, (6, 9), periodic)(
    highres, lowres
  )
  np.testing.assert_allclose(np.roll(found, 12, axis=1), want, atol=1e-4)


@pytest.mark.parametrize(
  "y, periodic",
  [
    (grids.node_line(6, 11), _WALLS),
    (grids.Line(0.75, 0.5, 4), _WALLS),
    (grids.Line(-0.25, 0.5, 11), (True, False)),
    (grids.Line(0.25, 0.5, 12), _WALLS),
  ],
)
def test_points_that_are_not_cells_of_the_whole_are_refused(y, periodic):
  x = grids.cell_line(9, 18)
  with pytest.raises(
    ValueError, match="--consistent needs .* whole extent of cells: along y"
  ):
    consistency.Projection.of_lines(
      degradations.parse("area"), y, x, (6, 9), periodic
    )


@pytest.mark.parametrize("text", _TEXTS)
def test_nodes_at_both_ends_are_met(text):
  lowres, highres = smooth.field((4, 6, 1)), smooth.field((9, 11, 1), 1)
  degradation, nodes = degradations.parse(text), (True, False)
  y, x = grids.node_line(4, 9), grids.cell_line(6, 11)
  projection = consistency.Projection.of_lines(
    degradation, y, x, (4, 6), (False, True), nodes=nodes
  )
  found = projection(highres, lowres)
  _, back = projection.degrade(_WHOLE, _WHOLE, found)
  assert np.abs(back - lowres).max() < 1e-5 * np.ptp(lowres)
  with pytest.raises(ValueError, match="whole extent of cells: along y"):
    consistency.starts(y._replace(first=0.5), x, (4, 6), _WALLS, nodes)


def test_the_outer_cells_of_nodes_are_half_as_wide():
  area = degradations.parse("area")
  (y,), _ = matrices.whole(area, (5, 2), (3, 2), _WALLS, nodes=(True, False))
  want = [[0.5, 0.5, 0, 0, 0], [0, 0.25, 0.5, 0.25, 0], [0, 0, 0, 0.5, 0.5]]
  np.testing.assert_allclose(y.toarray(), want, atol=1e-12)


def test_misuse_is_refused():
  area = degradations.parse("area")
  with pytest.raises(ValueError, match="at least as fine as the input"):
    consistency.Projection(area, (5, 20), (6, 9), _WALLS)
  projection = consistency.Projection(area, (12, 18), (6, 9), _WALLS)
  residual = projection.residual()
  residual.add(slice(0, 7), _WHOLE, smooth.field((7, 18, 1)))
  with pytest.raises(
    ValueError, match="hold 126 cells, the fine field has 216"
  ):
    residual.solve(smooth.field((6, 9, 1)))
  residual.add(slice(7, 12), _WHOLE, smooth.field((5, 18, 1)))
  with pytest.raises(ValueError, match=r"shape \(6, 9, 2\), the degraded"):
    residual.solve(smooth.field((6, 9, 2)))
  with pytest.raises(ValueError, match="before its missing cells are put back"):
    projection(np.full((12, 18, 1), np.nan), smooth.field((6, 9, 1)))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9))
def test_mean_of_tiles_is_the_mean(h, w, side):
  values = smooth.field((h, w, 2))
  values[np.random.default_rng(3).random(values.shape) < 0.3] = np.nan
  values[0, 0] = 285.0
  mean = consistency.Mean()
  for rows, columns in _tiles((h, w), side):
    mean.add(values[rows, columns])
  want = np.nanmean(values.astype(np.float64), axis=(0, 1))
  np.testing.assert_allclose(mean.value(), want, rtol=1e-13)


def test_shift_gives_the_mean_of_the_input():
  lowres = smooth.field((9, 12, 3))
  highres = smooth.field((33, 45, 3), 1) + np.float32(4.0)
  lowres[2:5, 3:6, 0] = np.nan
  highres[7:18, 11:22, 0] = np.nan
  lowres[..., 2] = np.nan
  mean = consistency.Mean()
  mean.add(highres)
  shift = mean.shift(lowres)
  shifted = (highres + shift).astype(np.float32)
  found = np.nanmean(shifted.astype(np.float64), axis=(0, 1))
  want = np.nanmean(lowres[..., :2].astype(np.float64), axis=(0, 1))
  full = np.nanmax(lowres[..., :2]) - np.nanmin(lowres[..., :2])
  np.testing.assert_allclose(found[:2], want, atol=1e-6 * full)
  assert shift[2] == 0.0
