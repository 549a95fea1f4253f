"""Windows of planes: what they read, what they count, how far they reach."""

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids
from hinote_jax.lazy import plane_ops, planes, sharded, streaming
from hinote_jax.models.hinote import parts as hinote_parts
from hinote_jax.models.single_scale import rdn
from hinote_jax.nn import blocks, encoders, galerkin, samplers
from tests.infer import networks

_SIZE = 16


def _held(*shape, periodic=(False, False)):
  return planes.Held(planes.Grid(shape, periodic))


def _same(params, values):
  del params
  return values


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
  plane = _held(n, n, periodic=(is_periodic, is_periodic))
  source = planes.Input(plane, (line, line), 1)
  _, (read,) = planes.windows((source,), (start, start), (_SIZE, _SIZE))
  part = grids.Part(read.start, (n, n))
  for axis in (0, 1):
    found = part.local(near.index, axis, is_periodic, read.shape[axis])
    assert np.all((found >= 0) & (found < read.shape[axis]))
    assert read.shape[axis] <= line.step * _SIZE + 5


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
    plane = _held(n, n, periodic=(is_periodic, False))
    inputs = (planes.Input(plane, (line, line), reach),)
    _, (read,) = planes.windows(inputs, (start, start), (size, size))
    last = read.start[0] + read.shape[0] - 1
    if is_periodic:
      assert read.start[0] == low and high <= last <= high + 2
    else:
      assert 0 <= read.start[0] <= max(low, 0) and last < n
      assert min(high, n - 1) <= last or low > n - 1


@given(st.integers(1, 30), st.integers(0, 9), st.data())
def test_windows_around_cells_are_cut_at_walls_only(n, reach, data):
  size = data.draw(st.integers(1, n))
  start = data.draw(st.integers(0, n - size))
  for is_periodic in (False, True):
    plane = _held(n, n, periodic=(is_periodic, False))
    inputs = (planes.same(plane, reach),)
    _, (read,) = planes.windows(inputs, (start, start), (size, size))
    (first, _), (count, _) = read.start, read.shape
    if is_periodic:
      assert (first, count) == (start - reach, size + 2 * reach)
    else:
      assert count == min(size + 2 * reach, n)
      assert 0 <= first <= max(start - reach, 0)
      assert min(start + size + reach, n) <= first + count <= n


def test_reach_adds_up_in_cells_of_the_window():
  x = _held(20, 30)
  coarse = plane_ops.local(x, _same, (), reach=2)
  fine = plane_ops.local(coarse, _same, (), reach=1, ratio=2)
  assert planes.reach_of(coarse.inputs) == 2
  assert planes.reach_of(fine.inputs) == 2 * (2 + 1)
  # The wider of two ways counts.
  both = plane_ops.add(fine, fine.map(_same))
  assert planes.reach_of(both.inputs) == 6
  # Points of a lone cell, which have no step.
  lines = (grids.node_line(1, 2),) * 2
  assert planes.reach_of([planes.Input(_held(1, 1), lines, 3)]) == 3


def test_windows_know_their_cells_and_crop_them():
  grid = planes.Grid((5, 7), (True, False))
  here = planes.Here(jnp.asarray([-2, 3]), (8, 4), grid)
  np.testing.assert_array_equal(here.indices(0), [3, 4, 0, 1, 2, 3, 4, 0])
  np.testing.assert_array_equal(here.indices(1), [3, 4, 5, 6])
  values = jnp.arange(99.0).reshape(1, 11, 9, 1)
  part = planes.Part(values, jnp.asarray([-4, 0]), grid)
  np.testing.assert_array_equal(part.crop(here), values[:, 2:10, 3:7])
  finer = part.at(planes.Here(None, (1, 1), planes.Grid((10, 14))), 2)
  np.testing.assert_array_equal(finer.start, [-8, 0])
  assert finer.grid == planes.Grid((10, 14), (True, False))


@pytest.mark.parametrize("side", [1, 3, 4, 9])
def test_sums_count_each_cell_once(side):
  random = np.random.default_rng(0)
  values = random.integers(1000, size=(2, 7, 9, 1)).astype(np.float32)
  run = streaming.Stream(1e9, side=side)
  x = run.hold(values, (False, True))

  def total(params, here, part):
    del params
    inside = part.inside(here)[..., None]
    return jnp.sum(part.values * inside, (1, 2, 3)), jnp.sum(inside)

  # What is read around a tile is another's.
  found, count = run.sum(x.grid, (planes.same(x, 2),), total, ())
  np.testing.assert_array_equal(found, values.sum((1, 2, 3)))
  assert count == 63


@given(st.integers(2, 40), st.integers(1, 90), st.sampled_from((1, 2, 4)))
def test_queries_lie_in_finer_cells_where_their_coordinates_do(n, count, ratio):
  lines = (grids.cell_line(n, count), grids.node_line(n, count))
  coords = grids.Axes(*(line.coords(n) for line in lines))
  grid = planes.Grid((count, count))
  queries = planes.Queries(lines, coords, np.ones((1, 2)), grid)
  source = queries.on(_held(ratio * n, ratio * n), ratio)
  for line, coord in zip(source.lines, coords, strict=True):
    want = grids.to_index(np.float64(coord), ratio * n)
    # float32 coordinates of up to 160 cells
    np.testing.assert_allclose(line.index(), want, atol=2e-5)


