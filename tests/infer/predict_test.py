"""The predictor: units, shapes, one compilation a shape, messages."""

import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized
from flax import linen as nn
import jax.numpy as jnp
import numpy as np

from hinote_jax import infer, models
from hinote_jax.core import grids, resize
from hinote_jax.train import checkpoint

_TRACES = []


class _Probe(nn.Module):
  """Bilinear interpolation, times a weight; notes what it was called with."""

  channels: int = 2
  periodic: tuple[bool, bool] = (False, False)

  @nn.compact
  def __call__(self, lowres, coords, cell):
    _TRACES.append((lowres.shape, grids.query_shape(coords), self.periodic))
    weight = self.param("weight", nn.initializers.ones, (self.channels,))
    rule = resize.boundaries(self.periodic, "edge")
    fine = resize.sample(lowres, coords, method="linear", boundary=rule)
    return weight * fine + 0.0 * jnp.sum(cell)


class _Units:
  """Normalised = (x - 280) / 10."""

  def normalise(self, x):
    return (x - 280.0) / 10.0

  def denormalise(self, x):
    return 10.0 * x + 280.0


def _field(shape=(5, 6, 2), seed=0):
  values = np.random.default_rng(seed).normal(280.0, 10.0, shape)
  return values.astype(np.float32)


def _predictor(weight=1.0, **kwargs):
  variables = {"params": {"weight": jnp.full((2,), weight)}}
  return infer.Predictor(_Probe(), variables, **kwargs)


class PredictorTest(parameterized.TestCase):
  def test_equals_the_module_applied_by_hand(self):
    field, shape = _field(), (13, 17)
    found = _predictor(periodic=(False, True))(field, shape=shape)
    expected = resize.sample(
      field[None],
      grids.axes(shape),
      method="linear",
      boundary=("edge", "wrap"),
    )
    np.testing.assert_allclose(found, expected[0], rtol=1e-6)
    self.assertEqual(found.dtype, np.float32)
    self.assertIsInstance(found, np.ndarray)

  def test_the_model_sees_normalised_values(self):
    field = _field()
    # A model that answers 0 answers the mean, 280, in physical units.
    found = _predictor(0.0, normaliser=_Units())(field, scale=2)
    np.testing.assert_array_equal(found, np.full((10, 12, 2), 280.0))
    same = _predictor(1.0, normaliser=_Units())(field, scale=2)
    plain = _predictor(1.0)(field, scale=2)
    np.testing.assert_allclose(same, plain, atol=1e-4)  # float32 at 280

  @parameterized.parameters((1.0, (5, 6)), (2.0, (10, 12)), (3.7, (19, 22)))
  def test_scale_rounds_each_side(self, scale, shape):
    self.assertEqual(_predictor()(_field(), scale=scale).shape, (*shape, 2))

  def test_scale_one_returns_the_field(self):
    field = _field()
    np.testing.assert_allclose(_predictor()(field, scale=1), field, rtol=1e-6)

  def test_cell_is_that_of_the_fine_grid(self):
    seen = []

    class Cell(_Probe):
      @nn.compact
      def __call__(self, lowres, coords, cell):
        seen.append(cell.shape)
        shape = (*grids.query_shape(coords), 2)
        return jnp.broadcast_to(cell[:, None, None, :], (len(cell), *shape))

    found = infer.Predictor(Cell(), {})(_field((3, 5, 6, 2)), shape=(8, 20))
    self.assertEqual(seen, [(3, 2)])
    np.testing.assert_allclose(found[1, 2, 3], [2 / 8, 2 / 20])

  def test_a_batch_is_its_fields_one_by_one(self):
    fields = _field((3, 5, 6, 2))
    predictor = _predictor()
    together = predictor(fields, scale=2)
    self.assertEqual(together.shape, (3, 10, 12, 2))
    for field, expected in zip(fields, together, strict=True):
      found = predictor(field, scale=2)
      np.testing.assert_allclose(found, expected, rtol=1e-6)

  def test_rank_two_needs_one_channel(self):
    bicubic = infer.load("bicubic")
    field = _field((5, 6))
    found = bicubic(field, scale=2)
    self.assertEqual(found.shape, (10, 12))
    again = bicubic(field[..., None], scale=2)[..., 0]
    np.testing.assert_array_equal(found, again)
    with self.assertRaisesRegex(
      ValueError, r"takes 2 channels.*\(5, 6\) has 1"
    ):
      _predictor()(field, scale=2)

  def test_one_compilation_a_shape(self):
    predictor = _predictor()
    del _TRACES[:]
    for seed in range(3):
      predictor(_field(seed=seed), shape=(11, 12))
    predictor(_field(), shape=(15, 12))
    predictor(_field(), shape=(11, 12))
    self.assertLen(_TRACES, 2)

  @parameterized.parameters(
    (dict(), "exactly one of .*, got scale=None, shape=None, like=None"),
    (
      dict(scale=2.0, shape=(9, 9)),
      r"exactly one .* scale=2.0, shape=\(9, 9\)",
    ),
    (dict(scale=0.5), "at least 1, got 0.5"),
    (dict(scale=float("nan")), "at least 1, got nan"),
    (dict(shape=(4, 12)), r"shape \(4, 12\) is coarser than .*\(5, 6\)"),
  )
  def test_size_of_the_result_must_make_sense(self, size, message):
    with self.assertRaisesRegex(ValueError, message):
      _predictor()(_field(), **size)

  def test_wrong_channels_are_named(self):
    predictor = _predictor(names=("t2m", "u10"))
    message = r"takes 2 channels \(t2m, u10\), .* \(5, 6, 3\) has 3"
    with self.assertRaisesRegex(ValueError, message):
      predictor(_field((5, 6, 3)), scale=2)

  def test_wrong_rank(self):
    with self.assertRaisesRegex(ValueError, r"shape \[h w\].*got \(5,\)"):
      _predictor()(_field((5,)), scale=2)

  def test_missing_values_are_counted_and_found(self):
    field = _field()
    field[2, 3, 1] = np.nan
    field[4, 0, 0] = np.inf
    message = r"2 of 60 values .* not finite, the first at index \(2, 3, 1\)"
    with self.assertRaisesRegex(ValueError, message):
      _predictor()(field, scale=2)


