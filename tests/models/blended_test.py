"""Models that are blended with interpolations: pointwise, in tiles, exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import lazy, models
from hinote_jax.core import grids
from hinote_jax.infer import plans
from tests import trials

_BLEND = dict(
  methods=["linear", "lanczos"],
  scales=[4.0, 8.0, 16.0],
  weights=[[[0.0, 0.0]], [[0.2, 0.3]], [[0.5, 0.1]]],
)
_HINOTE = dict(models.spec("hinote").tiny) | dict(channels=1)


def _case(scale, name="hinote", **options):
  plain = models.build(name, **options)
  blended = models.build(name, **options, blend=_BLEND)
  lowres = np.random.default_rng(0).normal(size=(1, 4, 5, 1))
  lines = tuple(grids.cell_line(n, round(n * scale)) for n in (4, 5))
  queries = lazy.Queries.of_lines(lines, (4, 5))
  args = lowres.astype(np.float32), queries.coords, queries.cell()
  variables = plain.init(jax.random.key(0), *args)
  return plain, blended, variables, args, lines


@pytest.mark.parametrize(
  ("scale", "linear", "lanczos"),
  trials.apart_from(
    lambda case: case[0] not in (4, 8),
    [(2, 0, 0), (4, 0, 0), (6, 0.2, 0.3), (8, 0.2, 0.3), (20, 0.5, 0.1)],
  ),
)
def test_weights_are_linear_in_octaves_and_held(scale, linear, lanczos):
  options = dict(residual_scale=[[-1.0, 0.5, 0.1]], **_HINOTE)
  plain, blended, variables, args, _ = _case(scale, **options)
  share = np.log2(scale / 4.0) if scale == 6 else 1.0
  linear, lanczos = share * linear, share * lanczos
  own = plain.apply(variables, *args)
  others = [models.build(n).apply({}, *args) for n in ("bilinear", "lanczos")]
  want = (1.0 - linear - lanczos) * np.asarray(own)
  want += linear * np.asarray(others[0]) + lanczos * np.asarray(others[1])
  got = np.asarray(blended.apply(variables, *args))
  np.testing.assert_allclose(got, want, atol=2e-6)
  if scale <= 4:
    size = jnp.full((1, 2), scale, jnp.float32)
    weights = blended.apply(variables, size, method="_weights")
    np.testing.assert_array_equal(weights, 0.0)


def test_it_has_the_parameters_of_its_model():
  plain, blended, variables, args, _ = _case(2, **_HINOTE)
  own = blended.init(jax.random.key(0), *args)
  assert jax.tree.structure(own) == jax.tree.structure(variables)
  assert blended.channels == plain.channels == 1


def test_tiles_answer_as_the_whole():
  _, blended, variables, args, lines = _case(6, **_HINOTE)
  want = np.asarray(blended.apply(variables, *args))[0]
  plan = plans.Plan(blended, variables, (4, 5), lines, memory="1GB", side=9)
  got = np.full(want.shape, np.nan, np.float32)
  for (rows, columns), values in plan(args[0][0]):
    got[rows, columns] = values
  np.testing.assert_allclose(got, want, atol=1e-5 * np.std(want))
