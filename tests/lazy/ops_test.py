"""What is done to lazy grids, tile by tile, against the whole."""

from hypothesis import given, settings
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from hinote_jax import lazy
from hinote_jax.core import resize
from hinote_jax.lazy import tiles
from hinote_jax.nn import blocks, upsampling, window_attention
from tests.infer import networks

_SHAPE = st.tuples(st.integers(1, 13), st.integers(1, 13))
_PERIODIC = st.tuples(st.booleans(), st.booleans())
_SIDE = st.integers(1, 9)


def _field(shape, channels=1, seed=0):
  random = np.random.default_rng(seed)
  return random.uniform(-1.0, 1.0, (1, *shape, channels)).astype(np.float32)


def _in_tiles(make, x, periodic, side):
  """Returns what `make` makes of a lazy grid of x, put together from tiles."""
  source = lazy.LazyGrid.input(x.shape, periodic)
  return networks.values(tiles.Tiles(make(source), 1e9, side=side), {source: x})


@settings(max_examples=12)
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
  rules = resize.boundaries(periodic, wall)
  want = np.float64(x[0, ..., 0])
  for start, end in ((shape, fine), (fine, shape)):
    along_y, along_x = (
      resize.matrix(n, count, boundary=rule, **options)
      for n, count, rule in zip(start, end, rules, strict=True)
    )
    want = along_y @ want @ along_x.T

  def there_and_back(x):  # the second reads around windows of the first
    x = lazy.resample(x, fine, boundary=rules, **options)
    return lazy.resample(x, shape, boundary=rules, **options)

  got = _in_tiles(there_and_back, x, periodic, side)
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-6)


@settings(max_examples=10)
@given(_PERIODIC, _SHAPE, st.sampled_from((3, 7)), _SIDE)
def test_local_tiles_are_those_of_the_whole(periodic, shape, size, side):
  x, halo = _field(shape), size // 2
  kernel = _field((size, size), seed=1)[0, ..., 0] / size

  def convolved(kernel, values):
    return blocks.convolve(values, kernel, periodic, jnp.float32)

  def twice(x):  # the second reads around what the first made of a window
    for _ in range(2):
      x = lazy.local(convolved, kernel[:, :, None, None], x, reach=halo)
    return x

  want = np.float64(x[0, ..., 0])
  for _ in range(2):
    for axis, closed in enumerate(periodic):
      widths = [(0, 0), (0, 0)]
      widths[axis] = (halo, halo)
      want = np.pad(want, widths, mode="wrap" if closed else "constant")
    want = scipy.ndimage.correlate(want, kernel, mode="constant")
    want = want[halo : halo + shape[0], halo : halo + shape[1]]
  got = _in_tiles(twice, x, periodic, side)
  # float32 sums of up to 49 squared terms
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-5)


@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("periodic", [(False, False), (True, False)])
def test_shuffled_and_repeated_cells_are_in_their_places(ratio, periodic):
  x = _field((5, 7), channels=2 * ratio**2)
  for function in (lazy.pixel_shuffle, lazy.repeat):
    got = _in_tiles(lambda x, f=function: f(x, ratio), x, periodic, 4)
    np.testing.assert_array_equal(got, function(jnp.asarray(x), ratio))


@settings(max_examples=3)
@given(
  _PERIODIC,
  st.tuples(st.integers(1, 4), st.integers(1, 4)),
  st.sampled_from((0, 2)),
  st.integers(1, 13),
)
def test_windows_attend_within_themselves(periodic, windows, shift, side):
  x = _field(tuple(4 * n for n in windows), channels=6)
  layer = window_attention.WindowAttention(2, 4, shift, periodic)
  module = layer.clone(periodic=(False, False))
  variables = networks.random_variables(module, x)
  want = layer.apply(variables, x)
  got = _in_tiles(lambda x: layer.apply(variables, x), x, periodic, side)
  np.testing.assert_allclose(got, want, atol=2e-6)


@settings(max_examples=3)
@given(_PERIODIC, _SHAPE, _SIDE)
def test_fourier_branch_is_that_of_the_whole(periodic, shape, side):
  x = _field(shape, channels=2)
  layer = upsampling.FourierDoubling(3, periodic)
  variables = networks.random_variables(layer, x)
  want = layer.apply(variables, x)
  got = _in_tiles(lambda x: layer.apply(variables, x), x, periodic, side)
  np.testing.assert_allclose(got, want, atol=3e-6)


@settings(max_examples=8)
@given(_PERIODIC, st.tuples(st.integers(4, 12), st.integers(4, 12)), _SIDE)
def test_padded_and_cropped_grids_are_those_of_arrays(periodic, shape, side):
  x, more = _field(shape), (-shape[0] % 5 % 4, -shape[1] % 5 % 4)
  whole = tuple(p and not m for p, m in zip(periodic, more, strict=True))

  def padded(x):
    return lazy.pad_by_reflection(x, more, whole)

  np.testing.assert_array_equal(_in_tiles(padded, x, periodic, side), padded(x))

  def cropped(x):
    return lazy.crop(padded(x), shape, periodic)

  np.testing.assert_array_equal(_in_tiles(cropped, x, periodic, side), x)


def test_layers_say_where_points_are():
  x = _field((6, 9))

  def function(params, window, values):
    return values * 0 + params + window.indices(1)[:, None]

  got = _in_tiles(
    lambda x: lazy.placed(function, jnp.asarray(2.0), x), x, (False, True), 4
  )
  np.testing.assert_array_equal(got[0, :, :, 0], [np.arange(9.0) + 2.0] * 6)


@pytest.mark.parametrize("side", [1, 3, 4, 9])
def test_totals_count_each_cell_once(side):
  random = np.random.default_rng(0)
  values = random.integers(1000, size=(2, 7, 9, 1)).astype(np.float32)

  def counted(params, patch, inside):
    del params
    is_inside = jnp.ones(patch.values.shape[1:3]) if inside is None else inside
    is_inside = is_inside[..., None]
    return jnp.sum(patch.values * is_inside, (1, 2, 3)), jnp.sum(is_inside)

  def shown(total, values):
    both = [jnp.broadcast_to(t, (2,))[:, None, None, None] for t in total]
    return values * 0 + jnp.concatenate(both, -1)

  def network(x):
    # What is read around a tile is another's.
    total = lazy.total(counted, (), x, reach=2)
    return lazy.pointwise(shown, x, params=total)

  got = _in_tiles(network, values, (False, True), side)
  np.testing.assert_array_equal(got[:, 0, 0, 0], values.sum((1, 2, 3)))
  np.testing.assert_array_equal(got[:, 3, 5, 1], [63, 63])
  np.testing.assert_array_equal(got, network(jnp.asarray(values)))
