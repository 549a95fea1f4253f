"""Streaming over tiles against one call on the whole."""

import functools
import os
from unittest import mock

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import grids
from hinote_jax.lazy import planes, stores, streaming
from tests.infer import networks


@given(st.integers(1, 60), st.integers(1, 70), st.booleans())
def test_spans_count_every_cell_once(n, most, is_cut):
  size = streaming.even(n, most)
  assert size <= min(n, most)
  spans = streaming.spans(n, size, is_cut=is_cut)
  assert len(spans) == -(-n // most)  # no more than there must be
  counted = [i for span in spans for i in range(span.first, span.last)]
  assert counted == list(range(n))
  for span in spans:
    assert span.start <= span.first and span.last <= span.start + size
    assert is_cut or 0 <= span.start <= n - size


# Networks of many steps take seconds to compile, anew at every draw.
# HINOTE_JAX_DRAWS=12 draws as many of them as of the others.
_DRAWS = dict.fromkeys(networks.NAMES, 12) | {
  name: int(os.environ.get("HINOTE_JAX_DRAWS", "2"))
  for name in ("hinote", "hinote_official")
}


@pytest.mark.parametrize("name", networks.NAMES)
def test_tiles_are_those_of_one_call(name):
  # None is tried again to be made smaller: that would compile for minutes.
  @settings(max_examples=_DRAWS[name], phases=[Phase.generate])
  @given(st.integers(0, 2**32 - 1))
  def check(seed):
    problem, side = networks.draw(name, seed)
    note(f"{problem.module}, {problem.lowres.shape}, {problem.queries}, {side}")
    found = networks.streamed(problem, streaming.Stream(1e9, side=side))
    wanted = networks.untiled(problem)
    assert networks.error(found, wanted) <= networks.TOLERANCE

  check()


def _problem(name, shape, fine, **options):
  module = networks.build(name, **options)
  lines = tuple(map(grids.cell_line, shape, fine))
  return networks.problem(module, shape, lines)


@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("edsr", dict(scale=2, width=4, blocks=1)),
    ("nearest", {}),
    ("spectral", {}),
  ],
)
def test_other_models_stream(name, options):
  options = {**options, "periodic": (False, True)}
  problem = _problem(name, (7, 9), (21, 24), **options)
  found = networks.streamed(problem, streaming.Stream(1e9, side=8))
  wanted = networks.untiled(problem)
  assert networks.error(found, wanted) <= networks.TOLERANCE


class _Steps:
  """How many tiles each kind of step has; asks that every one be told of."""

  def __init__(self):
    self.tiles, self._done = {}, 0

  def __call__(self, what, done, total):
    assert done == self._done + 1
    self._done = done % total
    self.tiles.setdefault(what, []).append(total)


@pytest.mark.parametrize(
  ("name", "options", "memory"),
  [("liif", {}, 8e4), ("hinote", dict(preset="pointwise"), 2e5)],
)
def test_memory_says_what_is_done_whole(name, options, memory):
  options = {**options, "periodic": (True, False)}
  problem = _problem(name, (40, 36), (70, 90), **options)
  wanted = networks.untiled(problem)
  for much in (1e9, memory):
    steps = _Steps()
    with mock.patch.object(stores, "Store", wraps=stores.Store) as made:
      found = networks.streamed(problem, streaming.Stream(much, steps))
    assert networks.error(found, wanted) <= networks.TOLERANCE
    tiles = np.concatenate(list(steps.tiles.values()))
    if much == memory:
      assert tiles.min() > 1 and "features" in steps.tiles
      assert made.call_args.kwargs == dict(is_scratch=True)
    else:
      assert tiles.max() == 1 and "features" not in steps.tiles
      made.assert_not_called()


