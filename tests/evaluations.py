"""Fields, predictors and a run of the evaluation, for its tests."""

import contextlib
import dataclasses
from types import SimpleNamespace
from unittest import mock

import numpy as np

from hinote_jax.core import resize
from hinote_jax.evaluate import fields
from hinote_jax.plots import style


@dataclasses.dataclass
class Mean:
  """Cell means; a stand-in for a degradation."""

  def field(self, values, shape, *, periodic, rng=None):
    del periodic
    return np.asarray(resize.resize(values[None], shape, method="area"))[0]

  def __str__(self):
    return "area"


class Whole(SimpleNamespace):
  """What looks like a data set; `values` are in it, and no holes."""

  measured = lowres = None

  @property
  def as_read(self):
    return self.values if self.measured is None else self.measured

  def present(self, indices):
    return list(indices)

  def known(self, index):
    del index


def axis(name, units, values):
  return SimpleNamespace(name=name, units=units, values=values)


def dataset(times=3, domain=""):
  rng = np.random.default_rng(0)
  values = rng.normal(size=(times, 16, 20, 2)).astype(np.float32)
  names = [("t2m", "K", "temperature"), ("u10", "m/s", "zonal wind")]
  return Whole(
    values=values,
    variables=[
      SimpleNamespace(name=n, units=u, long_name=t) for n, u, t in names
    ],
    times=[f"2020-01-0{i + 1}" for i in range(times)],
    y=axis("lat", "degrees_north", np.linspace(10.0, 0.0, 16)),
    x=axis("lon", "degrees_east", np.linspace(0.0, 9.5, 20)),
    periodic=(False, True),
    name="noise",
    domain=domain,
    citation="nobody",
  )


class Truth:
  """A predictor that knows the answers, in the order they are asked."""

  def __init__(self, values, offset=0.0):
    self.values, self.offset, self.calls = values, offset, 0

  def __call__(self, lowres, *, shape):
    self.calls += 1
    answer = self.values[(self.calls - 1) % len(self.values)]
    assert answer.shape[:2] == shape and lowres.ndim == 3
    return answer + np.asarray(self.offset, np.float32)


def nearest(lowres, *, shape):
  return np.asarray(resize.resize(lowres[None], shape, method="nearest"))[0]


def run(predictors, dataset, scales=(2.0,), **kwargs):
  return fields.evaluate(
    predictors,
    dataset,
    range(len(dataset.values)),
    degradation=Mean(),
    scales=scales,
    data_range=[8.0, 4.0],
    progress=False,
    **kwargs,
  )


def bicubic(lowres, *, shape):
  return np.asarray(resize.resize(lowres[None], shape, method="cubic"))[0]


class Close:
  """A predictor that knows the answers up to a factor."""

  def __init__(self, values, factor):
    self.values, self.factor, self.calls = values, factor, 0

  def __call__(self, lowres, *, shape):
    self.calls += 1
    answer = self.values[(self.calls - 1) % len(self.values)]
    return answer * np.float32(self.factor)


@contextlib.contextmanager
def rough_figures():
  """Lays nothing out and draws few pixels: most of the time of a figure."""

  def figure(width, height):
    drawn = style.Figure(figsize=(width, height), dpi=30)
    style.FigureCanvasAgg(drawn)
    return drawn

  with mock.patch.multiple(style, DPI=30, figure=figure):
    yield
