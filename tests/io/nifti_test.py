"""Tests of NIfTI: the finer head lies where the coarse one does."""

import dataclasses
import gzip

import hypothesis
from hypothesis import strategies as st
import nibabel
import numpy as np
import pytest

from hinote_jax import fields
from hinote_jax.core import grids
from hinote_jax.fields import axes, packing
from hinote_jax.io import nifti
from tests.io import refined, rows

_OBLIQUE = np.array(
  [
    [-0.9, 0.2, 0.3, 80.0],
    [0.1, 1.1, -0.9, -110.0],
    [0.2, 0.5, 2.1, -60.0],
    [0.0, 0.0, 0.0, 1.0],
  ]
)


def _image(
  path, shape, affine, dtype=np.float32, *, sform=1, qform=0, slope=None
):
  """Writes an image of a ramp; returns what nibabel reads of it."""
  raw = np.arange(np.prod(shape)).reshape(shape) % 251
  image = nibabel.Nifti1Image(raw.astype(dtype), affine, dtype=dtype)
  image.set_sform(affine if sform else None, sform)
  image.set_qform(affine, qform)
  image.header.set_xyzt_units("mm", "sec")
  image.header["descrip"] = b"a head"
  if slope is not None:
    image.header.set_slope_inter(*slope)
  nibabel.save(image, path)
  return nibabel.load(path)


def _corners(image):
  """Returns where the eight corners of the field of view are in space."""
  ends = np.stack([[-0.5, n - 0.5] for n in image.shape[:3]])
  box = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
  return nibabel.affines.apply_affine(image.affine, box)


def _save(reader, out, scale, values=None):
  header = refined.header(reader.header, scale)
  if values is None:
    values = np.zeros((header.count, *header.shape, 1), np.float32)
  nifti.save(out, header, values)
  return nibabel.load(out)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("plane", ["ij", "ik", "jk"])
@pytest.mark.parametrize("forms", [(2, 0), (0, 1), (3, 1), (0, 0)])
def test_the_head_stays_in_place(tmp_path, suffix, plane, forms):
  sform, qform = forms
  # A qform cannot hold shears.
  turn = np.linalg.qr(_OBLIQUE[:3, :3])[0] @ np.diag([0.9, 1.2, 2.0])
  affine = _OBLIQUE.copy()
  affine[:3, :3] = turn if qform or not sform else affine[:3, :3]
  path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
  coarse = _image(path, (10, 12, 7), affine, sform=sform, qform=qform)
  reader = nifti.open(path, plane=plane)
  fine = _save(reader, out, 3.7)
  voxel = np.abs(nibabel.affines.voxel_sizes(fine.affine)).min()
  off = np.linalg.norm(_corners(fine) - _corners(coarse), axis=-1).max()
  assert off < 0.5 * voxel  # the claim
  assert off < 1e-4  # float32 of the header
  assert int(fine.header["sform_code"]) == sform
  assert int(fine.header["qform_code"]) == qform
  if qform:
    np.testing.assert_allclose(fine.get_qform(), fine.affine, atol=1e-4)
  sizes = nibabel.affines.voxel_sizes(fine.affine)
  np.testing.assert_allclose(fine.header.get_zooms(), sizes, rtol=1e-4)
  assert fine.header.get_xyzt_units() == ("mm", "sec")
  assert fine.header["descrip"] == b"a head"


@hypothesis.given(
  st.floats(1.0, 5.0), st.tuples(*[st.integers(2, 9)] * 3), st.booleans()
)
def test_each_fine_voxel_is_where_its_axis_says(
  tmp_path_factory, scale, shape, is_node
):
  path = tmp_path_factory.mktemp("nifti") / "a.nii"
  coarse = _image(path, shape, _OBLIQUE)
  header = nifti.open(path, plane="ij").header
  make = grids.node_line if is_node else grids.cell_line
  counts = [max(2, int(n * scale)) for n in header.shape]
  y, x = (
    a.at(make(len(a), n))
    for a, n in zip((header.y, header.x), counts, strict=True)
  )
  finer = header.on(y, x)
  nifti.save(path, finer, np.zeros((shape[2], *counts, 1), np.float32))
  fine = nibabel.load(path)
  grid = np.stack(
    np.meshgrid(x.values, y.values, np.arange(shape[2]), indexing="ij"), -1
  )
  want = nibabel.affines.apply_affine(coarse.affine, grid)
  index = np.moveaxis(np.indices(fine.shape), 0, -1)
  got = nibabel.affines.apply_affine(fine.affine, index)
  np.testing.assert_allclose(got, want, atol=2e-4)