def _wide(run, shape=(31, 47)):
  """Returns a plane that takes 16 kB a point, and reads three cells around."""
  x = run.hold(np.zeros((1, *shape, 1), np.float32), (False, False))

  def widened(params, here, part):
    del params
    return part.crop(here) + jnp.zeros(4096)

  return planes.Plane(x.grid, (planes.same(x, 3),), widened)


def test_memory_for_no_tile_at_all_raises_with_its_numbers():
  run = streaming.Stream(5e6)
  with pytest.raises(
    ValueError,
    match=r"tile, 16 x 16 points and its halo of 3, takes (8|9) MB and 5 MB "
    "are left for it: give more memory",
  ):
    run.answer(_wide(run))
  run = streaming.Stream(9.5e6)
  assert run.answer(_wide(run)).size == (16, 16)


@pytest.mark.parametrize("memory", [1.2e7, 3e7])
def test_tiles_are_the_largest_that_fit(memory):
  run = streaming.Stream(memory)
  size = run.answer(_wide(run)).size
  # The result, twice, is what there is.
  assert 0.4 * memory < 8 * 4096 * size[0] * size[1] < memory


def test_another_field_is_not_compiled_for(monkeypatch):
  lines = tuple(grids.cell_line(n, 3 * n) for n in (9, 11))
  levels = dict(level_widths=(16,), level_blocks=(1,), level_convs=(0,))
  module = networks.build("hinote", domain="queries", upsample=2, **levels)
  first = networks.problem(module, (9, 11), lines)
  second = first._replace(lowres=first.lowres[:, ::-1] ** 2)
  run = streaming.Stream(1e9, side=10)
  before = networks.streamed(first, run)
  monkeypatch.setattr(streaming.Stage, "_compile", None)
  found = networks.streamed(second, run)
  wanted = networks.untiled(second)
  assert networks.error(found, wanted) <= networks.TOLERANCE
  assert networks.error(found, before) > 0.1
  np.testing.assert_array_equal(networks.streamed(first, run), before)


@given(st.data())
def test_any_window_and_any_tiles_can_be_read(data):
  run, answer, wanted = _answer()
  run.begin()
  rows, columns = (
    slice(
      *sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))
    )
    for n in wanted.shape[1:3]
  )
  found = answer.read(rows, columns)
  np.testing.assert_allclose(found, wanted[:, rows, columns], atol=1e-6)
  tiles = data.draw(st.permutations(answer.tiles))[:3]
  for tile, ((y, x), values) in zip(tiles, answer(tiles), strict=True):
    assert tile == (y, x)
    part = wanted[:, y.first : y.last, x.first : x.last]
    np.testing.assert_allclose(values, part, atol=1e-6)


@functools.cache
def _answer():
  problem = _problem("bicubic", (5, 6), (19, 23))
  run = streaming.Stream(1e9, side=8)
  plane = problem.module.planes(run, {}, problem.lowres, problem.queries)
  return run, run.answer(plane), networks.untiled(problem)


def test_sums_over_tiles_are_exact():
  # 2^24 and then ones: in float32 none of these ones would count.
  values = np.ones((1, 23, 87, 1), np.float32)
  values[0, 0, 0] = 2.0**24
  run = streaming.Stream(1e9, side=1)
  x = run.hold(values, (False, False))

  def total(params, here, part):
    del params
    return jnp.sum(part.values * part.inside(here)[..., None])

  found = run.sum(x.grid, (planes.same(x),), total, ())
  assert found == 2.0**24 + 2000
  naive = np.add.accumulate(values.ravel())[-1]
  assert 1.0 - naive / found > 1e-4


def test_planes_that_are_held_are_not_stored_again():
  run = streaming.Stream(1e9, side=4)
  values = np.random.default_rng(0).normal(size=(2, 7, 9, 3))
  x = run.hold(values, (False, False))
  assert run.store(x) is x
  doubled = x.map(lambda params, values: params * values, 2.0)
  np.testing.assert_array_equal(run.whole(doubled), 2.0 * np.float32(values))
