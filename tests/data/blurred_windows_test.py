"""Windows with blurs of their own, at scales drawn a batch."""

import numpy as np
import pytest

from hinote_jax import degradations
from hinote_jax.core import deconvolution
from hinote_jax.data import blurred_windows, normalise
from hinote_jax.degradations import drawn

_SCALES = (1, 2, 3)
_BLURS = drawn.Blurs(noise=0.1)


def _windows(dataset, blurs=_BLURS, text="uniform", **options):
  indices = (0, 1, 2, 3)
  normaliser = normalise.Normaliser.fit(dataset.values, indices)
  degradation = degradations.parse(text)
  arguments = dataset, indices, normaliser, degradation
  given = dict(scales=_SCALES, queries=(24, 24)) | options
  return blurred_windows.ScaleWindows(
    given.pop("scales"),
    given.pop("queries"),
    blurs,
    *arguments,
    seed=3,
    **given,
  )


@pytest.fixture
def box(make_dataset):
  """Fields that are as large as a window and close on themselves."""
  return make_dataset(shape=(24, 24), periodic=(True, True), channels=1)


def test_a_window_is_what_it_says_of_the_field(box):
  windows, scales = _windows(box, drawn.Blurs()), set()
  for step in range(12):
    batch = windows.batch(step, (0, 1))
    (draw, _), lowres = windows.describe(step, (0, 1)), batch["lowres"]
    s = int(draw.scale)
    scales.add(s)
    assert lowres.shape == (2, 24 // s, 24 // s, 1)
    made = deconvolution.operator(batch["kernel"][..., None], (24, 24), (s, s))
    # The kernels of one scale are of one size.
    assert batch["kernel"].shape == (2, 25, 25)
    np.testing.assert_array_equal(batch["noise"], 0.0)
    np.testing.assert_allclose(
      made.degrade(batch["highres"]), lowres, atol=1e-5
    )
  assert scales == set(_SCALES)


def test_noise_is_of_the_deviation_that_is_told(box):
  windows = _windows(box, drawn.Blurs((), 0.5), "area", scales=(1,))
  batch = windows.batch(0, range(16))
  # Without a blur and a scale the field is there but for its noise.
  missed = np.std(batch["lowres"] - batch["highres"], axis=(1, 2, 3))
  np.testing.assert_allclose(missed, batch["noise"], rtol=0.15, atol=1e-6)
  assert batch["kernel"].shape == (16, 1, 1)


def test_an_example_depends_on_seed_step_and_row_alone(make_dataset):
  dataset = make_dataset()
  whole = _windows(dataset).batch(2, range(3))
  part = _windows(dataset).batch(2, (2,))
  for name in ("lowres", "highres", "kernel", "noise"):
    np.testing.assert_array_equal(part[name][0], whole[name][2])


def test_validation_takes_the_scales_in_turn(box):
  windows = _windows(box)
  sides = [b["lowres"].shape[1] for b in windows.fixed(8, batch_size=2)]
  assert sides == [24, 12, 8, 24]
  (batch,) = windows.fixed(2, scale=2.4)
  assert batch["lowres"].shape[1] == 12


@pytest.mark.parametrize(
  "options, said",
  [
    (dict(scales=(2, 5)), "5 does not divide the queries 24 x 24"),
    (dict(text="truncate"), "truncate has no kernel"),
    (dict(static=()), "made for one size of window"),
  ],
)
def test_what_cannot_be_drawn_is_said(box, options, said):
  with pytest.raises(ValueError, match=said):
    _windows(box, **options)
