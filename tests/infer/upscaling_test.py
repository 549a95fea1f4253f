import dataclasses

import numpy as np
import pytest

from hinote_jax import degradations, fields, infer
from hinote_jax.core import resize
from hinote_jax.fields import axes
from hinote_jax.infer import upscaling


def _axis(name, values, units="cell", **options):
  return axes.Axis.of(name, values, units, **options)


def _header(names=("t2m",), leads=(), **options):
  y = _axis("latitude", np.linspace(90, -90, 13), "degrees_north")
  x = _axis("longitude", np.arange(0, 360, 20.0), "degrees_east")
  variables = tuple(fields.Variable(name, "K") for name in names)
  return fields.Header(variables, y, x, leads, **options)


def _plain(shape, names=("a",)):
  y, x = (axes.counted(name, n) for name, n in zip("yx", shape, strict=True))
  return fields.Header(tuple(fields.Variable(name) for name in names), y, x)


def _values(header, seed=0):
  shape = (*header.shape, len(header.variables))
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


_PLAIN = upscaling.Options()
_AREA = dict(consistent=degradations.parse("area"))


def _upscaler(header, options=_PLAIN, model="bicubic", **wanted):
  goal = upscaling.target(header, **wanted)
  return upscaling.Upscaler(infer.load(model), header, goal, options)


class TestTarget:
  def test_poles_are_nodes_and_the_circle_is_divided(self):
    goal = upscaling.target(_header(), scale=2.5)
    assert goal.y.values[0] == 90.0 and goal.y.values[-1] == -90.0
    assert len(goal.y) == 31 and len(goal.x) == 45
    np.testing.assert_allclose(np.diff(goal.y.values), -6.0)
    # Cells of 20 degrees begin at -10; the first of 8 is centred at -6.
    np.testing.assert_allclose(goal.x.values, -6.0 + 8.0 * np.arange(45))

  def test_one_scale_an_axis(self):
    goal = upscaling.target(_plain((4, 6)), scale=(2, 3.5))
    assert (len(goal.y), len(goal.x)) == (8, 21)

  @pytest.mark.parametrize(
    ("wanted", "message"),
    [
      (dict(), "exactly one of scale, shape and like"),
      (dict(scale=2, shape=(9, 9)), "exactly one"),
      (dict(scale=(2, 0.5)), "at least 1, got 0.5"),
      (dict(scale=(1, 2, 3)), "one number, or one for y and one for x"),
      (dict(shape=(3, 20)), r"\(3, 20\) is coarser than the field's \(4, 6\)"),
      (dict(shape=(8,)), "rows and columns"),
    ],
  )
  def test_bad_targets(self, wanted, message):
    with pytest.raises(ValueError, match=message):
      upscaling.target(_plain((4, 6)), **wanted)

  def test_a_turned_target_gives_the_same_field_turned(self):
    header = _header()
    values = _values(header)
    fine = np.arange(60, 25, -5.0), np.arange(-35, 40, 5.0)
    results = []
    for y in (fine[0], fine[0][::-1]):
      like = _header().on(
        _axis("lat", y, "degrees_north"),
        _axis("lon", fine[1], "degrees_east"),
      )
      make = _upscaler(header, like=like)
      np.testing.assert_array_equal(make.header.y.values, y)
      results.append(make.field(values))
    np.testing.assert_array_equal(results[0], results[1][::-1])
    # Where both grids have a point, bicubic interpolation keeps its value.
    rows, columns = (60 - 45) // 5, (20 + 35) // 5
    np.testing.assert_allclose(
      results[0][rows, columns], values[3, 1], atol=1e-5
    )


class TestMissing:
  def test_missing_cells_stay_missing_and_harm_no_other(self):
    header = _plain((9, 11), ("a", "b"))
    values = _values(header)
    holed = values.copy()
    holed[2:4, 5:8, 0] = np.nan
    fine = _upscaler(header, scale=3).field(holed)
    missing = np.isnan(holed).repeat(3, 0).repeat(3, 1)
    np.testing.assert_array_equal(np.isnan(fine), missing)
    want = _upscaler(header, scale=3).field(values)
    np.testing.assert_array_equal(fine[..., 1], want[..., 1])
    # Two cells away from the hole cubic interpolation does not see it.
    np.testing.assert_allclose(fine[18:, :, 0], want[18:, :, 0], atol=1e-6)

  def test_a_variable_without_any_value_stays_missing(self):
    header = _plain((5, 5), ("a", "wind"))
    values = _values(header)
    want = _upscaler(header, scale=2).field(values)
    values[..., 1] = np.nan
    fine = _upscaler(header, scale=2).field(values)
    np.testing.assert_array_equal(fine[..., 0], want[..., 0])
    assert np.isnan(fine[..., 1]).all()

  @pytest.mark.parametrize("option", [dict(keeps_mean=True), _AREA])
  def test_a_field_without_any_value_stays_missing(self, option):
    header = _plain((5, 5), ("a", "b"))
    values = np.full((5, 5, 2), np.nan, np.float32)
    make = _upscaler(header, upscaling.Options(**option), scale=2)
    assert np.isnan(make.field(values)).all()

  def test_infinity_is_not_a_missing_value(self):
    values = _values(_plain((5, 5)))
    values[3, 2] = np.inf
    with pytest.raises(ValueError, match="a is infinite at row 3, column 2"):
      _upscaler(_plain((5, 5)), scale=2).field(values)


