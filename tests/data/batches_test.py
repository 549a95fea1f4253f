"""Tests of batches and their purity."""

import dataclasses
import itertools
from unittest import mock

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.core import grids
from hinote_jax.data import batches, normalise
from hinote_jax.data.sources import repeated


def _windows(dataset, text="decimate(cubic, antialias)", **options):
  indices = (0, 1, 2, 3)
  normaliser = normalise.Normaliser.fit(dataset.values, indices)
  options = (
    dict(window=(8, 10), queries=(6, 9), scale_range=(1.0, 4.0), seed=5)
    | options
  )
  return batches.Windows(
    dataset, indices, normaliser, degradations.parse(text), **options
  )


def _bytes(batch, i):
  parts = (batch["lowres"], *batch["coords"], batch["cell"], batch["highres"])
  return [part[i].tobytes() for part in parts]


def test_shapes_and_types(make_dataset):
  batch = _windows(make_dataset()).batch(0, range(3))
  assert batch["lowres"].shape == (3, 8, 10, 2)
  assert batch["coords"].y.shape == (3, 6)
  assert batch["coords"].x.shape == (3, 9)
  assert batch["cell"].shape == (3, 2)
  assert batch["highres"].shape == (3, 6, 9, 2)
  leaves = (batch["lowres"], *batch["coords"], batch["cell"], batch["highres"])
  assert all(leaf.dtype == np.float32 for leaf in leaves)
  assert all(np.all(np.abs(axis) < 1.0) for axis in batch["coords"])


@pytest.mark.parametrize("text", ["area", "blur(0.5)|uniform|noise(0.1)"])
def test_example_depends_on_seed_step_and_row_alone(make_dataset, text):
  windows = _windows(make_dataset(), text)
  whole = windows.batch(7, range(8))
  for rows in ((0, 1, 2, 3), (4, 5, 6, 7), (6, 1), (3,)):
    part = windows.batch(7, rows)
    for i, row in enumerate(rows):
      assert _bytes(part, i) == _bytes(whole, row)
  again = _windows(make_dataset(), text).batch(7, range(8))
  assert all(_bytes(again, i) == _bytes(whole, i) for i in range(8))


def test_seeds_steps_and_rows_differ(make_dataset):
  draws = [
    _windows(make_dataset(), seed=seed).describe(step, range(4))
    for seed, step in itertools.product((0, 1), (0, 1))
  ]
  scales = [draw.scale for part in draws for draw in part]
  assert len(set(scales)) == 16


def test_scales_are_uniform_and_starts_reach_every_place(make_dataset):
  windows = _windows(make_dataset(), scale_range=(1.0, 4.0))
  draws = windows.describe(0, range(3000))
  scales = np.sort([draw.scale for draw in draws])
  expected = 1.0 + 3.0 * (np.arange(3000) + 0.5) / 3000
  # Kolmogorov-Smirnov at 3000 draws: 1.63 / sqrt(3000) = 0.03 of the range.
  assert np.abs(scales - expected).max() < 0.03 * 3.0
  assert {draw.field for draw in draws} == {0, 1, 2, 3}
  assert {draw.start[1] for draw in draws} == set(range(72))
  assert all(0 <= d.start[0] <= 40 - 8 * d.scale for d in draws)
  assert min(d.start[0] for d in draws) == 0
  assert max(d.start[0] + 8 * d.scale for d in draws) > 39


def test_highres_lies_where_the_coordinates_say(make_dataset):
  dataset = make_dataset()
  height, width = dataset.shape
  rows, columns = np.mgrid[:height, :width].astype(np.float32)
  dataset.values[:] = np.stack([rows, columns], -1)
  windows = _windows(dataset)
  batch = windows.batch(3, range(32))
  highres = windows.normaliser.denormalise(batch["highres"])
  for i, draw in enumerate(windows.describe(3, range(32))):
    extent = np.array([8.0, 10.0]) * draw.scale
    np.testing.assert_allclose(batch["cell"][i], 2 / extent, rtol=1e-6)
    centre = (grids.dense(grids.Axes(*(a[i] for a in batch["coords"]))) + 1) / 2
    position = np.array(draw.start) + centre * extent - 0.5
    error = highres[i] - position
    error[..., 1] = (error[..., 1] + width / 2) % width - width / 2
    np.testing.assert_allclose(error, 0.0, atol=1e-4)


