"""Tests of packing: round trips to half a quantum, missing values, overflow."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax import fields
from hinote_jax.fields import packing

_TEMPERATURE = fields.Variable(
  "t2m", "K", dtype="int16", scale=0.0017, offset=260.0, fill=-32767
)


@given(
  st.sampled_from(["int16", "uint8", "int32", "uint16"]),
  st.floats(1e-3, 10.0),
  st.floats(-300.0, 300.0),
  st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=30),
)
def test_values_come_back_to_half_a_quantum(dtype, scale, offset, part):
  variable = fields.Variable("u", dtype=dtype, scale=scale, offset=offset)
  info = np.iinfo(dtype)
  middle, half = (info.max + info.min) / 2, min((info.max - info.min) / 2, 3e4)
  exact = (middle + half * np.asarray(part)) * scale + offset
  values = exact.astype(np.float32)
  packed = packing.pack(values, variable)
  assert packed.dtype == dtype
  error = np.abs(packing.unpack(packed, variable) - values.astype(np.float64))
  # What float32 itself loses comes on top.
  assert np.all(error <= 0.5 * scale + 2 * np.spacing(np.abs(values)))


def test_every_number_of_a_file_comes_back():
  raw = np.arange(-32768, 32768).astype(np.int16)
  values = packing.unpack(raw, _TEMPERATURE)
  assert values.dtype == np.float32
  np.testing.assert_array_equal(np.isnan(values), raw == -32767)
  want = raw * 0.0017 + 260.0
  np.testing.assert_allclose(
    np.delete(values, 1), np.delete(want, 1).astype(np.float32), rtol=0
  )
  np.testing.assert_array_equal(packing.pack(values, _TEMPERATURE), raw)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("fill", [None, -999.0, 1e4])
def test_floats_keep_what_is_missing(dtype, fill):
  variable = fields.Variable("u", dtype=dtype, fill=fill)
  values = np.asarray([[1.5, np.nan], [-0.25, 3.0]], np.float32)
  packed = packing.pack(values, variable)
  assert packed.dtype == np.dtype(dtype)
  assert np.isnan(packed[0, 1]) if fill is None else packed[0, 1] == fill
  np.testing.assert_array_equal(packing.unpack(packed, variable), values)


def test_fill_values_of_another_type_are_known():
  # float64(1e20) is not float32(1e20), and a file may give either.
  raw = np.asarray([1e20, 2.0], np.float32)
  variable = fields.Variable("u", fill=np.float64(1e20))
  assert np.isnan(packing.unpack(raw, variable)[0])
  # Nor does the missing value of a float64 overflow float32.
  lowest = np.finfo(np.float64).min
  variable = fields.Variable("u", dtype="float64", fill=lowest)
  with np.errstate(all="raise"):
    values = packing.unpack(np.asarray([lowest, 2.0]), variable)
  np.testing.assert_array_equal(values, np.asarray([np.nan, 2.0], np.float32))


@pytest.mark.parametrize(
  "fill, values, want",
  [
    (0, [0.3, -0.0, np.nan, 1.2], [1, 1, 0, 1]),
    (255, [254.8, 255.4, np.nan, 1.0], [254, 254, 255, 1]),
    (7, [6.8, 7.2, 7.0, np.nan], [6, 8, 8, 7]),
  ],
)
def test_present_values_are_not_stored_as_missing(fill, values, want):
  variable = fields.Variable("u", dtype="uint8", fill=fill)
  packed = packing.pack(np.asarray(values, np.float32), variable)
  np.testing.assert_array_equal(packed, want)


@pytest.mark.parametrize(
  "variable, values, message",
  [
    (
      _TEMPERATURE,
      [250.0, 330.5],
      "t2m: 330.5 does not fit int16.* 204.294 to",
    ),
    (_TEMPERATURE, [100.0, 330.5], "t2m: 100 does not fit int16.*315.704 here"),
    (fields.Variable("u", dtype="uint8"), [-0.6], "u: -0.6 .* 0 to 255 here"),
    (fields.Variable("u", dtype="uint8"), [255.5], "clip the values or save"),
    (fields.Variable("u", dtype="uint8"), [np.inf], "u: inf does not fit"),
    (
      fields.Variable("u", dtype="float16"),
      [7e4],
      "u: 70000 does not fit float",
    ),
    (fields.Variable("u", dtype="int64"), [2.0**63], "does not fit int64"),
    (
      fields.Variable("u", dtype="uint8"),
      [np.nan],
      "1 missing values and uint8",
    ),
    (
      fields.Variable("u", dtype="uint8", fill=-1),
      [np.nan],
      "value -1 does not fit",
    ),
  ],
)
def test_what_does_not_fit_is_refused(variable, values, message):
  with pytest.raises(ValueError, match=message):
    packing.pack(np.asarray(values, np.float32), variable)


def test_fill_values_that_a_type_has_not_are_in_nobodys_way():
  variable = fields.Variable("u", dtype="uint8", fill=-9999)
  raw = np.asarray([0, 255], np.uint8)
  values = packing.unpack(raw, variable)
  np.testing.assert_array_equal(values, np.float32([0, 255]))
  np.testing.assert_array_equal(packing.pack(values, variable), raw)


def test_numbers_at_the_ends_fit():
  variable = fields.Variable("u", dtype="uint8")
  packed = packing.pack(np.asarray([-0.5, 255.49], np.float32), variable)
  np.testing.assert_array_equal(packed, [0, 255])
  wide = dataclasses.replace(variable, dtype="int64")
  largest = np.nextafter(np.float32(2.0**63), np.float32(0))
  assert packing.pack(np.asarray([largest]), wide) == int(largest)


@given(st.integers(1, 500), st.integers(1, 10**8), st.integers(1, 40))
def test_blocks_tile_the_rows(height, row_bytes, multiple):
  spans = list(packing.blocks(height, row_bytes, multiple))
  rows = np.concatenate([np.arange(height)[span] for span in spans])
  np.testing.assert_array_equal(rows, np.arange(height))
  assert all(span.start % multiple == 0 for span in spans)
  size = max(span.stop - span.start for span in spans)
  assert size * row_bytes <= packing.BLOCK_BYTES or size <= multiple
