"""A small series of smooth fields, walled in y and periodic in x."""

import numpy as np
import pytest

from hinote_jax import fields
from hinote_jax.data import series


def _make(count=6, shape=(40, 72), periodic=(False, True), channels=2):
  height, width = shape
  rng = np.random.default_rng(0)
  values = rng.normal(size=(count, height, width, channels))
  values = values * [10.0, 2.0, 5.0][:channels] + [280.0, 0.0, 1e5][:channels]
  latitude = np.linspace(-60.0, 60.0, height)
  longitude = np.arange(width) * (360.0 / width)
  header = fields.Header(
    tuple(fields.Variable(n) for n in ("t2m", "u10", "msl")[:channels]),
    fields.Axis("latitude", latitude, "degrees_north"),
    fields.Axis("longitude", longitude, "degrees_east"),
  )
  return series.Dataset(
    name="synthetic",
    values=values.astype(np.float32),
    times=tuple(f"2020-01-{i + 1:02d}" for i in range(count)),
    header=header.wrapped(periodic),
    citation="none",
    fingerprint="f" * 64,
  )


@pytest.fixture
def make_dataset():
  """Returns a function that makes a dataset of a given shape."""
  return _make
