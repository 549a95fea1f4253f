"""Axes whose bounds say more than their positions, and longitudes that jump."""

import numpy as np
import pytest

from hinote_jax.fields import axes

_of = axes.Axis.of


def _pairs(edges):
  return np.stack([edges[:-1], edges[1:]], axis=-1)


def test_half_cells_at_the_poles_stay_half_cells():
  # GISS and GEOS-Chem: 4 degrees, and 2 at the poles, given by middles.
  edges = np.concatenate([[-90.0], np.arange(-88.0, 89.0, 4.0), [90.0]])
  middles = _pairs(edges).mean(1)
  axis = _of("lat", middles, "degrees_north", bounds=_pairs(edges))
  assert (axis.registration, axis.is_even) == ("nodes", True)
  np.testing.assert_allclose(axis.labels(), middles)
  np.testing.assert_allclose(axis.bounds(), _pairs(edges))
  fine, _ = axis.refined(axis.scaled(2))
  np.testing.assert_allclose(fine.labels()[:3], [-89.5, -88.0, -86.0])
  np.testing.assert_allclose(fine.bounds()[:2], [[-90, -89], [-89, -87]])
  np.testing.assert_allclose(fine.bounds()[-1], [89, 90])


def test_nodes_are_known_by_their_bounds():
  values = np.arange(10.0, 50.0, 10.0)
  edges = np.asarray([10.0, 15.0, 25.0, 35.0, 40.0])
  axis = _of("lat", values, "degrees_north", bounds=_pairs(edges))
  assert axis.registration == "nodes" and axis.label is None
  np.testing.assert_allclose(axis.bounds(), _pairs(edges))


@pytest.mark.parametrize("label", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_positions_stay_where_they_are_in_their_cells(label, turn):
  edges = turn * np.arange(0.0, 361.0, 30.0)
  bounds = _pairs(edges)
  values = edges[:-1] + label * np.diff(edges)
  axis = _of("lon", values, "degrees_east", bounds=bounds)
  assert axis.is_periodic
  fine, _ = axis.refined(24)
  finer = turn * np.arange(0.0, 361.0, 15.0)
  np.testing.assert_allclose(fine.bounds(), _pairs(finer), atol=1e-9)
  want = finer[:-1] + label * np.diff(finer)
  np.testing.assert_allclose(fine.labels(), want, atol=1e-9)


def test_bounds_that_say_nothing_are_passed_by():
  values = np.arange(4.0)
  for bounds in (
    np.zeros((4, 2)),
    np.ones((3, 2)),
    _pairs(np.asarray([0.0, 1.0, 5.0, 6.0, 7.0])),
    np.stack([values, values + 0.5], axis=-1),
  ):
    axis = _of("y", values, "m", bounds=bounds)
    assert axis.registration == "cells" and axis.label is None
    np.testing.assert_array_equal(axis.labels(), values)


def test_longitudes_jump_where_they_did():
  axis = _of("lon", [350.0, 355.0, 0.0, 5.0], "degrees_east")
  np.testing.assert_array_equal(axis.values, [350, 355, 360, 365])
  fine, _ = axis.refined(8)
  want = [348.75, 351.25, 353.75, 356.25, 358.75, 1.25, 3.75, 6.25]
  np.testing.assert_allclose(fine.labels(), want)
  np.testing.assert_allclose(fine.bounds()[4:6], [[357.5, 360], [0, 2.5]])
  target = _of("x", [175.0, 177.5, -180.0, -177.5], "degrees_east")
  globe = _of("lon", np.arange(0.0, 360.0, 5.0), "degrees_east")
  onto, line, _ = globe.onto(target)
  np.testing.assert_array_equal(onto.labels(), [175, 177.5, -180, -177.5])
  np.testing.assert_allclose(line.index(), [35.0, 35.5, 36.0, 36.5])
