"""Tests of the whole model: sizes, invariances, limits, precision, fit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import losses, models
from hinote_jax.core import grids, resize
from hinote_jax.train import step as train_step
from tests import compiled as calls
from tests import trials

_KEY = jax.random.key(0)
# Each size from 8 to 40 once per axis; axes are treated apart.
_SIDES = np.arange(8, 41)
_SHAPES = np.stack([_SIDES, _SIDES * 7 % 33 + 8], axis=-1).tolist()

_TINY = dict(
  width=8,
  blocks=1,
  level_widths=(8, 8),
  level_blocks=(0, 1),
  level_convs=(0, 0),
  heads=2,
)
_GRID = dict(_TINY, domain="grid", head_width=8, head_depth=2)
_QUERIES = dict(_TINY, domain="queries", upsample=2)
_DOMAINS = {"grid": _GRID, "queries": _QUERIES}


def _noise(shapes):
  """Returns parameters of the size of a trained network's.

  Fresh ones make residuals so small that no test would see them; and drawing
  them by shape spares the compilation of `init`.
  """
  random = np.random.default_rng(0)

  def draw(leaf):
    fan_in = np.prod(leaf.shape[:-1], initial=1.0)
    values = random.normal(size=leaf.shape) / np.sqrt(fan_in)
    return jnp.asarray(values, jnp.float32)

  return jax.tree.map(draw, shapes)


def _shapes(module, shape=(8, 8)):
  return jax.eval_shape(module.init, _KEY, *_shape_inputs(shape, 2.0))


def _shape_inputs(shape, scale):
  """Returns the shapes of `_inputs`."""
  height, width = grids.scaled_shape(shape, scale)
  sizes = [(1, *shape, 1), (1, height), (1, width), (1, 2)]
  lowres, y, x, cell = (jax.ShapeDtypeStruct(s, jnp.float32) for s in sizes)
  return lowres, grids.Axes(y, x), cell


@functools.cache
def _model(domain, **kwargs):
  """Returns a jitted f(lowres, coords, cell) with noisy parameters."""
  module = models.build("hinote", preset="pointwise", **_DOMAINS[domain])
  module = module.clone(**kwargs)
  variables = _noise(_shapes(module))
  return functools.partial(jax.jit(module.apply), variables)


def _inputs(shape=(9, 11), scale=2.5, batch=2):
  """Returns (lowres, coords, cell) of the whole fine grid."""
  lowres = np.random.default_rng(1).normal(size=(batch, *shape, 1))
  lowres = jnp.asarray(lowres, jnp.float32)
  fine = grids.scaled_shape(shape, scale)
  coords = grids.batched(grids.axes(fine), batch)
  cell = jnp.tile(grids.cell_size(fine), (batch, 1))
  return lowres, coords, cell


def _residual(model, lowres, coords, cell):
  cubic = resize.sample(lowres, coords, method="cubic")
  return np.asarray(model(lowres, coords, cell) - cubic)


@pytest.mark.parametrize(
  "every", trials.apart_from(lambda every: every > 1, [1, 8])
)
@pytest.mark.parametrize("domain", _DOMAINS)
def test_every_size_works(domain, every):
  assert {w for _, w in _SHAPES} == set(_SIDES.tolist())
  module = models.build("hinote", preset="pointwise", **_DOMAINS[domain])
  variables = _shapes(module)
  for shape in map(tuple, _SHAPES[::every]):
    inputs = _shape_inputs(shape, 1.7)
    out = jax.eval_shape(module.apply, variables, *inputs)
    assert out.shape == (1, *grids.query_shape(inputs[1]), 1)
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(
  "preset, shape",
  [
    ("local", (8, 13)),
    ("levels", (13, 8)),
    pytest.param("paper", (11, 17), marks=trials.trial),
    ("pointwise", (23, 13)),
  ],
)
def test_fresh_model_is_close_to_bicubic_on_primes(preset, shape):
  module = models.build("hinote", preset=preset, width=8, blocks=1)
  lowres, coords, cell = _inputs(shape, 2.3, batch=1)
  out, _ = jax.jit(module.init_with_output)(_KEY, lowres, coords, cell)
  cubic = resize.sample(lowres, coords, method="cubic")
  # The last layer's weights have the variance 0.02 / fan-in.
  assert 0.0 < np.std(out - cubic) < 0.25 * np.std(cubic)


def test_grid_answers_do_not_depend_on_other_queries():
  model = _model("grid")
  lowres, coords, cell = _inputs()
  whole = model(lowres, coords, cell)
  part = grids.Axes(coords.y[:, 3:9], coords.x[:, 2:5])
  got = model(lowres, part, cell)
  np.testing.assert_allclose(got, whole[:, 3:9, 2:5], atol=1e-5)  # float32


def test_query_answers_depend_on_other_queries():
  # The integral is over the query set, and so are the levels.
  model = _model("queries")
  lowres, coords, cell = _inputs()
  whole = model(lowres, coords, cell)
  part = grids.Axes(coords.y[:, 3:9], coords.x[:, 2:5])
  got = model(lowres, part, cell)
  spread = np.std(_residual(model, lowres, coords, cell))
  assert np.abs(got - whole[:, 3:9, 2:5]).max() > 0.05 * spread


@pytest.mark.parametrize("domain", _DOMAINS)
def test_array_of_points_equals_axes(domain):
  model = _model(domain)
  lowres, coords, cell = _inputs()
  on_axes = model(lowres, coords, cell)
  on_points = model(lowres, grids.dense(coords), cell)
  np.testing.assert_allclose(on_points, on_axes, atol=5e-5)  # float32


def _shuffled(domain):
  """Returns answers at points and at the same points in another order."""
  model = _model(domain)
  lowres, coords, cell = _inputs()
  points = grids.dense(coords)
  count = points.shape[1] * points.shape[2]
  order = np.random.default_rng(0).permutation(count)
  moved = points.reshape(-1, count, 2)[:, order].reshape(points.shape)
  want = _residual(model, lowres, points, cell).reshape(-1, count)[:, order]
  got = _residual(model, lowres, moved, cell).reshape(-1, count)
  return got, want


def test_grid_answers_follow_a_shuffle_of_the_points():
  got, want = _shuffled("grid")
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_query_answers_do_not_follow_a_shuffle_of_the_points():
  # Levels read neighbours: shuffled points are other fields. This is why
  # training takes windows (the released code trains on shuffled points).
  got, want = _shuffled("queries")
  assert np.std(got - want) > 0.05 * np.std(want)


@pytest.mark.parametrize(
  "domain, scale", [("grid", 2), ("grid", 3), ("queries", 3)]
)
def test_roll_of_a_periodic_axis_rolls_the_answer(domain, scale):
  # By 4 input cells: whole cells of the coarsest grid in the model, the
  # quarter grid of the trunk's detail. Odd scales have queries on centres.
  model = _model(domain, periodic=(False, True))
  lowres, coords, cell = _inputs((6, 24), scale)
  here = model(lowres, coords, cell)
  moved = model(jnp.roll(lowres, 4, axis=2), coords, cell)
  want = jnp.roll(here, 4 * scale, axis=2)
  np.testing.assert_allclose(moved, want, atol=1e-4)  # float32


def test_walls_are_felt_where_an_axis_is_not_periodic():
  lowres, coords, cell = _inputs((6, 24), 2)
  for periodic in (True, False):
    model = _model("grid", periodic=(False, periodic))
    here = model(lowres, coords, cell)
    moved = model(jnp.roll(lowres, 4, axis=2), coords, cell)
    error = np.abs(moved - jnp.roll(here, 8, axis=2)).max()
    assert (error < 1e-4) == periodic


@pytest.mark.parametrize("domain", _DOMAINS)
def test_answer_is_the_same_alone_and_in_a_batch(domain):
  # What trains in a batch of scales is what evaluates one field alone.
  model = _model(domain)
  lowres, coords, cell = _inputs()
  cell = cell * jnp.asarray([[1.0], [0.8]])
  batch = model(lowres, coords, cell)
  one = jax.tree.map(lambda leaf: leaf[1:], (lowres, coords, cell))
  np.testing.assert_allclose(model(*one), batch[1:], atol=5e-5)  # float32


@pytest.mark.parametrize(
  "options",
  [
    dict(level_widths=(), level_blocks=(), level_convs=()),
    pytest.param({}, marks=trials.trial),
  ],
  ids=["no_levels", "levels"],
)
def test_answer_is_the_same_compiled_and_not(options):
  compiled = _model("grid", **options)
  module, variables = compiled.func.__wrapped__, compiled.args[0]
  inputs = _inputs()
  with calls.eagerly():
    want = module(variables, *inputs)
  np.testing.assert_allclose(compiled(*inputs), want, atol=5e-5)


def test_window_of_a_bigger_field_reads_the_same_features():
  # Training shows a model a window of a field; away from its edges and for a
  # local network the window's answer is the field's.
  model = _model(
    "grid", level_widths=(), level_blocks=(), level_convs=(), sees_detail=False
  )
  lowres, coords, cell = _inputs((24, 24), 3.0, batch=1)
  whole = model(lowres, coords, cell)
  start, count, scale = 4, 16, 3
  inner = slice(start * scale, (start + count) * scale)
  axis = jnp.asarray(
    grids.window(start * scale, count * scale, start * scale, count * scale)
  )
  cut = slice(start, start + count)
  size = jnp.asarray(grids.cell_size((count * scale, count * scale)))
  part = model(
    lowres[:, cut, cut], grids.batched(grids.Axes(axis, axis), 1), size[None]
  )
  # Four 3x3 convolutions and the sampler reach five cells.
  keep = slice(6 * scale, -6 * scale)
  np.testing.assert_allclose(
    part[:, keep, keep], whole[:, inner, inner][:, keep, keep], atol=1e-4
  )


@pytest.mark.parametrize("domain", _DOMAINS)
def test_cell_is_held_beyond_the_largest_scale(domain):
  model = _model(domain, max_scale=4.0)
  lowres, coords, cell = _inputs()
  answers = {
    scale: model(lowres, coords, cell * 2.5 / scale)
    for scale in (3.0, 4.0, 8.0)
  }
  np.testing.assert_allclose(answers[8.0], answers[4.0], atol=1e-6)
  assert np.abs(answers[3.0] - answers[4.0]).max() > 1e-3


@pytest.mark.parametrize("domain", _DOMAINS)
def test_bfloat16_is_close_and_returns_float32(domain):
  inputs = _inputs()
  exact = _model(domain)
  rough = _model(domain, dtype=jnp.bfloat16)(*inputs)
  assert rough.dtype == jnp.float32
  spread = np.std(_residual(exact, *inputs))
  error = np.asarray(rough - exact(*inputs))
  # A product is rounded to 2^-9 and a dozen follow each other.
  assert 0.0 < np.std(error) < 0.05 * spread


def test_residual_scale_multiplies_the_residual():
  # Without the detail channel the trunk does not see the unit.
  inputs = _inputs()
  plain = dict(sees_detail=False, level_widths=())
  ones = _residual(_model("grid", **plain), *inputs)
  small = _model("grid", **plain, residual_scale=(0.25,))
  np.testing.assert_allclose(_residual(small, *inputs), 0.25 * ones, atol=1e-5)


def test_scale_and_detail_are_seen():
  module = models.build("hinote", preset="levels", **_GRID)
  kernels = {}
  for name in ("sees_scale", "sees_detail"):
    blind = module.clone(**{name: False})
    head = _shapes(blind)["params"]["encoder"]["trunk"]["head"]["kernel"]
    kernels[name] = head.shape[2]
  # One field channel, one of detail, two of scale.
  assert kernels == {"sees_scale": 2, "sees_detail": 3}


def test_detail_is_what_a_quarter_grid_does_not_hold():
  module = models.build("hinote", preset="levels", **_GRID)
  lowres, _, cell = _inputs((16, 19), 2.0, batch=1)
  x = (np.arange(16) + 0.5) / 16
  slow, fast = (np.cos(np.pi * k * x) for k in (1, 12))
  fields = jnp.asarray(np.stack([slow + 3.0, fast]), jnp.float32)
  fields = jnp.broadcast_to(fields[:, :, None, None], (2, 16, 19, 1))
  trunk_input = module.bind({})._trunk_input(fields, jnp.tile(cell, (2, 1)))
  detail = trunk_input[..., 1:2]
  # Also at walls. The ripple of the filter, down and up.
  np.testing.assert_allclose(detail[0], 0.0, atol=0.02)
  np.testing.assert_allclose(detail[1], fields[1], atol=0.02)


def _parameters(**kwargs):
  shapes = _shapes(models.build("hinote", **kwargs))
  return sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("preset", ["local", "levels", "paper", "pointwise"])
def test_sizes_grow_in_parameters(preset):
  small, base, large = (_parameters(size=s, preset=preset) for s in "SBL")
  assert 2 * small < base and base < large


def test_older_files_mean_the_levels_by_default():
  older = models.build("hinote", preset="default")
  assert older == models.build("hinote", preset="levels")
  assert older.level_widths and not models.build("hinote").level_widths


def test_unknown_names_raise():
  with pytest.raises(ValueError, match="unknown size 'XL'; did you mean 'L'"):
    models.build("hinote", size="XL")
  with pytest.raises(ValueError, match="'papers'; did you mean 'paper'"):
    models.build("hinote", preset="papers")


@pytest.mark.parametrize(
  "kwargs, message",
  [
    (dict(channels=3), "the field has 1 channels, the model was built for 3"),
    (dict(upsample=3), "upsample must be 1, 2 or 4, got 3"),
    (dict(domain="field"), "unknown domain 'field'"),
    (dict(domain="queries", level_widths=()), "needs at least one level"),
  ],
)
def test_arguments_that_do_not_fit_raise(kwargs, message):
  module = models.build("hinote", **kwargs)
  with pytest.raises(ValueError, match=message):
    _shapes(module)


def _smooth_fields(count, n, key):
  """Returns random fields of a few low modes, [count n n 1], unit spread."""
  x = (np.arange(n) + 0.5) / n
  basis = np.cos(np.pi * np.outer(x, np.arange(8)))
  weights = np.random.default_rng(key).normal(size=(count, 8, 8))
  fields = np.einsum("bkl,yk,xl->byx", weights, basis, basis)
  return (fields / fields.std())[..., None].astype(np.float32)


@pytest.mark.trial  # in the suite, tests/models/zoo_test.py does the like
@pytest.mark.parametrize("domain", _DOMAINS)
def test_overfit_of_four_fields(domain):
  # The details are unrelated to the input: only memory can fit them.
  _, coords, cell = _inputs((8, 8), 2.0, batch=4)
  lowres = jnp.asarray(_smooth_fields(4, 8, key=0))
  batch = dict(lowres=lowres, coords=coords, cell=cell)
  batch["highres"] = resize.sample(lowres, coords, method="cubic") + 0.3 * (
    _smooth_fields(4, 16, key=1)
  )
  options = dict(_DOMAINS[domain], width=24, heads=4, level_widths=(24, 24))
  if domain == "grid":
    options["head_width"] = 32
  module = models.build("hinote", preset="pointwise", **options)
  loss = losses.build("l2")
  steps = 150
  transform = optax.adam(optax.cosine_decay_schedule(5e-3, steps))
  state = train_step.init_state(_KEY, module, loss, transform, batch)
  step = jax.jit(train_step.make_train_step(module, loss, transform))
  values = []
  for _ in range(steps):
    state, metrics = step(state, batch)
    values.append(metrics["loss"])
  assert values[0] > 0.05
  assert values[-1] < values[0] / 20
