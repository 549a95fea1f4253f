"""Missing values: harmonic filling, and the mask on a finer grid."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax.core import grids, resize
from hinote_jax.infer import masks

_WALLS = (False, False)


def _field(shape, seed=0, kind=np.float64):
  values = np.random.default_rng(seed).normal(280.0, 10.0, shape)
  return values.astype(kind)


def _holes(values, share, seed=1):
  """Returns the field with a share of its cells missing, one known at least."""
  values = values.copy()
  missing = np.random.default_rng(seed).random(values.shape) < share
  missing.reshape(-1, values.shape[-1])[0] = False
  values[missing] = np.nan
  return values


def _dense_harmonic(values, periodic):
  """Solves Laplace's equation in one channel [h w], cell by cell, dense."""
  missing = np.isnan(values)
  number = {tuple(at): i for i, at in enumerate(np.argwhere(missing))}
  matrix, target = np.zeros((len(number),) * 2), np.zeros(len(number))
  for at, i in number.items():
    for axis in (0, 1):
      for step in (-1, 1):
        beside = list(at)
        beside[axis] += step
        n = values.shape[axis]
        if periodic[axis] and n > 1:
          beside[axis] %= n
        if not 0 <= beside[axis] < n:
          continue
        matrix[i, i] += 1.0
        if tuple(beside) in number:
          matrix[i, number[tuple(beside)]] -= 1.0
        else:
          target[i] += values[tuple(beside)]
  out = values.copy()
  out[missing] = np.linalg.solve(matrix, target)
  return out


@given(
  st.integers(1, 9),
  st.integers(1, 12),
  st.booleans(),
  st.booleans(),
  st.floats(0.0, 0.95),
  st.integers(0, 1000),
)
def test_fill_is_harmonic(h, w, over_y, over_x, share, seed):
  values, periodic = _holes(_field((h, w, 1)), share, seed), (over_y, over_x)
  filled = masks.fill(values, periodic)[..., 0]
  want = _dense_harmonic(values[..., 0], periodic)
  full = np.nanmax(values) - np.nanmin(values)
  np.testing.assert_allclose(filled, want, atol=1e-5 * full + 1e-10)


@pytest.mark.parametrize("coarsest", [400, 10])
@pytest.mark.parametrize("periodic", [_WALLS, (False, True)])
def test_fill_by_levels_is_harmonic_to_its_tolerance(
  monkeypatch, coarsest, periodic
):
  # More unknowns than the coarsest level holds; 10 makes three levels.
  monkeypatch.setattr(masks, "_COARSEST", coarsest)
  values = _field((31, 47, 1))
  values[4:25, 3:44] = np.nan
  values[:, 30] = np.nan
  values[12:15, 20:24] = 300.0
  filled = masks.fill(values, periodic)[..., 0]
  want = _dense_harmonic(values[..., 0], periodic)
  full = np.nanmax(values) - np.nanmin(values)
  np.testing.assert_allclose(filled, want, atol=1e-5 * full)


def test_fill_between_two_columns_is_linear_and_level_at_walls():
  values = np.full((5, 12, 1), np.nan)
  values[:, 2], values[:, 7] = 10.0, 20.0
  want = 10.0 + 2.0 * np.clip(np.arange(12) - 2.0, 0.0, 5.0)
  filled = masks.fill(values, _WALLS)
  np.testing.assert_allclose(filled[..., 0], np.tile(want, (5, 1)), atol=1e-4)
  # Around the ring the way back from 20 to 10 takes seven cells.
  around = masks.fill(values, (False, True))[0, :, 0]
  want[8:] = 20.0 - 10.0 / 7.0 * np.arange(1, 5)
  want[:2] = 10.0 + 10.0 / 7.0 * np.arange(2, 0, -1)
  np.testing.assert_allclose(around, want, atol=1e-4)


