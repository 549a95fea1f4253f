"""Symmetries of training windows: closed forms, signs, equivariance."""

import itertools

import numpy as np
import pytest

from hinote_jax import degradations, fields
from hinote_jax.core import grids
from hinote_jax.data import normalise, symmetries
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import flow

_ALL = symmetries.NAMES
_CHOICES = tuple(itertools.product((False, True), repeat=3))


def _header(*names, side=16, falling=False):
  values = np.arange(side, dtype=float)
  y = values[::-1] if falling else values
  variables = tuple(
    fields.Variable(name, "s-1" if name == "omega" else "m s-1")
    for name in names
  )
  return fields.Header(
    variables=variables,
    y=fields.Axis.of("y", y, "m"),
    x=fields.Axis.of("x", values, "m"),
  )


def _normaliser(mean, std):
  mean, std = np.asarray(mean), np.asarray(std)
  parts = (mean, std, mean - std, mean + std)
  return normalise.Normaliser(*(tuple(part.tolist()) for part in parts))


def _plain(*names, **options):
  count = len(names)
  unit = _normaliser(np.zeros(count), np.ones(count))
  return symmetries.Symmetries(_ALL, _header(*names, **options), unit)


@pytest.mark.parametrize("chosen", _CHOICES, ids=str)
def test_a_scalar_moves_with_its_coordinates(chosen):
  # A function of the position is the function of the transformed one.
  turned = _plain("t").turned(*chosen)
  y, x = np.linspace(-0.8, 0.6, 6), np.linspace(-0.2, 0.9, 6)

  def field(y, x):
    return (3.0 * y[:, None] + y[:, None] * x[None] ** 2)[..., None]

  got_y, got_x = turned.coords(y, x)
  got = turned.values(field(y, x))
  flips_y, flips_x, transposes = chosen
  if transposes:  # undo: the new rows are the old columns
    got, got_y, got_x = got.swapaxes(0, 1), got_x, got_y
  want = field(got_y * (-1 if flips_y else 1), got_x * (-1 if flips_x else 1))
  np.testing.assert_allclose(got, want, atol=1e-6)
  assert np.all(np.diff(got_y) > 0) and np.all(np.diff(got_x) > 0)


@pytest.mark.parametrize("falling", (False, True))
@pytest.mark.parametrize("chosen", _CHOICES, ids=str)
def test_the_curl_of_a_turned_flow_is_the_turned_curl(chosen, falling):
  side = 16
  turns = _plain("u", "v", "omega", side=side, falling=falling)
  rng = np.random.default_rng(0)
  y_of, x_of = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
  angle = 2 * np.pi / side
  stream = sum(
    rng.normal() * np.cos(angle * (k * y_of + m * x_of) + rng.normal())
    for k in range(3)
    for m in range(3)
  )
  step = (-1.0 if falling else 1.0, 1.0)
  context = contexts.Context(
    ("u", "v"), ("", ""), ("", ""), (True, True), np.ones(2), step=step
  )
  u = flow.derivative(stream, 0, step[0], is_periodic=True)
  v = -flow.derivative(stream, 1, 1.0, is_periodic=True)
  curl, _ = flow.curl_and_divergence(u, v, context)
  window = np.stack([u, v, curl], axis=-1)
  turned = turns.turned(*chosen).values(window)
  got, divergence = flow.curl_and_divergence(
    turned[..., 0], turned[..., 1], context
  )
  np.testing.assert_allclose(got, turned[..., 2], atol=1e-5)
  np.testing.assert_allclose(divergence, 0.0, atol=1e-5)


def test_signs_are_of_physical_values():
  header = _header("u10", "v10", "omega", "t2m")
  mean, std = np.asarray([1.0, -2.0, 0.5, 280.0]), np.asarray([2, 4.0, 0.1, 9])
  turns = symmetries.Symmetries(_ALL, header, _normaliser(mean, std))
  values = np.random.default_rng(1).normal(size=(4, 4, 4))
  turned = turns.turned(False, True, True).values(values)
  got = turned * std + mean
  u, v, omega, t2m = np.moveaxis(values * std + mean, -1, 0)

  def moved(field):
    return field[:, ::-1].T

  want = [moved(v), moved(-u), moved(omega), moved(t2m)]
  np.testing.assert_allclose(got, np.stack(want, -1), atol=1e-4)


@pytest.mark.parametrize(
  "degradation",
  (
    "area",
    "decimate(cubic, antialias)",
    "imresize",
    "blur(1.5)|area",
    "truncate",
  ),
)
def test_degradations_have_the_symmetries(degradation):
  turns = _plain("u", "v")
  turns.check((8, 8), (12, 12), degradations.parse(degradation))


def test_scans_may_be_transposed_and_not_flipped():
  # Of an even number of modes the scanner measures one end only.
  degradation = degradations.parse("kspace").with_zero(np.asarray([-1.0]))
  unit = _normaliser([0.0], [1.0])
  turns = symmetries.Symmetries(("transpose",), _header("t"), unit)
  turns.check((8, 8), (12, 12), degradation)
  with pytest.raises(ValueError, match="kspace .* under flip_y"):
    _plain("t").check((8, 8), (12, 12), degradation)


def test_what_has_not_the_symmetry_is_refused():
  turns = _plain("t")
  with pytest.raises(ValueError, match="uniform .* under flip_y"):
    turns.check((8, 8), (12, 12), degradations.parse("uniform"))
  with pytest.raises(ValueError, match="square queries, got 12 x 10"):
    turns.check((8, 8), (12, 10), None)
  with pytest.raises(ValueError, match="transpse.*transpose"):
    symmetries.Symmetries(
      ("transpse",), _header("t"), _normaliser([0.0], [1.0])
    )


def test_a_batch_is_turned_example_by_example():
  turns = _plain("t")
  rng = np.random.default_rng(2)
  batch = {
    "lowres": rng.normal(size=(2, 4, 4, 1)),
    "highres": rng.normal(size=(2, 6, 6, 1)),
    "known": rng.integers(0, 2, (2, 6, 6, 1)),
    "coords": grids.Axes(rng.normal(size=(2, 6)), rng.normal(size=(2, 6))),
    "cell": np.ones((2, 2)),
  }
  same, flip = (
    turns.turned(False, False, False),
    turns.turned(True, False, False),
  )
  got = symmetries.turn(batch, [same, flip])
  for name in ("lowres", "highres", "known"):
    np.testing.assert_array_equal(got[name][0], batch[name][0])
    np.testing.assert_array_equal(got[name][1], batch[name][1, ::-1])
  np.testing.assert_array_equal(got["coords"].y[1], -batch["coords"].y[1, ::-1])
  np.testing.assert_array_equal(got["coords"].x[1], batch["coords"].x[1])
