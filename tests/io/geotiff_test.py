"""Tests of GeoTIFF: the finer raster covers the same ground."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rasterio import control, enums, rpc, transform
import tifffile

from hinote_jax import fields
from hinote_jax.fields import axes, packing
from hinote_jax.io import geotiff
from tests.io import refined, rows

_UTM = transform.Affine(30.0, 0.0, 5e5, 0.0, -25.0, 5e6)


def _write(path, raw, *, affine=_UTM, crs="EPSG:32633", tags=None, **profile):
  """Writes bands [c h w], each with what a band can say."""
  count, height, width = raw.shape
  with rasterio.open(
    path,
    "w",
    driver="GTiff",
    height=height,
    width=width,
    count=count,
    dtype=raw.dtype,
    crs=crs,
    transform=affine,
    **profile,
  ) as file:
    file.update_tags(**(tags or {}))
    file.write(raw)


def _at(affine, column, row):
  a, b, c, d, e, f = affine[:6]
  return a * column + b * row + c, d * column + e * row + f


def _upscaled(path, out, scale):
  """Writes the file finer, each value from its nearest pixel."""
  reader = geotiff.open(path)
  header = refined.header(reader.header, scale)
  h, w = reader.header.shape
  height, width = header.shape
  rows = (np.arange(height) + 0.5) * h // height
  columns = (np.arange(width) + 0.5) * w // width
  values = reader.read(0)[rows.astype(int)][:, columns.astype(int)]
  geotiff.save(out, header, values[None])
  return values


def test_a_finer_raster_has_the_same_bounds_and_crs(tmp_path):
  raw = np.arange(2 * 10 * 12, dtype=np.int16).reshape(2, 10, 12)
  _write(tmp_path / "a.tif", raw, nodata=-9999)
  _upscaled(tmp_path / "a.tif", tmp_path / "b.tif", 3.7)
  with (
    rasterio.open(tmp_path / "a.tif") as a,
    rasterio.open(tmp_path / "b.tif") as b,
  ):
    assert b.shape == (37, 44)
    assert b.crs == a.crs
    np.testing.assert_allclose(b.bounds, a.bounds, rtol=1e-14)
    assert b.dtypes == a.dtypes
    assert b.nodatavals == a.nodatavals
    assert b.profile["compress"] == "deflate" and b.profile["tiled"]
  assert {p.name for p in tmp_path.iterdir()} == {"a.tif", "b.tif"}


def test_axes_are_the_centres_of_pixels(tmp_path):
  _write(tmp_path / "a.tif", np.zeros((1, 3, 4), np.float32))
  header = geotiff.open(tmp_path / "a.tif").header
  np.testing.assert_allclose(
    header.y.values, [5e6 - 12.5 - 25 * i for i in range(3)]
  )
  np.testing.assert_allclose(
    header.x.values, [5e5 + 15 + 30 * i for i in range(4)]
  )
  assert (header.y.units, header.x.units) == ("m", "m")
  with rasterio.open(tmp_path / "a.tif") as file:
    x, y = file.xy([0, 2], [0, 3])
  np.testing.assert_allclose(header.x.values[[0, 3]], x)
  np.testing.assert_allclose(header.y.values[[0, 2]], y)


def test_positions_of_points_are_centres_and_stay_so(tmp_path):
  raw = np.zeros((1, 4, 4), np.float32)
  _write(tmp_path / "a.tif", raw, tags={"AREA_OR_POINT": "Point"})
  header = geotiff.open(tmp_path / "a.tif").header
  with tifffile.TiffFile(tmp_path / "a.tif") as file:
    tiepoint = file.pages[0].tags["ModelTiepointTag"].value
  assert tiepoint[3:5] == (header.x.values[0], header.y.values[0])
  finer = refined.header(header, 2)
  geotiff.save(tmp_path / "b.tif", finer, np.zeros((1, 8, 8, 1), np.float32))
  with tifffile.TiffFile(tmp_path / "b.tif") as file:
    tiepoint = file.pages[0].tags["ModelTiepointTag"].value
  want = (5e5 + 7.5, 5e6 - 6.25)
  np.testing.assert_allclose(tiepoint[3:5], want, rtol=1e-15)


def test_what_bands_say_is_kept(tmp_path):
  raw = np.arange(2 * 5 * 6, dtype=np.uint16).reshape(2, 5, 6)
  raw[:, 1, 2] = 7
  path = tmp_path / "a.tif"
  _write(path, raw, nodata=7, tags={"source": "test", "AREA_OR_POINT": "Area"})
  with rasterio.open(path, "r+") as file:
    file.scales, file.offsets = (0.5, 0.25), (-3.0, 1.0)
    file.units, file.descriptions = ("K", "m"), ("warmth", "depth")
    file.update_tags(2, note="b", STATISTICS_MAXIMUM="3")
  reader = geotiff.open(path, ["depth", "warmth"])
  values = reader.read(0)
  want = raw[0] * 0.5 - 3.0
  want[raw[0] == 7] = np.nan
  np.testing.assert_allclose(values[..., 1], want)
  assert np.isnan(values[1, 2]).all()
  out = tmp_path / "b.tif"
  geotiff.save(out, reader.header, values[None])
  with rasterio.open(out) as file:
    np.testing.assert_array_equal(file.read(), raw[::-1])
    assert file.descriptions == ("depth", "warmth")
    assert (file.scales, file.offsets) == ((0.25, 0.5), (1.0, -3.0))
    assert (file.units, file.nodata) == (("m", "K"), 7)
    assert file.tags(1) == {"note": "b"}
    assert file.tags()["source"] == "test"


def test_a_turned_affine_is_refined(tmp_path):
  affine = transform.Affine(28.0, 9.0, 5e5, 10.0, -23.0, 5e6)
  _write(tmp_path / "a.tif", np.ones((1, 6, 8), np.float32), affine=affine)
  _upscaled(tmp_path / "a.tif", tmp_path / "b.tif", 2.5)
  with rasterio.open(tmp_path / "b.tif") as file:
    assert file.shape == (15, 20)
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
      fine = _at(file.transform, 20 * corner[0], 15 * corner[1])
      coarse = _at(affine, 8 * corner[0], 6 * corner[1])
      np.testing.assert_allclose(fine, coarse, rtol=1e-12)


def test_control_points_stay_at_their_places(tmp_path):
  path, out = tmp_path / "a.tif", tmp_path / "b.tif"
  corners = [(0, 0), (0, 8), (6, 0), (6, 8), (2.5, 3)]
  points = [
    control.GroundControlPoint(r, c, 10.0 + c, 50.0 - r, 1.0, id=str(i))
    for i, (r, c) in enumerate(corners)
  ]
  polynomials = rpc.RPC(
    height_off=0.0,
    height_scale=1.0,
    lat_off=50.0,
    lat_scale=1.0,
    line_den_coeff=[1.0] + 19 * [0.0],
    line_num_coeff=[0.0, 0.0, -1.0] + 17 * [0.0],
    line_off=2.5,
    line_scale=3.0,
    long_off=10.0,
    long_scale=1.0,
    samp_den_coeff=[1.0] + 19 * [0.0],
    samp_num_coeff=[0.0, 1.0] + 18 * [0.0],
    samp_off=3.5,
    samp_scale=4.0,
  )
  blank = {"height": 6, "width": 8, "count": 1, "dtype": "uint8"}
  with (
    pytest.warns(rasterio.errors.NotGeoreferencedWarning),
    rasterio.open(path, "w", driver="GTiff", **blank) as file,
  ):
    file.write(np.zeros((1, 6, 8), np.uint8))
    file.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    file.rpcs = polynomials
  assert geotiff.is_georeferenced(path)
  _upscaled(path, out, 4)
  with rasterio.open(out) as file:
    got, crs = file.gcps
    assert crs.to_epsg() == 4326
    np.testing.assert_allclose(
      [(p.row, p.col) for p in got], 4 * np.array(corners)
    )
    np.testing.assert_allclose(
      [(p.x, p.y) for p in got], [(p.x, p.y) for p in points]
    )
    # The centre of the coarse pixel 2.5 is edge 3, fine edge 12, centre 11.5.
    assert (file.rpcs.line_off, file.rpcs.samp_off) == (11.5, 15.5)
    assert (file.rpcs.line_scale, file.rpcs.samp_scale) == (12.0, 16.0)


def test_longitude_once_around_is_periodic_and_poles_are_nodes(tmp_path):
  globe = transform.Affine(2.0, 0.0, -180.0, 0.0, -2.0, 90.0)
  raw = np.zeros((1, 90, 180), np.float32)
  _write(tmp_path / "a.tif", raw, affine=globe, crs="EPSG:4326")
  header = geotiff.open(tmp_path / "a.tif").header
  assert header.periodic == (False, True)
  assert (header.y.name, header.y.registration) == ("latitude", "cells")
  nodes = transform.Affine(2.0, 0.0, -181.0, 0.0, -2.0, 91.0)
  raw = np.zeros((1, 91, 180), np.float32)
  _write(tmp_path / "b.tif", raw, affine=nodes, crs="EPSG:4326")
  header = geotiff.open(tmp_path / "b.tif").header
  assert (header.y.registration, header.y.values[0]) == ("nodes", 90.0)
  finer = refined.header(header, 2)
  zeros = np.zeros((1, *finer.shape, 1), np.float32)
  geotiff.save(tmp_path / "c.tif", finer, zeros)
  again = geotiff.open(tmp_path / "c.tif").header
  np.testing.assert_allclose(again.y.values, np.arange(90, -91, -1.0))
  west = transform.Affine(2.0, 0.0, 0.0, 0.0, -2.0, 90.0)
  raw = np.zeros((1, 90, 90), np.float32)
  _write(tmp_path / "d.tif", raw, affine=west, crs="EPSG:4326")
  assert not geotiff.open(tmp_path / "d.tif").header.x.is_periodic


def test_a_photograph_keeps_colours_and_alpha_and_is_clipped(tmp_path):
  raw = np.full((4, 5, 6), 250, np.uint8)
  raw[3] = 128
  _write(tmp_path / "a.tif", raw, photometric="RGB", alpha="YES")
  reader = geotiff.open(tmp_path / "a.tif")
  roles = [v.attributes.get("role") for v in reader.header.variables]
  assert roles == [None, None, None, "alpha"]
  values = reader.read(0)
  values[0, 0, :3] = 261.0, -7.0, 3.4
  geotiff.save(tmp_path / "b.tif", reader.header, values[None])
  with rasterio.open(tmp_path / "b.tif") as file:
    assert [c.name for c in file.colorinterp] == [
      "red",
      "green",
      "blue",
      "alpha",
    ]
    np.testing.assert_array_equal(file.read()[:, 0, 0], [255, 0, 3, 128])
    np.testing.assert_array_equal(file.read()[:, 1:], raw[:, 1:])


def test_a_mask_of_the_file_is_kept(tmp_path):
  raw = np.arange(30, dtype=np.uint8).reshape(1, 5, 6)
  mask = raw[0] % 3 > 0
  with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
    _write(tmp_path / "a.tif", raw)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
      file.write_mask(mask)
  values = geotiff.open(tmp_path / "a.tif").read(0)
  np.testing.assert_array_equal(np.isnan(values[..., 0]), ~mask)
  header = geotiff.open(tmp_path / "a.tif").header
  geotiff.save(tmp_path / "b.tif", header, values[None])
  with rasterio.open(tmp_path / "b.tif") as file:
    assert file.mask_flag_enums == ([enums.MaskFlags.per_dataset],)
    np.testing.assert_array_equal(file.dataset_mask() > 0, mask)
    np.testing.assert_array_equal(file.read(1)[mask], raw[0][mask])
  assert not (tmp_path / "b.tif.msk").exists()


def test_values_are_read_in_blocks_of_rows(tmp_path, monkeypatch):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 12)
  y = axes.Axis.of("lat", 60.0 - 0.01 * np.arange(600), "degrees_north")
  x = axes.Axis.of("lon", 10.0 + 0.01 * np.arange(20), "degrees_east")
  variables = (fields.Variable("u"), fields.Variable("v", dtype="float64"))
  header = fields.Header(variables, y, x)
  rng = np.random.default_rng(0)
  whole = rng.normal(size=(1, 600, 20, 2)).astype(np.float32)
  whole[0, 3, 4] = np.nan
  values = rows.Rows(whole)
  geotiff.save(tmp_path / "a.tif", header, values)
  assert values.largest <= 256
  reader = geotiff.open(tmp_path / "a.tif")
  np.testing.assert_array_equal(reader.read(0), whole[0])
  np.testing.assert_allclose(reader.header.y.values, y.values, rtol=1e-12)
  with rasterio.open(tmp_path / "a.tif") as file:
    assert file.crs.to_epsg() == 4326
    assert file.descriptions == ("u", "v")


def test_only_georeferenced_files_are_such(tmp_path):
  _write(tmp_path / "a.tif", np.zeros((1, 3, 4), np.uint8))
  tifffile.imwrite(tmp_path / "b.tif", np.zeros((3, 4), np.uint8))
  (tmp_path / "c.tif").write_bytes(b"nothing")
  found = [geotiff.is_georeferenced(tmp_path / f"{n}.tif") for n in "abcd"]
  assert found == [True, False, False, False]


def test_faults_are_said(tmp_path):
  path = tmp_path / "a.tif"
  raw = np.zeros((1, 64, 64), np.int16)
  raw[0] = np.random.default_rng(0).integers(0, 999, raw.shape)
  _write(path, raw)
  header = geotiff.open(path).header
  with pytest.raises(
    ValueError, match="has no 'b2'; did you mean 'band1'|known"
  ):
    geotiff.open(path, ["b2"])
  much = np.full((1, 64, 64, 1), 4e4, np.float32)
  with pytest.raises(ValueError, match="40000 does not fit int16"):
    geotiff.save(tmp_path / "b.tif", header, much)
  several = fields.Header(
    header.variables, header.y, header.x, (fields.Dimension("time", 2),)
  )
  with pytest.raises(ValueError, match="one field and there are 2"):
    geotiff.save(tmp_path / "b.tif", several, much)
  odd = fields.Header((fields.Variable("u", dtype="bool"),), header.y, header.x)
  with pytest.raises(ValueError, match="does not hold bool, the type of u"):
    geotiff.save(tmp_path / "b.tif", odd, much)
  reader = geotiff.open(path)
  path.write_bytes(path.read_bytes()[:2000])
  with pytest.raises(ValueError, match="cannot read .*a.tif "):
    reader.read(0)
  _write(path, raw.astype(np.complex64))
  with pytest.raises(ValueError, match="band1 is complex"):
    geotiff.open(path)
  _write(path, raw.astype(np.uint8), photometric="palette")
  with rasterio.open(path, "r+") as file:
    file.write_colormap(1, {0: (1, 2, 3, 255)})
  with pytest.raises(ValueError, match="numbers of a palette: expand it"):
    geotiff.open(path)


_FULL = """
import os, resource, signal, sys
import numpy as np
from hinote_jax import fields
from hinote_jax.fields import axes
from hinote_jax.io import geotiff
y = axes.Axis.of("lat", 60.0 - 0.01 * np.arange(300), "degrees_north")
x = axes.Axis.of("lon", 10.0 + 0.01 * np.arange(300), "degrees_east")
header = fields.Header((fields.Variable("u"),), y, x)
values = np.random.default_rng(0).normal(size=(1, 300, 300, 1))
path = sys.argv[1]
geotiff.save(path, header, values.astype(np.float32))
size = os.path.getsize(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (size - 10, size - 5000, size // 2, 1000):
  os.remove(path)
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
  try:
    geotiff.save(path, header, values.astype(np.float32))
  except OSError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_file_that_the_disk_cut_short_is_no_success(tmp_path):
  # The last of it is written on closing, where GDAL says nothing.
  done = subprocess.run(
    [sys.executable, "-c", _FULL, str(tmp_path / "a.tif")],
    capture_output=True,
    text=True,
  )
  assert done.stdout == 4 * "refused\n", done.stderr
