"""SR-LUT and IM-LUT: closed forms, tables beside networks, turns, streams."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import grids, resize
from hinote_jax.models.lut import ensemble, taps
from tests.infer import networks

_SMALL = dict(width=6, depth=1)


def _call(module, variables, x, shape):
  cell = np.tile(grids.cell_size(shape), (len(x), 1))
  return np.asarray(
    jax.jit(module.apply)(variables, x, grids.axes(shape), cell)
  )


@functools.cache
def _trained(name, **options):
  """Returns a network with random weights, and its variables."""
  module = models.build(name, **_SMALL, **options)
  x = jnp.ones((1, 6, 6, options.get("channels", 1)))
  arguments = x, grids.axes((8, 8)), jnp.full((1, 2), 0.25)
  return module, networks.random_variables(module, *arguments)


def _bytes(shape, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, shape).astype(np.uint8)


def _as_table(pattern, function, interval=16, scale=2):
  """Returns an `sr_lut` whose table is a function of what is seen."""
  module = models.build(
    "sr_lut", pattern=pattern, scale=scale, interval=interval, is_table=True
  )
  values = function(np.asarray(ensemble.nodes(pattern, interval)))
  values = values / ensemble.STORED
  return module, {"params": {"turns": {f"table_{pattern}": values}}}


@pytest.mark.parametrize("pattern", "SFV")
def test_a_table_of_the_cell_itself_repeats_it(pattern):
  # Four turns of 255/4 times the cell are the cell.
  def own(seen):
    return np.repeat(seen[:, :1] * 255 / 4, 4, axis=1)

  module, variables = _as_table(pattern, own)
  x = np.random.default_rng(0).uniform(0, 0.99, (2, 5, 6, 3)).astype("f4")
  got = _call(module, variables, x, (10, 12))
  want = x.repeat(2, axis=1).repeat(2, axis=2)
  # The node at 256 stands for 255, which shows above 240.
  is_below = want < 240 / 255
  np.testing.assert_allclose(got[is_below], want[is_below], atol=2e-6)
  # What lies beyond the table is added as it is.
  got = _call(module, variables, x[:1] * 0 + 1.5, (10, 12))
  np.testing.assert_allclose(got, 0.5 + 255 / 256 * 1.0, atol=0.005)


def test_blocks_turn_with_the_field():
  """Turning the input turns the output, whatever the network."""
  module, variables = _trained("sr_lut", scale=3)
  x = _bytes((1, 5, 7, 2)) / np.float32(255)
  one = _call(module, variables, x, (15, 21))
  for turns in range(1, 4):
    turned = np.rot90(x, turns, axes=(1, 2))
    shape = (15, 21) if turns == 2 else (21, 15)
    got = _call(module, variables, turned, shape)
    want = np.rot90(one, turns, axes=(1, 2))
    np.testing.assert_allclose(got, want, atol=2e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_cells_are_those_of_the_turned_field(turns):
  x = np.arange(30.0).reshape(1, 5, 6, 1)
  field = np.rot90(x, turns, axes=(1, 2))
  padded = taps.padded(field, 1, (False, False))
  want = np.rot90(taps.seen(padded, "S", 0, 1), -turns, axes=(1, 2))
  padded = taps.padded(x, 1, (False, False))
  np.testing.assert_array_equal(taps.seen(padded, "S", turns, 1), want)


@pytest.mark.parametrize("interval", [1, 16, 50, 64])
def test_a_table_is_its_network_at_the_nodes(interval):
  pattern = "V" if interval == 1 else "S"
  module, variables = _trained(
    "sr_lut", pattern=pattern, scale=2, interval=interval
  )
  table, tables = module.tabulated(variables)
  levels = min(255 // interval + 1, 255)
  x = np.random.default_rng(1).integers(0, levels, (1, 6, 6, 1)) * interval
  x = np.float32(x) / 255
  got = _call(table, tables, x, (12, 12))
  want = _call(module, variables, x, (12, 12))
  # Four turns, each rounded to whole numbers.
  np.testing.assert_allclose(got, want, atol=4 * 0.51 / 255)
  entries = 128 * np.asarray(tables["params"]["turns"][f"table_{pattern}"])
  np.testing.assert_array_equal(entries, np.round(entries))


def test_limits_are_the_ends_of_the_table():
  module, variables = _trained("sr_lut", scale=2)
  x = _bytes((1, 6, 5, 2)) / np.float32(255)
  want = _call(module, variables, x, (12, 10))
  low, span = np.float32([200.0, -3.0]), np.float32([100.0, 6.0])
  limits = tuple(zip(low.tolist(), (low + span).tolist(), strict=True))
  module = module.clone(limits=limits)
  got = _call(module, variables, x * span + low, (12, 10))
  np.testing.assert_allclose((got - low) / span, want, atol=2e-5)
  with pytest.raises(ValueError, match="3 limits do not fit a field of 2"):
    _call(module.clone(limits=((0, 1),) * 3), variables, x, (12, 10))
  with pytest.raises(ValueError, match=r"limits are \(low, high\), got \(1, 1"):
    _call(module.clone(limits=((1, 1),)), variables, x, (12, 10))


def test_a_field_smaller_than_what_is_seen_is_one_sentence():
  module, variables = _trained("sr_lut", pattern="F", scale=2)
  x = np.zeros((1, 2, 9, 1), np.float32)
  with pytest.raises(ValueError, match="2 x 9 cells is smaller than the 3 x 3"):
    _call(module, variables, x, (4, 18))
  module = module.clone(periodic=(True, False))
  assert np.isfinite(_call(module, variables, x, (4, 18))).all()


def test_unknown_patterns_and_intervals_are_one_sentence():
  x = np.zeros((1, 8, 8, 1), np.float32)
  for options, message in (
    (dict(pattern="Q"), "unknown pattern 'Q'"),
    (dict(is_table=True, interval=0), "so many levels of 256, got 0"),
    (dict(compat="oficial"), "did you mean 'official'"),
  ):
    module = models.build("sr_lut", scale=2, **options)
    with pytest.raises(ValueError, match=message):
      jax.eval_shape(
        module.init, jax.random.key(0), x, grids.axes((8, 8)), np.ones((1, 2))
      )


def _constant(value, name, **options):
  module, variables = _trained(name, channels=2, **options)
  x = np.full((1, 6, 7, 2), value, np.float32)
  return _call(module, variables, x, (11, 17))


@pytest.mark.parametrize("interpolators", ["N", "NL", "NLCZ"])
def test_weights_are_one_together_whatever_the_networks(interpolators):
  # Without a refiner a constant, and of linear ways alone a slope, is itself.
  got = _constant(0.3, "im_lut", interpolators=interpolators, refiner="")
  np.testing.assert_allclose(got, 0.3, atol=1e-6)


def test_fresh_im_lut_is_the_mean_of_its_interpolations():
  module = models.build("im_lut", interpolators="NCZ", is_table=True)
  x = _bytes((1, 7, 6, 2)) / np.float32(255)
  cell = grids.cell_size((12, 15))[None]
  axes = grids.axes((12, 15))
  variables = module.init(jax.random.key(0), x, axes, cell)
  got = module.apply(variables, x, axes, cell)
  ways = [
    resize.resize(x, (12, 15), method=m, boundary=("mirror",) * 2)
    for m in ("nearest", "cubic", "lanczos2")
  ]
  np.testing.assert_allclose(got, np.mean(ways, axis=0), atol=2e-6)


def test_maps_choose_an_interpolation():
  """A table of weights that is 1 for one of them gives that one."""
  module = models.build("im_lut", interpolators="NL", is_table=True, refiner="")
  x = _bytes((1, 7, 6, 1)) / np.float32(255)
  axes, cell = grids.axes((10, 17)), grids.cell_size((10, 17))[None]
  variables = module.init(jax.random.key(0), x, axes, cell)
  rows = variables["params"]["weights"]["table_S"]
  chosen = jnp.zeros_like(rows).at[:, 1].set(ensemble.UNIT / ensemble.STORED)
  variables["params"]["weights"]["table_S"] = chosen
  got = module.apply(variables, x, axes, cell)
  want = resize.resize(x, (10, 17), method="linear", boundary=("mirror",) * 2)
  np.testing.assert_allclose(got, want, atol=2e-6)


def test_im_lut_is_near_its_network_and_reads_the_nearest_scale():
  module, variables = _trained("im_lut", interpolators="NC")
  table, tables = module.tabulated(variables)
  x = np.random.default_rng(1).integers(0, 9, (1, 6, 6, 1)) * 32
  x = np.minimum(x, 255) / np.float32(255)
  plain = dict(refiner="")
  got = _call(table.clone(**plain), tables, x, (9, 9))
  want = _call(module.clone(**plain), variables, x, (9, 9))
  np.testing.assert_allclose(got, want, atol=0.01)
  amounts = tables["params"]["scales"]
  assert amounts.shape == (141, 2) and np.ptp(amounts) > 0
  # Along axes of two scales their geometric mean counts.
  got = _call(table.clone(**plain), tables, x, (24, 6))
  assert np.isfinite(got).all()


def test_guide_loss_is_zero_where_the_weights_are_right():
  module = models.build(
    "im_lut", interpolators="NL", is_table=True, guide=1.0, sharpness=0.0
  )
  x = _bytes((1, 5, 5, 1)) / np.float32(255)
  axes, cell = grids.axes((8, 8)), grids.cell_size((8, 8))[None]
  variables = module.init(jax.random.key(0), x, axes, cell)
  truth = np.ones((1, 8, 8, 1), np.float32)

  def loss(sharpness):
    one = module.clone(sharpness=sharpness)
    return one.apply(variables, x, axes, cell, truth, method="own_loss")

  # Without sharpness all should weigh alike, as they do in a fresh table.
  np.testing.assert_allclose(loss(0.0), 0.0, atol=1e-12)
  near, linear = (
    np.abs(resize.resize(x, (8, 8), method=m, boundary=("mirror",) * 2) - 1)
    for m in ("nearest", "linear")
  )
  want = 2 * (0.5 - 1 / (1 + np.exp(-9.0 * (linear - near)))) ** 2
  np.testing.assert_allclose(loss(9.0), want, atol=1e-5)


def test_images_beside_walls_have_the_least_size_of_the_refiner():
  module, variables = _trained("im_lut", interpolators="NL", refiner="SDY")
  with pytest.raises(ValueError, match="3 x 3 that patterns 'SDY' see"):
    _call(module, variables, np.zeros((1, 2, 2, 1), np.float32), (2, 2))
  with pytest.raises(ValueError, match="unknown interpolator 'Q'"):
    _call(
      module.clone(interpolators="NQ"),
      variables,
      np.zeros((1, 4, 4, 1)),
      (8, 8),
    )
