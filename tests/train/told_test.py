"""A run told of the place: resumed, on files, the same by every way."""

import functools
import os
import shutil
import signal
from unittest import mock

import jax
import numpy as np
import pytest

from hinote_jax import infer, io, models
from hinote_jax.evaluate import report
from hinote_jax.infer import batch, dask_jobs, jobs, progress, upscaling
from hinote_jax.train import (
  checkpoint,
  contract,
  metric_log,
  parts,
  preemption,
  run_data,
  static_run,
)
from hinote_jax.train import loop as train
from tests import runs

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

_TOLD = ("earth:orography", "latitude", "sun", "climatology", "{}/dem.nc:z")


def _write(folder, times=12):
  """Writes fields that follow the height, and the height; by degrees."""
  latitude = np.arange(58.5, -59.0, -3.0)
  longitude = np.arange(1.5, 360.0, 3.0)[:56]
  rng = np.random.default_rng(0)
  z = np.cumsum(np.cumsum(rng.normal(size=(40, 56)), 0), 1)
  z = 100.0 * z / z.std() + 30.0 * rng.normal(size=z.shape)
  places = {
    "latitude": ("latitude", latitude, {"units": "degrees_north"}),
    "longitude": ("longitude", longitude, {"units": "degrees_east"}),
  }
  dims = ("latitude", "longitude")
  xarray.Dataset({"z": (dims, z, {"units": "m"})}, places).to_netcdf(
    folder / "dem.nc"
  )
  values = 280.0 - 0.01 * z + rng.normal(size=(times, *z.shape))
  time = ("time", np.arange(times), {"units": "days since 2020-01-01"})
  fields = {"t2m": (("time", *dims), values.astype("f4"), {"units": "K"})}
  data = xarray.Dataset(fields, {"time": time, **places})
  data.to_netcdf(folder / "t2m.nc")
  data.isel(time=slice(1)).to_netcdf(folder / "one.nc")
  return folder / "t2m.nc"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
  """The folder and the config of a run that has ended."""
  folder = tmp_path_factory.mktemp("told")
  config = runs.tiny_config(_write(folder), folder / "cache")
  config.data.variables = ("t2m",)
  config.data.static = tuple(name.format(folder) for name in _TOLD)
  config.windows.update(min_scale=1.5, max_scale=2.0)
  config.split.update(validation=1, test=1)
  config.validate_every = 6
  runs.train_lightly(config, folder / "run")
  return folder, config


@pytest.fixture(scope="module")
def evaluated(told):
  """The evaluation of the run, of what is made consistent too."""
  folder, config = told
  config = config.copy_and_resolve_references()
  config.evaluate.consistent = True
  shutil.copytree(folder / "run", folder / "evaluated")
  return report.read(train.evaluate(config, folder / "evaluated").parent)


@pytest.mark.trial  # in the suite, train_test has a run that resumes so
def test_it_resumes_bit_for_bit(told, tmp_path, monkeypatch):
  _, config = told
  train.train(config, tmp_path / "whole")
  advance, calls = metric_log.MetricLog.advance, []

  def advance_and_signal(self, **shown):
    advance(self, **shown)
    calls.append(1)
    if len(calls) == 2:
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(metric_log.MetricLog, "advance", advance_and_signal)
  with pytest.raises(preemption.Stopped):
    train.train(config, tmp_path / "run")
  assert train.train(config, tmp_path / "run")["steps_now"] > 0
  digests = []
  for workdir in (tmp_path / "whole", tmp_path / "run"):
    with checkpoint.Checkpoints(workdir) as checkpoints:
      digests.append(checkpoints.load("latest")[1]["sha256"])
  assert digests[0] == digests[1]


def test_tiles_devices_and_workers_make_what_the_whole_is(told, tmp_path):
  folder, _ = told
  source, run = folder / "one.nc", str(folder / "run")
  predictor, field = infer.load(run), io.read(source)
  whole = predictor(field, scale=2.5).values
  assert np.isfinite(whole).all()
  size = 1e-5 * whole.std()
  for how in (
    dict(memory="1GB", side=24),
    dict(devices=jax.devices()[:4]),
  ):
    got = predictor(field, scale=2.5, **how).values
    np.testing.assert_allclose(got, whole, atol=size)
  requests = [
    jobs.Request(
      str(source),
      str(tmp_path / name),
      run,
      scale=2.5,
      options=upscaling.Options(memory="1GB", side=64),
    )
    for name in ("one.zarr", "two.zarr")
  ]
  bar = progress.Progress(is_quiet=True)
  batch.run(requests[:1], predictor, bar)
  pytest.importorskip("distributed")
  with dask_jobs.connected(None, 1) as make:
    batch.run(requests[1:], predictor, bar, make)
  one, two = (
    xarray.open_zarr(tmp_path / name).t2m.values
    for name in ("one.zarr", "two.zarr")
  )
  np.testing.assert_array_equal(one, two)
  np.testing.assert_allclose(one[..., None], whole, atol=size)


