"""Streaming over tiles against one call on the whole."""

import functools
import os
from unittest import mock

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import lazy
from hinote_jax.core import grids
from hinote_jax.lazy import stores, tiles
from tests import trials
from tests.infer import networks


@given(st.integers(1, 60), st.integers(1, 70), st.booleans())
def test_spans_count_every_cell_once(n, most, is_cut):
  size = tiles.even(n, most)
  assert size <= min(n, most)
  spans = tiles.spans(n, size, is_cut=is_cut)
  assert len(spans) == -(-n // most)  # no more than there must be
  counted = [i for span in spans for i in range(span.first, span.last)]
  assert counted == list(range(n))
  for span in spans:
    assert span.start <= span.first and span.last <= span.start + size
    assert is_cut or 0 <= span.start <= n - size


# Each draw is a few compilations. HINOTE_JAX_DRAWS=100 draws so many.
_DRAWS = int(os.environ.get("HINOTE_JAX_DRAWS", "1"))


# Their layers stream in others too: the features of LTE and MetaSR are read as
# LIIF's, RDN and WDSR are convolutions as EDSR is, HAT has windows as SwinIR.
_LONG = ("lte", "metasr", "rdn", "wdsr", "hat")


@pytest.mark.parametrize(
  "name", trials.apart_from(lambda name: name not in _LONG, networks.NAMES)
)
def test_tiles_are_those_of_one_call(name):
  # None is tried again to be made smaller: that would compile for minutes.
  @settings(max_examples=_DRAWS, phases=[Phase.generate])
  @given(st.integers(0, 2**32 - 1))
  def check(seed):
    problem, side = networks.draw(name, seed)
    note(f"{problem.module}, {problem.lowres.shape}, {problem.queries}, {side}")
    got = networks.streamed(problem, side)
    wanted = networks.untiled(problem)
    assert networks.error(got, wanted) <= networks.TOLERANCE

  check()


def _problem(name, shape, fine, **options):
  module = networks.build(name, **options)
  lines = tuple(map(grids.cell_line, shape, fine))
  return networks.problem(module, shape, lines)


def test_the_default_streams():
  options = dict(preset="local", periodic=(False, True))
  problem = _problem("hinote", (17, 19), (39, 40), **options)
  got = networks.streamed(problem, 11)
  assert networks.error(got, networks.untiled(problem)) <= networks.TOLERANCE


@pytest.mark.parametrize("name", ["nearest", "lanczos", "spectral"])
def test_interpolations_stream(name):
  problem = _problem(name, (7, 9), (21, 24), periodic=(False, True))
  got = networks.streamed(problem, 8)
  assert networks.error(got, networks.untiled(problem)) <= networks.TOLERANCE


class _Steps:
  """How many tiles each kind of pass has; asks that every one be reported."""

  def __init__(self):
    self.tiles, self._done = {}, 0

  def __call__(self, what, done, total):
    assert done == self._done + 1
    self._done = done % total
    self.tiles.setdefault(what, []).append(total)


@pytest.mark.parametrize(
  ("name", "options", "memory"),
  [
    ("liif", {}, 8e4),
    pytest.param(
      *("hinote", dict(preset="pointwise"), 2e5), marks=pytest.mark.trial
    ),
  ],
)
def test_little_memory_takes_small_tiles_and_a_scratch_file(
  name, options, memory
):
  problem = _problem(
    name, (40, 36), (70, 90), periodic=(True, False), **options
  )
  wanted, network = networks.untiled(problem), networks.graph(problem)
  for much in (1e9, memory):
    steps = _Steps()
    run = tiles.Tiles(network.last, much, steps)
    with mock.patch.object(stores, "Store", wraps=stores.Store) as made:
      got = networks.values(run, {network.inputs[0]: problem.lowres})
    assert networks.error(got, wanted) <= networks.TOLERANCE
    counts = np.concatenate(list(steps.tiles.values()))
    assert made.call_args.kwargs == dict(is_scratch=much == memory)
    assert "features" in steps.tiles
    assert counts.min() > 1 if much == memory else counts.max() == 1


@pytest.mark.trial
@pytest.mark.parametrize("name", ["hat", "hat_ast", "swinir"])
def test_windows_stream_at_any_memory(name):
  # They divide no side that has walls; HAT averages over all of them.
  options = dict(window_size=8, depths=(1,), num_heads=(1,))
  options |= {} if name == "swinir" else dict(conv_scale=0.5, overlap_ratio=0.5)
  problem = _problem(
    # Large enough that a tile and its halo are a small part of it.
    name,
    (88, 77),
    (176, 154),
    periodic=(True, False),
    **options,
  )
  wanted, network = networks.untiled(problem), networks.graph(problem)
  whole = None
  for share in (None, 0.6, 0.45):
    memory = 1e9 if whole is None else share * whole
    run = tiles.Tiles(network.last, memory)
    got = networks.values(run, {network.inputs[0]: problem.lowres})
    assert networks.error(got, wanted) <= networks.TOLERANCE
    largest = max(one.memory for one in run._passes.values())
    assert largest <= memory
    whole = whole or largest


def _wide(shape=(31, 47)):
  """Returns a grid that takes 16 kB a point, and reads three cells around."""
  x = lazy.LazyGrid.input((1, *shape, 1))

  def widened(params, window, patch):
    del params
    return patch.crop(window) + jnp.zeros(4096)

  return lazy.LazyGrid(x.domain, (lazy.same_cells(x, 3),), widened), x


def _answer_within(memory):
  made, x = _wide()
  return tiles.Tiles(made, memory)({x: np.zeros(x.shape, np.float32)})


def test_memory_for_no_tile_at_all_raises_with_its_numbers():
  with pytest.raises(
    ValueError,
    match=r"tile, 16 x 16 points and its halo of 3, takes (8|9) MB and 5 MB "
    "are left for it: give more memory",
  ):
    _answer_within(5e6)
  assert _answer_within(9.5e6).size == (16, 16)


@pytest.mark.parametrize("memory", [1.2e7, 3e7])
def test_tiles_are_the_largest_that_fit(memory):
  size = _answer_within(memory).size
  # The result, twice, is what there is.
  assert 0.4 * memory < 8 * 4096 * size[0] * size[1] < memory


def test_another_field_is_not_compiled_for(monkeypatch):
  lines = tuple(grids.cell_line(n, 3 * n) for n in (9, 11))
  levels = dict(level_widths=(16,), level_blocks=(1,), level_convs=(0,))
  module = networks.build("hinote", domain="queries", upsample=2, **levels)
  first = networks.problem(module, (9, 11), lines)
  second = first._replace(lowres=first.lowres[:, ::-1] ** 2)
  network = networks.graph(first)
  run = tiles.Tiles(network.last, 1e9, side=10)

  def streamed(problem):
    return networks.values(run, {network.inputs[0]: problem.lowres})

  before = streamed(first)
  monkeypatch.setattr(tiles, "_compiled", None)
  got, wanted = streamed(second), networks.untiled(second)
  assert networks.error(got, wanted) <= networks.TOLERANCE
  assert networks.error(got, before) > 0.1
  np.testing.assert_array_equal(streamed(first), before)


def test_equal_layers_are_compiled_once():
  problem = _problem(
    "swinir", (12, 12), (24, 24), depths=(4, 4), num_heads=(2, 2)
  )
  network = networks.graph(problem)
  run = tiles.Tiles(network.last, 1e9, side=9)
  with mock.patch.object(tiles, "_compiled", wraps=tiles._compiled) as compiled:
    networks.values(run, {network.inputs[0]: problem.lowres})
  # The head, the first block, plain and shifted ones, the ends of the first
  # group, of others and of all, the answer; there are eight blocks.
  assert compiled.call_count <= 8


@given(st.data())
def test_any_window_and_any_tiles_can_be_read(data):
  answer, wanted = _answer()
  rows, columns = (
    slice(
      *sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))
    )
    for n in wanted.shape[1:3]
  )
  got = answer.read(rows, columns)
  np.testing.assert_allclose(got, wanted[:, rows, columns], atol=1e-6)
  some = data.draw(st.permutations(answer.tiles))[:3]
  for tile, ((y, x), values) in zip(some, answer(some), strict=True):
    assert tile == (y, x)
    part = wanted[:, y.first : y.last, x.first : x.last]
    np.testing.assert_allclose(values, part, atol=1e-6)