def test_points_of_a_window_are_those_of_its_cells():
  shape = (6, 9)
  coords = grids.Axes(*map(jnp.asarray, grids.axes(shape)))
  lines = tuple(grids.cell_line(3, n) for n in shape)
  grid = planes.Grid(shape, (False, True))
  queries = planes.Queries(lines, coords, jnp.ones((2, 2)), grid)
  here = planes.Here(jnp.asarray([1, 7]), (3, 4), grid)
  y, x = queries.points(coords, here)
  np.testing.assert_array_equal(y, [coords.y[1:4]] * 2)
  np.testing.assert_array_equal(x, [np.roll(coords.x, 2)[:4]] * 2)


def test_runs_are_runs():
  assert isinstance(streaming.Stream(1e9), planes.Run)
  assert isinstance(sharded.Devices(1, 1), planes.Run)


def _positive(shapes):
  """Returns positive weights: every path to a cell then counts."""
  random = np.random.default_rng(0)

  def draw(leaf):
    gain = 2.0 / np.prod(leaf.shape[:-1], initial=1.0)
    return jnp.asarray(random.uniform(0.2, 1.0, leaf.shape) * gain, jnp.float32)

  return jax.tree.map(draw, shapes)


_ENLARGING = encoders.EnlargingEdsr


@pytest.mark.parametrize(
  "network",
  [
    blocks.ResidualBlock(),
    blocks.Trunk(3, blocks=0),
    blocks.Trunk(3, blocks=2),
    rdn.Trunk(3, blocks=2, layers=2, growth=2),
    rdn.Trunk(3, blocks=1, layers=3, growth=2),
    *(_ENLARGING(scale=s, width=3, blocks=1) for s in (1, 2, 3, 4)),
  ],
)
def test_features_reach_as_far_as_said_and_no_further(network):
  n, middle = 25, 12
  ratio = getattr(network, "ratio", 1)
  x = jnp.ones((1, n, n, 1))
  params = _positive(jax.eval_shape(network.init, jax.random.key(0), x))
  apply = jax.jit(network.apply)
  before = apply(params, x)
  for axis in (1, 2):
    # A whole line, across: at the end of its reach a cell alone would vanish.
    line = np.zeros((1, n, n, 1), np.float32)
    line.swapaxes(1, axis)[:, middle] = 0.5
    is_changed = np.any(apply(params, x + line) != before, (0, 3 - axis, 3))
    at = grids.cell_line(n, ratio * n).index()[is_changed]

    def holds(reach, at=at):
      first, last = np.floor(at - reach), np.ceil(at + reach)
      return np.all((first <= middle) & (middle <= last))

    assert holds(network.reach)
    assert np.abs(at - middle).max() > network.reach - 1


@pytest.mark.parametrize("upsample", [1, 4])
def test_windows_of_an_encoder_are_no_larger_than_they_must_be(upsample):
  # One cell less to read around, and the answer is another one.
  encoder = hinote_parts.Encoder(4, 1, upsample)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 19, 16, 2)))
  x = x.astype(jnp.float32)
  params = _positive(jax.eval_shape(encoder.init, jax.random.key(0), x))
  want = jax.jit(encoder.apply)(params, x)
  run = streaming.Stream(1e9, side=5)
  held = run.hold(x, (False, False))
  feats = encoder.planes(run, params["params"], held)
  read = feats.store.read((0, 0), want.shape[1:3])
  assert networks.error(read, want) <= networks.TOLERANCE

  trunk = encoder._trunk()
  apply = plane_ops.applied(trunk)
  known = params["params"]["trunk"]
  want = apply(known, x)
  for reach in (trunk.reach - 1, trunk.reach):
    run = streaming.Stream(1e9, side=5)
    found = networks.values(run, plane_ops.local(held, apply, known, reach))
    is_exact = networks.error(found, want) <= networks.TOLERANCE
    assert is_exact == (reach == trunk.reach)


@pytest.mark.parametrize("level", [0, 3])
def test_moments_of_many_bands_do_not_drift(level):
  # Points that are alike are rounded alike: a plain sum drifts.
  n, width = 20_000, 8
  random = np.random.default_rng(0)
  points = np.tile(random.normal(size=(1, 4, 1, width)), (1, n // 4, 1, 1))
  points = jnp.asarray(points, jnp.float32)
  layer = galerkin.GalerkinAttention(2, most=1)
  shapes = jax.eval_shape(layer.init, jax.random.key(0), points)
  params = jax.tree.map(
    lambda leaf: jnp.asarray(random.normal(size=leaf.shape), jnp.float32),
    shapes,
  )

  def moments(params, points):
    return layer.apply(params, points, width, method="moments")

  # XLA must not take the compensation for nothing, however it optimises.
  options = {"xla_backend_optimization_level": level}
  found = jax.jit(moments, compiler_options=options)(params, points)[0]
  four = jax.vmap(moments, (None, 0))(
    params, points[:, :4].swapaxes(0, 1)[:, None]
  )
  four = np.asarray(four)[:, 0]
  want = n // 4 * np.sum(four, 0, np.float64)
  naive = np.add.accumulate(np.tile(four, (n // 4, 1, 1, 1)))[-1]
  assert networks.error(naive, want) > 1e-4
  assert networks.error(found, want) < 1e-6
