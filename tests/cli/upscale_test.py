"""The command: a file in, a finer file out, whole or not at all."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hinote_jax import degradations, infer, io, models
from hinote_jax.cli import upscale_arguments
from hinote_jax.infer import tile_store
from hinote_jax.train import checkpoint
from tests import era5, trials, upscale_command

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")

_BICUBIC = ("--scale", "3.7", "--checkpoint", "bicubic")


def _raw(path):
  return era5.raw(pathlib.Path(path))


@pytest.fixture
def source(tmp_path):
  return era5.write(tmp_path / "era5.nc", era5.dataset())


def _workdir(path):
  """Writes the workdir of a run of that network on "d2m"."""
  path.mkdir()
  module, variables, kwargs = upscale_command.network(path / "liif.pth")
  meta = dict(
    model=dict(name="liif", **kwargs),
    variables=["d2m"],
    periodic=[False, True],
    normaliser=dict(mean=[280.0], std=[10.0], minimum=[250.0], maximum=[300.0]),
  )
  config = {"degradation": "blur(0.3)|area"}
  (path / "config.json").write_text(json.dumps(config))
  with checkpoint.Checkpoints(path) as checkpoints:
    metrics = {checkpoint.BEST_KEY: 1.0}
    state = {"average": variables["params"]}
    checkpoints.save(1, state, json.loads(json.dumps(meta)), metrics)
  return path


def _require_grid(data):
  """Checks coordinates 3.7 times finer than 61 x 120 cells of 3 degrees."""
  latitude = np.linspace(90.0, -90.0, 223)
  np.testing.assert_allclose(data.latitude, latitude, atol=1e-5)
  assert data.latitude.values[0] == 90.0 and data.latitude.values[-1] == -90.0
  # Cells from 1.5 degrees west; the seam lies between the last and the first.
  longitude = -1.5 + 360.0 / 444 * (np.arange(444) + 0.5)
  np.testing.assert_allclose(data.longitude, longitude, atol=3e-5)
  assert data.latitude.dtype == data.longitude.dtype == np.float32


def _seam(values):
  """Returns the largest jump across the seam and next to it, [2]."""
  jumps = np.abs(np.diff(values, axis=-1, append=values[..., :1]))
  return np.nanmax(jumps[..., -1]), np.nanmax(jumps[..., -6:-1])


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_a_global_file(tmp_path, source, suffix):
  out = tmp_path / f"fine.{suffix}"
  assert upscale_command.run(source, out, *_BICUBIC, "--variable", "t2m") == 0
  assert {p.name for p in tmp_path.iterdir()} == {"era5.nc", out.name}
  raw, coarse = _raw(out), _raw(source)
  _require_grid(raw)
  assert raw.attrs == coarse.attrs and set(raw) == {"t2m"}
  assert raw.t2m.attrs == coarse.t2m.attrs and raw.t2m.dtype == np.int16
  assert raw.time.attrs == coarse.time.attrs
  np.testing.assert_array_equal(raw.time, coarse.time)
  with xarray.open_dataset(
    out, **({} if suffix == "nc" else {"engine": "zarr"})
  ) as decoded:
    found = decoded.t2m.values
  # Missing is what lies in a cell, of 3 degrees, that is missing.
  nearest_y = np.rint((90.0 - raw.latitude.values) / 3.0).astype(int)
  nearest_x = np.floor((raw.longitude.values + 1.5) / 3.0).astype(int) % 120
  missing = np.isnan(found[0])
  mask = era5.is_missing(coarse.latitude, coarse.longitude)
  assert missing.any() and np.array_equal(missing, np.isnan(found[1]))
  # Rows on the edge between two cells may go with either.
  on_edge = np.abs((90.0 - raw.latitude.values) / 3.0 % 1.0 - 0.5) < 1e-3
  want = mask[nearest_y][:, nearest_x]
  np.testing.assert_array_equal(missing[~on_edge], want[~on_edge])
  # Away from the coast bicubic meets a smooth field to the third order.
  exact = era5.temperature(coarse.time, raw.latitude, raw.longitude)
  near = missing
  for axis in (0, 1):
    near = np.any([np.roll(near, k, axis) for k in range(-8, 9)], axis=0)
  near[:8] = near[-8:] = True  # a pole is a wall, which is of lower order
  assert np.abs(found - exact)[:, ~near].max() < 0.01
  across, beside = _seam(found)
  assert across <= 1.05 * beside


def test_a_network_and_what_it_was_trained_on(tmp_path, source):
  workdir = _workdir(tmp_path / "run")
  out = tmp_path / "fine.nc"
  arguments = ("--scale", 3.7, "--checkpoint", workdir)
  assert upscale_command.run(source, out, *arguments) == 0
  raw = _raw(out)
  _require_grid(raw)
  assert set(raw) == {"d2m"} and raw.d2m.attrs["units"] == "K"
  field = io.read(source, ("d2m",))
  want = infer.load(workdir)(field, scale=3.7, memory="2GB")
  np.testing.assert_array_equal(raw.d2m, want.values[..., 0])
  across, beside = _seam(raw.d2m.values)
  assert across <= 1.05 * beside


def test_faithful_to_what_the_network_was_trained_on(tmp_path):
  path = tmp_path / "a.npy"
  values = np.random.default_rng(0).normal(280.0, 5.0, (2, 12, 16))
  np.save(path, values.astype(np.float32))
  network = ("--checkpoint", _workdir(tmp_path / "run"), "--scale", "2,3")
  assert (
    upscale_command.run(path, tmp_path / "b.npy", *network, "--consistent") == 0
  )
  found = np.load(tmp_path / "b.npy")
  assert found.shape == (2, 24, 48)
  for name, limit in (("blur(0.3)|area", 1e-5), ("area", None)):
    degraded = degradations.parse(name).field(
      found[0, ..., None].astype(np.float64), (12, 16), periodic=(False, False)
    )[..., 0]
    error = np.abs(degraded - values[0]).max() / np.ptp(values[0])
    assert error <= limit if limit else error > 1e-3
  file = ("--checkpoint", tmp_path / "run" / "liif.pth", "--scale", 2)
  out = tmp_path / "c.npy"
  assert upscale_command.run(path, out, *file, "--consistent") == 0
  means = np.load(out).reshape(2, 12, 2, 16, 2).mean((2, 4))
  assert np.abs(means - values).max() <= 1e-5 * np.ptp(values)


def test_ensemble_mean_and_range(tmp_path):
  values = np.random.default_rng(1).uniform(0, 1, (9, 11)).astype(np.float32)
  np.save(tmp_path / "a.npy", values)
  upscale_command.network(tmp_path / "liif.pth")
  name = ("--checkpoint", tmp_path / "liif.pth", "--scale", 2)
  predictor = infer.load(tmp_path / "liif.pth")
  turned = [
    turn(predictor(np.ascontiguousarray(turn(values)), scale=2))
    for turn in (
      lambda v: v,
      lambda v: v[::-1],
      lambda v: v[:, ::-1],
      lambda v: v[::-1, ::-1],
      lambda v: v.T,
      lambda v: v[::-1, ::-1].T,
    )
  ]
  # The two rotations are not their own inverse.
  for k in (1, 3):
    rotated = np.ascontiguousarray(np.rot90(values, k))
    turned.append(np.rot90(predictor(rotated, scale=2), -k))
  assert (
    upscale_command.run(tmp_path / "a.npy", tmp_path / "b.npy", *name, "--tta")
    == 0
  )
  found = np.load(tmp_path / "b.npy")
  np.testing.assert_allclose(found, np.mean(turned, 0), atol=1e-6)
  arguments = ("--scale", 2, "--checkpoint", "bicubic", "--keep-mean")
  assert (
    upscale_command.run(tmp_path / "a.npy", tmp_path / "c.npy", *arguments) == 0
  )
  mean = np.load(tmp_path / "c.npy").mean(dtype=np.float64)
  assert abs(mean - values.mean(dtype=np.float64)) <= 1e-6
  for text, low, high in (("0.2,0.8", 0.2, 0.8), (",-0.1", -np.inf, -0.1)):
    out = tmp_path / "d.npy"
    assert (
      upscale_command.run(tmp_path / "a.npy", out, *name, "--clip", text) == 0
    )
    want = np.clip(predictor(values, scale=2), low, high)
    np.testing.assert_allclose(np.load(out), want, atol=1e-6)
    out.unlink()


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_onto_the_grid_of_another_file(tmp_path, source, suffix):
  # From the south, and from -180 degrees.
  other = xarray.Dataset(
    {"lsm": (("lat", "lon"), np.ones((181, 360), np.int8))},
    {
      "lat": ("lat", np.arange(-90.0, 91.0), {"units": "degrees_north"}),
      "lon": ("lon", np.arange(-180.0, 180.0), {"units": "degrees_east"}),
    },
  )
  like = era5.write(tmp_path / "like.nc", other)
  out = tmp_path / f"fine.{suffix}"
  arguments = ("--like", like, "--checkpoint", "bicubic", "--variable", "d2m")
  assert upscale_command.run(source, out, *arguments) == 0
  raw = _raw(out)
  np.testing.assert_array_equal(raw.latitude, other.lat)
  np.testing.assert_array_equal(raw.longitude, other.lon)
  assert raw.d2m.dims == ("time", "latitude", "longitude")
  exact = era5.temperature(raw.time, raw.latitude, raw.longitude) - 5
  assert np.abs(raw.d2m - exact).values[:, 8:-8].max() < 0.01


def test_several_files_into_a_folder(tmp_path, monkeypatch, capsys):
  for name in ("a", "b", "c"):
    np.save(tmp_path / f"{name}.npy", np.full((4, 5), ord(name), np.float32))
  out, pattern = tmp_path / "fine", tmp_path / "?.npy"
  arguments = (pattern, f"{out}/", "--scale", 2, "--checkpoint", "nearest")
  write, seen = tile_store.TileStore.write, []

  def fail(self, *args):
    seen.append(args)
    if len(seen) == 3:
      raise OSError(28, "No space left on device")
    return write(self, *args)

  monkeypatch.setattr(tile_store.TileStore, "write", fail)
  assert upscale_command.run(*arguments) == 2
  assert "cannot write in" in (said := capsys.readouterr().err)
  assert "No space left on device" in said
  assert {p.name for p in out.glob("*.npy")} == {"a.npy", "b.npy"}
  # What is there was made by this very command: it is not made again.
  assert upscale_command.run(*arguments) == 0
  assert len(seen) == 4
  assert {p.name for p in out.iterdir()} == {"a.npy", "b.npy", "c.npy"}
  for name in ("a", "b", "c"):
    np.testing.assert_array_equal(np.load(out / f"{name}.npy"), ord(name))
  # Now that all are there they are files like others.
  assert upscale_command.run(*arguments) == 2
  assert "a.npy exists" in capsys.readouterr().err
  assert upscale_command.run(*arguments, "--overwrite") == 0


def _bytes(path):
  """Returns the bytes of a file, or of all the files of a folder."""
  files = sorted(p for p in path.rglob("*") if p.is_file()) or [path]
  return {str(p.relative_to(path)): p.read_bytes() for p in files}


def _interrupted(monkeypatch, count, *arguments):
  """Runs the command until so many tiles are written, and not further."""
  put, left = tile_store.TileStore.write, [count]

  def write(self, *args):
    if not left[0]:
      raise KeyboardInterrupt
    left[0] -= 1
    return put(self, *args)

  with monkeypatch.context() as patch:
    patch.setattr(tile_store.TileStore, "write", write)
    assert upscale_command.run(*arguments) == 130


def test_other_options_start_over(tmp_path, source, monkeypatch, capsys):
  out, fresh = tmp_path / "fine.nc", tmp_path / "fresh.nc"
  arguments = (*_BICUBIC, "--variable", "d2m")
  _interrupted(monkeypatch, 3, source, out, *arguments)
  assert (tmp_path / "fine.nc.partial").is_dir() and not out.exists()
  capsys.readouterr()
  assert upscale_command.run(source, out, *arguments, "--clip", "250,260") == 0
  said = capsys.readouterr().err.splitlines()
  assert len(said) == 1 and "of other clip: starting over" in said[0]
  assert (
    upscale_command.run(source, fresh, *arguments, "--clip", "250,260") == 0
  )
  assert _bytes(out) == _bytes(fresh)
  # The type of a file of plain tiles is no reason.
  _interrupted(monkeypatch, 3, source, out, *arguments, "--overwrite")
  kept = _bytes(fresh)
  assert (
    upscale_command.run(
      source, out, *arguments, "--overwrite", "--dtype=float64"
    )
    == 0
  )
  assert not capsys.readouterr().err.count("starting over")
  assert _raw(out).d2m.dtype == np.float64
  assert _bytes(fresh) == kept
  assert {p.name for p in tmp_path.glob("fine*")} == {"fine.nc"}


@pytest.mark.parametrize(
  "suffix", trials.apart_from(lambda suffix: suffix == "zarr", ["nc", "zarr"])
)
def test_killed_and_started_again(tmp_path, suffix):
  source = era5.write(tmp_path / "a.zarr", era5.dataset(30)[["d2m"]])
  out, fresh = tmp_path / f"out.{suffix}", tmp_path / f"fresh.{suffix}"
  upscale_command.network(tmp_path / "liif.pth")
  arguments = ("--scale", 3.7, "--checkpoint", tmp_path / "liif.pth")
  command = [sys.executable, "-m", "hinote_jax.upscale", source, out]
  command = [*map(str, [*command, *arguments])]
  process = subprocess.Popen(command, cwd=pathlib.Path(__file__).parents[2])
  done = tmp_path / f"{out.name}.partial" / "done"
  while len(list(done.glob("*/*"))) < 10:
    assert process.poll() is None, "it ended before it could be killed"
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  process.wait()
  made = len(list(done.glob("*/0.0")))
  assert 5 <= made < 28 and not out.exists()
  assert upscale_command.run(source, out, *arguments) == 0
  assert upscale_command.run(source, fresh, *arguments) == 0
  assert _bytes(out) == _bytes(fresh)
  assert {p.name for p in tmp_path.glob("out*")} == {out.name}


def test_a_real_file(tmp_path):
  path = "shared/data/weather/era5_1deg_24steps.npz"
  path = pathlib.Path(__file__).parents[3] / path
  if not path.exists():
    pytest.skip(f"{path} is not here")
  with np.load(path) as real:
    scale, offset = real["t2m_scale_offset"]
    values = real["t2m"][:2] * scale + offset
    latitude, longitude = real["lat"], real["lon"]
  data = era5.dataset(step=1.0)
  np.testing.assert_array_equal(data.latitude, latitude)
  np.testing.assert_array_equal(data.longitude, longitude)
  packed = np.rint((values - era5.OFFSET) / era5.SCALE / 2).astype(np.int16)
  mask = era5.is_missing(latitude, longitude)
  packed[:, mask] = era5.FILL
  # Room for more than the coldest and the warmest place has.
  attrs = dict(data.t2m.attrs, scale_factor=2 * era5.SCALE)
  t2m = data.t2m.copy(data=packed).assign_attrs(attrs)
  source = era5.write(tmp_path / "era5.nc", data[[]].assign(t2m=t2m))
  assert upscale_command.run(source, tmp_path / "fine.nc", *_BICUBIC) == 0
  with xarray.open_dataset(tmp_path / "fine.nc") as fine:
    assert dict(fine.sizes) == {"time": 2, "latitude": 667, "longitude": 1332}
    assert fine.t2m.units == "K" and fine.history == "made"
    west = -0.5 + 360.0 / 1332 * (np.arange(1332) + 0.5)
    np.testing.assert_allclose(fine.longitude, west, atol=3e-5)
    np.testing.assert_allclose(fine.latitude, np.linspace(90, -90, 667))
    found = fine.t2m.values
  part = np.isnan(found[0]).mean()
  assert abs(part - mask.mean()) < 0.01 * mask.mean()
  across, beside = _seam(found)
  assert across <= beside
  # Every 37th row is a tenth one of the input, between whose columns it runs.
  rows = [
    np.interp(longitude, fine.longitude, row, period=360.0)
    for row in found[0, ::37]
  ]
  error = np.subtract(rows, values[0, ::10])
  assert np.sqrt(np.nanmean(error**2)) < 0.02 * values.std()
  assert (
    np.nanmin(found) > values.min() - 3 and np.nanmax(found) < values.max() + 3
  )


def test_help_comes_at_once_and_names_the_interpolations():
  code = (
    "import sys\nfrom hinote_jax import upscale\n"
    "try:\n  upscale.main(['--help'])\n"
    "except SystemExit as end:\n  assert end.code == 0\n"
    "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert upscale_arguments.INTERPOLATIONS == models.INTERPOLATIONS
  for name in (*models.INTERPOLATIONS, "--consistent", "OUT.partial"):
    assert name in done.stdout


def test_memory_is_bounded_unless_it_is_not_to_be():
  files = ["a.nc", "b.nc", "--scale", "2", "--checkpoint", "bicubic"]
  for given, memory in (([], "2GB"), (["none"], None), (["1GB"], "1GB")):
    option = [f"--memory={text}" for text in given]
    assert upscale_arguments.parse([*files, *option]).memory == memory