@functools.cache
def _answer():
  problem = _problem("bicubic", (5, 6), (19, 23))
  network = networks.graph(problem)
  run = tiles.Tiles(network.last, 1e9, side=8)
  lowres = {network.inputs[0]: np.asarray(problem.lowres)}
  return run(lowres), networks.untiled(problem)


def test_totals_over_tiles_are_exact():
  # 2^24 and then ones: in float32 none of these ones would count.
  values = np.ones((1, 23, 87, 1), np.float32)
  values[0, 0, 0] = 2.0**24

  def share(params, patch, inside):
    del params
    return jnp.sum(patch.values * inside[..., None])

  def shown(total, values):
    return values * 0 + total

  x = lazy.LazyGrid.input(values.shape)
  last = lazy.pointwise(shown, x, params=lazy.total(share, (), x))
  got = networks.values(tiles.Tiles(last, 1e9, side=1), {x: values})
  assert got[0, 3, 4, 0] == 2.0**24 + 2000
  naive = np.add.accumulate(values.ravel())[-1]
  assert 1.0 - naive / got[0, 0, 0, 0] > 1e-4


def test_grids_are_dropped_after_their_last_reader():
  x = lazy.LazyGrid.input((1, 5, 5, 1))
  y = x
  for _ in range(4):
    y = lazy.stored(y + 1.0)
  run = tiles.Tiles(y + 1.0, 1e9)
  answer = run({x: np.zeros(x.shape, np.float32)})
  assert len(answer.values.stores) == 1
  assert next(answer())[1].max() == 5.0


def test_extras_that_lie_on_a_grid_are_read_by_windows():
  random = np.random.default_rng(0)
  lowres, coarse = random.normal(size=(2, 1, 6, 7, 1)).astype(np.float32)
  fine = random.normal(size=(1, 12, 21, 1)).astype(np.float32)
  extras = dict(static=dict(coarse=coarse, fine=fine), shift=jnp.ones(1))
  lines = grids.cell_line(6, 12), grids.cell_line(7, 21)
  module = networks.WithExtras()
  network = lazy.graph(module, {}, lowres.shape, lines, extras)
  assert [grid.shape for grid in network.inputs] == [
    lowres.shape,
    coarse.shape,
    fine.shape,
  ]
  run = tiles.Tiles(network.last, 1e9, side=5)
  queries = lazy.Queries.of_lines(lines, (6, 7))
  want = module.apply({}, lowres, queries.coords, queries.cell(), **extras)
  got = networks.values(run, network.given(lowres, extras))
  np.testing.assert_allclose(got, want, atol=1e-6)