@pytest.mark.parametrize(
  ("sizes", "names"),
  [
    ((1, 1, 1), "ij"),
    ((1, 1, 2), "ij"),
    ((2, 1, 1), "jk"),
    ((1, 2, 1), "ik"),
    ((0.9375, 3.0, 0.93752), "ik"),
  ],
)
def test_the_plane_is_that_of_the_smallest_voxels(tmp_path, sizes, names):
  path = tmp_path / "a.nii"
  image = _image(path, (4, 5, 6), np.diag([*sizes, 1.0]))
  reader = nifti.open(path)
  assert (reader.header.x.name, reader.header.y.name) == tuple(names)
  third = ({0, 1, 2} - {"ijk".index(n) for n in names}).pop()
  assert [lead.name for lead in reader.header.leads] == ["ijk"[third]]
  want = np.moveaxis(np.asarray(image.dataobj), third, 0)
  got = refined.values(reader)[..., 0]
  np.testing.assert_array_equal(got, np.swapaxes(want, 1, 2))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("plane", ["ij", "ik", "jk"])
def test_times_and_slices_keep_their_order(tmp_path, suffix, plane):
  path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
  image = _image(path, (4, 5, 3, 2, 2), np.eye(4), np.int16)
  reader = nifti.open(path, plane=plane)
  third = ({"i", "j", "k"} - set(plane)).pop()
  assert [lead.name for lead in reader.header.leads] == ["u", "t", third]
  nifti.save(out, reader.header, refined.values(reader))
  again = nibabel.load(out)
  assert again.get_data_dtype() == np.int16
  np.testing.assert_array_equal(
    np.asarray(again.dataobj), np.asarray(image.dataobj)
  )


def test_two_dimensions_are_one_field(tmp_path):
  image = _image(tmp_path / "a.nii", (5, 4), np.eye(4))
  reader = nifti.open(tmp_path / "a.nii")
  assert (reader.header.count, reader.header.shape) == (1, (4, 5))
  np.testing.assert_array_equal(reader.read(0)[..., 0], image.get_fdata().T)
  assert _save(reader, tmp_path / "b.nii", 2).shape == (10, 8)


def test_integers_keep_slope_and_are_rounded_and_clipped(tmp_path):
  path = tmp_path / "a.nii.gz"
  image = _image(path, (4, 3, 2), np.eye(4), np.uint8, slope=(0.5, -10.0))
  reader = nifti.open(path)
  values = refined.values(reader)
  want = np.asarray(image.dataobj)
  np.testing.assert_array_equal(values[..., 0], np.transpose(want, (2, 1, 0)))
  values[0, 0, :3, 0] = -10.6, 300.0, 2.3
  nifti.save(tmp_path / "b.nii", reader.header, values)
  again = nibabel.load(tmp_path / "b.nii")
  assert again.get_data_dtype() == np.uint8
  assert again.dataobj.slope == 0.5 and again.dataobj.inter == -10.0
  got = np.asarray(again.dataobj)
  np.testing.assert_allclose(got[:3, 0, 0], [-10.0, 117.5, 2.5])
  np.testing.assert_array_equal(got[..., 1], want[..., 1])


def test_big_endian_files_and_extensions_stay_so(tmp_path):
  head = nibabel.Nifti1Header(endianness=">")
  head.set_data_dtype(np.dtype(">f4"))
  note = nibabel.nifti1.Nifti1Extension("comment", b"made by hand")
  head.extensions.append(note)
  raw = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(">f4")
  nibabel.save(nibabel.Nifti1Image(raw, _OBLIQUE, head), tmp_path / "a.nii")
  reader = nifti.open(tmp_path / "a.nii", plane="jk")
  nifti.save(tmp_path / "b.nii", reader.header, refined.values(reader))
  again = nibabel.load(tmp_path / "b.nii")
  np.testing.assert_array_equal(np.asarray(again.dataobj), raw)
  assert again.header.extensions[0].get_content() == b"made by hand"


def test_what_nifti_1_has_no_room_for_becomes_nifti_2(tmp_path):
  image = _image(tmp_path / "a.nii", (20000, 2, 1), np.eye(4), np.uint8)
  fine = _save(nifti.open(tmp_path / "a.nii"), tmp_path / "b.nii", 2)
  assert isinstance(fine, nibabel.Nifti2Image)
  np.testing.assert_allclose(_corners(fine), _corners(image))