@given(
  st.integers(2, 30),
  st.integers(2, 30),
  st.floats(0.0, 0.99),
  st.sampled_from([np.float32, np.float64]),
)
def test_fill_keeps_known_bits_type_and_range(h, w, share, kind):
  values = _holes(_field((h, w, 2), kind=kind) - 280.0, share)
  values[0, 0] = -0.0
  given_values = values.copy()
  filled = masks.fill(values, (False, True))
  known = ~np.isnan(values)
  assert filled.dtype == kind and np.isfinite(filled).all()
  assert filled[known].tobytes() == values[known].tobytes()
  low, high = np.nanmin(values, (0, 1)), np.nanmax(values, (0, 1))
  assert np.all(filled >= low) and np.all(filled <= high)
  np.testing.assert_array_equal(values, given_values)


def test_fill_takes_each_channel_for_itself():
  values = _holes(_field((12, 15, 4)), 0.6)
  values[..., 2] = np.where(np.isnan(values[..., 0]), np.nan, 250.0)
  values[..., 3] = 1.0
  filled = masks.fill(values, (True, False))
  for i in range(4):
    alone = masks.fill(values[..., i : i + 1], (True, False))
    # Channels that are missing together are stopped each at its tolerance.
    np.testing.assert_allclose(filled[..., i], alone[..., 0], atol=1e-5)
  np.testing.assert_array_equal(filled[..., 2], 250.0)


def test_fill_refuses_channels_without_values():
  values = _field((4, 5, 2))
  values[..., 1] = np.nan
  with pytest.raises(ValueError, match="channel 1 of the field is missing ev"):
    masks.fill(values, _WALLS)
  with pytest.raises(ValueError, match="channel 1 .'sst'. of the field"):
    masks.fill(values, _WALLS, ("t2m", "sst"))
  values[0, 0, 1] = np.inf
  with pytest.raises(ValueError, match="channel 1 of .* infinite values"):
    masks.fill(values, _WALLS)


def _mask(shape, seed=0):
  return np.random.default_rng(seed).random(shape) < 0.4


@given(
  st.integers(1, 12), st.integers(1, 12), st.integers(1, 50), st.integers(1, 50)
)
def test_restore_reads_the_coarse_cell_around_each_centre(h, w, fine_h, fine_w):
  mask = _mask((h, w, 2))
  # In whole numbers: centre j of N cells lies in cell (2 j + 1) n // (2 N).
  iy = (2 * np.arange(fine_h) + 1) * h // (2 * fine_h)
  ix = (2 * np.arange(fine_w) + 1) * w // (2 * fine_w)
  lines = grids.cell_line(h, fine_h), grids.cell_line(w, fine_w)
  found = masks.restore(mask, *lines, _WALLS)
  np.testing.assert_array_equal(found, mask[iy][:, ix])


def test_restore_follows_nearest_interpolation():
  mask = _mask((7, 9, 1))
  value = resize.resize(
    mask[None].astype(np.float32), (26, 13), method="nearest"
  )
  lines = grids.cell_line(7, 26), grids.cell_line(9, 13)
  found = masks.restore(mask, *lines, _WALLS)
  np.testing.assert_array_equal(found, np.asarray(value[0]) == 1.0)


@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 33))
def test_restore_of_a_window_is_the_window_of_the_whole(start, stop, column):
  mask, periodic = _mask((7, 9, 2)), (False, True)
  y, x = grids.cell_line(7, 26), grids.Line(-0.9, 9 / 34, 34)
  rows, columns = slice(start, stop), slice(column, None)
  whole = masks.restore(mask, y, x, periodic)
  found = masks.restore(mask, y, x, periodic, rows=rows, columns=columns)
  np.testing.assert_array_equal(found, whole[rows, columns])


def test_restore_of_points_that_are_nodes_or_lie_over_the_date_line():
  mask = np.zeros((1, 4, 1), bool)
  mask[0, 3] = True
  y = grids.cell_line(1, 1)
  nodes = masks.restore(mask, y, grids.node_line(4, 7), _WALLS)
  # At 0, 0.5 .. 3: the tie at 2.5 goes up.
  np.testing.assert_array_equal(nodes[0, :, 0], [0, 0, 0, 0, 0, 1, 1])
  around = grids.Line(-1.0, 0.5, 4)
  over = masks.restore(mask, y, around, (False, True))
  np.testing.assert_array_equal(over[0, :, 0], [1, 0, 0, 0])
  wall = masks.restore(mask, y, around, _WALLS)
  assert not wall.any()
