"""Numba's kernels beside the models that they stand for."""

import jax
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import grids
from tests import trials

pytest.importorskip("numba")


def _table(pattern, scale, interval, **options):
  random = np.random.default_rng(0)
  module = models.build(
    "sr_lut",
    pattern=pattern,
    scale=scale,
    interval=interval,
    is_table=True,
    **options,
  )
  cells = dict(V=2, F=3, S=4)[pattern]
  rows = random.integers(-40, 128, ((256 // interval + 1) ** cells, scale**2))
  return module, {
    "params": {"turns": {f"table_{pattern}": np.float32(rows) / 128}}
  }


@pytest.mark.parametrize(
  ("pattern", "scale", "interval", "options"),
  [
    ("S", 3, 64, dict(compat="official")),
    pytest.param("F", 2, 32, dict(periodic=(False, True)), marks=trials.trial),
    ("V", 2, 1, {}),
  ],
)
def test_bytes_are_those_of_the_model(pattern, scale, interval, options):
  from hinote_jax.models.lut import host

  module, variables = _table(pattern, scale, interval, **options)
  x = np.random.default_rng(1).integers(0, 256, (7, 6, 3)).astype(np.uint8)
  got = host.Enlarger(module, variables)(x, module.periodic)
  shape = (7 * scale, 6 * scale)
  cell = grids.cell_size(shape)[None]
  y = jax.jit(module.apply)(
    variables, np.float32(x)[None] / np.float32(255), grids.axes(shape), cell
  )
  exact = np.asarray(y[0], np.float64) * 255
  # Halves go either way.
  is_half = np.abs(exact % 1 - 0.5) < 1e-3
  want = np.round(np.clip(exact, 0, 255))
  assert np.all((got == want) | is_half & (np.abs(got - want) <= 1))


@pytest.mark.parametrize(
  ("interpolators", "options", "shape"),
  [
    pytest.param("NLCZ", dict(refiner="SD"), (17, 23), marks=trials.trial),
    ("NC", dict(refiner="S", refiner_turns=4), (7, 18)),
    ("NL", dict(interval=8, pattern_interval=16, refiner="S"), (9, 7)),
    ("L", dict(refiner="", periodic=(True, False)), (60, 12)),
  ],
)
def test_mixtures_are_those_of_the_model(interpolators, options, shape):
  from hinote_jax.models.lut import host_mix

  module = models.build(
    "im_lut",
    interpolators=interpolators,
    is_table=True,
    **dict(interval=64, pattern_interval=64) | options,
  )
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (7, 6, 3)).astype(np.uint8)
  unit = np.float32(x)[None] / np.float32(255)
  arguments = unit, grids.axes(shape), grids.cell_size(shape)[None]
  variables = jax.eval_shape(module.init, jax.random.key(0), *arguments)
  most = 90 * module.interval // 64  # as steep, whatever the interval
  variables = jax.tree.map(
    lambda leaf: np.float32(random.integers(-most, most, leaf.shape)) / 128,
    variables,
  )
  scales = variables["params"]["scales"]
  variables["params"]["scales"] = 1 + scales / 2
  want = np.asarray(jax.jit(module.apply)(variables, *arguments))[0] * 255
  got = host_mix.Mixer(module, variables)(x, shape)
  off = np.abs(got - np.clip(want, 0, 255))
  # Rounded to bytes, and the mixture before it is refined to 1 / 64.
  assert off.max() < 0.6


def test_what_is_no_table_or_picture_of_bytes_is_one_sentence():
  from hinote_jax.models.lut import host

  module, variables = _table("V", 2, 64)
  with pytest.raises(ValueError, match="take one table of one pattern"):
    host.Enlarger(module.clone(is_table=False), variables)
  with pytest.raises(ValueError, match="interval that divides 256, got 50"):
    host.Enlarger(module.clone(interval=50), variables)
  with pytest.raises(ValueError, match="of uint8, got .* of float32"):
    host.Enlarger(module, variables)(np.zeros((4, 4, 3), np.float32))
