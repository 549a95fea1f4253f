"""A file gives the same fields to training and to upscaling, in any format."""

import pathlib
import tempfile

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from hinote_jax import data, fields, io
from hinote_jax.fields import axes

pytest.importorskip("tensorflow_datasets")

# What a format holds: how many fields and channels at the most, types, names
# and units of variables, positions of y and x.
_MANY = ("float32", "int16")
_FORMATS = {
  "npy": (3, 5, _MANY, False, False, False),
  "npz": (3, 3, _MANY, True, False, True),
  "nc": (3, 3, _MANY, True, True, True),
  "zarr": (3, 3, _MANY, True, True, True),
  "h5": (3, 3, _MANY, True, True, True),
  "geotiff.tif": (1, 3, _MANY, True, True, True),
  "nii.gz": (3, 1, _MANY, False, False, False),
  "png": (1, 3, ("uint8", "uint16"), False, False, False),
  "tif": (3, 3, ("uint8", "float32"), False, False, False),
}
_GLOBE = (
  fields.Axis.of("latitude", np.linspace(90.0, -90.0, 5), "degrees_north"),
  fields.Axis.of("longitude", np.arange(0.0, 360.0, 60.0), "degrees_east"),
)
_DAYS = np.arange(3.0)


def _made(name, count, channels, is_first_type, shape, is_globe, seed):
  """Fields that a format holds whole, as near to what is asked as it can."""
  most, widest, types, *_ = _FORMATS[name]
  count, channels = min(count, most), min(channels, widest)
  # A picture is grey or in colour.
  channels = 3 if channels == 2 and widest == 3 else channels
  dtype = types[0 if is_first_type else 1]
  y, x = map(axes.counted, "yx", shape)
  # A TIFF on a globe is a GeoTIFF.
  if name == "geotiff.tif" or (is_globe and name != "tif"):
    y, x = _GLOBE
  depth = np.iinfo(dtype).max if dtype[0] == "u" else 4
  variables = tuple(
    fields.Variable(f"v{c}", "m s-1", dtype=dtype, scale=1 / depth)
    for c in range(channels)
  )
  times = {"time": _dates(count)} if name in ("nc", "zarr") else {}
  leads = (fields.Dimension("time", count, times),) if count > 1 else ()
  header = fields.Header(variables, y, x, leads)
  numbers = np.random.default_rng(seed).integers(
    0, 255, (*header.lead_shape, *header.shape, channels)
  )
  return fields.Field(header, (numbers / depth).astype(np.float32))


def _dates(count):
  xarray = pytest.importorskip("xarray")
  since = {"units": "days since 2020-02-28"}
  return xarray.Variable("time", _DAYS[:count], since)


def _both(path):
  """Returns what upscaling and training read of a file."""
  with tempfile.TemporaryDirectory() as cache:
    dataset = data.load("files", path=path, cache_dir=cache)
    values = np.array(dataset.values)
  return io.read(path), dataset, values


def _require_equal(field, dataset, values):
  header = field.header
  assert dataset.names == header.names
  pairs = zip(dataset.variables, header.variables, strict=True)
  assert all((a.units, a.dtype) == (b.units, b.dtype) for a, b in pairs)
  for a, b in ((dataset.y, header.y), (dataset.x, header.x)):
    _require_equal_axes(a, b)
  np.testing.assert_array_equal(
    values.reshape(field.values.shape), field.values
  )


def _require_equal_axes(a, b):
  assert (a.name, a.units, a.registration) == (b.name, b.units, b.registration)
  assert a.is_periodic == b.is_periodic
  np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.parametrize("name", _FORMATS)
@hypothesis.settings(
  max_examples=4,
  deadline=None,
  derandomize=True,
  phases=[hypothesis.Phase.generate],
)
@hypothesis.given(
  count=strategies.integers(1, 3),
  channels=strategies.integers(1, 5),
  is_first_type=strategies.booleans(),
  shape=strategies.tuples(*[strategies.integers(5, 8)] * 2),
  is_globe=strategies.booleans(),
  seed=strategies.integers(0, 99),
)
def test_training_and_upscaling_read_the_same_fields(name, **drawn):
  module = {"h5": "h5py", "geotiff.tif": "rasterio", "nii.gz": "nibabel"}
  pytest.importorskip(module.get(name, "xarray"))
  made = _made(name, **drawn)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / f"a.{name}"
    io.write(path, made)
    field, dataset, values = _both(path)
  _require_equal(field, dataset, values)
  np.testing.assert_allclose(
    values.reshape(made.values.shape), made.values, atol=1e-6
  )
  *_, has_names, has_units, has_axes = _FORMATS[name]
  if has_names:
    assert dataset.names == made.header.names
  if has_units:
    assert {v.units for v in dataset.variables} == {"m s-1"}
  if has_axes:
    _require_equal_axes(dataset.y, made.header.y)
    _require_equal_axes(dataset.x, made.header.x)
  if name in ("nc", "zarr") and made.header.leads:
    assert (
      dataset.times
      == tuple(
        f"{day}T00:00:00" for day in ("2020-02-28", "2020-02-29", "2020-03-01")
      )[: len(dataset)]
    )


@pytest.mark.parametrize(
  "shape, count, grid, channels",
  [
    ((7, 8), 1, (7, 8), 1),
    ((7, 8, 3), 1, (7, 8), 3),  # a picture
    ((3, 7, 8), 3, (7, 8), 1),  # a series
    ((3, 7, 8, 5), 3, (7, 8), 5),
  ],
)
def test_an_array_has_one_meaning(tmp_path, shape, count, grid, channels):
  raw = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  np.save(tmp_path / "a.npy", raw)
  field, dataset, values = _both(tmp_path / "a.npy")
  _require_equal(field, dataset, values)
  assert values.shape == (count, *grid, channels)
  np.testing.assert_array_equal(values.reshape(shape), raw)


def test_columns_that_are_turned_are_put_right_for_both(tmp_path):
  xarray = pytest.importorskip("xarray")
  raw = np.random.default_rng(0).normal(size=(6, 3, 5)).astype(np.float32)
  xarray.DataArray(
    raw,
    dims=("longitude", "time", "latitude"),
    coords={axis.name: axis.values for axis in _GLOBE},
    name="u",
  ).to_netcdf(tmp_path / "a.nc", engine="scipy")
  field, dataset, values = _both(tmp_path / "a.nc")
  _require_equal(field, dataset, values)
  np.testing.assert_array_equal(values[..., 0], raw.transpose(1, 2, 0))
