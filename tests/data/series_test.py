"""Tests of coordinates and of reading a source."""

import dataclasses

import numpy as np
import pytest

from hinote_jax import fields
from hinote_jax.data import series
from hinote_jax.fields import axes


@pytest.mark.parametrize(
  "name, units, values, expected",
  [
    ("longitude", "", np.arange(360), True),
    ("lon", "degrees_east", np.arange(-180, 180, 0.25), True),
    ("x", "degrees_east", np.linspace(0, 360, 144, endpoint=False), True),
    ("lon", "", np.arange(180, -180, -1.0), True),
    ("lon", "", np.roll(np.arange(-180, 180, 2.0), 90), True),
    ("lon", "", np.arange(0, 360, 2.8125, np.float32), True),
    ("lon", "", np.linspace(0, 360, 145), False),  # one cell twice
    ("lon", "", np.arange(0, 90), False),
    ("lon", "", np.arange(0, 359), False),
    ("lon", "", 360 * np.linspace(0, 1, 60, endpoint=False) ** 1.1, False),
    ("lon", "", [0.0], False),
    ("latitude", "degrees_north", np.arange(360), False),
    ("x", "m", np.arange(360), False),
  ],
)
def test_longitude_is_cyclic_where_it_goes_once_around(
  name, units, values, expected
):
  axis = fields.Axis(name, np.asarray(values, np.float64), units)
  assert axes.is_cyclic(axis) is expected


def _source(values):
  return series.Source(
    name="made",
    header=fields.Header(
      (fields.Variable("u"), fields.Variable("v")),
      axes.counted("y", 3),
      axes.counted("x", 4),
    ),
    times=("monday", "tuesday"),
    fingerprint="0",
    reader=lambda i: values[i],
  )


def test_read_gives_float32():
  field = _source(np.ones((2, 3, 4, 2), np.float64)).read(1)
  assert field.dtype == np.float32 and field.shape == (3, 4, 2)


def test_infinite_values_are_counted_and_located():
  values = np.zeros((2, 3, 4, 2))
  values[1, 0, :3, 1] = np.nan, np.inf, np.nan
  source = _source(values)
  source.read(0)
  with pytest.raises(
    ValueError, match=r"'v' has 1 infinite .* index 1 \(tuesday\)"
  ):
    source.read(1)


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_field_that_cannot_be_read_is_named(error):
  def fail(i):
    raise error("HDF error")

  source = dataclasses.replace(_source([]), reader=fail)
  with pytest.raises(
    ValueError, match=r"index 1 \(tuesday\) cannot be read \(HDF error\)"
  ):
    source.read(1)


def test_fields_of_another_shape_are_refused():
  with pytest.raises(
    ValueError, match=r"index 1 has shape \(3, 5, 2\) .*one grid"
  ):
    _source([None, np.zeros((3, 5, 2))]).read(1)
