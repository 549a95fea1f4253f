"""Windows of lazy grids: what they read and count, how far they reach."""

from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.lazy import schedule, tiles
from hinote_jax.models import encoders
from hinote_jax.models.single_scale import rdn
from hinote_jax.nn import blocks, samplers
from tests.infer import networks

_SIZE = 16


def _input(*shape, periodic=(False, False)):
  return lazy.LazyGrid.input((1, *shape, 1), periodic)


def _same(params, values):
  del params
  return values


def _identity(params, window, *patches):
  del params, window
  return patches[0].values


def _read(lines, reach, source, start, size):
  """Returns start and shape of the window of `source` that one reads."""
  node = lazy.LazyGrid(
    lazy.Domain(tuple(line.count for line in lines)),
    (lazy.Reading(source, lines, (reach, reach)),),
    _identity,
  )
  starts = tuple(np.asarray([s]) for s in start)
  plan = schedule.make(node, size, starts)
  return plan.start(0, 0)[0], plan.members[0].shape


@given(
  st.booleans(),
  st.integers(2, 5000),
  st.floats(0.1, 4.0),
  st.floats(0.0, 1.0),
  st.integers(0, 500),
)
def test_windows_hold_the_cells_that_samplers_read(
  is_periodic, n, scale, where, start
):
  count = start + _SIZE
  if is_periodic:
    line = grids.Line(n * (2.0 * where - 1.0), 1.0 / scale, count)
  else:
    step = min(1.0 / scale, n / count)
    line = grids.Line(-0.5 + where * (n - step * count), step, count)
  # Where float32 has them, which is not where the line has them.
  coords = jnp.asarray(line.coords(n)[start:])
  near = samplers.neighbours(coords, n, is_periodic=is_periodic)
  source = _input(n, n, periodic=(is_periodic, is_periodic))
  first, shape = _read((line, line), 1, source, (start, start), (_SIZE, _SIZE))
  placement = grids.Placement(first, (n, n))
  for axis in (0, 1):
    index = placement.local(near.cells, axis, is_periodic, shape[axis])
    assert np.all((index >= 0) & (index < shape[axis]))
    assert shape[axis] <= line.step * _SIZE + 5


@given(
  st.integers(1, 60),
  st.floats(0.1, 3.0),
  st.floats(-0.5, 3.0),
  st.integers(0, 4),
  st.integers(0, 40),
  st.integers(1, 20),
)
def test_windows_hold_what_is_in_reach_and_a_cell_more(
  n, step, first, reach, start, size
):
  line = grids.Line(first, step, start + size)
  at = line.index()[start:]
  # What is nearer to a cell than this is on it.
  low, high = np.floor(at[0] - reach + 1e-6), np.ceil(at[-1] + reach - 1e-6)
  for is_periodic in (False, True):
    source = _input(n, n, periodic=(is_periodic, False))
    (begin, _), (count, _) = _read(
      (line, line), reach, source, (start, start), (size, size)
    )
    last = begin + count - 1
    if is_periodic:
      assert begin == low and high <= last <= high + 2
    else:
      assert 0 <= begin <= max(low, 0) and last < n
      assert min(high, n - 1) <= last or low > n - 1


@given(st.integers(1, 30), st.integers(0, 9), st.data())
def test_windows_around_cells_are_cut_at_walls_only(n, reach, data):
  size = data.draw(st.integers(1, n))
  start = data.draw(st.integers(0, n - size))
  for is_periodic in (False, True):
    source = _input(n, n, periodic=(is_periodic, False))
    lines = lazy.same_cells(source).lines
    (first, _), (count, _) = _read(
      lines, reach, source, (start, start), (size, size)
    )
    if is_periodic:
      assert (first, count) == (start - reach, size + 2 * reach)
    else:
      assert count == min(size + 2 * reach, n)
      assert 0 <= first <= max(start - reach, 0)
      assert min(start + size + reach, n) <= first + count <= n


