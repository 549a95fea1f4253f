import jax
import numpy as np
import pytest

from hinote_jax import infer, models
from hinote_jax.core import grids
from hinote_jax.infer import plans
from tests.infer import networks


def _lines(shape, fine):
  return tuple(grids.cell_line(n, m) for n, m in zip(shape, fine, strict=True))


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _whole(plan, lowres):
  out = np.full((*plan.shape, lowres.shape[-1]), np.nan, np.float32)
  for (rows, columns), values in plan(lowres):
    assert np.all(np.isnan(out[rows, columns])), "a cell came twice"
    out[rows, columns] = values
  return out


def _network(name, **kwargs):
  module = models.build(name, channels=1, **kwargs)
  shape = (1, 6, 6, 1)
  variables = module.init(
    jax.random.key(0),
    _field(shape),
    grids.axes((8, 8)),
    np.ones((1, 2), np.float32),
  )
  return module, variables


@pytest.mark.parametrize(
  ("text", "count"),
  [
    ("2GB", 2e9),
    ("1.5g", 1.5e9),
    ("512 MB", 5.12e8),
    ("800MiB", 8e8),
    ("3e9", 3e9),
    (10**9, 1e9),
  ],
)
def test_bytes_are_read(text, count):
  assert plans.parse_bytes(text) == count


@pytest.mark.parametrize("text", ["much", "", "2 pounds"])
def test_what_is_no_size_is_refused(text):
  with pytest.raises(ValueError, match="such as 2GB or 512MB"):
    plans.parse_bytes(text)


def test_memory_that_leaves_nothing_says_how_much_is_needed():
  module = models.build("bicubic")
  with pytest.raises(ValueError, match=r"300 MB leaves nothing.* give \d+ MB"):
    plans.Plan(module, {}, (9, 9), _lines((9, 9), (20, 20)), memory="300MB")


def _by_hand(module, variables, lowres, fine):
  """The eight views one by one, by NumPy alone."""
  total = 0.0
  for turns in range(4):
    for is_flipped in (False, True):
      view = np.rot90(lowres, turns)
      view = view[:, ::-1] if is_flipped else view
      shape = fine if turns % 2 == 0 else fine[::-1]
      cell = grids.cell_size(shape)[None]
      found = module.apply(
        variables, view[None].copy(), grids.axes(shape), cell
      )
      found = np.asarray(found[0], np.float64)
      found = found[:, ::-1] if is_flipped else found
      total = total + np.rot90(found, -turns)
  return total / 8


@pytest.mark.parametrize(
  "memory", [None, pytest.param("1GB", marks=pytest.mark.trial)]
)
def test_the_ensemble_is_the_mean_of_eight_views(memory):
  module, variables = _network(
    "srno",
    width=8,
    heads=2,
    blocks=1,
    hidden=(8,),
    encoder_options=dict(width=4, blocks=1),
  )
  lowres, fine = _field((7, 9, 1)), (17, 20)
  plan = plans.Plan(
    module,
    variables,
    (7, 9),
    _lines((7, 9), fine),
    memory=memory,
    is_ensemble=True,
    side=None if memory is None else 8,
  )
  got, want = _whole(plan, lowres), _by_hand(module, variables, lowres, fine)
  np.testing.assert_allclose(got, want, atol=1e-5 * want.std())


def test_tiles_of_the_ensemble_cover_a_window_of_a_periodic_field():
  # A target that is no whole number of cells, on an axis that wraps.
  module = models.build("bicubic")
  lines = grids.Line(0.3, 0.37, 11), grids.Line(-0.4, 0.21, 13)
  options = dict(periodic=(False, True))
  plain = plans.Plan(module, {}, (6, 8), lines, **options)
  tiled = plans.Plan(
    module,
    {},
    (6, 8),
    lines,
    memory="1GB",
    side=5,
    is_ensemble=True,
    **options,
  )
  lowres = _field((6, 8, 2))
  np.testing.assert_allclose(
    _whole(tiled, lowres), _whole(plain, lowres), atol=2e-6
  )


def test_fields_of_one_shape_share_a_plan_and_its_programs():
  predictor = infer.load("bicubic")
  where = (5, 6), _lines((5, 6), (9, 9))
  reports = []
  plan = predictor.plan(
    *where, memory="1GB", side=9, report=lambda *what: reports.append(what)
  )
  assert predictor.plan(*where, memory="1GB", side=9) is plan
  first, second = _field((5, 6, 1)), _field((5, 6, 1), seed=1)
  got = [_whole(plan, field) for field in (first, second)]
  for field, fine in zip((first, second), got, strict=True):
    np.testing.assert_array_equal(fine, predictor(field, shape=(9, 9)))
  ((_, run),) = plan._cache.values()
  assert len(run._programs) == 1
  assert reports == [("answer", 1, 1)] * 2


def test_small_results_are_computed_at_once_where_they_fit():
  where = (5, 6), _lines((5, 6), (9, 9))
  lowres = _field((5, 6, 1))
  plan = plans.Plan(models.build("bicubic"), {}, *where, memory="1GB")
  reports = []
  tiled = plans.Plan(
    models.build("bicubic"),
    {},
    *where,
    memory="1GB",
    side=4,
    report=lambda *what: reports.append(what),
  )
  np.testing.assert_allclose(
    _whole(plan, lowres), _whole(tiled, lowres), atol=1e-6
  )
  assert len(plan._cache) == 1 and reports[-1] == ("answer", 9, 9)


@pytest.mark.parametrize(
  "options",
  [
    dict(memory="1GB"),
    dict(memory="1GB", side=5),
    dict(devices=jax.devices()[:3]),
    dict(is_ensemble=True),
    dict(is_ensemble=True, memory="1GB", side=5),
  ],
)
def test_extras_go_to_the_model_in_every_way(options):
  lowres, fine = _field((6, 7, 1)), (12, 21)
  extras = dict(
    static=dict(coarse=_field((6, 7, 1), 1), fine=_field((*fine, 1), 2)),
    shift=np.float32(3.0),
  )
  where = networks.WithExtras(), {}, (6, 7), _lines((6, 7), fine)
  ((_, want),) = plans.Plan(*where)(lowres, extras=extras)
  plan = plans.Plan(*where, **options)
  for shift in (3.0, 4.0):  # a number of the graph, not of what is compiled
    extras["shift"] = np.float32(shift)
    got = np.full((*fine, 1), np.nan, np.float32)
    for (rows, columns), values in plan(lowres, extras=extras):
      got[rows, columns] = values
    np.testing.assert_allclose(got, want + shift - 3.0, atol=1e-5)


@pytest.mark.parametrize(
  "options", [dict(), dict(memory="1GB"), dict(memory="1GB", side=5)]
)
def test_a_plan_is_of_the_shapes_and_names_of_the_extras(options):
  lowres, fine = _field((6, 7, 1)), (12, 14)
  plan = plans.Plan(
    networks.WithBlur(), {}, (6, 7), _lines((6, 7), fine), **options
  )
  plain = infer.load("bilinear")(lowres, shape=fine)
  wide = np.full((3, 5), 1 / 15, np.float32)
  for extras, added in (
    (dict(kernel=wide), 1 / 3),
    (dict(kernel=wide.T), 1 / 5),  # of the same bytes
    (dict(kernel=wide, noise=np.float32(2.0)), 1 / 3 + 2),
    (dict(kernel=wide), 1 / 3),
  ):
    got = np.full((*fine, 1), np.nan, np.float32)
    for (rows, columns), values in plan(lowres, extras=extras):
      got[rows, columns] = values
    np.testing.assert_allclose(got, plain + added, atol=1e-5)
