"""One field over eight devices against one call on one."""

from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.lazy import devices
from tests import trials
from tests.infer import networks

_DEVICES = 8
_LARGE = 10**6


@given(st.integers(1, 60), st.integers(1, 9))
def test_slabs_count_every_row_once(n, count):
  slabs = devices.slabs(n, count)
  assert len(slabs) == count
  counted = [i for slab in slabs for i in range(slab.first, slab.last)]
  assert counted == list(range(n))
  for slab in slabs:
    assert 0 <= slab.start <= slab.first
    assert slab.last <= slab.start + -(-n // count) <= n


def _sharded(problem, points, used=None):
  module, variables, lowres, queries = problem
  run = devices.Sharded(
    module,
    variables,
    queries.lines,
    devices=used or jax.devices(),
    points=points,
  )
  return run(np.asarray(lowres))


# Bands of 60 points, several to a slab where it has as many; or one band.
# EDSR, RDN and WDSR are made of the layers of these.
_NAMES = ("hinote", "hinote_official", "liif", "lte", "metasr", "srno", "dfno")


# In the suite totals, transforms and windows; slabs of others are thin, below.
@pytest.mark.parametrize(
  "name",
  trials.apart_from(
    ("srno", "dfno", "swinir").__contains__, [*_NAMES, "swinir", "hat"]
  ),
)
def test_devices_answer_as_one(name):
  points = 60 if name in _NAMES[::2] else _LARGE
  seed = 5 if points == 60 else 4
  assert len(jax.devices()) == _DEVICES
  problem, _ = networks.draw(name, seed)
  got = _sharded(problem, points)
  wanted = networks.untiled(problem)
  assert networks.error(got, wanted) <= networks.TOLERANCE


def _problem(name, shape, fine, **options):
  module = networks.build(name, **options)
  lines = tuple(map(grids.cell_line, shape, fine))
  return networks.problem(module, shape, lines)


@pytest.mark.parametrize(
  ("name", "options", "shape", "fine"),
  [
    # Nine rows in slabs of two, the last of which begins within the one before,
    # and three devices have none that count; levels of 10, 5 and 3 rows.
    ("hinote", dict(preset="paper", width=8), (9, 7), (10, 17)),
    ("hinote", dict(preset="local", width=8), (9, 7), (20, 17)),
    ("srno", {}, (5, 4), (9, 9)),
    pytest.param(
      *("hinote_official", dict(hierarchical_levels=3), (4, 6), (4, 12)),
      marks=pytest.mark.trial,
    ),
    # A halo further than the neighbours' slabs, around the seam.
    ("liif", dict(encoder_options=dict(width=4, blocks=4)), (10, 6), (31, 7)),
  ],
)
def test_slabs_may_be_thin(name, options, shape, fine):
  for_both = dict(periodic=(True, False))
  problem = _problem(name, shape, fine, **options, **for_both)
  got = _sharded(problem, 20)
  wanted = networks.untiled(problem)
  assert networks.error(got, wanted) <= networks.TOLERANCE


# What is a whole is read around the axes that close, further than they go.
@pytest.mark.parametrize(
  "closed", [dict(periodic=(True, False)), dict(walls="wrap")]
)
def test_a_whole_is_read_around_the_seam(closed):
  small = dict(
    size="tiny", iterations=1, widths=(4, 4), hyper_width=4, blocks=1
  )
  problem = _problem("usrnet", (6, 5), (12, 10), scale=2, **small, **closed)
  got = _sharded(problem, 60, jax.devices()[:3])
  assert networks.error(got, networks.untiled(problem)) <= networks.TOLERANCE


def test_few_devices_answer_as_one():
  problem = _problem("srno", (7, 6), (15, 13), periodic=(False, True))
  wanted = networks.untiled(problem)
  for count in (1, 3):
    got = _sharded(problem, 40, jax.devices()[:count])
    assert networks.error(got, wanted) <= networks.TOLERANCE


class _Total(nn.Module):
  """A network that answers the sum of its input everywhere."""

  periodic: tuple[bool, bool] = (False, False)

  def __call__(self, lowres, coords, cell):
    del cell
    total = lazy.total(_share, (), lowres)
    return lazy.at_queries(_everywhere, total, coords, lowres)


def _share(params, patch, inside):
  del params
  return jnp.sum(patch.values * inside[..., None])


def _everywhere(total, points, patch):
  del patch
  return jnp.full((*points.y.shape, points.x.shape[1], 1), total)


def test_totals_over_bands_are_compensated():
  # In every slab 2^24 and then ones, a band each: none of these ones counts in
  # float32.
  values = np.ones((1, _DEVICES * 2001, 1, 1), np.float32)
  values[0, ::2001] = 2.0**24
  lines = (grids.cell_line(len(values[0]), 8), grids.cell_line(1, 2))
  run = devices.Sharded(_Total(), {}, lines, devices=jax.devices(), points=1)
  want = _DEVICES * (2.0**24 + 2000)
  np.testing.assert_array_equal(run(values), np.full((1, 8, 2, 1), want))
