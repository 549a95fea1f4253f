"""NetCDF classic files of all kinds: no number is read behind the end."""

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.io import classic

netcdf4 = pytest.importorskip("netCDF4")

_FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")


def _write(path, form, *, records, count=1):
  """Writes fields of 3 x 5 two-byte numbers, 30 bytes and 2 to fill up."""
  with netcdf4.Dataset(path, "w", format=form) as file:
    file.title, file.levels = "five", np.arange(3.0)
    for name, size in (("t", records), ("lat", 3), ("lon", 5)):
      file.createDimension(name, size)
    for k in range(count):
      variable = file.createVariable(f"v{k}", "i2", ("t", "lat", "lon"))
      variable.long_name = "a field"
      variable[:] = 1 + np.arange(30).reshape(2, 3, 5)


@pytest.mark.parametrize("form", _FORMATS)
@pytest.mark.parametrize(
  ("records", "count", "filled"), [(2, 1, 0), (None, 1, 0), (None, 2, 2)]
)
def test_a_file_ends_where_its_numbers_do(
  tmp_path, form, records, count, filled
):
  # Two fields are whole words, and the records of one variable follow each
  # other; those of several are filled up.
  path = tmp_path / "a.nc"
  _write(path, form, records=records, count=count)
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) - filled])
  classic.require_whole(path)
  path.write_bytes(whole[: len(whole) - filled - 1])
  size = len(whole) - filled
  with pytest.raises(
    ValueError, match=f"a.nc .*'v{count - 1}' ends at byte {size} of {size - 1}"
  ):
    io.read(path)


@pytest.mark.parametrize("form", _FORMATS)
def test_a_header_that_is_cut_or_damaged_is_named(tmp_path, form):
  path = tmp_path / "a.nc"
  _write(path, form, records=2)
  whole = path.read_bytes()
  np.testing.assert_array_equal(
    io.read(path).values[..., 0].ravel(), 1 + np.arange(30)
  )
  path.write_bytes(whole[:60])
  with pytest.raises(ValueError, match="a.nc .*header is cut short"):
    io.read(path)
  data = bytearray(whole)
  data[data.index(b"title") + 11] = 99  # the type of an attribute
  path.write_bytes(data)
  with pytest.raises(ValueError, match="a.nc .*there is no type 99"):
    io.read(path)


def test_records_that_are_not_counted_are_not_looked_for(tmp_path):
  path = tmp_path / "a.nc"
  _write(path, _FORMATS[0], records=None)
  data = bytearray(path.read_bytes())
  data[4:8] = b"\xff" * 4
  path.write_bytes(data[:-30])
  classic.require_whole(path)