def test_a_part_and_a_grid_of_another_file_have_the_whole_ones_values(told):
  folder, _ = told
  predictor = infer.load(folder / "run")
  field = io.read(folder / "one.nc")
  whole = predictor(field, scale=2)
  like = whole.header
  got = predictor(field, like=like)
  np.testing.assert_allclose(
    got.values, whole.values, atol=1e-5 * whole.values.std()
  )


@pytest.mark.parametrize("consistent", [False, True])
def test_tables_end_where_fields_and_what_is_static_do(told, consistent):
  folder, config = told
  config = config.copy_and_resolve_references()
  config.model = dict(name="im_lut", consistent=consistent)
  data = run_data.make(config, folder / "run")
  arguments = parts.model_arguments(config, data, [1.0])
  assert arguments["limits"] == data.limits()
  module, spec = models.build(**arguments), models.spec_of(arguments)
  told_module = module.plain if consistent else module
  low, high = np.transpose(told_module.plain.limits)
  (batch,) = data.train.fixed(64)
  inputs = np.concatenate([batch["lowres"], batch["static"]["coarse"]], -1)
  assert len(low) == inputs.shape[-1] == 1 + 6  # two of the climatology
  assert np.all((low - 1e-6 <= inputs) & (inputs <= high + 1e-6))
  np.testing.assert_allclose(low[1:], inputs.min((0, 1, 2))[1:], rtol=1e-6)
  init = functools.partial(contract.init, module, spec=spec)
  assert jax.eval_shape(init, jax.random.key(0), data.train.batch(0, [0]))


def test_fields_of_another_season_are_warned_of(told, tmp_path):
  folder, _ = told
  predictor = infer.load(folder / "run")
  seen = []
  for start, name in (("2020-02-20", "near"), ("2020-07-04", "far")):
    with xarray.open_dataset(folder / "one.nc") as data:
      moved = data.load().assign_coords(time=[np.datetime64(start, "ns")])
      moved.to_netcdf(tmp_path / f"{name}.nc")
    with mock.patch.object(static_run.logging, "warning") as warning:
      predictor(io.read(tmp_path / f"{name}.nc"), scale=1.5)
    seen.append([call.args[0] % call.args[1:] for call in warning.mock_calls])
  near, (far,) = seen
  assert not near
  assert "in months 1 of the year, and there are fields of months 7" in far


def test_another_run_is_told_what_it_learnt_with_in_its_own_unit(
  told, evaluated, tmp_path
):
  folder, config = told
  data = xarray.open_dataset(folder / "t2m.nc").load()
  data["t2m"] = (data.t2m - 273.15).assign_attrs(units="degC")
  data.to_netcdf(tmp_path / "t2m.nc")
  config = config.copy_and_resolve_references()
  config.data.path = str(tmp_path / "t2m.nc")
  config.data.static = ("latitude",)
  config.evaluate.against = ("bicubic", str(folder / "run"))
  runs.train_lightly(config, tmp_path / "run")
  path = train.evaluate(config, tmp_path / "run")
  label = str(folder / "run")
  (row,) = report.read(path.parent).select(model=label)
  (want,) = evaluated.select(model="hinote")
  np.testing.assert_allclose(row["mse"], want["mse"], rtol=1e-3)


def test_consistent_rows_stand_in_the_report(evaluated):
  names = evaluated.header["models"]
  assert names[:3] == ["hinote", "static_regression", "bicubic"]
  assert names[3:] == [f"{name}, consistent" for name in names[:3]]
  mse = {row["model"]: row["mse"] for row in evaluated.rows}
  for name in names[:3]:
    # The truth satisfies it, so that the projection takes only error away.
    assert mse[f"{name}, consistent"] <= mse[name] * (1 + 1e-6)
  assert mse["bicubic, consistent"] < 0.99 * mse["bicubic"]