def test_linear_field_is_read_alike_by_window_and_queries(make_dataset):
  dataset = make_dataset(periodic=(False, False), channels=1)
  rows, columns = np.mgrid[:40, :72].astype(np.float32)
  dataset.values[:] = (2.0 * rows - columns)[..., None]
  # Linear interpolation at the coarse centres keeps a plane exactly.
  windows = _windows(dataset, "decimate(linear)")
  batch = windows.batch(0, range(8))

  def plane(axes):
    points = grids.dense(axes)
    return np.concatenate([np.ones_like(points[..., :1]), points], -1)

  for i in range(8):
    fit, *_ = np.linalg.lstsq(
      plane(grids.axes((8, 10))).reshape(-1, 3),
      batch["lowres"][i].ravel(),
      rcond=None,
    )
    queries = grids.Axes(*(a[i] for a in batch["coords"]))
    np.testing.assert_allclose(
      plane(queries) @ fit, batch["highres"][i, ..., 0], atol=1e-4
    )


def test_lowres_is_the_degraded_normalised_field(make_dataset):
  dataset = make_dataset()
  windows = _windows(dataset, scale_range=(2.5, 2.5))
  batch = windows.batch(1, range(8))
  for i, draw in enumerate(windows.describe(1, range(8))):
    field = windows.normaliser.normalise(dataset.values[draw.field])
    expected = windows.degradation.apply_window(
      field,
      start=draw.start,
      scale=(2.5, 2.5),
      shape=(8, 10),
      periodic=dataset.periodic,
    )
    np.testing.assert_allclose(batch["lowres"][i], expected, atol=1e-5)


def test_spectra_of_slices_are_made_once_and_are_their_own(make_dataset):
  dataset = make_dataset()
  dataset.values[:] = np.abs(dataset.values)
  windows = _windows(dataset, "kspace(hamming, noise=0.1)")
  zero = windows.normaliser.normalise(np.zeros(2, np.float32))
  degradation = windows.degradation.with_zero(zero)
  windows = dataclasses.replace(windows, degradation=degradation)
  kind = type(degradation)
  with mock.patch.object(
    kind, "prepare", autospec=True, side_effect=kind.prepare
  ) as prepare:
    first, again = windows.batch(1, range(32)), windows.batch(1, range(32))
    draws = windows.describe(1, range(32))
    assert prepare.call_count == len({d.field for d in draws}) == 4
  np.testing.assert_array_equal(first["lowres"], again["lowres"])
  quiet = dataclasses.replace(
    windows, degradation=dataclasses.replace(degradation, mode_noise=0.0)
  ).batch(1, range(32))
  for i, draw in enumerate(draws):
    expected = dataclasses.replace(degradation, mode_noise=0.0).apply_window(
      windows.normaliser.normalise(dataset.values[draw.field]),
      start=draw.start,
      scale=(draw.scale, draw.scale),
      shape=(8, 10),
      periodic=dataset.periodic,
    )
    np.testing.assert_allclose(quiet["lowres"][i], expected, atol=1e-5)
    noise = np.std(first["lowres"][i] - quiet["lowres"][i])
    assert 0.02 < noise < 0.15


def test_window_over_the_date_line_equals_the_rolled_field(make_dataset):
  dataset = make_dataset()
  windows = _windows(dataset)
  across = [
    i
    for i, draw in enumerate(windows.describe(0, range(64)))
    if draw.start[1] + 10 * draw.scale > 72
  ]
  assert across
  for row in across:
    draw = windows.describe(0, [row])[0]
    shift = 20 - draw.start[1]
    rolled = np.roll(dataset.values[draw.field], shift, axis=1)
    batch = windows.batch(0, [row])
    inside = windows.degradation.apply_window(
      windows.normaliser.normalise(rolled),
      start=(draw.start[0], 20),
      scale=(draw.scale, draw.scale),
      shape=(8, 10),
      periodic=(False, False),
    )
    np.testing.assert_allclose(batch["lowres"][0], inside, atol=1e-5)