class TestFaithful:
  @pytest.mark.parametrize(
    "text", ["area", "decimate(cubic)", "decimate(cubic, antialias)"]
  )
  def test_degrading_a_consistent_result_gives_the_input(self, text):
    header = _plain((12, 14))
    values = 100.0 * _values(header)
    degradation = degradations.parse(text)
    options = upscaling.Options(consistent=degradation, memory="1GB", side=16)
    fine = _upscaler(header, options, scale=(2.5, 3)).field(values)
    back = degradation.field(fine, (12, 14), periodic=(False, False))
    assert np.abs(back - values).max() <= 1e-5 * np.ptp(values)
    plain = _upscaler(header, scale=(2.5, 3)).field(values)
    away = degradation.field(plain, (12, 14), periodic=(False, False))
    assert np.abs(away - values).max() > 1e-2 * np.ptp(values)

  @pytest.mark.parametrize("consistent", [None, "area"])
  def test_the_mean_is_kept(self, consistent):
    header = _plain((7, 9), ("a", "b"))
    values = 280.0 + _values(header)
    if consistent:
      consistent = degradations.parse(consistent)
    options = upscaling.Options(consistent=consistent, keeps_mean=True)
    fine = _upscaler(header, options, scale=2.3).field(values)
    error = fine.astype(np.float64).mean((0, 1)) - values.mean(
      (0, 1), dtype=np.float64
    )
    assert np.all(np.abs(error) <= 1e-6 * np.ptp(values, (0, 1)) + 280 * 6e-8)

  @pytest.mark.parametrize("consistent", [None, "area"])
  def test_the_mean_of_what_is_there_is_kept_tile_by_tile(
    self, consistent, monkeypatch
  ):
    header = _plain((12, 14), ("a", "b"))
    values = 10.0 * _values(header)
    gaps = np.random.default_rng(1).random((12, 10)) < 0.8
    values[:, 4:, 0][gaps] = np.nan
    if consistent:
      consistent = degradations.parse(consistent)
    options = dict(keeps_mean=True, memory="1GB", side=12)
    make = _upscaler(
      header,
      upscaling.Options(consistent=consistent, **options),
      scale=(2.5, 2),
    )
    sizes, correction = [], upscaling.Upscaler._correction

    def watched(self, rows, columns, z):
      sizes.append((rows.stop - rows.start) * (columns.stop - columns.start))
      return correction(self, rows, columns, z)

    monkeypatch.setattr(upscaling.Upscaler, "_correction", watched)
    fine = make.field(values)
    error = np.nanmean(fine, (0, 1), np.float64)
    error -= np.nanmean(values, (0, 1), np.float64)
    full = np.nanmax(values, (0, 1)) - np.nanmin(values, (0, 1))
    assert np.all(np.abs(error) <= 1e-6 * full)
    assert np.isnan(fine).any() and max(sizes) <= 12 * 12

  def test_values_are_clipped_last(self):
    header = _plain((6, 6))
    options = upscaling.Options(clip=(0.0, None))
    fine = _upscaler(header, options, scale=2).field(_values(header))
    want = _upscaler(header, scale=2).field(_values(header))
    assert want.min() < 0
    np.testing.assert_array_equal(fine, np.maximum(want, 0))

  def test_a_window_cannot_be_consistent(self):
    options = upscaling.Options(consistent=degradations.parse("area"))
    whole = upscaling.target(_header(), scale=2)
    y = _axis("latitude", whole.y.values[3:9], "degrees_north")
    window = dataclasses.replace(_header(), y=y, x=whole.x)
    with pytest.raises(ValueError, match="--consistent needs a result over"):
      _upscaler(_header(), options, like=window)


def test_opacity_is_interpolated_linearly_and_colours_by_the_network():
  header = _plain((5, 6), ("red", "alpha"))
  role = fields.Variable("alpha", attributes={"role": "alpha"})
  header = fields.Header((header.variables[0], role), header.y, header.x)
  values = _values(header)
  fine = _upscaler(header, model="nearest", scale=2).field(values)
  np.testing.assert_array_equal(
    fine[..., 0], values[..., 0].repeat(2, 0).repeat(2, 1)
  )
  along = [
    resize.matrix(n, 2 * n, method="linear", antialias=False) for n in (5, 6)
  ]
  want = along[0] @ values[..., 1].astype(np.float64) @ along[1].T
  np.testing.assert_allclose(fine[..., 1], want, atol=1e-6)


def test_fields_of_a_file_come_back_as_fields():
  leads = (fields.Dimension("time", 2), fields.Dimension("level", 3))
  header = _header(("t", "u"), leads, attributes={"title": "x"})
  values = np.stack([_values(header, seed) for seed in range(6)])
  field = fields.Field(header, values.reshape(2, 3, *values.shape[1:]))
  fine = infer.load("bicubic")(field, scale=2, memory="1GB")
  assert fine.header.leads is header.leads
  assert fine.header.attributes == {"title": "x"}
  assert fine.header.names == ("t", "u")
  assert fine.values.shape == (2, 3, *fine.header.shape, 2)
  want = _upscaler(header, scale=2).field(values[4])
  np.testing.assert_allclose(fine.values[1, 1], want, atol=1e-6)


def test_variables_of_another_model_are_named():
  predictor = infer.Predictor(
    infer.load("bicubic").module, {}, names=("t2m", "u10")
  )
  header = _plain((5, 5), ("u10", "t2m"))
  goal = upscaling.target(header, scale=2)
  with pytest.raises(
    ValueError, match="model is of t2m, u10 and the input has"
  ):
    upscaling.Upscaler(predictor, header, goal)
