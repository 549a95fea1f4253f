"""The eight transforms: a group, and what it does to grids and windows."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax.core import grids, resize, symmetries

_TRANSFORM = st.sampled_from(symmetries.EIGHT)


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _interpolated(values, y, x, periodic):
  """Returns a float64 field [h w c] at the lines, by cubic convolution."""
  rules = resize.boundaries(periodic, "edge")
  along_y, along_x = (
    resize.weights(line.index(), n, method="cubic", boundary=rule)
    for line, n, rule in zip((y, x), values.shape[:2], rules, strict=True)
  )
  return np.einsum("Hh,Ww,hwc->HWc", along_y, along_x, values)


@given(_TRANSFORM, st.integers(1, 6), st.integers(1, 6))
def test_undo_undoes_apply(transform, h, w):
  values = _field((2, h, w, 3))
  turned = transform.apply(values)
  assert turned.shape == (2, *transform.shape((h, w)), 3)
  np.testing.assert_array_equal(transform.undo(turned), values)
  np.testing.assert_array_equal(transform.apply(transform.undo(turned)), turned)


def test_the_eight_are_the_group_of_the_square():
  values = _field((4, 4, 1))
  images = [t.apply(values).tobytes() for t in symmetries.EIGHT]
  assert len(set(images)) == 8
  assert np.rot90(values).tobytes() in images
  for first in symmetries.EIGHT:
    for second in symmetries.EIGHT:
      assert second.apply(first.apply(values)).tobytes() in images


@given(_TRANSFORM, st.data())
def test_window_of_the_transformed_result_holds_the_window(transform, data):
  shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
  values = _field((*shape, 1))
  rows, columns = (
    slice(*sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))))
    for n in shape
  )
  part = transform.apply(values)[transform.window(rows, columns, shape)]
  np.testing.assert_array_equal(transform.undo(part), values[rows, columns])


def test_window_takes_open_ends_and_refuses_strides():
  flip = symmetries.Transform(flips_y=True)
  assert flip.window(slice(None), slice(3), (5, 7)) == (slice(0, 5), slice(3))
  assert flip.window(slice(-2, None), slice(3), (5, 7))[0] == slice(0, 2)
  with pytest.raises(ValueError, match="steps of 1, got slice"):
    flip.window(slice(0, 4, 2), slice(3), (5, 7))


@given(st.floats(-2.0, 2.0), st.floats(0.1, 2.0), st.integers(1, 9), _TRANSFORM)
def test_lines_mirror_index_u_to_n_minus_one_minus_u(
  first, step, count, transform
):
  y, x = grids.Line(first, step, count), grids.Line(0.25, 0.5, 4)
  turned = transform.lines(y, x, (6, 5))
  if transform.transposes:
    turned = turned[::-1]
  flips = (transform.flips_y, transform.flips_x)
  for line, before, n, is_flipped in zip(
    turned, (y, x), (6, 5), flips, strict=True
  ):
    want = before.index()
    want = (n - 1 - want)[::-1] if is_flipped else want
    np.testing.assert_allclose(line.index(), want, atol=1e-12)
    assert line.step > 0


def test_periodic_and_shape_change_places():
  turn = symmetries.Transform(flips_x=True, transposes=True)
  assert turn.periodic((False, True)) == (True, False)
  assert turn.shape((4, 7)) == (7, 4)
  assert symmetries.Transform(True, True).periodic((False, True)) == (
    False,
    True,
  )


@pytest.mark.parametrize("transform", symmetries.EIGHT, ids=str)
@pytest.mark.parametrize(
  "y, x",
  [
    (grids.cell_line(6, 16), grids.cell_line(9, 11)),
    (grids.node_line(6, 9), grids.cell_line(9, 20)),
    (grids.Line(1.3, 0.21, 7), grids.Line(-1.7, 0.37, 12)),
  ],
)
def test_interpolation_through_a_transform_is_the_interpolation(
  transform, y, x
):
  values, periodic = _field((6, 9, 2)), (False, True)
  turned = _interpolated(
    transform.apply(values),
    *transform.lines(y, x, values.shape[:2]),
    transform.periodic(periodic),
  )
  want = _interpolated(values, y, x, periodic)
  np.testing.assert_allclose(transform.undo(turned), want, atol=1e-12)


def test_sampling_through_every_transform_agrees():
  values, periodic = _field((5, 8, 1)).astype(np.float32), (True, False)
  y, x = grids.cell_line(5, 13), grids.cell_line(8, 20)

  def sample(values, y, x, periodic):
    h, w, _ = values.shape
    fine = resize.sample(
      values[None],
      grids.Axes(y.coords(h), x.coords(w)),
      method="cubic",
      boundary=resize.boundaries(periodic, "edge"),
    )
    return np.asarray(fine[0])

  want = sample(values, y, x, periodic)
  for transform in symmetries.EIGHT:
    turned = sample(
      transform.apply(values),
      *transform.lines(y, x, (5, 8)),
      transform.periodic(periodic),
    )
    # float32 coordinates: 6e-8 of the extent is 5e-7 cells of 8.
    np.testing.assert_allclose(transform.undo(turned), want, atol=5e-6)
