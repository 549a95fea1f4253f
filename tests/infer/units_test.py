"""What a network learnt, and files that have it in units of their own."""

from flax import linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import fields, infer, interop, io
from hinote_jax.core import grids, spectral
from hinote_jax.data import normalise
from hinote_jax.fields import axes
from hinote_jax.infer import units
from tests import upscale_command

_KELVIN = normalise.Normaliser((280.0,), (10.0,), (220.0,), (320.0,))


class _Nearest(nn.Module):
  """Every cell twice, times a weight a channel; its square where asked."""

  weights: tuple[float, ...] = (1.0,)
  is_squared: bool = False
  periodic: tuple[bool, bool] = (False, False)

  @property
  def channels(self):
    return len(self.weights)

  @nn.compact
  def __call__(self, lowres, coords, cell):
    h, w = grids.query_shape(coords)
    x = lowres.repeat(h // lowres.shape[1], 1).repeat(w // lowres.shape[2], 2)
    return jnp.asarray(self.weights) * (x * x if self.is_squared else x)


def _field(values, **variable):
  y, x = (axes.counted(n, s) for n, s in zip("yx", values.shape, strict=True))
  header = fields.Header((fields.Variable("t2m", **variable),), y, x)
  return fields.Field(header, values[..., None].astype(np.float32))


def _run(**options):
  learnt = [units.Quantity("K", low=220.0, high=320.0)]
  module = _Nearest(is_squared=True)
  return infer.Predictor(
    module, {}, normaliser=_KELVIN, names=("t2m",), learnt=learnt, **options
  )


def _colours(**options):
  module = _Nearest((1.0, 2.0, 3.0), **options)
  return infer.Predictor(module, {}, learnt=[units.COLOUR] * 3)


class TestUnits:
  def test_a_file_keeps_its_own_unit(self):
    kelvin = np.random.default_rng(0).uniform(260, 300, (5, 6))
    for unit, scale, offset in (
      ("degC", 1.0, -273.15),
      ("degF", 1.8, -459.67),
      ("K", 1.0, 0.0),
      ("", 1.0, 0.0),
    ):
      field = _field(scale * kelvin + offset, units=unit)
      fine = _run()(field, scale=2)
      # The network squares (t - 280 K) / 10 K.
      want = 280.0 + 10.0 * ((kelvin - 280.0) / 10.0) ** 2
      want = (scale * want + offset).repeat(2, 0).repeat(2, 1)
      np.testing.assert_allclose(fine.values[..., 0], want, atol=2e-3)
      assert fine.header.variables[0].units == unit

  def test_another_quantity_is_refused_and_both_are_named(self):
    with pytest.raises(ValueError, match=r"t2m is in 'm s-1' .* 'K' from 220"):
      _run()(_field(np.ones((5, 6)), units="m s-1"), scale=2)

  def test_numbers_without_a_unit_must_be_near_those_of_training(self):
    celsius = _field(np.linspace(-40, 35, 30).reshape(5, 6))
    with pytest.raises(ValueError, match="from -40 to 35 .* from 220 to 320"):
      _run()(celsius, scale=2)
    said = _field(np.full((5, 6), 90.0), units="K")  # cold, and surely so
    assert np.isfinite(_run()(said, scale=2).values).all()

  def test_runs_of_before_know_their_range_alone(self):
    (old,) = units.learnt(None, _KELVIN)
    assert old == units.Quantity("", None, 220.0, 320.0)
    (colour,) = units.learnt([{"units": "1", "white": 1.0}], _KELVIN)
    assert colour == units.COLOUR


class TestColours:
  @pytest.mark.parametrize(
    ("dtype", "scale", "white"),
    [
      ("uint8", 1.0, 255.0),
      ("uint8", 1 / 255, 1.0),
      ("uint16", 1.0, 65535.0),
      ("int16", 1.0, 32767.0),
      ("int16", 0.01, None),
      ("int32", 1.0, None),
      ("float32", 1.0, None),
    ],
  )
  def test_white_by_the_type_of_samples(self, dtype, scale, white):
    assert fields.Variable("a", dtype=dtype, scale=scale).white == white

  @pytest.mark.parametrize(
    ("dtype", "top"), [("uint8", 255), ("uint16", 65535)]
  )
  def test_samples_are_scaled_by_their_type(self, dtype, top):
    values = np.random.default_rng(0).integers(0, top // 4, (4, 5, 3), dtype)
    fine = _colours(is_squared=True)(values, scale=2)
    want = (values / top) ** 2 * (1, 2, 3) * top
    np.testing.assert_allclose(fine[::2, ::2], want, rtol=1e-4)

  def test_other_numbers_are_refused(self):
    with pytest.raises(ValueError, match=r"to 255 and the .* in \[0, 1\]"):
      _colours()(np.full((4, 5, 3), 255.0), scale=2)

  def test_black_and_white_may_be_said(self):
    values = np.random.default_rng(0).uniform(-200, 1000, (4, 5, 3))
    fine = _colours(is_squared=True)(values, scale=2, span=(-200, 1000))
    want = ((values + 200) / 1200) ** 2 * (1, 2, 3) * 1200 - 200
    np.testing.assert_allclose(fine[::2, ::2], want, rtol=1e-3, atol=0.05)
    with pytest.raises(ValueError, match="--range .* learnt values in 'K'"):
      _run()(np.full((4, 5), 280.0), scale=2, span=(0, 1))

  def test_the_ends_of_values_without_a_unit_may_be_said(self):
    learnt = units.Quantity(low=0.0, high=0.8)
    variable = fields.Variable("intensity")
    scale, offset = units.conversion(variable, learnt, (-200, 1000))
    ends = np.array([-200, 1000]) * scale + offset
    np.testing.assert_allclose(ends, (0.0, 0.8), atol=1e-12)
    plain = units.limits(variable, learnt, (1.0, 0.0))
    plain.require(np.float32([0, 5]))
    with pytest.raises(ValueError, match="0 to 1200 .* --range LOW,HIGH"):
      plain.require(np.float32([0, 1200]))
    said = units.limits(variable, learnt, (scale, offset))
    said.require(np.float32([0, 1000]))

  def test_grey_is_repeated_and_the_answers_averaged(self):
    grey = np.random.default_rng(0).uniform(size=(4, 5)).astype(np.float32)
    fine = _colours()(grey, scale=2)
    np.testing.assert_allclose(fine[::2, ::2], 2.0 * grey, rtol=1e-6)

  @pytest.mark.parametrize("suffix", ["npy", "h5", "tif", "nii"])
  def test_a_file_of_any_format_is_as_a_picture(self, tmp_path, capsys, suffix):
    tool = {"h5": "h5py", "tif": "tifffile", "nii": "nibabel"}.get(suffix)
    tool = tool and pytest.importorskip(tool)
    upscale_command.network(tmp_path / "net.pth", channels=3)
    samples = np.random.default_rng(0).integers(0, 256, (8, 9), np.uint8)
    y, x = (axes.counted(n, s) for n, s in zip("yx", (8, 9), strict=True))
    grey = fields.Variable("grey", dtype="uint8", scale=1 / 255)
    header = fields.Header((grey,), y, x)
    field = fields.Field(header, samples[..., None] / np.float32(255))
    io.write(tmp_path / "a.png", field)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
      np.save(path, samples)
    elif suffix == "h5":
      with tool.File(path, "w") as file:
        file["grey"] = samples
    elif suffix == "tif":
      tool.imwrite(path, samples)
    else:
      tool.save(tool.Nifti1Image(samples.T, np.eye(4)), path)
    fine = []
    for source in (tmp_path / "a.png", path):
      out = tmp_path / f"fine_{source.name}"
      arguments = ("--scale", 2, "--checkpoint", tmp_path / "net.pth")
      assert upscale_command.run(source, out, *arguments) == 0
      assert "is repeated for the 3 of the network" in capsys.readouterr().err
      reader = io.open(out)
      fine.append(reader.read(0) / reader.header.variables[0].white)
    np.testing.assert_allclose(*fine, atol=1.01 / 255)


class TestNotFinite:
  def test_weights_are_refused_and_nothing_is_left(self, tmp_path, capsys):
    _, variables, kwargs = upscale_command.network(tmp_path / "a.pth")
    bias = variables["params"]["features"]["bias"]
    variables["params"]["features"]["bias"] = bias.at[0].set(np.nan)
    interop.save_torch(tmp_path / "a.pth", "liif", kwargs, variables)
    np.save(tmp_path / "a.npy", np.ones((4, 5), np.float32))
    arguments = ("--scale", 2, "--checkpoint", tmp_path / "a.pth")
    out = tmp_path / "fine.npy"
    assert upscale_command.run(tmp_path / "a.npy", out, *arguments) == 2
    said = capsys.readouterr().err
    assert "a.pth: " in said
    assert "1 of 8 weights in features/bias are not finite" in said
    assert {p.name for p in tmp_path.iterdir()} == {"a.npy", "a.pth"}

  @pytest.mark.parametrize("options", [{}, {"memory": "2GB"}])
  def test_an_answer_is_refused(self, options):
    predictor = infer.Predictor(_Nearest((3e38,)), {})
    with pytest.raises(ValueError, match="80 of 80 values .* not finite"):
      predictor(np.full((4, 5, 1), 10.0), scale=2, **options)


class TestUnlike:
  def _said(self, values, roughness=(1.0,)):
    return units.unlike(values[..., None], [fields.Variable("t2m")], roughness)

  def test_point_samples_of_what_was_learnt_as_means(self):
    # Power k^-3 as winds have it; the means are of 4 x 4 cells.
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    noise = np.fft.rfft2(rng.normal(size=(256, 256)))
    fine = np.fft.irfft2(noise / np.maximum(k, 1 / 256) ** 2)
    means = fine.reshape(64, 4, 64, 4).mean((1, 3))
    learnt = spectral.roughness(means[None, ..., None]).tolist()
    assert not self._said(means, learnt)
    said = self._said(fine[::4, ::4], learnt)
    assert "times as rough" in said and "t2m" in said

  def test_small_fields_and_unknown_runs_are_not_judged(self):
    noise = np.random.default_rng(0).normal(size=(64, 64))
    assert "(t2m 2.96 for 1.00)" in self._said(noise)
    assert not self._said(noise[:30, :30])
    assert not self._said(noise, ())
