"""What is done to planes, tile by tile, against the whole."""

from hypothesis import given, settings
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from hinote_jax.core import resize
from hinote_jax.lazy import plane_ops, streaming
from hinote_jax.nn import blocks
from tests.infer import networks

_SHAPE = st.tuples(st.integers(1, 13), st.integers(1, 13))
_PERIODIC = st.tuples(st.booleans(), st.booleans())
_SIDE = st.integers(1, 9)


def _field(shape, channels=1, seed=0):
  random = np.random.default_rng(seed)
  return random.uniform(-1.0, 1.0, (1, *shape, channels)).astype(np.float32)


@settings(max_examples=40)
@given(
  st.sampled_from(("linear", "cubic", "sinc")),
  st.sampled_from(("edge", "mirror", "reflect", "drop", "zero")),
  st.sampled_from(resize.REGISTRATIONS),
  st.booleans(),
  _PERIODIC,
  _SHAPE,
  st.tuples(st.integers(1, 25), st.integers(1, 25)),
  _SIDE,
)
def test_resampled_tiles_are_those_of_resize(
  method, wall, registration, antialias, periodic, shape, fine, side
):
  if registration == "nodes":  # a circle has no ends
    periodic = (False, False)
  x = _field(shape)
  options = dict(method=method, antialias=antialias, registration=registration)
  run = streaming.Stream(1e9, side=side)
  plane = run.hold(x, periodic)
  want = np.float64(x[0, ..., 0])
  # There and back, so that the second reads around windows of the first.
  for start, end in ((shape, fine), (fine, shape)):
    plane = plane_ops.resampled(plane, end, wall=wall, **options)
    rules = resize.boundaries(periodic, wall)
    along_y, along_x = (
      resize.matrix(n, count, boundary=rule, **options)
      for n, count, rule in zip(start, end, rules, strict=True)
    )
    want = along_y @ want @ along_x.T
  found = networks.values(run, plane)
  np.testing.assert_allclose(found[0, ..., 0], want, atol=1e-6)


@settings(max_examples=15)
@given(_PERIODIC, _SHAPE, st.sampled_from((3, 7)), _SIDE)
def test_local_tiles_are_those_of_the_whole(periodic, shape, size, side):
  x, halo = _field(shape), size // 2
  kernel = _field((size, size), seed=1)[0, ..., 0] / size
  run = streaming.Stream(1e9, side=side)

  def convolved(kernel, values):
    return blocks.convolve(values, kernel, periodic, jnp.float32)

  # Twice, so that the second reads around what the first made of a window.
  plane = run.hold(x, periodic)
  want = np.float64(x[0, ..., 0])
  for _ in range(2):
    params = kernel[:, :, None, None]
    plane = plane_ops.local(plane, convolved, params, halo)
    for axis, closed in enumerate(periodic):
      widths = [(0, 0), (0, 0)]
      widths[axis] = (halo, halo)
      want = np.pad(want, widths, mode="wrap" if closed else "constant")
    want = scipy.ndimage.correlate(want, kernel, mode="constant")
    want = want[halo : halo + shape[0], halo : halo + shape[1]]
  found = networks.values(run, plane)
  # float32 sums of up to 49 squared terms
  np.testing.assert_allclose(found[0, ..., 0], want, atol=1e-5)


@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("periodic", [(False, False), (True, False)])
def test_local_places_finer_cells(ratio, periodic):
  x = _field((5, 7), channels=2 * ratio**2)
  run = streaming.Stream(1e9, side=4)

  def shuffled(params, values):
    return blocks.pixel_shuffle(values * params, ratio)

  plane = plane_ops.local(run.hold(x, periodic), shuffled, 2.0, 1, ratio)
  assert plane.grid == ((5 * ratio, 7 * ratio), periodic)
  want = blocks.pixel_shuffle(jnp.asarray(2.0 * x), ratio)
  np.testing.assert_array_equal(networks.values(run, plane), want)


def test_planes_are_joined_added_and_mapped():
  run = streaming.Stream(1e9, side=3)
  a, b = (_field((4, 7), 3, seed) for seed in (0, 1))
  x, y = (run.hold(values, (False, True)) for values in (a, b))
  twice = y.map(lambda factor, values: factor * values, 2.0)
  for made, want in (
    (plane_ops.joined(x, twice), np.concatenate([a, 2.0 * b], -1)),
    (plane_ops.add(x, twice), a + 2.0 * b),
  ):
    assert made.grid == x.grid
    np.testing.assert_array_equal(run.whole(made), want)
