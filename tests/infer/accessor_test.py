"""`dataset.hinote.upscale` gives what the command gives, lazily on Dask."""

import numpy as np
import pytest

from tests import era5, upscale_command

xarray = pytest.importorskip("xarray")
dask = pytest.importorskip("dask")
pytest.importorskip("netCDF4")

from hinote_jax import infer, models  # noqa: E402
import hinote_jax.xarray  # noqa: E402, F401

_FINER = dict(scale=2.5, checkpoint="bicubic")


@pytest.fixture
def source(tmp_path):
  return era5.write(tmp_path / "in.nc", era5.dataset(3, 15.0))


def test_it_is_what_the_command_makes(source, tmp_path):
  out = tmp_path / "out.nc"
  arguments = ("--scale", 2.5, "--checkpoint", "bicubic", "--dtype", "float32")
  assert upscale_command.run(source, out, *arguments) == 0
  with xarray.open_dataset(source) as coarse, xarray.open_dataset(out) as want:
    fine = coarse.hinote.upscale(**_FINER)
    assert set(fine.variables) == set(want.variables)
    assert set(fine.coords) == set(want.coords)
    for name, variable in want.variables.items():
      assert fine.variables[name].dims == variable.dims, name
      if variable.dtype.kind == "f":
        found = fine.variables[name].values
        np.testing.assert_allclose(found, variable.values, atol=1e-4)
      assert fine[name].attrs.get("units") == variable.attrs.get("units")
    xarray.testing.assert_equal(fine.time, coarse.time)
    assert fine.attrs == want.attrs


def test_dask_arrays_stay_lazy_and_give_the_same(source):
  with xarray.open_dataset(source) as coarse:
    want = coarse.hinote.upscale(**_FINER)

    def refuse(*_, **__):
      raise AssertionError("computed before it was asked for")

    with dask.config.set(scheduler=refuse):
      fine = coarse.chunk(time=1).hinote.upscale(**_FINER)
    assert fine.t2m.chunks is not None and fine.d2m.chunks is not None
    xarray.testing.assert_allclose(fine.compute(), want)


def test_a_predictor_and_another_grid_will_do(source):
  with xarray.open_dataset(source) as coarse:
    predictor = infer.load("nearest")
    like = coarse.hinote.upscale(shape=(26, 48), checkpoint=predictor)
    again = coarse.hinote.upscale(like=like, checkpoint=predictor)
    xarray.testing.assert_allclose(again, like)


def test_variables_of_other_names_are_taken_for_those_of_the_network():
  predictor = infer.Predictor(models.build("nearest"), {}, names=("omega",))
  values = np.arange(12, dtype=np.float32).reshape(3, 4)
  coarse = xarray.Dataset({"vort": (("y", "x"), values)})
  fine = coarse.hinote.upscale(
    checkpoint=predictor, scale=2, variables=["vort"]
  )
  np.testing.assert_array_equal(fine.vort, values.repeat(2, 0).repeat(2, 1))
  with pytest.raises(ValueError, match="has no 'omega'"):
    coarse.hinote.upscale(checkpoint=predictor, scale=2)


def test_what_is_wrong_is_said(source):
  with xarray.open_dataset(source) as coarse:
    with pytest.raises(ValueError, match="the dataset has no 'd2n'"):
      coarse.hinote.upscale(variables=["d2n"], **_FINER)
    with pytest.raises(ValueError, match="exactly one of scale"):
      coarse.hinote.upscale(checkpoint="bicubic")
