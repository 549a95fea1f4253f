"""Tests of NetCDF and Zarr stores that are written in blocks and regions."""

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.fields import packing
from hinote_jax.io import stores, xarray_files
from tests.io import headers, rows

pytest.importorskip("netCDF4")
zarr = pytest.importorskip("zarr")
era5 = pytest.importorskip("tests.io.era5")


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_files_are_written_in_blocks(tmp_path, monkeypatch, suffix):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 12)
  monkeypatch.setattr(stores, "_CHUNK_BYTES", 1 << 10)
  dataset = era5.dataset(("time",))
  header = io.open(era5.write(dataset, tmp_path / "a.nc")).header
  fine = headers.refined(header, 8)
  values = np.random.default_rng(1).uniform(270, 290, (2, *fine.shape, 2))
  lazy = rows.Rows(values.astype(np.float32))
  io.save(tmp_path / f"b.{suffix}", fine, lazy)
  assert fine.shape == (49, 96) and lazy.largest == 5
  got = io.read(tmp_path / f"b.{suffix}", ("t2m", "d2m")).values
  assert np.abs(got - values).max() <= 0.005 + 2e-5
  if suffix == "nc":
    chunks = headers.raw(tmp_path / "b.nc").t2m.encoding["chunksizes"]
  else:
    chunks = zarr.open_group(tmp_path / "b.zarr", mode="r")["t2m"].chunks
  assert chunks == (1, 5, 96)


@pytest.mark.parametrize(
  "shape, channels, itemsize",
  [
    ((721, 1440), 1, 2),
    ((2884, 5760), 5, 4),
    ((9, 10**6), 2, 4),
    ((10**6, 9), 1, 4),
  ],
)
def test_chunks_are_one_to_four_megabytes(shape, channels, itemsize):
  rows_, columns = stores.chunks(shape, channels, itemsize)
  size = rows_ * columns * itemsize
  assert size <= 2 << 20 and 4 * rows_ * shape[1] * channels <= 64 << 20
  assert size >= 1 << 20 or (rows_, columns) == shape or rows_ < 9


def test_a_store_is_filled_in_regions_in_any_order(tmp_path):
  dataset = era5.dataset(("time",))
  header = headers.refined(
    io.open(era5.write(dataset, tmp_path / "a.nc")).header, 2
  )
  path = tmp_path / "b.zarr"
  regions = xarray_files.create(path, header, chunks=(5, 8))
  assert regions.chunks == (5, 8) and regions.header.shape == (13, 24)
  values = np.random.default_rng(1).uniform(270, 290, (2, 13, 24, 2))
  values = values.astype(np.float32)
  # Nothing is written: all is missing, the coordinates are there.
  assert np.isnan(io.read(path, header.names).values).all()
  np.testing.assert_array_equal(
    headers.raw(path).latitude.values,
    np.linspace(90, -90, 13, dtype=np.float32),
  )
  spans = [
    (i, slice(y, min(y + 5, 13)), slice(x, x + 8))
    for i in range(2)
    for y in (0, 5, 10)
    for x in (0, 8, 16)
  ]
  for k, (i, y, x) in enumerate([*spans[::-1], *spans[:3]]):
    if k == 9:  # another process goes on
      regions = xarray_files.open_regions(path, header.names)
    regions.write(i, y, x, values[i, y, x])
  got = io.read(path, header.names).values
  assert np.abs(got - values).max() <= 0.005 + 2e-5
  assert headers.raw(path).t2m.attrs == dataset.t2m.attrs
  with pytest.raises(FileExistsError, match="b.zarr exists"):
    xarray_files.create(path, header)
  with pytest.raises(ValueError, match=r"only Zarr .*: \.zarr"):
    xarray_files.create(tmp_path / "b.nc", header)


@pytest.mark.parametrize(
  "y, shape, message",
  [
    (
      slice(0, 4),
      (4, 8, 2),
      "region 0 to 4 of 7 does not end where chunks of 5",
    ),
    (slice(2, 7), (5, 8, 2), "region 2 to 7 of 7 does not end"),
    (slice(5, 7), (5, 8, 2), r"\(5, 8, 2\) do not fit .* \(2, 8, 2\)"),
  ],
)
def test_regions_end_where_chunks_do(tmp_path, y, shape, message):
  header = io.open(era5.write(era5.dataset(()), tmp_path / "a.nc")).header
  regions = xarray_files.create(tmp_path / "b.zarr", header, chunks=(5, 8))
  with pytest.raises(ValueError, match=message):
    regions.write(0, y, slice(0, 8), np.full(shape, 280.0, np.float32))
