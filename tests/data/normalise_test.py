"""Tests of the normaliser."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.data import normalise


def _fit(dataset, indices=(0, 1, 2)):
  return normalise.Normaliser.fit(dataset.values, indices, names=dataset.names)


def test_statistics_are_those_of_the_training_part(make_dataset):
  dataset = make_dataset(channels=3)
  normaliser = _fit(dataset)
  part = dataset.values[:3].astype(np.float64)
  np.testing.assert_allclose(normaliser.mean, part.mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(normaliser.std, part.std((0, 1, 2)), rtol=1e-10)
  np.testing.assert_array_equal(normaliser.minimum, part.min((0, 1, 2)))
  np.testing.assert_array_equal(
    normaliser.data_range, part.max((0, 1, 2)) - part.min((0, 1, 2))
  )


def test_training_part_becomes_standard_and_comes_back(make_dataset):
  dataset = make_dataset(channels=3)
  normaliser = _fit(dataset)
  normal = normaliser.normalise(dataset.values[:3])
  assert normal.dtype == np.float32
  np.testing.assert_allclose(normal.mean((0, 1, 2)), 0.0, atol=1e-3)
  np.testing.assert_allclose(normal.std((0, 1, 2)), 1.0, atol=1e-4)
  back = normaliser.denormalise(normal)
  np.testing.assert_allclose(back, dataset.values[:3], rtol=3e-7, atol=1e-5)


def test_jax_and_numpy_agree(make_dataset):
  dataset = make_dataset()
  normaliser = _fit(dataset)
  field = dataset.values[0]
  ours = normaliser.normalise(jnp.asarray(field))
  assert isinstance(ours, jnp.ndarray) and ours.dtype == jnp.float32
  np.testing.assert_allclose(ours, normaliser.normalise(field), atol=1e-6)
  assert normaliser.normalise(field.astype(np.float64)).dtype == np.float64


def test_json_keeps_every_bit(make_dataset):
  normaliser = _fit(make_dataset())
  text = json.dumps(normaliser.to_dict())
  assert normalise.Normaliser.from_dict(json.loads(text)) == normaliser


def test_large_offset_does_not_cancel():
  values = np.array([1e8, 1e8 + 8.0], np.float32).reshape(2, 1, 1, 1)
  values = np.tile(values, (1, 3, 3, 1))
  normaliser = normalise.Normaliser.fit(values, (0, 1))
  assert normaliser.std == (4.0,)


def test_constant_variable_is_named(make_dataset):
  dataset = make_dataset()
  for value, text in ((7.0, "7"), (-0.0, "0")):
    dataset.values[:3, ..., 1] = value
    with pytest.raises(ValueError, match=rf"is constant \({text}\) over the 3"):
      _fit(dataset)


def test_refuses_no_times_and_other_channels(make_dataset):
  dataset = make_dataset()
  with pytest.raises(ValueError, match="training is empty"):
    _fit(dataset, ())
  with pytest.raises(ValueError, match="has 1 channels and .* fitted on 2"):
    _fit(dataset).normalise(dataset.values[..., :1])
