"""Tests of what all formats share: suffixes, whole files, other formats."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from hinote_jax import fields, io
from hinote_jax.data.sources import files
from hinote_jax.fields import axes
from hinote_jax.io import formats

_DAYS = np.asarray([3, 4], np.int64)


def _field(leads=("time",), dtype="int16"):
  """Two variables on a global grid, of no format."""
  variables = (
    fields.Variable("u", "m s-1", {"long_name": "wind"}),
    fields.Variable("t", "K", dtype=dtype, scale=0.5, offset=250.0, fill=-1),
  )
  header = fields.Header(
    variables,
    y=axes.Axis.of("lat", np.linspace(90, -90, 5), "degrees_north"),
    x=axes.Axis.of("lon", np.arange(0.0, 360.0, 60.0), "degrees_east"),
    leads=tuple(fields.Dimension(name, 2, {name: _DAYS}) for name in leads),
    attributes={"title": "made"},
  )
  shape = (*header.lead_shape, *header.shape)
  values = np.random.default_rng(0).uniform(0.0, 9.0, (*shape, 2))
  values[..., 1] = 250.0 + np.rint(values[..., 1])
  values[..., 2, 3, 1] = np.nan
  return fields.Field(header, values.astype(np.float32))


@pytest.mark.parametrize(
  "name, suffix",
  [
    ("a.npy", ".npy"),
    ("a.b.NC", ".nc"),
    ("a.nc4", ".nc4"),
    ("brain.nii.gz", ".nii.gz"),
    ("brain.nii", ".nii"),
    ("a.TIFF", ".tiff"),
  ],
)
def test_suffixes_are_as_long_as_they_can_be(name, suffix):
  assert formats.suffix(pathlib.Path(name)) == suffix


@pytest.mark.parametrize("name", ["a.nx", "a", "a.gz"])
def test_unknown_suffixes_are_refused(tmp_path, name):
  message = f"cannot tell the format of .*{name}: .*known: .npy, .npz, .nc"
  with pytest.raises(ValueError, match=message):
    io.write(tmp_path / name, _field())
  (tmp_path / name).write_bytes(b"")
  with pytest.raises(ValueError, match=message):
    io.open(tmp_path / name)
  with pytest.raises(FileNotFoundError, match="no file at .*none.npy"):
    io.open(tmp_path / "none.npy")


def test_pictures_that_lose_are_not_written(tmp_path):
  with pytest.raises(ValueError, match=r"files of \.jpg are read and not wri"):
    io.write(tmp_path / "a.jpg", _field())


@pytest.mark.parametrize("suffix", ["npz", "nc", "zarr"])
def test_fields_of_no_format_come_back(tmp_path, suffix):
  if suffix != "npz":
    pytest.importorskip("xarray")
  field = _field()
  io.write(tmp_path / f"a.{suffix}", field)
  found = io.read(tmp_path / f"a.{suffix}", ("u", "t"))
  np.testing.assert_array_equal(found.values, field.values)
  for a, b in (
    (found.header.y, field.header.y),
    (found.header.x, field.header.x),
  ):
    assert (a.name, a.units, a.registration) == (
      b.name,
      b.units,
      b.registration,
    )
    np.testing.assert_array_equal(a.values, b.values)
  assert found.header.periodic == (False, True)
  if suffix != "npz":
    assert found.header.attributes == {"title": "made"}
    assert found.header.variables[0].attributes["long_name"] == "wind"
    again = found.header.variables[1]
    assert (again.units, again.dtype) == ("K", "int16")
    assert (again.scale, again.offset, again.fill) == (0.5, 250.0, -1)
    (lead,) = found.header.leads
    np.testing.assert_array_equal(lead.coordinates["time"].values, _DAYS)


def test_a_chain_of_formats_keeps_the_values(tmp_path):
  pytest.importorskip("xarray")
  values = np.random.default_rng(0).normal(size=(3, 5, 6, 2)).astype("f4")
  np.save(tmp_path / "a.npy", values)
  chain = ["a.npy", "b.nc", "c.npz", "d.zarr", "e.npy"]
  for here, there in zip(chain[:-1], chain[1:], strict=True):
    io.write(tmp_path / there, io.read(tmp_path / here))
  np.testing.assert_array_equal(np.load(tmp_path / "e.npy"), values)


def test_leads_become_one_in_an_array(tmp_path):
  field = _field(("time", "level"))
  io.write(tmp_path / "a.npy", field)
  found = np.load(tmp_path / "a.npy")
  np.testing.assert_array_equal(found, field.values.reshape(4, 5, 6, 2))
  one = dataclasses.replace(field.header, leads=())
  io.write(tmp_path / "b.npy", fields.Field(one, field.values[0, 0]))
  np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), field.values[0, 0])


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.nc", "a.zarr"])
def test_existing_outputs_are_replaced_only_if_asked(tmp_path, name):
  if name[2:] in ("nc", "zarr"):
    pytest.importorskip("xarray")
  field = _field(())
  io.write(tmp_path / name, field)
  other = fields.Field(field.header, field.values[::-1])
  with pytest.raises(FileExistsError, match=f"{name} exists"):
    io.write(tmp_path / name, other)
  io.write(tmp_path / name, other, overwrite=True)
  names = field.header.names if name != "a.npy" else None
  found = io.read(tmp_path / name, names).values
  np.testing.assert_array_equal(found, other.values)
  assert os.listdir(tmp_path) == [name]


class _Failing:
  """Values of which the second block cannot be had."""

  shape = (2, 5, 6, 2)

  def __getitem__(self, index):
    if index[0] == 1:
      raise OSError(28, "No space left on device")
    return np.ones((5, 6, 2), np.float32)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.nc", "a.zarr"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_what_was_there(tmp_path, name, is_there):
  if name[2:] in ("nc", "zarr"):
    pytest.importorskip("xarray")
  field = _field()
  header = dataclasses.replace(
    field.header,
    variables=tuple(fields.Variable(n) for n in field.header.names),
  )
  if is_there:
    io.write(tmp_path / name, field)
  with pytest.raises(OSError, match=f"cannot write .*{name} .*No space left"):
    io.save(tmp_path / name, header, _Failing(), overwrite=True)
  assert os.listdir(tmp_path) == [name] * is_there
  if is_there:
    names = header.names if name != "a.npy" else None
    np.testing.assert_array_equal(
      io.read(tmp_path / name, names).values, field.values
    )


def test_outputs_that_cannot_be_are_refused(tmp_path):
  field = _field()
  with pytest.raises(FileNotFoundError, match="no folder .*none: create it"):
    io.write(tmp_path / "none" / "a.npy", field)
  wrong = fields.Field(field.header, field.values[:, :4])
  with pytest.raises(ValueError, match=r"\(2, 4, 6, 2\) are not the fields"):
    io.write(tmp_path / "a.npy", wrong)
  with pytest.raises(ValueError, match=r"\(1, 5, 6, 2\) .* \(2, 5, 6, 2\)"):
    io.save(tmp_path / "a.npy", field.header, field.values[:1])


def test_registration_and_periods_may_be_given(tmp_path):
  path = tmp_path / "a.npz"
  np.savez(path, u=np.ones((4, 5)), lon=np.arange(0.0, 360.0, 72.0))

  def axes_of(**options):
    header = io.open(path, **options).header
    return tuple((a.registration, a.is_periodic) for a in (header.y, header.x))

  assert axes_of() == (("cells", False), ("cells", True))
  assert axes_of(registration="nodes") == (("nodes", False), ("cells", True))
  assert axes_of(periodic=(True, None)) == (("cells", True), ("cells", True))
  assert axes_of(registration="nodes", periodic=(False, False)) == (
    ("nodes", False),
    ("nodes", False),
  )
  assert axes_of(registration=("nodes", None)) == axes_of(registration="nodes")
  with pytest.raises(ValueError, match="lon cannot be periodic and have nodes"):
    io.open(path, registration=("cells", "nodes"))
  with pytest.raises(ValueError, match="unknown registration 'corners' of y"):
    io.open(path, registration="corners")


def test_training_opens_the_same_files(tmp_path):
  pillow = pytest.importorskip("PIL.Image")
  raw = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
  pillow.fromarray(raw).save(tmp_path / "a.png")
  source = files.files(tmp_path / "a.png")
  field = io.read(tmp_path / "a.png")
  assert tuple(v.name for v in source.variables) == field.header.names
  assert source.times == ("0",) and source.periodic == (False, False)
  np.testing.assert_array_equal(source.read(0), field.values)