def test_compressed_files_are_the_same_whenever_written(tmp_path):
  _image(tmp_path / "a.nii", (3, 4, 5), np.eye(4))
  reader = nifti.open(tmp_path / "a.nii")
  for name in ("b.nii.gz", "c.nii.gz"):
    nifti.save(tmp_path / name, reader.header, refined.values(reader))
  b, c = ((tmp_path / f"{n}.nii.gz").read_bytes() for n in "bc")
  assert b == c and b[:2] == b"\x1f\x8b"
  assert len(gzip.decompress(b)) == 352 + 4 * 60


@pytest.mark.parametrize("plane", ["ij", "ik", "jk"])
def test_values_are_read_in_blocks_of_rows(tmp_path, monkeypatch, plane):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 10)
  image = _image(tmp_path / "a.nii", (30, 20, 25), np.eye(4))
  reader = nifti.open(tmp_path / "a.nii", plane=plane)
  values = rows.Rows(refined.values(reader))
  nifti.save(tmp_path / "b.nii", reader.header, values)
  assert values.largest <= 10
  np.testing.assert_array_equal(
    nibabel.load(tmp_path / "b.nii").get_fdata(), image.get_fdata()
  )


def test_fields_of_other_formats_become_images(tmp_path):
  y = axes.Axis.of("y", 10.0 + 2.0 * np.arange(4), "mm")
  x = axes.Axis.of("x", -3.0 + 1.5 * np.arange(5), "mm")
  variable = fields.Variable("t", dtype="int16", scale=0.1, fill=-1)
  header = fields.Header((variable,), y, x, (fields.Dimension("z", 3),))
  values = np.random.default_rng(0).normal(size=(3, 4, 5, 1)).astype(np.float32)
  values[1, 2, 3] = np.nan
  nifti.save(tmp_path / "a.nii", header, values)
  image = nibabel.load(tmp_path / "a.nii")
  got = np.transpose(np.asarray(image.dataobj), (2, 1, 0))
  np.testing.assert_array_equal(got, values[..., 0])
  place = nibabel.affines.apply_affine(image.affine, [4, 3, 0])
  np.testing.assert_allclose(place[:2], [3.0, 16.0])
  assert image.header.get_xyzt_units()[0] == "mm"
  again = nifti.open(tmp_path / "a.nii")
  assert [lead.name for lead in again.header.leads] == ["k"]
  np.testing.assert_array_equal(refined.values(again), values)
  two = fields.Header((variable,) * 2, y, x)
  with pytest.raises(ValueError, match="one variable of at most 7 dimensions"):
    nifti.save(tmp_path / "b.nii", two, values)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_faults_are_said(tmp_path, suffix):
  path = tmp_path / f"a{suffix}"
  with pytest.raises(FileNotFoundError):
    nifti.open(path)
  path.write_bytes(b"no image")
  with pytest.raises(ValueError, match=f"cannot read .*a{suffix} "):
    nifti.open(path)
  raw = np.random.default_rng(0).normal(size=(9, 9, 9))
  nibabel.save(nibabel.Nifti1Image(raw, np.eye(4)), path)
  with pytest.raises(ValueError, match="has no 'T1'; known: intensity"):
    nifti.open(path, ["T1"])
  with pytest.raises(ValueError, match="unknown plane 'kj'"):
    nifti.open(path, plane="kj")
  path.write_bytes(path.read_bytes()[:2000])
  with pytest.raises(ValueError, match=f"cannot read .*a{suffix} "):
    nifti.open(path).read(0)
  pixels = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
  nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), path)
  with pytest.raises(ValueError, match="two dimensions of real numbers"):
    nifti.open(path)


@pytest.mark.parametrize(("plane", "code"), [("ij", 1), ("jk", 0)])
def test_times_of_slices_stay_where_the_slices_do(tmp_path, plane, code):
  path = tmp_path / "a.nii"
  image = _image(path, (4, 5, 6), np.eye(4))
  image.header.set_dim_info(slice=2)
  image.header["slice_code"], image.header["slice_end"] = 1, 5
  nibabel.save(image, tmp_path / "b.nii")
  fine = _save(nifti.open(tmp_path / "b.nii", plane=plane), path, 2)
  assert fine.header["slice_code"] == code
  assert fine.header["slice_end"] == 5 * code


def test_some_of_the_times_are_saved(tmp_path):
  image = _image(tmp_path / "a.nii", (4, 5, 3, 6), np.eye(4))
  reader = nifti.open(tmp_path / "a.nii")
  leads = (fields.Dimension("t", 2), reader.header.leads[1])
  header = dataclasses.replace(reader.header, leads=leads)
  nifti.save(tmp_path / "b.nii", header, refined.values(reader)[3:9])
  got = nibabel.load(tmp_path / "b.nii").get_fdata()
  np.testing.assert_array_equal(got, image.get_fdata()[..., 1:3])
