"""Tests of windows of fields that have a low resolution of their own."""

import dataclasses

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.data import batches, normalise


def _windows(dataset, degradation=None, **options):
  options = dict(window=(5, 6), queries=(7, 8), seed=5) | options
  normaliser = normalise.Normaliser.fit(dataset.values, (0, 1, 2, 3))
  return batches.Windows(
    dataset, (0, 1, 2, 3), normaliser, degradation, **options
  )


def _paired(make_dataset, shape, coarse, periodic=(False, True)):
  """Fields of x + 100 y at their cells' centres, in units of fine cells."""
  fine, low = (
    make_dataset(shape=n, periodic=periodic, channels=1)
    for n in (shape, coarse)
  )
  for dataset in (fine, low):
    h, w = dataset.shape
    y, x = np.mgrid[:h, :w] + 0.5
    values = x * shape[1] / w + 100.0 * y * shape[0] / h
    dataset.values[:] = (
      values[..., None] + 1e4 * np.arange(6)[:, None, None, None]
    )
  return dataclasses.replace(fine, lowres=low)


@pytest.mark.parametrize(
  "shape, coarse",
  [((40, 72), (10, 18)), ((40, 70), (16, 28)), ((36, 63), (8, 14))],
)
def test_paired_windows_lie_where_the_coordinates_say(
  make_dataset, shape, coarse
):
  dataset = _paired(make_dataset, shape, coarse)
  scale = shape[0] / coarse[0]
  windows = _windows(
    dataset, window=(5, 6), queries=(7, 8), scale_range=(scale, scale)
  )
  batch = windows.batch(1, range(40))
  lowres, highres = (
    windows.normaliser.denormalise(batch[n].astype(np.float64))[..., 0]
    for n in ("lowres", "highres")
  )
  draws = windows.describe(1, range(40))
  # Both are the same plane: one value at a corner tells all others.
  extent = np.array([5, 6]) * scale
  for i, draw in enumerate(draws):
    if draw.start[1] + extent[1] > shape[1] + 1e-6:
      continue  # goes around, where the plane has its step
    for values, y, x in (
      (lowres[i], *((np.arange(n) + 0.5) * scale for n in (5, 6))),
      (
        highres[i],
        *(
          (np.float64(a[i]) + 1) / 2 * e
          for a, e in zip(batch["coords"], extent, strict=True)
        ),
      ),
    ):
      plane = (x + draw.start[1])[None] + 100.0 * (y + draw.start[0])[:, None]
      np.testing.assert_allclose(values, plane + 1e4 * draw.field, atol=0.05)
  np.testing.assert_allclose(batch["cell"], np.tile(2 / extent, (40, 1)), 1e-6)
  starts = np.array([draw.start for draw in draws]) / scale
  np.testing.assert_allclose(starts, np.rint(starts), atol=1e-9)
  assert any(draw.start[1] + extent[1] > shape[1] for draw in draws)


def test_paired_windows_around_the_date_line(make_dataset):
  dataset = _paired(make_dataset, (40, 72), (10, 18))
  options = dict(window=(5, 6), queries=(20, 24), scale_range=(4, 4))
  windows = _windows(dataset, **options)
  batch = windows.batch(0, range(40))
  for i, draw in enumerate(windows.describe(0, range(40))):
    y, x = draw.start[0] // 4, draw.start[1] // 4
    coarse = np.roll(dataset.lowres.values[draw.field], -x, axis=1)
    np.testing.assert_allclose(
      batch["lowres"][i],
      windows.normaliser.normalise(coarse[y : y + 5, :6]),
      atol=1e-6,
    )
    fine = np.roll(dataset.values[draw.field], -4 * x, axis=1)
    np.testing.assert_allclose(
      batch["highres"][i],
      windows.normaliser.normalise(fine[4 * y : 4 * y + 20, :24]),
      atol=1e-6,
    )


def test_pairs_have_one_scale(make_dataset):
  dataset = _paired(make_dataset, (40, 70), (16, 28))
  with pytest.raises(
    ValueError, match="at a scale of 2.5 and windows are asked"
  ):
    _windows(dataset, scale_range=(1.0, 4.0))
  # Ten fine cells under four coarse ones, of which nine are whole wherever.
  options = dict(scale_range=(2.5, 2.5), window=(4, 4))
  _windows(dataset, **options, queries=(9, 9)).batch(0, range(64))
  with pytest.raises(ValueError, match="lower the queries to 9"):
    _windows(dataset, **options, queries=(10, 10))
  area = degradations.parse("area")
  for fields, degradation in ((dataset, area), (make_dataset(), None)):
    with pytest.raises(ValueError, match="needs a degradation, or a low resol"):
      _windows(fields, degradation, **options)
