"""Tables by the command: fields with units and holes, and pictures."""

import numpy as np
import pytest

from hinote_jax import infer
from hinote_jax.interop import tables
from tests import era5, upscale_command

xarray = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")


@pytest.fixture
def table(tmp_path):
  """An SR-LUT x2 whose table repeats a cell, but for a little of another."""
  level = np.minimum(np.arange(5) * 64, 255) / 4
  own, right = np.meshgrid(level, level, indexing="ij")
  rows = np.stack([own, own, own, 0.9 * own + 0.1 * right], axis=-1)
  variables = {"params": {"turns": {"table_V": rows.reshape(25, 4) / 128}}}
  kwargs = dict(pattern="V", scale=2, interval=64, is_table=True)
  tables.save(tmp_path / "lut.npz", "sr_lut", kwargs, variables)
  return tmp_path / "lut.npz"


def test_a_field_keeps_units_holes_and_coordinates(tmp_path, table):
  source, out = (
    era5.write(tmp_path / "in.nc", era5.dataset()),
    tmp_path / "o.nc",
  )
  asked = ("--scale", 2, "--checkpoint", table, "--variable", "t2m")
  assert upscale_command.run(source, out, *asked) == 0
  with xarray.open_dataset(source) as data, xarray.open_dataset(out) as fine:
    assert fine.t2m.attrs["units"] == data.t2m.attrs["units"] == "K"
    assert fine.latitude.size == 2 * data.latitude.size - 1
    got, values = fine.t2m.values, data.t2m.values
  holes = np.isnan(values).mean()
  assert 0 < holes and abs(np.isnan(got).mean() - holes) < 0.2 * holes
  low, high = np.nanmin(values), np.nanmax(values)
  margin = 0.05 * (high - low)
  assert low - margin < np.nanmin(got) and np.nanmax(got) < high + margin
  assert abs(np.nanmean(got) - np.nanmean(values)) < margin


def test_tiles_are_the_whole_to_the_last_bit(table):
  predictor = infer.load(table)
  random = np.random.default_rng(0)
  pictures = random.integers(0, 256, (37, 29, 3)).astype(np.uint8)
  for x, kind in ((pictures, "bytes"), (np.float32(pictures**1.3), "floats")):
    whole = predictor(x, scale=2)
    tiled = predictor(x, scale=2, memory="1GB", side=17)
    np.testing.assert_array_equal(tiled, whole, err_msg=kind)


def test_pictures_keep_their_depth_and_opacity(tmp_path, table):
  pillow = pytest.importorskip("PIL.Image")
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (9, 8, 4)).astype(np.uint8)
  pillow.fromarray(x).save(tmp_path / "in.png")
  asked = ("--scale", 2, "--checkpoint", table)
  out = tmp_path / "out.png"
  assert upscale_command.run(tmp_path / "in.png", out, *asked) == 0
  got = np.asarray(pillow.open(out))
  assert got.shape == (18, 16, 4) and got.dtype == np.uint8
  np.testing.assert_allclose(np.int32(got[::2, ::2, :3]), x[..., :3], atol=26)


def test_what_is_no_table_and_what_is_too_small_are_one_line(
  tmp_path, table, capsys
):
  np.save(tmp_path / "in.npy", np.zeros((1, 9), np.float32))
  out = tmp_path / "out.npy"
  asked = (tmp_path / "in.npy", out, "--scale", 2, "--checkpoint")
  assert upscale_command.run(*asked, table) == 2
  assert "1 x 9 cells is smaller than the 2 x 2" in capsys.readouterr().err
  np.save(tmp_path / "bad.npy", np.zeros((83520, 1, 4, 4), np.int8))
  assert upscale_command.run(*asked, tmp_path / "bad.npy") == 2
  assert "bad.npy: a table of 83520 entries" in capsys.readouterr().err
  assert not out.exists()
