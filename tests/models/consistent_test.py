"""Models that end in the data step, beside the matrices of whole fields."""

import jax
import numpy as np
import pytest

from hinote_jax import degradations, infer, models
from hinote_jax.core import grids
from hinote_jax.data import batches, normalise
from hinote_jax.degradations import linear
from hinote_jax.infer import consistency
from hinote_jax.models import consistent
from tests.data import conftest

_TEXTS = ("area", "decimate(cubic, antialias)", "decimate(linear)", "uniform")
_AREA = linear.ending(degradations.parse("area"))
_RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("periodic", [(True, True), (False, True)])
@pytest.mark.parametrize("fine", [(12, 18), (13, 17)])
@pytest.mark.parametrize("text", _TEXTS)
def test_a_whole_field_is_projected(text, fine, periodic):
  lowres = _RANDOM.normal(size=(6, 9, 2)).astype(np.float32)
  plain = models.build("bicubic").clone(periodic=periodic)
  ending = linear.ending(degradations.parse(text))
  model = models.build("bicubic", consistent=ending).clone(periodic=periodic)
  given = lowres[None], grids.axes(fine), grids.cell_size(fine)[None]
  x, got = np.asarray(plain.apply({}, *given)), model.apply({}, *given)
  degradation = degradations.parse(text)
  project = consistency.Projection(
    degradation, fine, (6, 9), periodic, tolerance=1e-9
  )
  np.testing.assert_allclose(got[0], project(x[0], lowres), atol=2e-4)
  back = degradation.field(np.asarray(got[0]), (6, 9), periodic=periodic)
  np.testing.assert_allclose(back, lowres, atol=2e-4)


def test_windows_of_training_meet_the_cells_that_they_hold():
  dataset = conftest._make()
  normaliser = normalise.Normaliser.fit(dataset.values, range(4))
  windows = batches.Windows(
    dataset,
    range(4),
    normaliser,
    degradations.parse("area"),
    window=(8, 8),
    queries=(9, 9),
    scale_range=(1.2, 3.0),
    seed=0,
  )
  batch = windows.batch(0, range(6))
  scale = grids.scale_of(batch["cell"], (8, 8))
  truth = batch["highres"]
  model = models.build("bicubic", consistent=_AREA)
  rows, (known_y, known_x) = [], ([], [])
  for axis, known in ((0, known_y), (1, known_x)):
    matrix, is_known = model.axis(
      batch["coords"][axis], 8, scale[:, axis], False
    )
    rows.append(matrix)
    known.append(is_known)
    np.testing.assert_allclose(matrix.sum(-1), is_known, atol=1e-5)
    # A window of 9 queries holds at least one coarse cell and not all.
    assert np.all((is_known.sum(1) >= 1) & (is_known.sum(1) <= 8))
  # The truth meets its input, and nothing would be added to it.
  missed = consistent._along(*rows, truth) - batch["lowres"]
  missed = missed * known_y[0][:, :, None, None] * known_x[0][:, None, :, None]
  np.testing.assert_allclose(missed, 0.0, atol=2e-4)


def test_both_axes_share_one_solve():
  # Of two at once, on two cores, each may wait for the thread of the other.
  model = models.build("bicubic", consistent=_AREA)
  given = np.ones((2, 6, 9, 1)), grids.axes((12, 15)), np.full((2, 2), 0.1)
  program = jax.make_jaxpr(model.apply)({}, *given)
  assert _count(program.jaxpr, "lu") == 1


def _count(program, name):
  """Returns how many operations of a name a program has, with its parts."""
  count = 0
  for equation in program.eqns:
    parts = [getattr(p, "jaxpr", p) for p in equation.params.values()]
    count += equation.primitive.name == name
    count += sum(_count(part, name) for part in parts if hasattr(part, "eqns"))
  return count


def test_tiles_are_made_consistent_too():
  lowres = _RANDOM.normal(size=(12, 10)).astype(np.float32)
  predictor = infer.Predictor(models.build("bicubic", consistent=_AREA), {})
  whole = predictor(lowres, scale=2.5)
  tiled = predictor(lowres, scale=2.5, memory="2GB", side=8)
  np.testing.assert_allclose(tiled, whole, atol=1e-4)
  back = degradations.parse("area").field(
    whole[..., None], (12, 10), periodic=(False, False)
  )
  np.testing.assert_allclose(back[..., 0], lowres, atol=1e-4)


def test_gradients_reach_the_model():
  module = models.build(
    "espcn", consistent=_AREA, channels=1, **models.spec("espcn").tiny
  )
  lowres = _RANDOM.normal(size=(1, 4, 4, 1)).astype(np.float32)
  given = lowres, grids.axes((8, 8)), grids.cell_size((8, 8))[None]
  variables = module.init(jax.random.key(0), *given)
  plain = models.build("espcn", channels=1, **models.spec("espcn").tiny)
  shapes = jax.tree.map(np.shape, plain.init(jax.random.key(0), *given))
  assert jax.tree.map(np.shape, variables) == shapes

  def error(variables):
    return (module.apply(variables, *given) ** 2).sum()

  slopes = jax.tree.leaves(jax.grad(error)(variables))
  assert all(np.isfinite(s).all() for s in slopes)
  assert max(np.abs(s).max() for s in slopes) > 0.0


@pytest.mark.parametrize("text", ["truncate", "blur(0.5)|area", "pillow"])
def test_what_has_no_closed_form_is_said(text):
  with pytest.raises(ValueError, match="no closed form at any scale"):
    linear.ending(degradations.parse(text))