def _window_of(x, size=4):
  """Returns the window of the input that the middle of a grid reads."""
  starts = tuple(np.asarray([n // 2]) for n in x.domain.shape)
  plan = schedule.make(x, (size, size), starts)
  return plan.members[0].shape[0]


def test_reach_adds_up_and_is_the_wider_of_two_ways():
  x = _input(200, 200)
  coarse = lazy.local(_same, (), x, reach=2)
  assert _window_of(coarse) == 4 + 2 * 2
  fine = lazy.local(_shuffled, (), coarse, reach=1, ratio=2)
  # Two or three cells hold four of the finer ones; then one and two around.
  assert _window_of(fine) in (2 + 2 * 3, 3 + 2 * 3, 4 + 2 * 3)
  both = fine + lazy.pointwise(jnp.tanh, fine)
  assert _window_of(both) == _window_of(fine)


def _shuffled(params, values):
  del params
  return values.repeat(2, axis=1).repeat(2, axis=2)


def test_a_grid_that_two_read_is_computed_once():
  x = _input(9, 9)
  y = lazy.local(_same, (), x, reach=1)
  for _ in range(60):  # 2^60 paths lead to y
    y = y + y
  stored, computed = schedule.sources(y)
  assert stored == (x,) and len(computed) == 60
  assert y.shape == (1, 9, 9, 1)


def test_kept_grids_and_totals_come_in_order():
  x = _input(9, 9)
  a = lazy.stored(lazy.local(_same, (), x, reach=1))
  total = lazy.total(_summed, (), a)
  b = lazy.stored(lazy.pointwise(_scaled, x, params=total))
  last = a + b
  assert schedule.passes_before(last) == [a, total, b]
  assert lazy.stored(a) is a and lazy.stored(x) is x


def _summed(params, patch, inside):
  del params
  return jnp.sum(patch.values * inside[..., None])


def _scaled(total, values):
  return values * total


def test_windows_know_their_cells_and_crop_them():
  domain = lazy.Domain((5, 7), (True, False))
  window = lazy.Window(jnp.asarray([-2, 3]), (8, 4), domain)
  np.testing.assert_array_equal(window.indices(0), [3, 4, 0, 1, 2, 3, 4, 0])
  np.testing.assert_array_equal(window.indices(1), [3, 4, 5, 6])
  values = jnp.arange(99.0).reshape(1, 11, 9, 1)
  patch = lazy.Patch(values, jnp.asarray([-4, 0]), domain)
  np.testing.assert_array_equal(patch.crop(window), values[:, 2:10, 3:7])


def test_arithmetic_is_that_of_arrays():
  random = np.random.default_rng(0)
  a, b = random.uniform(1.0, 2.0, (2, 1, 4, 7, 3)).astype(np.float32)
  unit = jnp.asarray([1.0, 2.0, 4.0])

  def expression(x, y):
    return 2.0 * (1.0 - (x + y - 0.5) / unit) * y + 3.0 * (unit - y)

  x, y = (lazy.LazyGrid.input(a.shape, (False, True)) for _ in "xy")
  made = expression(x, y)
  assert made.shape == a.shape and made.domain == x.domain
  got = networks.values(tiles.Tiles(made, 1e9, side=3), {x: a, y: b})
  np.testing.assert_allclose(got, expression(a, b), rtol=1e-6)


@given(st.integers(2, 40), st.integers(1, 90), st.sampled_from((1, 2, 4)))
def test_queries_lie_in_finer_cells_where_their_coordinates_do(n, count, ratio):
  lines = (grids.cell_line(n, count), grids.node_line(n, count))
  queries = lazy.Queries.of_lines(lines, (n, n))
  reading = queries.on(_input(ratio * n, ratio * n), 1)
  for line, coord in zip(reading.lines, queries.coords, strict=True):
    want = grids.to_index(np.float64(coord), ratio * n)
    # float32 coordinates of up to 160 cells
    np.testing.assert_allclose(line.index(), want, atol=2e-5)


def _positive(shapes):
  """Returns positive weights: every path to a cell then counts."""
  random = np.random.default_rng(0)

  def draw(leaf):
    gain = 2.0 / np.prod(leaf.shape[:-1], initial=1.0)
    return jnp.asarray(random.uniform(0.2, 1.0, leaf.shape) * gain, jnp.float32)

  return jax.tree.map(draw, shapes)


class _Trunk(nn.Module):
  """A trunk that is not stored between, to see how far it reaches."""

  @nn.compact
  def __call__(self, x):
    return blocks.Trunk(3, blocks=2, name="trunk")(x)


@pytest.mark.parametrize(
  ("network", "ratio"),
  [
    (blocks.ResidualBlock(), 1),
    (_Trunk(), 1),
    (rdn.Trunk(3, blocks=1, layers=3, growth=2), 1),
    (encoders.EnlargingEdsr(scale=2, width=3, blocks=1), 2),
    (encoders.EnlargingEdsr(scale=3, width=3, blocks=1), 3),
  ],
)
def test_windows_are_as_large_as_they_must_be(network, ratio):
  n = 26
  x = jnp.ones((1, n, n, 1))
  params = _positive(jax.eval_shape(network.init, jax.random.key(0), x))
  apply = jax.jit(network.apply)
  before = apply(params, x)
  middle = ratio * n // 2
  made = network.apply(params, lazy.LazyGrid.input(x.shape))
  # How far a change is seen from the middle, and how far its window reads:
  # the same where nothing is stored between, else the window is the smaller.
  seen = [
    i
    for i in range(n)
    if np.any(
      apply(params, x.at[:, i].add(0.5))[:, middle] != before[:, middle]
    )
  ]
  plan = schedule.make(made, (1, 1), (np.asarray([middle]),) * 2)
  first, count = plan.start(0, 0)[0][0], plan.members[0].shape[0]
  is_stored = any(not node.is_input for node in plan.stored)
  assert is_stored or (first <= min(seen) and max(seen) < first + count)
  assert count <= max(seen) - min(seen) + 1 + 2
