"""Tests of axes: refined positions in closed form, poles, bounds, targets."""

from hypothesis import assume, given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax.fields import axes

_SCALE = st.floats(1.0, 6.0)


def _line(first, step, n, **options):
  return axes.Axis.of("y", first + step * np.arange(n), "m", **options)


def _latitude(n, south_first=False, dtype=np.float64, **options):
  values = np.linspace(90.0, -90.0, n).astype(dtype)
  values = values[::-1] if south_first else values
  return axes.Axis.of("lat", values, "degrees_north", **options)


@given(
  st.floats(-1e3, 1e3),
  st.floats(0.1, 50.0),
  st.booleans(),
  st.integers(2, 40),
  _SCALE,
)
def test_fine_cells_divide_the_extent(first, step, is_falling, n, scale):
  step = -step if is_falling else step
  axis = _line(first, step, n)
  count = axis.scaled(scale)
  fine, line = axis.refined(count)
  assert count == np.floor(n * scale + 0.5)
  # The extent of n steps, cut in `count`; the centres of what comes.
  width = n * step / count
  want = first - 0.5 * step + width * (np.arange(count) + 0.5)
  np.testing.assert_allclose(
    fine.values, want, atol=1e-9 * n * abs(step) + 1e-9
  )
  np.testing.assert_allclose(fine.extent, axis.extent, atol=1e-9 * 3e3)
  np.testing.assert_allclose(first + step * line.index(), want, atol=1e-9 * 3e3)


@given(st.floats(-1e3, 1e3), st.floats(0.1, 50.0), st.integers(2, 40), _SCALE)
def test_fine_nodes_run_from_end_to_end(first, step, n, scale):
  axis = _line(first, step, n, registration="nodes")
  count = axis.scaled(scale)
  fine, _ = axis.refined(count)
  assert count == np.floor((n - 1) * scale + 0.5) + 1
  want = np.linspace(axis.values[0], axis.values[-1], count)
  np.testing.assert_allclose(fine.values, want, atol=1e-9 * 3e3)
  assert fine.values[0] == axis.values[0] and fine.extent == axis.extent


@pytest.mark.parametrize("scale", [1.0, 2.0, np.pi, 3.7])
@pytest.mark.parametrize("n", [2, 7, 19, 73, 181, 721])
@pytest.mark.parametrize("south_first", [False, True])
def test_poles_stay_poles(n, scale, south_first):
  axis = _latitude(n, south_first, np.float32)
  assert axis.registration == "nodes" and not axis.is_periodic
  fine, _ = axis.refined(axis.scaled(scale))
  north = -1 if south_first else 0
  assert fine.values[north] == 90.0 and fine.values[-1 - north] == -90.0
  assert np.abs(fine.values).max() == 90.0
  np.testing.assert_allclose(np.diff(fine.values), fine.step, atol=1e-10)


def test_poles_that_rounding_has_moved_are_put_back():
  values = np.linspace(90.0, -90.0, 181)
  values[[0, -1]] = 90.0004, -89.9996
  axis = axes.Axis.of("lat", values, "degrees_north")
  assert axis.registration == "nodes"
  np.testing.assert_array_equal(axis.values[[0, -1]], [90.0, -90.0])


def test_nothing_is_placed_beyond_a_pole():
  # The cell of one pole reaches across it.
  values = np.linspace(90.0, 0.0, 91)
  axis = axes.Axis.of("lat", values, "degrees_north")
  assert axis.registration == "cells"
  with pytest.raises(ValueError, match="lat 90.36.* beyond the pole.* nodes"):
    axis.refined(axis.scaled(3.7))
  fine, _ = axis.registered("nodes", False).refined(361)
  np.testing.assert_allclose(fine.values, np.linspace(90.0, 0.0, 361))
  with pytest.raises(ValueError, match="beyond the pole"):
    _latitude(19, registration="cells").refined(57)
  with pytest.raises(ValueError, match="a.nc: lat 91 at index 0 lies beyond"):
    axes.Axis.of("lat", [91.0, 90.0], "degrees_north", where="a.nc")


def test_centres_between_the_poles_stay_between_them():
  axis = axes.Axis.of("lat", np.arange(-88.75, 90.0, 2.5), "degrees_north")
  assert axis.registration == "cells"
  fine, _ = axis.refined(axis.scaled(3.7))
  assert np.abs(fine.values).max() < 90.0
  np.testing.assert_allclose(fine.extent, (-90.0, 90.0), atol=1e-12)