def test_examples_draw_as_new_generators_do(make_dataset):
  # One generator is set to each example's place instead of making one each.
  windows = _windows(make_dataset(), "area|noise(0.1)", seed=3)
  for step, row in ((0, 0), (4, 1), (4, 2**40)):
    new = np.random.Generator(
      np.random.Philox(key=[3, 0], counter=[0, 0, step, row])
    )
    field = new.integers(4)
    draw = windows.describe(step, [7, row])[1]
    assert (draw.field, draw.scale) == (field, new.uniform(1.0, 4.0))


_ALL = ["uniform", "area", "decimate(cubic, antialias)", "blur(0.7)|area"]


@pytest.mark.parametrize("text", [*_ALL, "area|noise(0.1)"])
@pytest.mark.parametrize("scale", [1, 2, 2.5])
def test_operators_used_again_change_nothing(
  make_dataset, monkeypatch, text, scale
):
  options = dict(window=(4, 5), queries=(3, 4), scale_range=(scale, scale))
  quick = _windows(make_dataset(), text, **options)
  made = quick.batch(2, range(40))
  monkeypatch.setattr(repeated.Repeated, "put", lambda *_: False)
  one_by_one = _windows(make_dataset(), text, **options).batch(2, range(40))
  np.testing.assert_allclose(
    made["lowres"], one_by_one["lowres"], rtol=0, atol=2e-6
  )
  np.testing.assert_array_equal(made["highres"], one_by_one["highres"])


def test_operators_are_used_again_away_from_walls_alone(make_dataset):
  options = dict(window=(4, 5), queries=(3, 4), scale_range=(2, 2))
  put, is_put = repeated.Repeated.put, []

  def counted(self, *arguments):
    is_put.append(put(self, *arguments))
    return is_put[-1]

  def count(text):
    windows = _windows(make_dataset(), text, **options)
    is_put.clear()
    with mock.patch.object(repeated.Repeated, "put", counted):
      windows.batch(0, range(200))
    return len(is_put) - sum(is_put)

  # Those beside the wall; of columns none, they go around.
  assert 0 < count("area|noise(0.2)") < 60
  # Each row of these reads the whole field.
  assert count("truncate") == 200


@pytest.mark.parametrize("text", [*_ALL, "decimate(lanczos, drop)|noise(0.1)"])
def test_a_window_is_the_same_in_any_batch(make_dataset, text):
  windows = _windows(
    make_dataset(), text, window=(4, 5), queries=(3, 4), scale_range=(1, 4)
  )
  together = windows.batch(3, range(24))
  for row in range(24):
    (alone,) = windows.batch(3, [row])["lowres"]
    np.testing.assert_array_equal(alone, together["lowres"][row])


def test_windows_reach_around_in_both_directions(make_dataset):
  dataset = make_dataset(periodic=(True, True))
  windows = _windows(
    dataset,
    "uniform",
    window=(20, 30),
    queries=(20, 30),
    scale_range=(1.0, 1.0),
  )
  batch = windows.batch(0, range(20))
  for i, draw in enumerate(windows.describe(0, range(20))):
    rolled = np.roll(
      dataset.values[draw.field], (-draw.start[0], -draw.start[1]), (0, 1)
    )
    expected = windows.normaliser.normalise(rolled[:20, :30])
    np.testing.assert_array_equal(batch["highres"][i], expected)
    np.testing.assert_array_equal(batch["lowres"][i], expected)