class LoadTest(parameterized.TestCase):
  @parameterized.parameters("nearest", "bilinear", "bicubic", "spectral")
  def test_interpolations_load_by_name_and_keep_constants(self, name):
    predictor = infer.load(name)
    self.assertIsInstance(predictor.module, type(models.build(name)))
    found = predictor(np.full((6, 7, 3), 4.0), scale=2.5)
    np.testing.assert_allclose(found, 4.0, rtol=1e-5)

  def test_anything_else_is_one_sentence(self):
    message = "is not a workdir.*no config.json.*nor an interpolation.*bicubic"
    with tempfile.TemporaryDirectory() as folder:
      for path in (folder, pathlib.Path(folder) / "none", "bicubi"):
        with self.assertRaisesRegex(FileNotFoundError, message):
          infer.load(path)

  @parameterized.parameters(
    ("bicubic", dict(static=["z.nc:z"]), "static field z.nc:z"),
    ("bicubic", dict(foo=3, normalisation="unit"), "normalisation=unit, foo=3"),
    ("hinote-s-turbulence", dict(foo=3), "turbulence, a run, .* for foo=3"),
    ("im-lut-photo", dict(static=["z.nc:z"]), "photo, .* static field z.nc:z"),
    ("hinote-s-turbulence", dict(static=["z.nc:z"]), "told of nothing static"),
  )
  def test_what_would_not_be_looked_at_is_refused(self, name, given, message):
    with self.assertRaisesRegex(ValueError, f"{message}.*: leave"):
      infer.load(name, **given)

  def test_a_damaged_checkpoint_is_not_used(self):
    damaged = ValueError("step 30: its values do not match their digest")
    with tempfile.TemporaryDirectory() as folder:
      (pathlib.Path(folder) / "config.json").write_text("{}")
      with mock.patch.object(checkpoint, "load_variables", side_effect=damaged):
        with self.assertRaisesRegex(ValueError, "do not match their digest"):
          infer.load(folder)


if __name__ == "__main__":
  absltest.main()
