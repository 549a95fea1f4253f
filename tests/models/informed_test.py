"""Models that are told what is known of the place: in tiles and devices too."""

import types

import jax
import numpy as np
import pytest

from hinote_jax import lazy, models
from hinote_jax.core import grids
from hinote_jax.infer import plans
from hinote_jax.models import informed
from hinote_jax.train import static_run
from tests import trials

_UNITS = (0.5, 2.0)


def _build(name, **kwargs):
  arguments = dict(models.spec(name).tiny) | dict(channels=1) | kwargs
  return models.build(name, static_units=_UNITS, **arguments)


def _case(fine=(16, 18), seed=0):
  random = np.random.default_rng(seed)
  lowres, *coarse = random.normal(size=(3, 8, 9)).astype(np.float32)
  static = {
    "fine": random.normal(size=(*fine, 2)).astype(np.float32),
    "coarse": np.stack(coarse, axis=-1),
  }
  lines = tuple(
    grids.cell_line(n, m) for n, m in zip((8, 9), fine, strict=True)
  )
  return lowres[..., None], {"static": static}, lines


def _variables(module, lowres, extras, lines):
  queries = lazy.Queries.of_lines(lines, lowres.shape[:2])
  batched = jax.tree.map(lambda leaf: leaf[None], extras)
  arguments = lowres[None], queries.coords, queries.cell()
  variables = module.init(jax.random.key(0), *arguments, **batched)
  # Waited for: the arrays that it reads may be changed by the test.
  return variables, np.asarray(
    module.apply(variables, *arguments, **batched)[0]
  )


def _values(plan, lowres, extras):
  out = np.full((*plan.shape, 1), np.nan, np.float32)
  for (rows, columns), values in plan(lowres, extras=extras):
    out[rows, columns] = values
  return out


# A run of hinote is told of the place in tiles and devices in told_test.
@pytest.mark.parametrize(
  "name", trials.apart_from("edsr".__eq__, ["hinote", "edsr", "metasr"])
)
def test_tiles_and_devices_answer_as_the_whole(name):
  options = {"edsr": dict(scale=2), "metasr": dict(out_channels=1)}
  module = _build(name, **options.get(name, {}))
  lowres, extras, lines = _case()
  variables, want = _variables(module, lowres, extras, lines)
  where = module, variables, (8, 9), lines
  for how in (dict(memory="1GB", side=7), dict(devices=jax.devices()[:2])):
    got = _values(plans.Plan(*where, **how), lowres, extras)
    np.testing.assert_allclose(got, want, atol=1e-5 * np.std(want))


def test_what_is_static_is_read_and_others_are_refused():
  module = _build("bicubic")
  lowres, extras, lines = _case()
  variables, first = _variables(module, lowres, extras, lines)
  extras["static"]["fine"][3, 4] += 1.0
  changed = plans.Plan(module, variables, (8, 9), lines)
  difference = _values(changed, lowres, extras) - np.asarray(first)
  assert np.flatnonzero(np.abs(difference) > 1e-6).tolist() == [3 * 18 + 4]
  extras["static"]["coarse"] = extras["static"]["coarse"][..., :1]
  with pytest.raises(ValueError, match="told of 2 static channels, got 1"):
    _variables(module, lowres, extras, lines)


def test_metasr_need_not_answer_in_what_it_is_told():
  lowres, extras, lines = _case()
  full, fewer = (
    _variables(_build("metasr", **kwargs), lowres, extras, lines)
    for kwargs in ({}, {"out_channels": 1})
  )
  assert fewer[1].shape == full[1].shape
  counts = [v["params"]["model"]["mix"].shape[-1] for v, _ in (full, fewer)]
  assert counts == [3, 1]


def test_axes_and_points_have_the_same_answer():
  module = _build("liif")
  lowres, extras, lines = _case()
  variables, want = _variables(module, lowres, extras, lines)
  queries = lazy.Queries.of_lines(lines, (8, 9))
  y, x = np.meshgrid(*queries.coords, indexing="ij")
  points = np.stack([y, x], axis=-1)
  batched = jax.tree.map(lambda leaf: leaf[None], extras)
  got = module.apply(variables, lowres[None], points, queries.cell(), **batched)
  np.testing.assert_allclose(got[0], want, atol=2e-5)


def test_spec_says_what_such_a_model_takes():
  assert models.spec_of(dict(name="hinote")).extras == ()
  arguments = dict(name="hinote", static_units=_UNITS)
  assert models.spec_of(arguments).extras == ("static",)
  module = _build("hinote", residual_scale=(3.0,))
  assert module.channels == 1
  assert module.plain.residual_scale == (3.0, *_UNITS)


def test_regression_finds_the_coefficients_that_made_the_fields():
  random = np.random.default_rng(5)
  static = random.normal(size=(1, 16, 18, 1)).astype(np.float32)
  coarse = static.reshape(1, 8, 2, 9, 2, 1).mean((2, 4))
  lowres = random.normal(size=(1, 8, 9, 2)).astype(np.float32)
  lines = grids.cell_line(8, 16), grids.cell_line(9, 18)
  queries = lazy.Queries.of_lines(lines, (8, 9))
  args = lowres, queries.coords, queries.cell()
  kernel = np.asarray([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
  module = models.build(static_run.REGRESSION, static_units=(2.0,), channels=2)
  given = {"fine": static, "coarse": coarse}
  f = informed.at_queries(given, queries.coords, (2.0,), (False, False))
  bicubic = np.asarray(models.build("bicubic").apply({}, *args))
  truth = bicubic + np.asarray(f) @ kernel[:2] + kernel[2]

  class Windows:
    def batch(self, step, rows):
      known = dict(zip(("lowres", "coords", "cell"), args, strict=True))
      return known | {"highres": truth, "static": given}

  class Data:
    dataset, train = types.SimpleNamespace(channels=2), Windows()
    static_units = staticmethod(lambda: (2.0,))

  module, variables = static_run.regression(Data(), batches=1, ridge=1e-9)
  got = module.apply(variables, *args, static=given)
  np.testing.assert_allclose(got, truth, atol=1e-3)