def test_fixed_batches_are_always_the_same(make_dataset):
  windows = _windows(make_dataset())
  one, *_ = windows.fixed(6)
  halves = windows.fixed(6, batch_size=3)
  assert [len(half["lowres"]) for half in halves] == [3, 3]
  for i in range(6):
    assert _bytes(one, i) == _bytes(halves[i // 3], i % 3)
  assert _bytes(one, 0) != _bytes(windows.batch(0, [0]), 0)
  at_two, *_ = windows.fixed(4, scale=2)
  np.testing.assert_allclose(at_two["cell"], [[2 / 16, 2 / 20]] * 4)


@pytest.mark.parametrize(
  "options, message",
  [
    (
      dict(window=(11, 10)),
      "window of 11 coarse cells at scale 4 covers 44 fine cells and the field "
      "has 40 along y: lower the window to 10 or the largest scale to 3.63",
    ),
    (dict(window=(41, 10)), "lower the window to 10$"),
    # A window of no cells is no way out, nor a scale below 1.
    (
      dict(scale_range=(1.0, 60.0)),
      "40 along y: lower the largest scale to 5$",
    ),
    (
      dict(window=(41, 10), scale_range=(1.0, 60.0)),
      "has 40 along y: take finer fields$",
    ),
    (dict(window=(8, 19)), "76 fine cells and the field has 72 along x"),
    (
      dict(queries=(6, 12)),
      "12 queries along x do not fit .* lower the queries to 10 or raise the "
      "smallest scale to 1.2",
    ),
    (dict(scale_range=(0.5, 2.0)), "at least 1 and in order, got 0.5 to 2"),
    (dict(scale_range=(3.0, 2.0)), "in order, got 3.0 to 2.0"),
    (dict(seed=-1), "seed must not be negative"),
  ],
)
def test_refuses_sizes_that_do_not_fit(make_dataset, options, message):
  with pytest.raises(ValueError, match=message):
    _windows(make_dataset(), **options)


def test_refuses_empty_indices_and_uneven_batches(make_dataset):
  windows = _windows(make_dataset())
  with pytest.raises(ValueError, match="the indices are empty"):
    batches.Windows(
      windows.dataset,
      (),
      windows.normaliser,
      windows.degradation,
      window=(4, 4),
      queries=(4, 4),
      scale_range=(1.0, 2.0),
      seed=0,
    )
  with pytest.raises(ValueError, match="5 examples do not make batches of 2"):
    windows.fixed(5, batch_size=2)
  with pytest.raises(ValueError, match="covers 72 fine cells"):
    windows.fixed(2, scale=9.0)
  with pytest.raises(ValueError, match="at least one row"):
    windows.batch(0, [])


def test_a_share_of_the_scales_is_whole(make_dataset):
  dataset = make_dataset()
  windows = _windows(dataset, scale_range=(1.5, 4.0), window=(8, 8), whole=0.4)
  drawn = np.array([d.scale for d in windows.describe(0, range(2000))])
  is_whole = drawn == np.round(drawn)
  # Three deviations of a binomial.
  assert abs(is_whole.mean() - 0.4) < 3 * np.sqrt(0.4 * 0.6 / 2000)
  counts = np.bincount(drawn[is_whole].astype(int))
  assert list(np.flatnonzero(counts)) == [2, 3, 4]
  assert counts[2:].min() > 0.25 * is_whole.sum()
  plain = _windows(dataset, scale_range=(1.5, 4.0), window=(8, 8))
  assert not any(
    d.scale == round(d.scale) for d in plain.describe(0, range(99))
  )
  with pytest.raises(ValueError, match="no scale from 1.2 to 1.8 is whole"):
    _windows(dataset, scale_range=(1.2, 1.8), whole=0.1)
  with pytest.raises(ValueError, match="whole is a share, .* got 1.5"):
    _windows(dataset, whole=1.5)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_scales_are_drawn_with_a_density_of_a_power(make_dataset, power):
  options = dict(scale_range=(1.25, 5.0), window=(8, 8), power=power)
  windows = _windows(make_dataset(), **options)
  drawn = np.array([d.scale for d in windows.describe(0, range(1000))])
  assert 1.25 <= drawn.min() and drawn.max() <= 5.0

  def integral(s):
    return np.log(s) if power == 1 else s ** (1 - power) / (1 - power)

  low, middle, high = (integral(np.asarray(s)) for s in (1.25, 2.5, 5.0))
  share = (middle - low) / (high - low)
  # Three deviations of a binomial.
  deviation = np.sqrt(share * (1 - share) / 1000)
  assert abs((drawn < 2.5).mean() - share) < 3 * deviation
  if not power:
    # As before there were powers, to the last bit.
    plain = _windows(make_dataset(), scale_range=(1.25, 5.0), window=(8, 8))
    assert [d.scale for d in plain.describe(0, range(1000))] == drawn.tolist()
  windows = _windows(make_dataset(), **options, whole=1.0)
  drawn = np.array([d.scale for d in windows.describe(0, range(1000))])
  density = np.arange(2, 6.0) ** -power
  shares = np.bincount(drawn.astype(int), minlength=6)[2:] / 1000
  np.testing.assert_allclose(shares, density / density.sum(), atol=0.05)