@pytest.mark.parametrize(
  "values, units, is_periodic",
  [
    (np.arange(0.0, 360.0, 2.5), "degrees_east", True),
    (np.arange(180.0, -180.0, -1.0), "degrees_east", True),
    (np.arange(0.0, 360.0, 0.1).astype(np.float32), "degrees_east", True),
    (np.arange(0.0, 361.0, 1.0), "degrees_east", False),
    (np.arange(0.0, 90.0, 1.0), "degrees_east", False),
    (np.arange(0.0, 360.0, 2.5), "m", False),
  ],
)
def test_longitude_once_around_is_periodic(values, units, is_periodic):
  axis = axes.Axis.of("x", values, units)
  assert (axis.is_periodic, axis.registration) == (is_periodic, "cells")
  fine, line = axis.refined(axis.scaled(3.7))
  assert fine.is_periodic == is_periodic
  part = axis.at(line._replace(count=line.count // 2))
  assert not part.is_periodic
  assert not axis.registered("nodes", False).is_periodic


def test_longitudes_that_jump_are_unrolled():
  values = (np.arange(0.0, 360.0, 2.5) + 180.0) % 360.0 - 180.0
  axis = axes.Axis.of("lon", values, "degrees_east")
  np.testing.assert_array_equal(axis.values, np.arange(0.0, 360.0, 2.5))
  assert axis.is_periodic
  region = axes.Axis.of("lon", [178.0, 179.0, -180.0, -179.0], "degrees_east")
  np.testing.assert_array_equal(region.values, [178.0, 179.0, 180.0, 181.0])
  assert not region.is_periodic


@pytest.mark.parametrize(
  "values, message",
  [
    ([0, 1, 3, 2], "a.nc: y is unsorted, 3 at index 2 and 2 at 3"),
    ([5, 4, 4, 3], "y is unsorted, 4 at index 1 and 4 at 2"),
    ([0, 1, 2, 3.02], r"y is uneven, 2 at index 2 and 3\.02 at 3 .* are 1"),
    ([0, 1, 2, 4, 8], "y is uneven, 4 at index 3 and 8 at 4"),
    ([0, np.nan], r"y of shape \(2,\) must be one row of finite"),
    ([[0, 1]], r"y of shape \(1, 2\) must be one row"),
    ([], r"y of shape \(0,\) must be one row"),
  ],
)
def test_bad_positions_are_refused(values, message):
  with pytest.raises(ValueError, match=message):
    axes.Axis.of("y", np.asarray(values), "m", where="a.nc")


def test_one_percent_and_rounding_are_even():
  axes.Axis.of("y", [0.0, 1.0, 2.0, 3.009], "m")
  # At 179 the grain of float32 is 4 % of such a step.
  values = (179.0 + 0.0004 * np.arange(1000)).astype(np.float32)
  assert np.abs(np.diff(values.astype(float)) / 0.0004 - 1).max() > 0.01
  axes.Axis.of("lon", values, "degrees_east")


def test_registrations_are_named():
  with pytest.raises(ValueError, match="'node' of y; did you mean 'nodes'"):
    _line(0.0, 1.0, 3, registration="node")
  with pytest.raises(ValueError, match="cannot be periodic and have nodes"):
    _line(0.0, 1.0, 3, registration="nodes", is_periodic=True)


@given(
  st.floats(-1e3, 1e3),
  st.floats(-20.0, 20.0),
  st.integers(2, 30),
  st.sampled_from(axes.REGISTRATIONS),
)
def test_bounds_tile_the_extent(first, step, n, registration):
  assume(abs(step) > 0.1)
  axis = _line(first, step, n, registration=registration)
  bounds = axis.bounds()
  np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
  np.testing.assert_allclose(bounds[[0, -1], [0, 1]], axis.extent)
  # Every position is within its own cell, half a step from inner edges.
  inner = np.abs(bounds[1:-1] - axis.values[1:-1, None])
  np.testing.assert_allclose(inner, 0.5 * abs(step), atol=1e-9)
  assert np.all(
    (axis.values - bounds[:, 0]) * (bounds[:, 1] - axis.values) >= 0
  )
  assert np.all(np.diff(bounds, axis=1) * step > 0)


def test_bounds_end_at_the_poles():
  fine, _ = _latitude(19).refined(67)
  bounds = fine.bounds()
  assert bounds[0, 0] == 90.0 and bounds[-1, 1] == -90.0
  np.testing.assert_allclose(np.abs(np.diff(bounds[[0, -1]])), fine.step / -2)
  cells = axes.Axis.of("lat", np.arange(-88.75, 90.0, 2.5), "degrees_north")
  fine, _ = cells.refined(cells.scaled(3.7))
  np.testing.assert_array_equal(fine.bounds()[[0, -1], [0, 1]], [-90.0, 90.0])


@given(st.integers(2, 30), _SCALE, st.sampled_from(axes.REGISTRATIONS))
def test_onto_the_refined_axis_is_its_line(n, scale, registration):
  axis = _line(7.0, -0.3, n, registration=registration)
  count = axis.scaled(scale)
  fine, want = axis.refined(count)
  found, line, is_flipped = axis.onto(fine)
  assert not is_flipped and line.count == count
  np.testing.assert_allclose(line.index(), want.index(), atol=1e-9)
  np.testing.assert_array_equal(found.values, fine.values)


@given(
  st.integers(3, 20), st.integers(2, 9), st.floats(0.2, 1.0), st.booleans()
)
def test_onto_says_where_positions_lie(n, count, part, is_flipped):
  axis = _line(10.0, 2.0, n)
  first = 0.1 * n
  step = min(part, 0.6 * n / count)
  values = 10.0 + 2.0 * (first + step * np.arange(count))
  values = values[::-1] if is_flipped else values
  other = axes.Axis.of("other", values, "m", attributes={"a": 1})
  found, line, flipped = axis.onto(other)
  assert flipped == is_flipped and line.step > 0
  places = 10.0 + 2.0 * line.index()
  np.testing.assert_allclose(places[::-1] if flipped else places, values)
  np.testing.assert_array_equal(found.values, values)
  assert (found.name, found.attributes) == ("y", {})


@pytest.mark.parametrize(
  "first, step, count, want",
  [
    (-180.0, 1.0, 360, 90.0),  # the same globe from the other side
    (180.0, -0.5, 720, 90.25),  # and the other way: it begins at -179.5
    (350.0, 1.0, 20, 175.0),  # across the seam
    (-10.0, 1.0, 20, 175.0),
    (0.5, 1.0, 360, 0.25),
    (-0.5, 1.0, 360, -0.25),  # half a fine cell before the first
  ],
)
def test_onto_goes_around_the_globe(first, step, count, want):
  axis = axes.Axis.of("lon", np.arange(0.0, 360.0, 2.0), "degrees_east")
  other = axes.Axis.of(
    "longitude", first + step * np.arange(count), "degrees_east"
  )
  found, line, is_flipped = axis.onto(other)
  assert is_flipped == (step < 0) and found.is_periodic == (count > 300)
  assert line.first == pytest.approx(want) and line.step == abs(step) / 2.0
  there = other.values[::-1] if is_flipped else other.values
  off = 2.0 * line.index() - there
  np.testing.assert_allclose(off, 360.0 * np.rint(off / 360.0), atol=1e-9)


def test_onto_compares_regions_modulo_a_turn():
  axis = axes.Axis.of("lon", np.arange(350.0, 371.0), "degrees_east")
  other = axes.Axis.of("lon", np.arange(-5.0, 5.0, 0.5), "degrees_east")
  found, line, _ = axis.onto(other)
  assert (line.first, line.step) == (5.0, 0.5)
  np.testing.assert_array_equal(found.values, other.values)


def test_onto_cells_that_are_counted_is_the_same_extent():
  axis, other = axes.counted("y", 10), axes.counted("row", 37)
  found, line, is_flipped = axis.onto(other)
  fine, want = axis.refined(37)
  np.testing.assert_array_equal(found.values, fine.values)
  assert line == want and not is_flipped
  with pytest.raises(ValueError, match="a scale of 0.9: the scale must not be"):
    axis.onto(axes.counted("row", 9))


@pytest.mark.parametrize(
  "values, units, message",
  [
    (np.arange(9.4, 20.0, 0.5), "m", "9.4 to 19.9, reaches .* 9.5 to 19.5"),
    (np.arange(20.0, 9.0, -0.5), "m", "y of the target, 20 to 9.5"),
    (np.arange(10.0, 19.0, 1.5), "m", r"coarser .* a scale of 0\.667"),
    (np.arange(10.0, 19.0), "km", "y is in 'm' and other of .* in 'km'"),
  ],
)
def test_other_grids_must_fit(values, units, message):
  axis = _line(10.0, 1.0, 10)
  with pytest.raises(ValueError, match=message):
    axis.onto(axes.Axis.of("other", values, units))


def test_nodes_end_at_their_nodes():
  nodes = _line(0.0, 1.0, 10, registration="nodes")
  with pytest.raises(ValueError, match="-0.25 to 9.25, reaches .* 0 to 9:"):
    nodes.onto(axes.Axis.of("y", np.arange(-0.25, 9.5, 0.5), "m"))
  _, line, _ = nodes.onto(axes.Axis.of("y", np.arange(0.0, 9.1, 0.5), ""))
  assert (line.first, line.step, line.count) == (0.0, 0.5, 19)
